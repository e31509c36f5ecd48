"""The BGP table: the whole, one prefix, and what goes to and comes from one neighbor."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from lab.embedded.policy import Route
from lab.embedded.shows.view import EdgeView, Json, Neighbor, stamp
from lab.embedded.speaker import Candidate, Choice

_CODES: Json = {
    "bgpStatusCodes": {
        "suppressed": "s", "damped": "d", "history": "h", "valid": "*", "best": ">", "multipath": "=",
        "internal": "i", "ribFailure": "r", "stale": "S", "removed": "R",
    },
    "bgpOriginCodes": {"igp": "i", "egp": "e", "incomplete": "?"},
}  # fmt: skip
_NAMES = {"65535:0": "graceful-shutdown"}


def table(view: EdgeView, only: str | None = None) -> Json:
    """`show bgp ipv4 unicast json`; with a neighbor's address, its accepted paths (`… routes json`)."""
    routes = {}
    for prefix, choice in sorted(view.table.choices.items()):
        paths = [p for p in choice.paths if only is None or (p.peer and p.peer.address == only)]
        if paths:
            routes[str(prefix)] = [_row(view, prefix, choice, path) for path in paths]
    return {
        "vrfId": 0,
        "vrfName": "default",
        "tableVersion": view.world.version + 1,
        "routerId": view.speaker.router_id,
        "defaultLocPrf": 100,
        "localAS": view.speaker.asn,
        "routes": routes,
    }


def _row(view: EdgeView, prefix: IPv4Network, choice: Choice, path: Candidate) -> Json:
    route = path.route
    best = {"bestpath": True, "selectionReason": choice.reason}
    return {
        "valid": True,
        **(best if path is choice.best else {}),
        **({"multipath": True} if len(choice.winners) > 1 and path in choice.winners else {}),
        "pathFrom": "internal" if path.internal else "external",
        "prefix": str(prefix.network_address),
        "prefixLen": prefix.prefixlen,
        "network": str(prefix),
        "version": view.world.version + 1,
        **({} if route.med is None else {"metric": route.med}),
        **({} if route.local_pref is None else {"locPrf": route.local_pref}),
        "weight": path.weight,
        "peerId": path.peer.address if path.peer else "(unspec)",
        "path": _path(route.as_path),
        "origin": "IGP",
        "nexthops": [{"ip": route.next_hop, "hostname": _hostname(view, path), "afi": "ipv4", "used": True}],
    }


def prefix(view: EdgeView, text: str) -> Json:
    """`show bgp ipv4 unicast PFX json`; a prefix that is not there is `{}`."""
    if "/" in text:
        found = IPv4Network(text)
        choice = view.table.choices.get(found)
    else:
        choice = view.table.lookup(IPv4Address(text))
    if choice is None:
        return {}
    network = choice.best.route.prefix
    told = [address for address, routes in view.table.sent.items() if any(r.prefix == network for r in routes)]
    neighbors = view.neighbors()
    names = {address: {"hostname": neighbors[address].name} for address in told if address in neighbors}
    return {
        "prefix": str(network),
        "version": view.world.version + 1,
        **({"advertisedTo": names} if names else {}),
        "paths": [_detail(view, choice, path) for path in choice.paths],
    }


def _detail(view: EdgeView, choice: Choice, path: Candidate) -> Json:
    route = path.route
    words = [_NAMES.get(c, c) for c in route.communities]
    listed = ["gracefulShutdown" if c == "graceful-shutdown" else c for c in words]
    segments = [{"type": "as-sequence", "list": list(route.as_path)}] if route.as_path else []
    learned = route.learned or view.world.booted[view.router]
    peer: Json = {"peerId": "0.0.0.0", "routerId": view.speaker.router_id}
    if path.peer:
        peer = {"peerId": path.peer.address, "routerId": path.router_id, "hostname": _hostname(view, path),
                "type": "internal" if path.internal else "external"}  # fmt: skip
    return {
        "aspath": {"string": _path(route.as_path) or "Local", "segments": segments, "length": len(route.as_path)},
        "origin": "IGP",
        **({} if route.med is None else {"metric": route.med}),
        **({} if route.local_pref is None else {"locPrf": route.local_pref}),
        **({"weight": path.weight} if path.weight else {}),
        "valid": True,
        "version": view.world.version + 1,
        **({} if path.peer else {"sourced": True, "local": True}),
        **({"multipath": True} if len(choice.winners) > 1 and path in choice.winners else {}),
        **({"bestpath": {"overall": True, "selectionReason": choice.reason}} if path is choice.best else {}),
        **({"community": {"string": " ".join(words), "list": listed}} if words else {}),
        "lastUpdate": {"epoch": int(learned), "string": stamp(learned)},
        "nexthops": [
            {"ip": route.next_hop, "hostname": _hostname(view, path), "afi": "ipv4", "metric": 0,
             "accessible": True, "used": True}
        ],
        "peer": peer,
    }  # fmt: skip


