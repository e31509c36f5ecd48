"""The network that the FRR captures were taken on, as a site: one edge, private paths to one cloud, a core inside.

The router's side comes from the captures by the connectors' own parsers; the other systems say that all is well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from connectors.routers import frr, frr_config, frr_links, frr_routes
from connectors.routers.latch import settle
from network.inventory import Site
from network.observation import (
    Attachment,
    Circuit,
    CloudRoute,
    CloudRoutes,
    FabricPort,
    FabricVxc,
    Kind,
    Link,
    Observation,
    SessionHere,
    SessionThere,
)
from network.sitefile import load
from network.snapshot import Snapshot
from tests.sample import NOW, REFERENCE, seen

DATA = Path(__file__).parent / "data" / "frr"
PREFIX = "10.50.0.0/16"
PRIMARY, STANDBY = "169.254.10.2", "169.254.20.2"


def capture(state: str, name: str, router: str = "edge") -> str | None:
    found = DATA / state / f"{router}__{name}"
    return found.read_text() if found.exists() else None


def capture_site(peers: Sequence[str] = (PRIMARY, STANDBY), *, bfd: bool = True) -> Site:
    """One path a peer: the first at local-preference 200, the others at 100; a drain goes down to 60."""
    reference = yaml.safe_load(REFERENCE.read_text())
    aws = reference["clouds"][1] | {"name": "cloud-a", "prefixes": [{"prefix": PREFIX, "name": "all of it"}]}
    numbers = range(1, len(peers) + 1)
    vxc = {"port": "port-a", "b_end": "aws-hosted-connection", "rate_mbps": 1000}
    port = reference["ports"][0] | {"router": "edge", "interface": "core0"}
    there = {"peer_asn": 64512, "max_prefix_there": 100} | ({"bfd": {"tx_ms": 300, "rx_ms": 300}} if bfd else {})
    document = reference | {
        "on_prem": {
            "asn": 65010,
            "prefixes": [{"prefix": f"10.{n}.0.0/16", "name": f"plant {n}", "towards": ["cloud-a"]} for n in (0, 1)],
            "ot_ranges": ["10.200.0.0/14"],
        },
        "routers": [reference["routers"][0] | {"name": "edge"}],
        "ports": [port],
        "vxcs": [vxc | {"name": f"vxc-{n}", "uid": f"uid-{n}", "interface": f"vlan10{n}"} for n in numbers],
        "isps": [],
        "tunnels": [],
        "clouds": [aws | {"aws": aws["aws"] | {"vpn_connection_ids": {}}}],
        "connections": [
            {"name": f"dx-{n}", "cloud": "cloud-a", "device": f"device-{n}", "location": f"location-{n}"}
            for n in numbers
        ],
        "sessions": [
            {"name": "core", "router": "edge", "local": "10.0.0.1", "peer": "10.0.0.2", "peer_asn": 65010}
            | {"there": "core-1", "internal": True},
            *(
                there
                | {"name": f"dx-{n}", "router": "edge", "local": "169.254.1.1", "peer": peer, "there": f"device-{n}"}
                | {"policy": {"import_map": "IN", "export_map": "OUT", "local_pref": 200 if n == 1 else 100}}
                for n, peer in zip(numbers, peers, strict=True)
            ),
        ],
        "paths": [
            {"name": f"cloud-a/dx-{n}", "cloud": "cloud-a", "kind": "directconnect"}
            | {"session": f"dx-{n}", "vxc": f"vxc-{n}", "connection": f"dx-{n}"}
            for n in numbers
        ],
        "stateful": [],
        "feeds": [],
        "policy": reference["policy"] | {"drain_local_pref": 60},
    }
    return load(yaml.safe_dump(document), "captures.yaml").site


def around(site: Site) -> list[Observation]:
    """All that is not the router's BGP: interfaces, fabric and cloud, all well."""
    ours = tuple(CloudRoute(str(each.prefix), ("cloud-a/dx-1",)) for each in site.on_prem.prefixes)
    facts = [
        seen(Kind.PORT, "port-a", FabricPort(up=True, status="LIVE")),
        seen(Kind.LINK, "edge core0", Link(admin_up=True, oper_up=True)),
        seen(Kind.CLOUD_ROUTES, "cloud-a", CloudRoutes(ours, "table")),
    ]
    for path in site.paths:
        vxc = site.vxc(str(path.vxc))
        facts += [
            seen(Kind.LINK, f"edge {vxc.interface}", Link(admin_up=True, oper_up=True)),
            seen(Kind.VXC, vxc.name, FabricVxc(up=True, shutdown=False, status="LIVE", rate_mbps=vxc.rate_mbps)),
            seen(Kind.CIRCUIT, path.name, Circuit(up=True, state="available")),
            seen(Kind.ATTACHMENT, path.name, Attachment(up=True, state="associated")),
            seen(Kind.SESSION_THERE, path.name, SessionThere(up=True, state="up", received=2)),
        ]
    return facts


