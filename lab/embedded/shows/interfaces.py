"""`show interface json`, `ip -j -s link`, and the routing table with its next hops."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from lab.embedded.shows.view import EdgeView, Json, clock, number
from lab.embedded.speaker import Choice
from lab.embedded.world import Light


def interfaces(view: EdgeView, only: str | None = None) -> Json:
    """Every interface, or the one named; an unknown one is `{}`."""
    found = {"lo": _loopback()}
    for index, name in enumerate(_names(view), start=2):
        found[name] = _interface(view, name, index, view.world.lights[view.router, name])
    return {name: found[name] for name in sorted(found) if only in (None, name)}


def _names(view: EdgeView) -> list[str]:
    return [name for router, name in view.world.lights if router == view.router]


def _shut(view: EdgeView, name: str) -> bool:
    return (view.router, name) in view.world.links.shut


def _loopback() -> Json:
    return {"administrativeStatus": "up", "operationalStatus": "up", "linkDetection": True, "linkUps": 0,
            "linkDowns": 0, **_common(1), "mtu": 65536, "speed": 0,
            "flags": "<UP,LOOPBACK,RUNNING>", "type": "Loopback",
            "ipAddresses": [], **_TAIL, "interfaceType": "Other"}  # fmt: skip


_TAIL: Json = {
    "interfaceType": "VETH",
    "interfaceSlaveType": "None",
    "lacpBypass": False,
    "evpnMh": {},
    "protodown": "off",
}


def _common(index: int) -> Json:
    return {"vrfName": "default", "mplsEnabled": False, "linkDown": False, "linkDownV6": False, "mcForwardingV4": False,
            "mcForwardingV6": False, "pseudoInterface": False, "index": index, "metric": 0}  # fmt: skip


def _interface(view: EdgeView, name: str, index: int, light: Light) -> Json:
    shut = _shut(view, name)
    status = {"operationalStatus": "up" if light.up else "down", "linkDetection": True}
    flags = (
        "<BROADCAST,MULTICAST>"
        if shut
        else "<UP,BROADCAST,RUNNING,MULTICAST>"
        if light.up
        else "<UP,BROADCAST,MULTICAST>"
    )
    times = {"lastLinkUp": light.last_up, "lastLinkDown": light.last_down}
    return {
        "administrativeStatus": "down" if shut else "up",
        **({} if shut else status),
        "linkUps": light.ups,
        "linkDowns": light.downs,
        **{key: _moment(at) for key, at in times.items() if at is not None},
        **_common(index),
        "mtu": 1500,
        "speed": 10000,
        "flags": flags,
        "type": "Ethernet",
        "hardwareAddress": _mac(view, name),
        "ipAddresses": [{"address": str(a), "secondary": False, "unnumbered": False} for a in _addresses(view, name)],
        **_TAIL,
        "parentIfindex": index,
    }


def _addresses(view: EdgeView, name: str) -> list[IPv4Interface]:
    return [IPv4Interface(f"{n.local}/30") for n in view.neighbors().values() if view.interface(n) == name]


def _mac(view: EdgeView, name: str) -> str:
    octets = number(view.router, name).to_bytes(4, "big")
    return ":".join(f"{octet:02x}" for octet in (0x02, 0x00, *octets))


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y/%m/%d %H:%M:%S.%f")[:-4]


def link_counters(view: EdgeView) -> list[Any]:
    """`ip -j -s link`: byte counters that follow the load."""
    return [_link(view, name, index) for index, name in enumerate(_names(view), start=2)]


def _link(view: EdgeView, name: str, index: int) -> Json:
    sent, received = view.world.counters.read((view.router, name), view.now)
    up = view.world.lights[view.router, name].up
    flags = [
        "BROADCAST",
        "MULTICAST",
        *([] if _shut(view, name) else ["UP"]),
        *(["LOWER_UP"] if up else ["NO-CARRIER"]),
    ]
    nothing = {"errors": 0, "dropped": 0}
    return {
        "ifindex": index,
        "ifname": name,
        "flags": flags,
        "mtu": 1500,
        "qdisc": "noqueue",
        "operstate": "UP" if up else "DOWN",
        "linkmode": "DEFAULT",
        "group": "default",
        "txqlen": 1000,
        "link_type": "ether",
        "address": _mac(view, name),
        "broadcast": "ff:ff:ff:ff:ff:ff",
        "stats64": {
            "rx": {"bytes": received, "packets": received // 900, **nothing, "over_errors": 0, "multicast": 0},
            "tx": {"bytes": sent, "packets": sent // 900, **nothing, "carrier_errors": 0, "collisions": 0},
        },
    }


def routes(view: EdgeView, text: str | None = None) -> Json:
    """`show ip route json`; with a prefix, that one; with an address, its longest match."""
    found: Json = {}
    for name in _names(view):
        for address in _addresses(view, name):
            if view.world.lights[view.router, name].up:
                found[str(address.network)] = [_connected(view, address.network, name)]
    for prefix, choice in view.table.choices.items():
        if choice.best.peer is not None:
            found[str(prefix)] = [_bgp(view, prefix, choice)]
    ordered = {key: found[key] for key in sorted(found, key=IPv4Network)}
    if text is None:
        return ordered
    if "/" in text:
        return {key: value for key, value in ordered.items() if key == text}
    inside = [key for key in ordered if IPv4Address(text) in IPv4Network(key)]
    best = max(inside, key=lambda key: IPv4Network(key).prefixlen, default=None)
    return {best: ordered[best]} if best else {"0.0.0.0/0": []}


def _entry(view: EdgeView, prefix: IPv4Network, protocol: str, distance: int, since: float, hops: list[Json]) -> Json:
    return {
        "prefix": str(prefix), "prefixLen": prefix.prefixlen, "protocol": protocol, "vrfId": 0, "vrfName": "default",
        "selected": True, "destSelected": True, "distance": distance, "metric": 0, "installed": True, "table": 254,
        "internalStatus": 16, "internalFlags": 8, "internalNextHopNum": len(hops),
        "internalNextHopActiveNum": len(hops),
        "nexthopGroupId": 7 + number(*(hop["interfaceName"] for hop in hops)) % 90,
        "installedNexthopGroupId": 7 + number(*(hop["interfaceName"] for hop in hops)) % 90,
        "uptime": clock(view.now - since), "nexthops": hops,
    }  # fmt: skip


def _connected(view: EdgeView, prefix: IPv4Network, name: str) -> Json:
    hop = {"flags": 3, "fib": True, "directlyConnected": True, "interfaceIndex": _names(view).index(name) + 2,
           "interfaceName": name, "active": True}  # fmt: skip
    return _entry(view, prefix, "connected", 0, view.world.booted[view.router], [hop])


def _bgp(view: EdgeView, prefix: IPv4Network, choice: Choice) -> Json:
    hops = []
    neighbors = view.neighbors()
    for winner in choice.winners:
        known = neighbors.get(winner.peer.address) if winner.peer else None
        if known:
            name = view.interface(known)
            hops.append({"flags": 3, "fib": True, "ip": winner.route.next_hop, "afi": "ipv4",
                         "interfaceIndex": _names(view).index(name) + 2, "interfaceName": name, "active": True,
                         "weight": 1})  # fmt: skip
    learned = choice.best.route.learned or view.world.booted[view.router]
    return _entry(view, prefix, "bgp", 200 if choice.best.internal else 20, learned, hops)


def route_summary(view: EdgeView) -> Json:
    connected = sum(len(_addresses(view, n)) for n in _names(view) if view.world.lights[view.router, n].up)
    learned = [c.best.internal for c in view.table.choices.values() if c.best.peer is not None]
    counts = {"connected": connected, "ebgp": learned.count(False), "ibgp": learned.count(True)}
    rows = [{"fib": n, "rib": n, "fibOffLoaded": 0, "fibTrapped": 0, "type": kind} for kind, n in counts.items()]
    return {"routes": rows, "routesTotal": sum(counts.values()), "routesTotalFib": sum(counts.values())}
