"""FRR's routes: what a router holds for a prefix, what it announces and gets on a session, and which way it goes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import Field, TypeAdapter

from connectors.routers.frr_json import Count, Row, bad_reply, document, rows
from network.observation import Advert, Advertised, ReceivedRoute, Rides, RoutePath, Routes

_AS = re.compile(r"\d+")
#: FRR's answer for a neighbor whose denied routes it does not remember.
_NOT_KEPT = "Inbound soft reconfiguration not enabled"


@dataclass(frozen=True, slots=True)
class Stopped:
    """Routes that the import policy denied; `known` is False when the router does not keep them."""

    routes: tuple[ReceivedRoute, ...]
    known: bool = True


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


class AcceptedRow(Row):
    """One path of `… neighbors X routes json`."""

    path: str = ""
    loc_prf: Count | None = None


class AcceptedTable(Row):
    routes: dict[str, tuple[AcceptedRow, ...]]


class StoppedTable(Row):
    """`… filtered-routes json`: FRR names the table `receivedRoutes`, and lists what the import policy denied."""

    received_routes: dict[str, AdvertRow]


class HopRow(Row):
    interface_name: str = ""
    fib: bool = False


class RouteRow(Row):
    """One entry of `show ip route ADDRESS json`: its next hops, `fib` where the kernel uses them."""

    nexthops: tuple[HopRow, ...] = ()


_ACCEPTED: TypeAdapter[AcceptedTable] = TypeAdapter(AcceptedTable)
_STOPPED: TypeAdapter[StoppedTable] = TypeAdapter(StoppedTable)
_ROUTES: TypeAdapter[dict[str, tuple[RouteRow, ...]]] = TypeAdapter(dict[str, tuple[RouteRow, ...]])
_PATHS: TypeAdapter[list[PathRow]] = TypeAdapter(list[PathRow])
_TABLE: TypeAdapter[TableRow] = TypeAdapter(TableRow)


def prefix_command(prefix: str) -> str:
    return f"show bgp ipv4 unicast {prefix} json"


def advertised_command(peer: str) -> str:
    return f"show bgp ipv4 unicast neighbors {peer} advertised-routes json"


def accepted_command(peer: str) -> str:
    return f"show bgp ipv4 unicast neighbors {peer} routes json"


def stopped_command(peer: str) -> str:
    return f"show bgp ipv4 unicast neighbors {peer} filtered-routes json"


def way_command(address: str) -> str:
    return f"show ip route {address} json"


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
    table = rows(_TABLE, _without_warning(text, command), command)
    own = table.local_as if table.local_as is not None else own_asn
    return Advertised(
        tuple(Advert(prefix, (own, *_numbers(row.path))) for prefix, row in table.advertised_routes.items())
    )


def accepted(text: str, peer: str) -> tuple[ReceivedRoute, ...]:
    """What our import policy left of what `peer` announces. Raises BadReply."""
    command = accepted_command(peer)
    table = rows(_ACCEPTED, _without_warning(text, command), command)
    paths = ((prefix, row) for prefix, found in table.routes.items() for row in found)
    return tuple(ReceivedRoute(prefix, _numbers(row.path), row.loc_prf) for prefix, row in paths)


def stopped(text: str, peer: str) -> Stopped:
    """What our import policy stopped. Raises BadReply."""
    command = stopped_command(peer)
    value = document(text, command)
    if isinstance(value, dict) and str(value.get("warning", "")).startswith(_NOT_KEPT):
        return Stopped((), known=False)
    table = rows(_STOPPED, _without_warning(text, command), command)
    found = table.received_routes.items()
    return Stopped(tuple(ReceivedRoute(prefix, _numbers(row.path), accepted=False) for prefix, row in found))


def rides(text: str, address: str) -> Rides:
    """The interface by which the kernel reaches an address: of its most specific route's next hop in use.

    None without such a route, or when it leads nowhere (a blackhole).
    """
    found = rows(_ROUTES, document(text, way_command(address)), way_command(address))
    used = [hop.interface_name for entries in found.values() for row in entries for hop in row.nexthops if hop.fib]
    return Rides(next(filter(None, used), None))


def _without_warning(text: str, command: str) -> Any:
    value: Any = document(text, command)
    if isinstance(value, dict) and "warning" in value:
        raise bad_reply("the router warns", command, str(value["warning"]))
    return value


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
