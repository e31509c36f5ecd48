"""A site as large as one gets: many pairs of edges, each with the reference pair's eight paths to two clouds."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Any

import yaml

from network.inventory import Site
from network.sitefile import load
from network.snapshot import Snapshot
from tests.sample import REFERENCE, healthy

#: Tables that every pair has of its own, and the fields in them that name things of another such table.
TABLES = ("routers", "ports", "vxcs", "isps", "tunnels", "connections", "sessions", "paths")
POINTERS = ("router", "port", "isp", "session", "vxc", "connection", "tunnel")


def big_site(pairs: int = 50) -> Site:
    """`pairs` * 2 routers and `pairs` * 8 paths, valid by the loader; names end in the pair's number."""
    reference = yaml.safe_load(REFERENCE.read_text())
    document = dict(reference)
    for table in TABLES:
        document[table] = [_numbered(table, item, pair) for pair in range(pairs) for item in reference[table]]
    for device in document["stateful"]:
        device["crosses"] = [f"{path}-{pair:02}" for pair in range(pairs) for path in device["crosses"]]
    tunnels = reference["clouds"][1]["aws"]["vpn_connection_ids"]
    numbered = {f"{name}-{pair:02}": f"{uid}{pair:02}" for pair in range(pairs) for name, uid in tunnels.items()}
    document["clouds"][1]["aws"]["vpn_connection_ids"] = numbered
    return load(yaml.safe_dump(document), "big.yaml").site


def big_snapshot(site: Site) -> Snapshot:
    """All of it healthy and fresh."""
    return healthy(site)


def _numbered(table: str, item: Mapping[str, Any], pair: int) -> dict[str, Any]:
    made = dict(item) | {"name": f"{item['name']}-{pair:02}"}
    made |= {field: f"{item[field]}-{pair:02}" for field in POINTERS if field in item}
    if item.get("internal"):
        made["there"] = f"{item['there']}-{pair:02}"
    if table == "paths":
        made["probe"] = item["probe"] | {"source": str(IPv4Address(item["probe"]["source"]) + 256 * pair)}
    return made
