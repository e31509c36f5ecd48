"""Proof that a VPN path would carry: five marks, each of its own, with why and age. Unknown is never proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import IPv4Network

from network.coverage import Coverage, Direction, coverage
from network.inventory import Path
from network.layers import View, layers_of
from network.observation import Kind, Link, Rides
from network.verdict import Layer, Verdict, worse, worst

SHOWN = 4  # prefixes named in one sentence


@dataclass(frozen=True, slots=True)
class VpnProof:
    """`ike`: the tunnel as both ends see it (our interface, the cloud's IPsec). `bgp`: the session, both ends.

    `rides`: the session runs in the tunnel and not over a private path. `coverage`: its routes cover what the private
    paths carry, both ways. `probe`: a packet pinned to it came back. Only all five together prove the path.
    """

    ike: Layer
    bgp: Layer
    rides: Layer
    coverage: Layer
    probe: Layer
    covered: Coverage

    @property
    def marks(self) -> Mapping[str, Layer]:
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "covered"}

    @property
    def decisive(self) -> Layer:
        return worst(self.marks.values())

    @property
    def proven(self) -> bool:
        return all(mark.verdict is Verdict.UP for mark in self.marks.values())


def proof(view: View, path: Path) -> VpnProof:
    """What proves, or does not prove, that a path of kind vpn carries. Raises ValueError for another kind."""
    if path.kind != "vpn":
        raise ValueError(f"{path.name} is of kind {path.kind}: only a VPN path has a proof")
    layers = layers_of(view, path)
    interface = view.site.interface(path)
    router = view.site.session(path.session).router
    ours = view.judge(Kind.LINK, f"{router} {interface}", Link, lambda link: _link(link, interface))
    covered = coverage(view, view.site.cloud(path.cloud), [path])
    return VpnProof(
        ike=worse(layers["circuit"], ours),
        bgp=worse(layers["bgp_here"], layers["bgp_there"]),
        rides=view.judge(Kind.RIDES, path.session, Rides, lambda rides: _rides(rides, interface)),
        coverage=_coverage(covered, _coverage_age(view, path)),
        probe=layers["probe"] if path.probe else Layer(Verdict.UNKNOWN, "the site declares no probe for this path"),
        covered=covered,
    )


def _link(link: Link, interface: str) -> Layer:
    if link.admin_up and link.oper_up:
        return Layer(Verdict.UP)
    return Layer(Verdict.DOWN, f"our end {interface} is {'down' if link.admin_up else 'shut'}")


def _rides(rides: Rides, interface: str) -> Layer:
    if rides.interface == interface:
        return Layer(Verdict.UP)
    if rides.interface is None:
        return Layer(Verdict.DOWN, "the router has no way to the session's peer")
    return Layer(Verdict.DOWN, f"the session rides {rides.interface}, not {interface}")


def _coverage(covered: Coverage, age_s: float | None) -> Layer:
    """A gap decides; then what is not known; space that the VPN takes from the private paths only impairs."""
    ways = {"out": covered.out, "back": covered.back}
    gaps = [f"{way} lacks {_some(each.missing)}" for way, each in ways.items() if each.missing]
    if gaps:
        return Layer(Verdict.DOWN, "; ".join(gaps), age_s)
    unknown = [f"{way}: {each.unknown}" for way, each in ways.items() if each.unknown]
    if unknown:
        return Layer(Verdict.UNKNOWN, "; ".join(unknown), age_s)
    steals = [f"{way} takes {_some(each.taken)} by longer match" for way, each in ways.items() if each.taken]
    return Layer(Verdict.DEGRADED, "; ".join(steals), age_s) if steals else Layer(Verdict.UP, _basis(ways), age_s)


def _basis(ways: Mapping[str, Direction]) -> str:
    return "; ".join(f"{way} by {each.basis}" for way, each in ways.items() if each.basis)


def _some(networks: tuple[IPv4Network, ...]) -> str:
    more = f" and {len(networks) - SHOWN} more" if len(networks) > SHOWN else ""
    return ", ".join(map(str, networks[:SHOWN])) + more


def _coverage_age(view: View, path: Path) -> float | None:
    """The age of the oldest fact of the path itself that the comparison rests on; None while there is none."""
    router = view.site.session(path.session).router
    received = view.snapshot.get(Kind.RECEIVED, path.session)
    routes = [view.snapshot.get(Kind.ROUTES, f"{router} {p.prefix}") for p in view.site.cloud(path.cloud).prefixes]
    sent = view.snapshot.get(Kind.ACCEPTED, path.name) or view.snapshot.get(Kind.ADVERTISED, path.session)
    used = [sent, *([received] if received and not received.stale(view.now) else routes)]
    return max((each.age_s(view.now) for each in used if each is not None), default=None)
