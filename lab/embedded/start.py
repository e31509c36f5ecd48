"""The configurations that every router of the site starts with: ours, the provider edges', the clouds' hubs.

The policy is the reference one: local-pref per path with Microsoft's drain clause first, prepend and 7224
communities outward; the clouds map 7224:7100/7200/7300 to 90/100/110, strip MED and 65535:0, prefer by attachment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.embedded.config import Config
from lab.embedded.editor import apply
from lab.embedded.propagation import Adjacency
from network.inventory import Cloud, Path, Session, Site

HUB_ASN = {"azure": 65514, "aws": 64514}
#: Hub routing preference to local-pref of (private, VPN) attachments; equal lets the AS path decide.
HUB_PREFERENCE = {"ExpressRoute": (200, 100), "VpnGateway": (100, 200), "ASPath": (100, 100)}
COMMUNITY_PREF = {"LOW": ("7224:7100", 90), "MID": ("7224:7200", 100), "HIGH": ("7224:7300", 110)}


@dataclass(frozen=True)
class Attachment:
    """The line between a provider's device and its cloud's hub: addresses at the device and at the hub."""

    cloud: str
    device: str
    address: str
    hub_address: str


def hub_name(cloud: str) -> str:
    return f"{cloud}-hub"


def attachments(site: Site) -> tuple[Attachment, ...]:
    """Every device of every cloud with its line to the hub, in path order."""
    pairs = list(dict.fromkeys((path.cloud, site.session(path.session).there) for path in site.paths))
    return tuple(
        Attachment(cloud, device, f"10.255.{11 + i}.1", f"10.255.{11 + i}.2") for i, (cloud, device) in enumerate(pairs)
    )


def adjacencies(site: Site) -> dict[str, Adjacency]:
    """Every session's adjacency by session name, and the lines to the hubs by `device~hub`."""
    ours = {s.name: Adjacency(s.router, str(s.local), s.there, str(s.peer)) for s in site.sessions}
    theirs = {f"{a.device}~hub": Adjacency(a.device, a.address, hub_name(a.cloud), a.hub_address)
              for a in attachments(site)}  # fmt: skip
    return ours | theirs


def configurations(site: Site) -> dict[str, Config]:
    """The starting configuration of every router, by name."""
    found = {router.name: edge(site, router.name) for router in site.routers}
    for attachment in attachments(site):
        found[attachment.device] = device(site, attachment)
    for cloud in site.clouds:
        found[hub_name(cloud.name)] = hub(site, cloud)
    return found


def _config(name: str, lines: Iterator[str]) -> Config:
    config = Config(name)
    apply(config, lines)
    return config


def edge(site: Site, router: str) -> Config:
    """One of our edges."""
    return _config(router, _edge_lines(site, router))


def _edge_lines(site: Site, router: str) -> Iterator[str]:
    mine = [(s, site.path_of_session(s.name)) for s in site.sessions if router == s.router]
    paths = [(s, p) for s, p in mine if p]
    yield from (f"ip prefix-list SANCTIONED permit {p.prefix}" for p in site.on_prem.prefixes)
    yield from (f"ip prefix-list NEVER permit {entry}" for entry in never(site))
    yield from (f"ip prefix-list PROBES permit {p.probe.source}/32" for p in site.paths if p.probe)
    for cloud in site.clouds:
        yield from (f"ip prefix-list CLOUD-{cloud.name} permit {p.prefix} le 24" for p in cloud.prefixes)
    for session, path in paths:
        yield from _announced(site, session, path)
    drained = {s.peer_asn for s, p in paths if p.kind == "expressroute"}
    yield from (f"bgp as-path access-list MSDRAIN seq 5 permit ^{asn}_{asn}_" for asn in drained)
    yield from ("route-map IBGP-OUT deny 5", "match ip address prefix-list PROBES", "route-map IBGP-OUT permit 10")
    for session, path in paths:
        yield from _edge_maps(site, session, path)
    yield from _router_lines(site.on_prem.asn, f"1.1.1.{_index(site, router)}")
    yield "no bgp default ipv4-unicast"
    for session in site.sessions:
        yield from _edge_neighbor(site, session, router)
    yield "address-family ipv4 unicast"
    yield from (f"network {p.prefix}" for p in site.on_prem.prefixes)
    yield from (f"network {p.probe.source}/32" for _, p in paths if p.probe)
    for session in site.sessions:
        yield from _edge_family(session, router)
    for session, _ in paths:
        if session.bfd:
            yield from ("bfd", f"peer {session.peer}", f"detect-multiplier {session.bfd.multiplier}",
                        f"transmit-interval {session.bfd.tx_ms}", f"receive-interval {session.bfd.rx_ms}")  # fmt: skip


