"""Configuration files of every node, rendered from the site: the site file is the only source."""

from __future__ import annotations

from functools import cache
from ipaddress import IPv4Network
from pathlib import Path as FilePath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lab.frr.topology import HUB_ASN, ONPREM_ADDRESS, Attachment, Topology
from network.inventory import Path, Session, Site

PIN_TABLE = 100
#: bgpd waits 50 ms (hard-coded) before it decides, so edge-2 follows edge-1's change of mind by 50 ms, and in between
#: they send to each other: eleven of 200 datagrams a second were lost in a graceful drain. edge-1's kernel therefore
#: waits as long as edge-2 needs. Measured, datagrams lost by a drain and by its undo: 53 ms 2/0, 58 ms 0/0, 70 ms 0/2.
FIB_HOLD_MS = 58
#: Where an edge accepts BMP stations, inside its own namespace.
BMP_ADDRESS, BMP_PORT = "127.0.0.1", 11019


def probe_net(site: Site) -> IPv4Network:
    """The /24 that holds the probe sources."""
    first = next(path.probe.source for path in site.paths if path.probe)
    return IPv4Network((int(first) & 0xFFFFFF00, 24))


def pin_table(site: Site, path: Path) -> int:
    """The kernel table that leads out of a path: 101 for the first path, 102 for the second, and so on."""
    return PIN_TABLE + 1 + site.paths.index(path)


def render(topology: Topology) -> dict[str, dict[str, str]]:
    """Files by node and daemon: {'edge-1': {'bgpd': text, 'bfdd': …}, …}."""
    files: dict[str, dict[str, str]] = {}
    for index, node in enumerate(topology.routers, 1):
        common = {"name": node, "router_id": f"1.1.1.{index}"}
        hold = FIB_HOLD_MS if node == topology.edges[0] else 0
        files[node] = {"zebra": _text("zebra", fib_hold_ms=hold, **common)}
        if node in topology.edges:
            files[node] |= _edge(topology, node, common)
        elif node in topology.attachments:
            files[node] |= _attachment(topology, topology.attachments[node], common)
        else:
            files[node]["bgpd"] = _hub(topology, node, common)
    return files


def never(site: Site) -> list[str]:
    """Prefix-list lines for whatever equals, lies in, or covers OT or our own prefixes; and everything above /8."""
    lines = ["0.0.0.0/0 le 7"]
    for net in [*site.on_prem.ot_ranges, *(p.prefix for p in site.on_prem.prefixes)]:
        lines.append(f"{net} le 32")
        lines += [str(net.supernet(new_prefix=length)) for length in range(8, net.prefixlen)]
    return list(dict.fromkeys(lines))


def _edge(topology: Topology, edge: str, common: dict[str, Any]) -> dict[str, str]:
    site = topology.site
    sessions = [_edge_session(topology, path) for path in topology.paths_of_edge(edge)]
    pins = [
        {
            "gateway": topology.session_of(path).peer,
            "interface": site.interface(path),
            "table": pin_table(site, path),
        }
        for path in topology.paths_of_edge(edge)
    ]
    bgpd = _text(
        "edge-bgpd",
        asn=site.on_prem.asn,
        sanctioned=[p.prefix for p in site.on_prem.prefixes],
        never=never(site),
        probe_net=probe_net(site),
        clouds={cloud.name: [p.prefix for p in cloud.prefixes] for cloud in site.clouds},
        drain_local_pref=site.policy.drain_local_pref,
        sessions=sessions,
        ibgp=_ibgp(site, edge),
        bmp={"address": BMP_ADDRESS, "port": BMP_PORT},
        **common,
    )
    bfd = [{"address": s["peer"], "bfd": s["bfd"]} for s in sessions if s["bfd"]]
    static = _text("staticd", probe_net=probe_net(site), onprem=ONPREM_ADDRESS, pins=pins, **common)
    return {"bgpd": bgpd, "bfdd": _text("bfdd", peers=bfd, **common), "staticd": static}


