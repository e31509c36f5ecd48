"""What `lab fail` can break: which switch ports it cuts, and which configuration it changes and puts back. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import partial
from ipaddress import IPv4Network

from lab.frr.errors import UnknownThing, WrongOption
from lab.frr.topology import Topology, Wire
from lab.grey import LINKS, Grey
from network.inventory import Path, Session

DRAIN_PREPENDS = 8  # Microsoft's own: 8 x 12076, both ways
ASYMMETRY_PREPENDS = 6
FLAP_EVERY_S = 3.0
BLACKHOLE_AFTER_S = 10.0
LEAK = IPv4Network("10.200.0.0/16")
SUPERNET = IPv4Network("10.0.0.0/8")
FLOOD = 150  # prefixes, over our limit of 100


class Cut(IntEnum):
    """What is wrong with a switch port; of several failures on one port the worst counts."""

    NONE = 0
    ONEWAY = 1  # nothing is sent out of it
    SILENT = 2  # off its bridge: both ends keep carrier, frames vanish
    DOWN = 3  # no carrier


@dataclass(frozen=True)
class Order:
    """Something to tell a router: configuration lines, then exec commands."""

    node: str
    lines: tuple[str, ...] = ()
    then: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A thing broken: cuts by switch port, orders to break and to mend, what repeats, what is blackholed later.

    `grey` is by wire.
    """

    cuts: dict[str, Cut]
    breaks: tuple[Order, ...] = ()
    mends: tuple[Order, ...] = ()
    repeats: Order | None = None
    blackholes: str | None = None
    dark: str | None = None  # a node that is off, its door too
    grey: dict[str, Grey] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """How it is broken."""

    silent: bool = False
    oneway: bool = False
    supernet: bool = False
    grey: Grey | None = None


def names(topology: Topology) -> tuple[str, ...]:
    """Every THING, in the order of the command line's help."""
    return (*_links(topology), *_CONFIGURED)


def failure(topology: Topology, thing: str, options: Options) -> Failure:
    """What breaking `thing` does. Raises UnknownThing, and WrongOption for an option that would do nothing there."""
    links = _links(topology)
    if thing not in links and thing not in _CONFIGURED:
        raise UnknownThing(thing, names(topology))
    if options.supernet and thing != "ot-leak":
        raise WrongOption(thing, "supernet", "ot-leak")
    if options.grey:
        return _grey(topology, thing, options.grey)
    if thing in links:
        return links[thing](options)
    for option in ("silent", "oneway"):
        if getattr(options, option):
            raise WrongOption(thing, option, "ports, VXCs, connections, tunnels, routers, ibgp, fabric, internet")
    return _CONFIGURED[thing](topology, options)


def _links(topology: Topology) -> dict[str, Callable[[Options], Failure]]:
    site = topology.site
    found: dict[str, Callable[[Options], Failure]] = {}
    wire_of = {site.interface(path): topology.wires[path.session] for path in site.paths}
    private = {path.vxc: wire_of[site.interface(path)] for path in site.paths if path.vxc}
    for port in site.ports:
        wires = [private[vxc.name] for vxc in site.vxcs if vxc.port == port.name]
        found[port.name] = partial(_cut, [port.name, *(w.a.switch_port for w in wires)], None)
    for name, wire in private.items():
        found[str(name)] = partial(_cut, [wire.a.switch_port], None)
    for path in site.paths:
        if path.connection:
            wire = topology.wires[path.session]
            found[path.connection] = partial(_cut, [wire.b.switch_port], [wire.a.switch_port])
    tunnels = {path.tunnel: topology.wires[path.session] for path in site.paths if path.tunnel}
    for tunnel, wire in tunnels.items():
        found[str(tunnel)] = partial(_cut, _both([wire]), [wire.a.switch_port])
    for edge in topology.edges:
        found[edge] = partial(_edge, topology, edge)
    found["ibgp"] = partial(_cut, _both([topology.wires["ibgp"]]), [topology.wires["ibgp"].a.switch_port])
    found["fabric"] = partial(_cut, [w.a.switch_port for w in private.values()], None)
    found["internet"] = partial(_cut, _both(tunnels.values()), [w.a.switch_port for w in tunnels.values()])
    return found


def _grey(topology: Topology, thing: str, grey: Grey) -> Failure:
    """A connection is grey behind the provider's device, a port or VXC before it, so that the leg can be told."""
    site = topology.site
    wires: dict[str, list[str]] = {"ibgp": ["ibgp"], "fabric": [], "internet": []}
    for path in site.paths:
        if path.vxc and path.connection:
            wires[path.vxc] = [path.session]
            wires.setdefault(site.vxc(path.vxc).port, []).append(path.session)
            wires["fabric"].append(path.session)
            wires[path.connection] = [topology.attachments[topology.session_of(path).there].core.name]
        elif path.tunnel:
            wires[path.tunnel] = [path.session]
            wires["internet"].append(path.session)
    if thing not in wires:
        raise WrongOption(thing, "loss, --delay, --mtu", LINKS)
    return Failure({}, grey=dict.fromkeys(wires[thing], grey))


def _both(wires: Iterable[Wire]) -> list[str]:
    return [end.switch_port for wire in wires for end in (wire.a, wire.b)]