def advertised(view: EdgeView, address: str) -> Json:
    """Paths as they leave, without our own AS and without communities (as FRR shows them)."""
    neighbor = view.neighbors().get(address)
    if neighbor is None:
        return {"warning": "No such neighbor in this view/vrf"}
    routes = view.table.sent.get(address, ()) if neighbor.mine.up else ()
    own = 0 if neighbor.internal else 1
    entries = {str(r.prefix): _advertised(view, r, own, internal=neighbor.internal) for r in routes}
    return _adjacent(view, "advertisedRoutes", entries, 0)


def _advertised(view: EdgeView, route: Route, own: int, *, internal: bool) -> Json:
    choice = view.table.choices.get(route.prefix)
    ours = choice is not None and choice.best.peer is None
    return {
        "addrPrefix": str(route.prefix.network_address),
        "prefixLen": route.prefix.prefixlen,
        "network": str(route.prefix),
        "nextHop": "0.0.0.0" if ours or not internal else route.next_hop,
        **({} if route.med is None else {"metric": route.med}),
        **({"locPrf": route.local_pref} if internal else {}),
        "weight": 32768 if ours else 0,
        "path": _path(route.as_path[own:]),
        "bgpOriginCode": "i",
        "appliedStatusSymbols": {"*": True, ">": True},
    }


def received(view: EdgeView, address: str, *, filtered: bool = False) -> Json:
    """Everything that came, with the attributes after the import policy; `filtered`: only what it denied."""
    neighbor = view.neighbors().get(address)
    if neighbor is None:
        return {"warning": "No such neighbor in this view/vrf"}
    came = view.table.received.get(address, ()) if neighbor.mine.up else ()
    kept = {(r.prefix, r.path_id): r for r in view.table.accepted.get(address, ())}
    denied = [r for r in came if (r.prefix, r.path_id) not in kept]
    shown: Iterable[Route] = denied if filtered else came
    entries = {str(r.prefix): _received(neighbor, r, kept.get((r.prefix, r.path_id))) for r in shown}
    return _adjacent(view, "receivedRoutes", entries, 0 if filtered else len(denied))


def _received(neighbor: Neighbor, raw: Route, kept: Route | None) -> Json:
    route = kept or raw
    return {
        "addrPrefix": str(raw.prefix.network_address),
        "prefixLen": raw.prefix.prefixlen,
        "network": str(raw.prefix),
        "nextHop": raw.next_hop,
        **({"metric": route.med or 0} if kept else {}),
        **({"locPrf": route.local_pref} if route.local_pref is not None and (kept or neighbor.internal) else {}),
        "weight": 0,
        "path": _path(route.as_path),
        "bgpOriginCode": "i",
        "appliedStatusSymbols": {"*": True, ">": True},
    }


def _adjacent(view: EdgeView, key: str, entries: Json, filtered: int) -> Json:
    head = {
        "bgpTableVersion": view.world.version + 1,
        "bgpLocalRouterId": view.speaker.router_id,
        "defaultLocPrf": 100,
        "localAS": view.speaker.asn,
        **_CODES,
    }
    counts = {"totalPrefixCounter": len(entries), "filteredPrefixCounter": filtered}
    return {**(head if entries else {}), key: entries, **counts}


def prefix_counts(view: EdgeView, address: str) -> Json:
    accepted = len(view.table.accepted.get(address, ()))
    best = sum(c.best.peer is not None and c.best.peer.address == address for c in view.table.choices.values())
    walk = {"Adj-in": len(view.table.received.get(address, ())), "Damped": 0, "Removed": 0, "History": 0, "Stale": 0,
            "Valid": accepted, "All RIB": accepted, "PfxCt counted": accepted, "PfxCt Best Selected": best,
            "Useable": accepted}  # fmt: skip
    return {"prefixCountsFor": address, "multiProtocol": "ipv4Unicast", "pfxCounter": accepted,
            "ribTableWalkCounters": walk}  # fmt: skip


def _hostname(view: EdgeView, path: Candidate) -> str:
    if path.peer is None:
        return view.router
    found = view.neighbors().get(path.peer.address)
    return found.name if found else ""


def _path(path: tuple[int, ...]) -> str:
    return " ".join(map(str, path))
