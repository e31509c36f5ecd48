"""FRR's routes: what a router holds for a prefix, and what it announces on a session."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, TypeAdapter

from connectors.routers.frr_json import Count, Row, bad_reply, document, rows
from network.observation import Advert, Advertised, RoutePath, Routes

_AS = re.compile(r"\d+")


class AsPathRow(Row):
    string: str = ""


class BestRow(Row):
    overall: bool = False
    selection_reason: str = ""


class NextHopRow(Row):
    ip: str = ""


class PathPeerRow(Row):
    peer_id: str
    type: str = ""
    router_id: str = ""


class PathRow(Row):
    """One path of `show bgp ipv4 unicast PREFIX json`; `locPrf` is absent where none was set."""

    aspath: AsPathRow
    peer: PathPeerRow
    valid: bool = False
    loc_prf: Count | None = None
    weight: Count = 0
    origin: str = "IGP"
    metric: Count | None = None
    bestpath: BestRow = BestRow()
    nexthops: tuple[NextHopRow, ...] = ()


class AdvertRow(Row):
    path: str = ""


class TableRow(Row):
    local_as: int | None = Field(default=None, alias="localAS")
    advertised_routes: dict[str, AdvertRow]


_PATHS: TypeAdapter[list[PathRow]] = TypeAdapter(list[PathRow])
_TABLE: TypeAdapter[TableRow] = TypeAdapter(TableRow)


def prefix_command(prefix: str) -> str:
    return f"show bgp ipv4 unicast {prefix} json"


def advertised_command(peer: str) -> str:
    return f"show bgp ipv4 unicast neighbors {peer} advertised-routes json"


def routes(text: str, prefix: str) -> Routes:
    """The router's paths to one prefix; `{}` is FRR's answer for a prefix that it holds no path to."""
    command = prefix_command(prefix)
    value = document(text, command)
    if value == {}:
        return Routes(())
    if not isinstance(value, dict) or value.get("prefix") != prefix:
        raise bad_reply(f"the reply is not about {prefix}", command, text)
    return Routes(tuple(_path(row) for row in rows(_PATHS, value.get("paths"), command)))


def advertised(text: str, peer: str, own_asn: int) -> Advertised:
    """What we announce to `peer`, with the AS path as it sees it: FRR leaves our own AS out."""
    command = advertised_command(peer)
    value: Any = document(text, command)
    if isinstance(value, dict) and "warning" in value:
        raise bad_reply("the router warns", command, str(value["warning"]))
    table = rows(_TABLE, value, command)
    own = table.local_as if table.local_as is not None else own_asn
    return Advertised(
        tuple(Advert(prefix, (own, *_numbers(row.path))) for prefix, row in table.advertised_routes.items())
    )


def _path(row: PathRow) -> RoutePath:
    return RoutePath(
        peer=row.peer.peer_id,
        as_path="" if row.aspath.string == "Local" else row.aspath.string,
        local_pref=row.loc_prf,
        best=row.bestpath.overall,
        valid=row.valid,
        internal=row.peer.type == "internal",
        next_hop=row.nexthops[0].ip if row.nexthops else "",
        reason=row.bestpath.selection_reason,
        weight=row.weight,
        origin=row.origin,
        med=row.metric,
        router_id=row.peer.router_id,
    )


def _numbers(path: str) -> tuple[int, ...]:
    """The AS numbers in order; a set {1,2} gives both."""
    return tuple(int(number[:10]) for number in _AS.findall(path))