def _cut(ports: list[str], towards_us: list[str] | None, options: Options) -> Failure:
    """One way means: what the far end sends does not reach us; the other direction works."""
    if options.oneway:
        return Failure(dict.fromkeys(towards_us or ports, Cut.ONEWAY))
    return Failure(dict.fromkeys(ports, Cut.SILENT if options.silent else Cut.DOWN))


def _edge(topology: Topology, edge: str, options: Options) -> Failure:
    """A dead router. What is cabled straight to it or ends in it (iBGP, tunnels) goes dark at the other end too."""
    wires = topology.wires_at(edge)
    ends = [end.switch_port for _, end in wires]
    stubs = [port.name for port in topology.site.ports if port.router == edge]
    private = {path.session for path in topology.site.paths if path.vxc}
    straight = [] if options.oneway else _both(wire for wire, _ in wires if wire.name not in private)
    return replace(_cut([*ends, f"lan-{edge}", *stubs, *straight], None, options), dark=edge)


def _no_addpath(topology: Topology, _: Options) -> Failure:
    ibgp = next(s for s in topology.site.sessions if s.internal)
    knobs = {ibgp.router: ibgp.peer, ibgp.there: ibgp.local}
    head = (f"router bgp {topology.site.on_prem.asn}", "address-family ipv4 unicast")
    word = {node: f"neighbor {peer} addpath-tx-all-paths" for node, peer in knobs.items()}
    return Failure(
        {},
        tuple(Order(node, (*head, f"no {line}")) for node, line in word.items()),
        tuple(Order(node, (*head, line)) for node, line in word.items()),
    )


def _provider_drain(topology: Topology, _: Options) -> Failure:
    session = _er(topology, "primary")[1]
    prepend = "set as-path prepend " + " ".join([str(session.peer_asn)] * DRAIN_PREPENDS)
    maps = [f"route-map OUT-{session.router} permit 10", "route-map OUT-hub permit 10"]
    soft = ("clear bgp ipv4 unicast * soft out",)
    return Failure(
        {},
        (Order(session.there, tuple(line for m in maps for line in (m, prepend)), soft),),
        (Order(session.there, tuple(line for m in maps for line in (m, "no set as-path prepend")), soft),),
        blackholes=session.there,
    )


def _ot_leak(topology: Topology, options: Options) -> Failure:
    session = _er(topology, "secondary")[1]
    assert session.policy is not None
    net = SUPERNET if options.supernet else LEAK
    clause = f"route-map {session.policy.export_map} permit {session.policy.export_seq - 2}"
    bgp = (f"router bgp {topology.site.on_prem.asn}", "address-family ipv4 unicast")
    soft = (f"clear bgp ipv4 unicast {session.peer} soft out",)
    rule = f"ip prefix-list LEAK seq 5 permit {net}"
    leak = (rule, clause, "match ip address prefix-list LEAK", *bgp, f"network {net}")
    mend = (*bgp, f"no network {net}", "exit", "exit", f"no {clause}", f"no {rule}")
    return Failure({}, (Order(session.router, leak, soft),), (Order(session.router, mend, soft),))


def _max_prefix(topology: Topology, _: Options) -> Failure:
    path, session = _er(topology, "primary")
    parent = topology.site.cloud(path.cloud).prefixes[0].prefix
    nets = list(parent.subnets(new_prefix=24))[1 : FLOOD + 1]
    bgp = (f"router bgp {session.peer_asn}", "address-family ipv4 unicast")
    again = Order(session.router, then=(f"clear bgp ipv4 unicast {session.peer}",))
    return Failure(
        {},
        (Order(session.there, (*bgp, *(f"network {net}" for net in nets))),),
        (Order(session.there, (*bgp, *(f"no network {net}" for net in nets))), again),
    )


def _flap(topology: Topology, _: Options) -> Failure:
    session = _er(topology, "primary")[1]
    return Failure({}, repeats=Order(session.there, then=(f"clear bgp ipv4 unicast {session.local}",)))


def _asymmetry(topology: Topology, _: Options) -> Failure:
    session = _er(topology, "primary")[1]
    policy = session.policy
    assert policy is not None
    clause = f"route-map {policy.export_map} permit {policy.export_seq}"
    soft = (f"clear bgp ipv4 unicast {session.peer} soft out",)
    at_rest = _prepend(topology, policy.prepend) if policy.prepend else "no set as-path prepend"
    return Failure(
        {},
        (Order(session.router, (clause, _prepend(topology, ASYMMETRY_PREPENDS)), soft),),
        (Order(session.router, (clause, at_rest), soft),),
    )


def _prepend(topology: Topology, times: int) -> str:
    return "set as-path prepend " + " ".join([str(topology.site.on_prem.asn)] * times)


def _er(topology: Topology, link: str) -> tuple[Path, Session]:
    site = topology.site
    connection = next(c for c in site.connections if c.link == link)
    path = next(p for p in site.paths if p.connection == connection.name)
    return path, site.session(path.session)


_CONFIGURED: dict[str, Callable[[Topology, Options], Failure]] = {
    "no-addpath": _no_addpath,
    "provider-drain": _provider_drain,
    "ot-leak": _ot_leak,
    "max-prefix": _max_prefix,
    "flap": _flap,
    "asymmetry": _asymmetry,
}
