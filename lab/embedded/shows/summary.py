"""`show bgp summary json` and `show bgp ipv4 unicast summary json`."""

from __future__ import annotations

from lab.embedded.shows.view import EdgeView, Json, Neighbor, clock


def summary(view: EdgeView) -> Json:
    """Nested by address family."""
    return {"ipv4Unicast": unicast(view)}


def unicast(view: EdgeView) -> Json:
    neighbors = view.neighbors()
    paths = sum(len(choice.paths) for choice in view.table.choices.values())
    return {
        "routerId": view.speaker.router_id,
        "as": view.speaker.asn,
        "vrfId": 0,
        "vrfName": "default",
        "tableVersion": view.world.version + 1,
        "ribCount": len(view.table.choices),
        "ribMemory": 192 * paths,
        "peerCount": len(neighbors),
        "peerMemory": 741464 * len(neighbors),
        "peers": {address: _peer(view, neighbor) for address, neighbor in neighbors.items()},
        "failedPeers": sum(not neighbor.mine.up for neighbor in neighbors.values()),
        "displayedPeers": len(neighbors),
        "totalPeers": len(neighbors),
        "dynamicPeers": 0,
        "bestPath": {"multiPathRelax": "false"},
    }


def updates(view: EdgeView, neighbor: Neighbor, *, sent: bool) -> int:
    """A handful at each start, and one whenever what goes that way changed."""
    return 4 * neighbor.mine.established + view.world.updates[view.router, neighbor.peer.address, sent]


def messages(view: EdgeView, neighbor: Neighbor, *, sent: bool) -> int:
    """About as many messages as a session of this age has exchanged: opens, updates, keepalives."""
    if neighbor.mine.since is None:
        return 0
    age = view.now - view.world.booted[view.router] if neighbor.mine.up else 0
    return int(age / neighbor.peer.keepalive_s) + neighbor.mine.established + updates(view, neighbor, sent=sent)


def _peer(view: EdgeView, neighbor: Neighbor) -> Json:
    mine, address = neighbor.mine, neighbor.peer.address
    never = mine.since is None
    age = 0.0 if mine.since is None else view.now - mine.since
    up = mine.up
    return {
        **({} if never else {"hostname": neighbor.name}),
        "remoteAs": neighbor.peer.asn,
        "localAs": view.speaker.asn,
        "version": 4,
        "msgRcvd": messages(view, neighbor, sent=False),
        "msgSent": messages(view, neighbor, sent=True),
        "tableVersion": 0,
        "outq": 0,
        "inq": 0,
        "peerUptime": "never" if never else clock(age),
        "peerUptimeMsec": int(age) * 1000,
        **({} if mine.since is None else {"peerUptimeEstablishedEpoch": int(mine.since)}),
        "pfxRcd": len(view.table.accepted.get(address, ())) if up else 0,
        "pfxSnt": len(view.table.sent.get(address, ())) if up else 0,
        "state": neighbor.state,
        "peerState": _health(neighbor),
        "connectionsEstablished": mine.established,
        "connectionsDropped": mine.dropped,
        **({"desc": neighbor.peer.description} if neighbor.peer.description else {}),
        "idType": "ipv4",
    }


def _health(neighbor: Neighbor) -> str:
    """FRR's `peerState`: it is OK for a peer in Active, too."""
    words = {"Idle (Admin)": "Admin", "Idle (PfxCt)": "PfxCt"}
    if neighbor.state in words:
        return words[neighbor.state]
    peer = neighbor.peer
    return "Policy" if not neighbor.internal and not (peer.map_in and peer.map_out) else "OK"
