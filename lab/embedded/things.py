"""What `lab fail THING` can break, and how each is mended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from lab.embedded.editor import apply
from lab.embedded.start import Attachment, attachments
from lab.embedded.world import World
from lab.errors import UnknownThing
from lab.grey import LINKS, Grey
from network.inventory import Connection, Session
from network.sitecheck import nearest

DRAIN_PREPENDS = 8
BLACKHOLE_AFTER_S = 10.0
FLAP_EVERY_S = 3.0
ASYMMETRY_PREPENDS = 6


@dataclass(frozen=True)
class How:
    """The words that may come with a fault. Grey figures leave routing alone."""

    silent: bool = False
    oneway: bool = False
    supernet: bool = False
    grey: Grey | None = None


@dataclass
class Things:
    """Every thing that can fail, by name; `failed` lists what is broken now, in order."""

    world: World
    failed: dict[str, How] = field(default_factory=dict)
    _undo: dict[str, list[Callable[[], None]]] = field(default_factory=dict)

    def names(self) -> list[str]:
        """All names, as `lab fail` takes them."""
        return [*self._links(), *self._groups(), *self._acts(), *self._hung()]

    def fail(self, thing: str, how: How) -> None:
        """Break it. Raises UnknownThing with the nearest name."""
        if thing not in self.names():
            raise UnknownThing(f"{thing!r} is not a thing that can fail; {nearest(thing, self.names())}")
        if how.grey and thing not in {*self._wires(), *self._groups()}:
            raise UnknownThing(f"lab fail {thing}: --loss, --delay, --mtu do nothing there; they go with {LINKS}")
        self.heal(thing)
        self.failed[thing] = how
        self._undo[thing] = []
        if thing in self._acts():
            self._acts()[thing](thing, how)
        elif thing in self._hung():
            self._hang(thing)
        else:
            for link in self._groups().get(thing, [thing]):
                self._break(thing, link, how)

    def heal(self, thing: str | None) -> None:
        """Mend one thing, or all. Raises UnknownThing for a name that does not exist."""
        if thing is not None and thing not in self.names():
            raise UnknownThing(f"{thing!r} is not a thing that can fail; {nearest(thing, self.names())}")
        for name in [thing] if thing else list(self.failed):
            self.failed.pop(name, None)
            for undo in reversed(self._undo.pop(name, [])):
                undo()

    def _links(self) -> list[str]:
        site = self.world.site
        return [*self._wires(), *(router.name for router in site.routers)]

    def _wires(self) -> list[str]:
        site = self.world.site
        tables = (site.ports, site.vxcs, site.connections, site.tunnels)
        internal = [s.name for s in site.sessions if s.internal]
        return [*(item.name for table in tables for item in table), *internal]

    def _groups(self) -> dict[str, list[str]]:
        site = self.world.site
        isps = {i.name: [t.name for t in site.tunnels if t.isp == i.name] for i in site.isps}
        return {"fabric": [v.name for v in site.vxcs], "internet": [t.name for t in site.tunnels], **isps}

    def _hung(self) -> dict[str, Session]:
        return {f"bfd-{s.name}": s for s in self.world.site.sessions if s.bfd}

    def _acts(self) -> dict[str, Callable[[str, How], None]]:
        return {
            "no-addpath": self._no_addpath, "provider-drain": self._provider_drain, "ot-leak": self._ot_leak,
            "max-prefix": self._max_prefix, "flap": self._flap, "asymmetry": self._asymmetry,
        }  # fmt: skip

    # --- links ---

    def _break(self, thing: str, link: str, how: How) -> None:
        world = self.world
        router = link in {r.name for r in world.site.routers}
        if how.grey:
            world.set_fault(link, grey=how.grey)
        elif router:
            world.set_fault(link, dark=True)
        elif how.oneway:
            world.set_fault(link, inward=True)
        else:
            world.set_fault(link, dark=not how.silent, out=how.silent, inward=how.silent)
        self._undo[thing].append(lambda: self._mend(link, router=router))

    def _mend(self, link: str, *, router: bool) -> None:
        if router:
            self.world.booted[link] = self.world.clock.now()
        self.world.mend(link)

    def _hang(self, thing: str) -> None:
        name = self._hung()[thing].name
        self.world.hung_bfd.add(name)
        self.world.recheck()

        def wake() -> None:
            self.world.hung_bfd.discard(name)
            self.world.recheck()

        self._undo[thing].append(wake)

    # --- misconfigurations and providers ---

    def _primary(self, link: str = "primary") -> tuple[Connection, Session]:
        site = self.world.site
        connection = next(c for c in site.connections if c.link == link)
        path = next(p for p in site.paths if p.connection == connection.name)
        return connection, site.session(path.session)

    def _configure(self, thing: str, router: str, lines: list[str], undo: list[str]) -> None:
        self._apply(router, lines)
        self._undo[thing].append(lambda: self._apply(router, undo))

    def _apply(self, router: str, lines: list[str]) -> None:
        """Lines of the lab's own: they act at once and no ledger sees them."""
        self.world.edited(router, apply(self.world.configs[router], lines) - {"policy"})
        self.world.refresh(router)

    def _no_addpath(self, thing: str, how: How) -> None:
        del how
        for session in (s for s in self.world.site.sessions if s.internal):
            for router, peer in ((session.router, session.peer), (session.there, session.local)):
                family = [f"router bgp {self.world.site.on_prem.asn}", "address-family ipv4 unicast"]
                line = f"neighbor {peer} addpath-tx-all-paths"
                self._configure(thing, router, [*family, f"no {line}"], [*family, line])

    def _provider_drain(self, thing: str, how: How) -> None:
        del how
        connection, session = self._primary()
        attachment = next(a for a in attachments(self.world.site) if a.device == session.there)
        lines, undo = _drain_lines(session, attachment)
        self._configure(thing, session.there, lines, undo)
        name = (thing, "blackhole")

        def blackhole() -> None:
            self.world.set_fault(connection.name, data_only=True, out=True, inward=True)

        self.world.clock.after(name, BLACKHOLE_AFTER_S, blackhole)
        self._undo[thing].append(lambda: self.world.clock.cancel(name))
        self._undo[thing].append(
            lambda: self.world.mend(connection.name) if self._blackholed(connection.name) else None
        )

    def _blackholed(self, connection: str) -> bool:
        return self.world.links.has(connection).data_only

    def _ot_leak(self, thing: str, how: How) -> None:
        _, session = self._primary("secondary")
        ot = self.world.site.on_prem.ot_ranges[0]
        prefix = ot.supernet(new_prefix=8) if how.supernet else next(ot.subnets(new_prefix=16))
        export = session.policy.export_map if session.policy else ""
        family = [f"router bgp {self.world.site.on_prem.asn}", "address-family ipv4 unicast"]
        self._configure(
            thing,
            session.router,
            [f"ip prefix-list LEAK seq 5 permit {prefix}", f"route-map {export} permit 90",
             "match ip address prefix-list LEAK", *family, f"network {prefix}"],
            [*family, f"no network {prefix}", f"no route-map {export} permit 90", "no ip prefix-list LEAK"],
        )  # fmt: skip

    def _max_prefix(self, thing: str, how: How) -> None:
        del how
        _, session = self._primary()
        cloud = next(p.cloud for p in self.world.site.paths if p.session == session.name)
        nets = [net for p in self.world.site.cloud(cloud).prefixes for net in _pieces(p.prefix)]
        self.world.leak(session, tuple(nets[: (session.max_prefix_here or 0) + 50]))
        bgp = self.world.sessions[session.name]
        self._undo[thing].append(lambda: bgp.clear(here=True))
        self._undo[thing].append(lambda: self.world.leak(session, ()))

    def _flap(self, thing: str, how: How) -> None:
        del how
        _, session = self._primary()
        clock, bgp = self.world.clock, self.world.sessions[session.name]

        def again() -> None:
            bgp.clear(here=False)
            clock.after(thing, FLAP_EVERY_S, again)

        self._undo[thing].append(lambda: clock.cancel(thing))
        again()

    def _asymmetry(self, thing: str, how: How) -> None:
        del how
        _, session = self._primary()
        if session.policy is None:
            return
        asn = self.world.site.on_prem.asn
        header = f"route-map {session.policy.export_map} permit {session.policy.export_seq}"
        clause = self.world.configs[session.router].route_maps[session.policy.export_map][session.policy.export_seq][1]
        before = next(
            (text for text in clause.values() if text.startswith("set as-path prepend")), "no set as-path prepend"
        )
        prepend = f"set as-path prepend {' '.join([str(asn)] * ASYMMETRY_PREPENDS)}"
        self._configure(thing, session.router, [header, prepend], [header, before])


def _drain_lines(session: Session, attachment: Attachment) -> tuple[list[str], list[str]]:
    """Microsoft's drain: its AS eight times both ways. Its own AS is added once by BGP itself."""
    asn = session.peer_asn
    prepend = f"set as-path prepend {' '.join([str(asn)] * (DRAIN_PREPENDS - 1))}"
    family = [f"router bgp {asn}", "address-family ipv4 unicast"]
    to_hub = f"neighbor {attachment.hub_address} route-map DRAIN out"
    lines = ["route-map OUT permit 10", prepend, "route-map DRAIN permit 10", prepend, *family, to_hub]
    return lines, ["route-map OUT permit 10", "no set as-path prepend", *family, f"no {to_hub}", "no route-map DRAIN"]


def _pieces(prefix: IPv4Network) -> list[IPv4Network]:
    return list(prefix.subnets(new_prefix=24))