def never(site: Site) -> list[str]:
    """Prefix-list entries for what equals, lies in, or covers OT or our own prefixes, and for all above /8."""
    entries = ["0.0.0.0/0 le 7"]
    for net in [*site.on_prem.ot_ranges, *(p.prefix for p in site.on_prem.prefixes)]:
        entries.append(f"{net} le 32")
        entries += [str(net.supernet(new_prefix=length)) for length in range(8, net.prefixlen)]
    return list(dict.fromkeys(entries))


def _announced(site: Site, session: Session, path: Path) -> Iterator[str]:
    ours = [str(p.prefix) for p in site.on_prem.prefixes if not p.towards or path.cloud in p.towards]
    probes = [f"{path.probe.source}/32"] if path.probe else []
    yield from (f"ip prefix-list ANNOUNCE-{session.name} permit {prefix}" for prefix in [*ours, *probes])


def _index(site: Site, router: str) -> int:
    return [r.name for r in site.routers].index(router) + 1


def _router_lines(asn: int, router_id: str) -> Iterator[str]:
    yield from (f"router bgp {asn}", f"bgp router-id {router_id}", "no bgp network import-check",
                "bgp log-neighbor-changes")  # fmt: skip


def _edge_maps(site: Site, session: Session, path: Path) -> Iterator[str]:
    policy = session.policy
    if policy is None:
        return
    cloud = f"match ip address prefix-list CLOUD-{path.cloud}"
    yield from (f"route-map {policy.import_map} deny 1", "match ip address prefix-list NEVER")
    if path.kind == "expressroute":
        yield from (f"route-map {policy.import_map} permit 5", "match as-path MSDRAIN", cloud,
                    f"set local-preference {site.policy.drain_local_pref}")  # fmt: skip
    yield from (f"route-map {policy.import_map} permit {policy.import_seq}", cloud,
                f"set local-preference {policy.local_pref}")  # fmt: skip
    yield from (f"route-map {policy.export_map} permit {policy.export_seq}",
                f"match ip address prefix-list ANNOUNCE-{session.name}")  # fmt: skip
    if policy.prepend:
        yield f"set as-path prepend {' '.join([str(site.on_prem.asn)] * policy.prepend)}"
    if policy.community:
        yield f"set community {policy.community}"