def _edge_session(topology: Topology, path: Path) -> dict[str, Any]:
    session = topology.session_of(path)
    sanctioned = [str(p.prefix) for p in topology.site.on_prem.prefixes if not p.towards or path.cloud in p.towards]
    probes = [f"{path.probe.source}/32"] if path.probe else []
    return {
        **dict(session),
        "kind": path.kind,
        "cloud": path.cloud,
        "limit": session.max_prefix_here,
        "probes": probes,
        "announce": [*sanctioned, *probes],
    }


def _ibgp(site: Site, edge: str) -> dict[str, Any]:
    session = next(s for s in site.sessions if s.internal and edge in (s.router, s.there))
    if session.router == edge:
        return dict(session)
    return {**dict(session), "peer": session.local, "there": session.router}


def _attachment(topology: Topology, attachment: Attachment, common: dict[str, Any]) -> dict[str, str]:
    site, cloud = topology.site, topology.site.cloud(attachment.cloud)
    sessions = [topology.session_of(path) for path in attachment.paths]
    prefixes = [p.prefix for p in cloud.prefixes]
    exact = attachment.kind == "directconnect" and cloud.aws is not None
    allowed = cloud.aws.allowed_prefixes if exact and cloud.aws else [f"{net} le 24" for net in prefixes]
    files = {
        "bgpd": _text(
            "attachment-bgpd",
            kind=attachment.kind,
            asn=attachment.asn,
            our_asn=site.on_prem.asn,
            announce=allowed,
            cloud_prefixes=prefixes,
            sessions=sessions,
            hub=attachment.core.b.address,
            hub_name=attachment.core.b.node,
            hub_asn=HUB_ASN[cloud.provider],
            **common,
        )
    }
    if any(session.bfd for session in sessions):
        files["bfdd"] = _text("bfdd", peers=_bfd_there(sessions), **common)
    return files


def _bfd_there(sessions: list[Session]) -> list[dict[str, Any]]:
    return [{"address": s.local, "bfd": s.bfd} for s in sessions if s.bfd]


def _hub(topology: Topology, node: str, common: dict[str, Any]) -> str:
    cloud = next(c for c in topology.site.clouds if topology.hubs[c.name] == node)
    peers = [
        {
            "device": a.device,
            "kind": a.kind,
            "asn": a.asn,
            "address": a.core.a.address,
            "local_pref": _attachment_pref(topology.site, a),
        }
        for a in topology.attachments.values()
        if a.cloud == cloud.name
    ]
    prefixes = [p.prefix for p in cloud.prefixes]
    return _text("hub-bgpd", asn=HUB_ASN[cloud.provider], cloud_prefixes=prefixes, peers=peers, **common)


def _attachment_pref(site: Site, attachment: Attachment) -> int:
    """What the hub thinks of an attachment: private over VPN, unless Azure's hub preference says otherwise."""
    azure = site.cloud(attachment.cloud).azure
    vpn = attachment.kind == "vpn"
    if azure is None or azure.hub_preference == "ExpressRoute":
        return 50 if vpn else 200
    if azure.hub_preference == "VpnGateway":
        return 200 if vpn else 50
    return 100


@cache
def _templates() -> Environment:
    # Router and sshd configuration is not HTML: escaping would corrupt it.
    return Environment(
        loader=FileSystemLoader(FilePath(__file__).parent / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 -- router and sshd configuration is not HTML; escaping would corrupt it
    )


def _text(template: str, **values: Any) -> str:
    return _templates().get_template(f"{template}.conf.j2").render(**values)


def sshd(key: FilePath, ca: FilePath, commands: dict[str, str]) -> str:
    """sshd_config: certificates only, no terminal, no forwarding, each account held to its command."""
    return _templates().get_template("sshd_config.j2").render(key=key, ca=ca, commands=commands)
