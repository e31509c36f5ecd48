"""Whose address space: does the VPN cover what the private paths carry, destination by destination.

Not equality of prefix sets: a router decides every destination by its longest match, so a covering prefix covers, a
more specific one takes over, and a gap is a gap however the prefixes around it are cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, collapse_addresses, summarize_address_range

from network.inventory import Cloud, Path
from network.layers import View
from network.observation import Advertised, Kind, Received, Routes, SessionHere, SessionThere

Networks = Iterable[IPv4Network]


@dataclass(frozen=True, slots=True)
class Direction:
    """One direction of a comparison. `missing` and `taken` are address space as prefixes, in order.

    `missing`: what the private paths carry, or the site declares, and the VPN does not cover. `taken`: where the VPN
    has a longer match than any private path, so that it carries already. `unknown` says what could not be compared;
    then nothing is proven. `basis` says by which facts.
    """

    missing: tuple[IPv4Network, ...] = ()
    taken: tuple[IPv4Network, ...] = ()
    basis: str = ""
    unknown: str = ""

    @property
    def complete(self) -> bool:
        return not (self.missing or self.unknown)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Towards the cloud by what our routers received, and back by what the cloud accepted or we announce."""

    out: Direction
    back: Direction


def without(wanted: Networks, held: Networks) -> tuple[IPv4Network, ...]:
    """The address space of `wanted` that no prefix of `held` covers, as the fewest prefixes."""
    gaps: list[IPv4Network] = []
    covering = list(collapse_addresses(held))
    for network in collapse_addresses(wanted):
        gaps += _gaps(network, [each for each in covering if each.overlaps(network)])
    return tuple(gaps)


def _gaps(network: IPv4Network, held: list[IPv4Network]) -> Iterator[IPv4Network]:
    """What is left of `network`; `held` overlaps it, is in order and disjoint."""
    at, last = int(network.network_address), int(network.broadcast_address)
    for each in held:
        yield from _between(at, min(int(each.network_address) - 1, last))
        at = max(at, int(each.broadcast_address) + 1)
    yield from _between(at, last)


def _between(first: int, last: int) -> Iterator[IPv4Network]:
    if first <= last:
        yield from summarize_address_range(IPv4Address(first), IPv4Address(last))


def taken(private: Networks, other: Networks) -> tuple[IPv4Network, ...]:
    """The address space of `private` where the longest match is one of `other`.

    It is decided there, whatever is preferred between equal prefixes.
    """
    mine = set(private)
    longest: list[IPv4Network] = []
    for network in set(other):
        if any(network.subnet_of(each) and network != each for each in mine):
            nearer = [each for each in mine if each.subnet_of(network)]
            longest += without([network], nearer)
    return tuple(collapse_addresses(longest))


def coverage(view: View, cloud: Cloud, by: Iterable[Path]) -> Coverage:
    """Compare the VPN paths `by` with every private path of the cloud, both ways.

    The site's declared prefixes are wanted in any case: while the private paths are down they carry nothing, and
    covering nothing proves nothing. Probe addresses are announced on one path alone by design and do not count.
    """
    site, vpn = view.site, tuple(by)
    private = tuple(path for path in site.paths_of(cloud.name) if path.kind != "vpn")
    wanted_out = [prefix.prefix for prefix in cloud.prefixes]
    wanted_back = [each.prefix for each in site.on_prem.prefixes if cloud.name in each.towards]
    return Coverage(
        out=_compare(wanted_out, [_received(view, path) for path in private], [_received(view, path) for path in vpn]),
        back=_compare(
            wanted_back,
            [_sent(view, path) for path in private],
            [_sent(view, path) for path in vpn],
            meant=frozenset(site.specifics(cloud.name)),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Held:
    """A path's prefixes in one direction and by which facts; None: not known, and why."""

    networks: tuple[IPv4Network, ...] | None
    basis: str


def _compare(
    declared: list[IPv4Network], private: list[_Held], vpn: list[_Held], meant: frozenset[IPv4Network] = frozenset()
) -> Direction:
    """`meant` are the longer prefixes that force the VPN: what they take is taken on purpose."""
    blind = list(dict.fromkeys(each.basis for each in (*vpn, *private) if each.networks is None))
    carried = [network for each in private for network in each.networks or ()]
    held = [network for each in vpn for network in each.networks or ()]
    return Direction(
        missing=without([*declared, *carried], held) if all(each.networks is not None for each in vpn) else (),
        taken=taken([*declared, *carried], [network for network in held if network not in meant]),
        basis=", ".join(dict.fromkeys(each.basis for each in vpn if each.networks is not None)),
        unknown=f"{blind[0]}{f' (and {len(blind) - 1} more)' if blind[1:] else ''}" if blind else "",
    )


def _received(view: View, path: Path) -> _Held:
    """What our router holds of the cloud over the path: all that was received, else its routes to declared prefixes."""
    if _down(view, path):
        return _Held((), "received")
    received = view.snapshot.fresh(Kind.RECEIVED, path.session, Received, view.now)
    if received is not None:
        return _Held(_networks(view, (each.prefix for each in received.routes if each.accepted)), "received")
    session, held = view.site.session(path.session), []
    for prefix in view.site.cloud(path.cloud).prefixes:
        routes = view.snapshot.fresh(Kind.ROUTES, f"{session.router} {prefix.prefix}", Routes, view.now)
        if routes is None:
            return _Held(None, f"what {path.session} brings is not known")
        if any(each.valid and each.peer == str(session.peer) for each in routes.paths):
            held.append(prefix.prefix)
    return _Held(tuple(held), "routes to the declared prefixes")


def _sent(view: View, path: Path) -> _Held:
    """What the cloud has of ours over the path: what it accepted where it says so, else what we announce."""
    if _down(view, path):
        return _Held((), "accepted")
    accepted = view.snapshot.fresh(Kind.ACCEPTED, path.name, Advertised, view.now)
    announced = view.snapshot.fresh(Kind.ADVERTISED, path.session, Advertised, view.now)
    seen, basis = (accepted, "accepted") if accepted is not None else (announced, "announced")
    if seen is None:
        return _Held(None, f"what {path.session} announces is not known")
    if accepted is None and path.kind == "vpn":
        there = view.snapshot.fresh(Kind.SESSION_THERE, path.name, SessionThere, view.now)
        if there is not None and there.received is not None and there.received < len(seen.routes):
            return _Held(None, f"the cloud accepted {there.received} of {len(seen.routes)} on {path.session}: which?")
    return _Held(_networks(view, (each.prefix for each in seen.routes)), basis)


def _down(view: View, path: Path) -> bool:
    here = view.snapshot.fresh(Kind.SESSION_HERE, path.session, SessionHere, view.now)
    return here is not None and not here.established


def _networks(view: View, prefixes: Iterable[str]) -> tuple[IPv4Network, ...]:
    probes = {IPv4Network(f"{path.probe.source}/32") for path in view.site.paths if path.probe}
    return tuple(network for network in map(IPv4Network, prefixes) if network not in probes)