def _edge_neighbor(site: Site, session: Session, router: str) -> Iterator[str]:
    end = _end(session, router)
    if end is None:
        return
    peer, there = end
    asn = site.on_prem.asn if session.internal else session.peer_asn
    keepalive = max(1, session.hold_s // 3)
    yield from (f"neighbor {peer} remote-as {asn}", f"neighbor {peer} description {there}",
                f"neighbor {peer} timers {keepalive} {session.hold_s}",
                f"neighbor {peer} timers connect 1")  # fmt: skip
    if session.bfd:
        yield f"neighbor {peer} bfd"


def _end(session: Session, router: str) -> tuple[str, str] | None:
    """(peer address, peer's name) as the router sees the session; None when it is not its own."""
    if session.router == router:
        return str(session.peer), session.there
    return (str(session.local), session.router) if session.internal and session.there == router else None


def _edge_family(session: Session, router: str) -> Iterator[str]:
    end = _end(session, router)
    if end is None:
        return
    peer = end[0]
    yield from (f"neighbor {peer} activate", f"neighbor {peer} soft-reconfiguration inbound")
    if session.internal:
        yield from (f"neighbor {peer} next-hop-self force", f"neighbor {peer} maximum-prefix 1000",
                    f"neighbor {peer} route-map IBGP-OUT out")  # fmt: skip
        yield from [f"neighbor {peer} addpath-tx-all-paths"] if session.add_path else []
    if session.max_prefix_here:
        yield f"neighbor {peer} maximum-prefix {session.max_prefix_here}"
    if session.policy:
        yield f"neighbor {peer} route-map {session.policy.import_map} in"
        yield f"neighbor {peer} route-map {session.policy.export_map} out"


def device(site: Site, attachment: Attachment) -> Config:
    """A provider's device: an MSEE, a DX router, or a VPN gateway."""
    return _config(attachment.device, _device_lines(site, attachment))


def _device_lines(site: Site, attachment: Attachment) -> Iterator[str]:
    cloud = site.cloud(attachment.cloud)
    mine = [s for s in site.sessions if s.there == attachment.device]
    direct = any(p.kind == "directconnect" for p in site.paths if p.session in {s.name for s in mine})
    allowed = [f"{p.prefix} le 24" for p in cloud.prefixes]
    yield "bgp community-list standard GSHUT seq 5 permit 65535:0"
    if direct and cloud.aws:
        allowed = [str(prefix) for prefix in cloud.aws.allowed_prefixes]
        yield from ("route-map OUT-hub deny 5", "match ip address prefix-list ALLOWED", "route-map OUT-hub permit 10")
        yield from _class_lines("IN")
    yield from (f"ip prefix-list ALLOWED permit {prefix}" for prefix in allowed)
    yield from ("route-map OUT permit 10", "match ip address prefix-list ALLOWED")
    yield from ("route-map IN permit 20", "set comm-list GSHUT delete", "set metric 0", "set local-preference 100")
    yield from _router_lines(mine[0].peer_asn, f"1.1.2.{attachments(site).index(attachment) + 1}")
    yield f"neighbor {attachment.hub_address} remote-as {HUB_ASN[cloud.provider]}"
    yield from (f"neighbor {s.local} remote-as {site.on_prem.asn}" for s in mine)
    yield "address-family ipv4 unicast"
    if direct:
        yield from (f"network {prefix}" for prefix in allowed)
        yield f"neighbor {attachment.hub_address} route-map OUT-hub out"
    for session in mine:
        yield from (f"neighbor {session.local} route-map IN in", f"neighbor {session.local} route-map OUT out")
        yield f"neighbor {session.local} remove-private-AS all"
        if session.max_prefix_there:
            yield f"neighbor {session.local} maximum-prefix {session.max_prefix_there}"


def _class_lines(name: str) -> Iterator[str]:
    """The 7224 classes, evaluated before the AS path."""
    for sequence, (label, (community, preference)) in enumerate(COMMUNITY_PREF.items(), start=5):
        yield f"bgp community-list standard {label} seq 5 permit {community}"
        yield from (f"route-map {name} permit {sequence}", f"match community {label}")
        yield from (f"set local-preference {preference}", "set metric 0")


def hub(site: Site, cloud: Cloud) -> Config:
    """The cloud's own end: it prefers by attachment, then by 7224 class (AWS), then by AS path."""
    return _config(hub_name(cloud.name), _hub_lines(site, cloud))


def _hub_lines(site: Site, cloud: Cloud) -> Iterator[str]:
    private, vpn = HUB_PREFERENCE[cloud.azure.hub_preference] if cloud.azure else (100, 50)
    mine = [a for a in attachments(site) if a.cloud == cloud.name]
    on_ramps = {c.device for c in site.connections}
    if cloud.aws:
        yield from _class_lines("IN-private")
    yield from ("route-map IN-private permit 20", f"set local-preference {private}")
    yield from ("route-map IN-vpn permit 20", f"set local-preference {vpn}")
    yield from _router_lines(HUB_ASN[cloud.provider], f"1.1.3.{site.clouds.index(cloud) + 1}")
    yield "bgp bestpath as-path multipath-relax"
    for a in mine:
        asn = next(s.peer_asn for s in site.sessions if s.there == a.device)
        yield f"neighbor {a.address} remote-as {asn}"
    yield "address-family ipv4 unicast"
    yield from (f"network {p.prefix}" for p in cloud.prefixes)
    for a in mine:
        yield f"neighbor {a.address} route-map {'IN-private' if a.device in on_ramps else 'IN-vpn'} in"