def told(site: Site, state: str) -> list[Observation]:
    """What the captured router says in a state, as far as that was captured; a first poll, so nothing was watched."""
    facts = [*_links(site, state), *_sessions(site, state)]
    if text := capture(state, f"show_bgp_ipv4_unicast_{PREFIX.replace('/', '-')}_json.json"):
        facts.append(seen(Kind.ROUTES, f"edge {PREFIX}", frr_routes.routes(text, PREFIX), age_s=0.1))
    for session in site.sessions:
        name = f"show_bgp_ipv4_unicast_neighbors_{session.peer}_advertised-routes_json.json"
        if text := capture(state, name):
            sent = frr_routes.advertised(text, str(session.peer), site.on_prem.asn)
            facts.append(seen(Kind.ADVERTISED, session.name, sent, age_s=0.1))
    return facts


def known(site: Site, *states: str) -> Snapshot:
    """All is well around the router, and it said one capture after the other."""
    snapshot = Snapshot().with_observations(around(site))
    for state in states:
        snapshot = snapshot.with_observations(told(site, state))
    return snapshot


def _links(site: Site, state: str) -> list[Observation]:
    text = capture(state, "show_interface_json.json")
    found = frr_links.interfaces(text) if text else {}
    wanted = [site.vxc(str(path.vxc)).interface for path in site.paths]
    # Counters as of a first poll: nothing was watched before it.
    facts = {name: replace(found[name], downs=0) for name in wanted if name in found}
    return [seen(Kind.LINK, f"edge {name}", fact, age_s=0.1) for name, fact in facts.items()]


def _sessions(site: Site, state: str) -> list[Observation]:
    summary = frr.summary(capture(state, "show_bgp_summary_json.json") or "")
    rows = capture(state, "show_bfd_peers_json.json")
    bfd = frr.bfd_peers(rows) if rows else None
    facts = []
    for session in site.sessions:
        peer = str(session.peer)
        text = capture(state, "show_bgp_neighbors_json.json") or capture(state, f"show_bgp_neighbors_{peer}_json.json")
        neighbor = frr.neighbor(text, peer) if text and peer in summary else None
        if neighbor is None:
            continue
        path = site.path_of_session(session.name)
        interface = site.interface(path) if path else ""
        link = next((each.fact for each in _links(site, state) if each.name == f"edge {interface}"), None)
        over = frr.Over(interface, link if isinstance(link, Link) else None)
        fact, reason = frr.session_here(summary[peer], neighbor, (bfd or {}).get(peer), over, NOW)
        fact, _ = settle(_with_text(fact, state, peer), reason, None)
        facts.append(seen(Kind.SESSION_HERE, session.name, fact, age_s=0.1))
        if bfd is not None and session.bfd:
            facts.append(seen(Kind.BFD, session.name, frr.bfd_here(bfd, peer, "edge"), age_s=0.1))
    return facts


def _with_text(fact: SessionHere, state: str, peer: str) -> SessionHere:
    running = capture(state, "show_running-config.txt")
    text = frr_config.shutdown_text(running.splitlines(), peer) if running and fact.admin_shut else ""
    return replace(fact, shutdown_text=text)


def transcript() -> list[tuple[str, int, str]]:
    """Command, exit status and text of each exchange of the configuration tools' transcript."""
    found = []
    for block in (DATA / "30-config-tools" / "transcript.txt").read_text().split("$ ")[1:]:
        command, _, rest = block.partition("\n")
        text, _, status = rest.rpartition("[rc=")
        found.append((command, int(status.split("]")[0]), text))
    return found
