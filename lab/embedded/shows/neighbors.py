"""`show bgp neighbors [X] json`."""

from __future__ import annotations

from lab.embedded import resets
from lab.embedded.sessions import BfdSession
from lab.embedded.shows.summary import messages, updates
from lab.embedded.shows.view import EdgeView, Json, Neighbor, clock, number


def neighbors(view: EdgeView) -> Json:
    return {address: _neighbor(view, neighbor) for address, neighbor in view.neighbors().items()}


def one(view: EdgeView, address: str) -> Json:
    """An unknown peer is `{"bgpNoSuchNeighbor": true}` with exit 0."""
    found = view.neighbors().get(address)
    return {address: _neighbor(view, found)} if found else {"bgpNoSuchNeighbor": True}


def _neighbor(view: EdgeView, neighbor: Neighbor) -> Json:
    mine, peer = neighbor.mine, neighbor.peer
    return {
        "remoteAs": peer.asn,
        "localAs": view.speaker.asn,
        ("nbrInternalLink" if neighbor.internal else "nbrExternalLink"): True,
        "localRole": "undefined",
        "remoteRole": "undefined",
        **({"nbrDesc": peer.description} if peer.description else {}),
        **({} if mine.since is None else {"hostname": neighbor.name}),
        **({"adminShutDown": True} if peer.shutdown is not None else {}),
        "bgpVersion": 4,
        "remoteRouterId": view.world.speakers[neighbor.name].router_id,
        "localRouterId": view.speaker.router_id,
        "bgpState": mine.state,
        **_timers(view, neighbor),
        **(_capabilities(view, neighbor) if mine.up else {}),
        "gracefulRestartInfo": _graceful(up=mine.up),
        "messageStats": _messages(view, neighbor),
        "minBtwnAdvertisementRunsTimerMsecs": 0,
        "addressFamilyInfo": {"ipv4Unicast": _family(view, neighbor)},
        "connectionsEstablished": mine.established,
        "connectionsDropped": mine.dropped,
        **_reset(view, neighbor),
        **_transport(neighbor),
        **({"peerBfdInfo": _bfd(view, neighbor, neighbor.session.bfd)} if peer.bfd else {}),
    }


def _timers(view: EdgeView, neighbor: Neighbor) -> Json:
    mine, peer = neighbor.mine, neighbor.peer
    age = 0 if mine.since is None else int(view.now - mine.since)
    since = int(mine.since or 0)
    up = {"bgpTimerUpMsec": age * 1000, "bgpTimerUpString": clock(age), "bgpTimerUpEstablishedEpoch": since}
    last = age % peer.keepalive_s * 1000
    return {
        **(up if mine.up else {}),
        "bgpTimerLastRead": last,
        "bgpTimerLastWrite": last,
        "bgpInUpdateElapsedTimeMsecs": age * 1000,
        "bgpTimerConfiguredHoldTimeMsecs": peer.hold_s * 1000,
        "bgpTimerConfiguredKeepAliveIntervalMsecs": peer.keepalive_s * 1000,
        "bgpTimerHoldTimeMsecs": peer.hold_s * 1000,
        "bgpTimerKeepAliveIntervalMsecs": peer.keepalive_s * 1000,
        "extendedOptionalParametersLength": False,
        "bgpTimerConfiguredConditionalAdvertisementsSec": 60,
    }


def _capabilities(view: EdgeView, neighbor: Neighbor) -> Json:
    both = "advertisedAndReceived"
    paths: Json = {"rxAdvertisedAndReceived": True}
    if neighbor.peer.add_path:
        paths = {"txAdvertisedAndReceived": True, **paths}
    return {
        "neighborCapabilities": {
            "4byteAs": both,
            "extendedMessage": both,
            "addPath": {"ipv4Unicast": paths},
            "longLivedGracefulRestart": both,
            "longLivedGracefulRestartByPeer": {},
            "routeRefresh": "advertisedAndReceivedOldNew",
            "enhancedRouteRefresh": both,
            "multiprotocolExtensions": {"ipv4Unicast": {"advertisedAndReceived": True}},
            "hostName": {"advHostName": view.router, "advDomainName": "n/a",
                         "rcvHostName": neighbor.name, "rcvDomainName": "n/a"},
            "gracefulRestart": both,
            "gracefulRestartRemoteTimerMsecs": 120000,
            "addressFamiliesByPeer": "none",
        }
    }  # fmt: skip


def _graceful(*, up: bool) -> Json:
    if not up:
        return {
            "endOfRibSend": {},
            "endOfRibRecv": {},
            "localGrMode": "Helper*",
            "remoteGrMode": "NotApplicable",
            "rBit": False,
            "nBit": False,
            "timers": {"configuredRestartTimer": 120, "receivedRestartTimer": 0},
        }
    return {
        "endOfRibSend": {"ipv4Unicast": True},
        "endOfRibRecv": {"ipv4Unicast": True},
        "localGrMode": "Helper*",
        "remoteGrMode": "Helper",
        "rBit": True,
        "nBit": True,
        "timers": {"configuredRestartTimer": 120, "receivedRestartTimer": 120},
        "ipv4Unicast": {
            "fBit": False,
            "endOfRibStatus": {"endOfRibSend": True, "endOfRibSentAfterUpdate": True, "endOfRibRecv": True},
            "timers": {"stalePathTimer": 360},
        },
    }


def _messages(view: EdgeView, neighbor: Neighbor) -> Json:
    mine, opens = neighbor.mine, neighbor.mine.established
    out, into = (messages(view, neighbor, sent=way) for way in (True, False))
    updates_out, updates_in = (updates(view, neighbor, sent=way) for way in (True, False))
    received = int(mine.reset.code == 13)
    sent = int(mine.reset.code in (11, 14))
    return {
        "depthInq": 0, "depthOutq": 0, "opensSent": opens, "opensRecv": opens, "notificationsSent": sent,
        "notificationsRecv": received, "updatesSent": updates_out, "updatesRecv": updates_in,
        "keepalivesSent": max(0, out - opens - updates_out), "keepalivesRecv": max(0, into - opens - updates_in),
        "routeRefreshSent": 0, "routeRefreshRecv": 0, "capabilitySent": 0, "capabilityRecv": 0,
        "totalSent": out, "totalRecv": into,
    }  # fmt: skip


def _family(view: EdgeView, neighbor: Neighbor) -> Json:
    peer, up = neighbor.peer, neighbor.mine.up
    group = number(view.router, peer.address) % 20 + 1
    accepted = len(view.table.accepted.get(peer.address, ())) if up else 0
    maps = {"routeMapForIncomingAdvertisements": peer.map_in, "routeMapForOutgoingAdvertisements": peer.map_out}
    sent = {"sentPrefixCounter": len(view.table.sent.get(peer.address, ()))}
    limit = {"prefixAllowedMax": peer.max_prefix, "prefixAllowedWarningThresh": 75}
    return {
        **({"updateGroupId": group, "subGroupId": group, "packetQueueLength": 0} if up else {}),
        **({"addpathTxAllPaths": True} if peer.add_path else {}),
        "inboundSoftConfigPermit": True,
        **({"routerAlwaysNextHop": True} if peer.next_hop_self else {}),
        "commAttriSentToNbr": "extendedAndStandard",
        **({"inboundPathPolicyConfig": True} if peer.map_in else {}),
        **({"outboundPathPolicyConfig": True} if peer.map_out else {}),
        **{key: name for key, name in maps.items() if name},
        "acceptedPrefixCounter": accepted,
        **(sent if up else {}),
        **(limit if peer.max_prefix else {}),
    }


def _reset(view: EdgeView, neighbor: Neighbor) -> Json:
    mine = neighbor.mine
    reset = mine.reset
    at = mine.since if mine.up and mine.since else mine.reset_at
    found: Json = {
        "lastResetTimerMsecs": int(view.now - at) * 1000,
        "lastResetDueTo": reset.due_to,
        "lastResetCode": reset.code,
    }
    if mine.over_limit:
        found |= {"prefixesConfigExceedMax": True, "reducePrefixNumAndClearIpBgp": True}
    if reset.subcode:
        found |= {"lastErrorCodeSubcode": reset.subcode, "lastNotificationReason": reset.reason,
                  "lastNotificationHardReset": reset.hard}  # fmt: skip
    return found | ({"lastShutdownDescription": reset.text} if reset.text else {})


def _transport(neighbor: Neighbor) -> Json:
    mine, peer = neighbor.mine, neighbor.peer
    hops = "internalBgpNbrMaxHopsAway" if neighbor.internal else "externalBgpNbrMaxHopsAway"
    addresses = {"hostLocal": neighbor.local, "portLocal": 179, "hostForeign": peer.address,
                 "portForeign": 30000 + number(peer.address) % 30000}  # fmt: skip
    next_hop = {
        "nexthop": neighbor.local,
        "nexthopGlobal": "::",
        "nexthopLocal": "::",
        "bgpConnection": "sharedNetwork",
    }
    retry = {"nextConnectTimerDueInMsecs": peer.connect_s * 1000}
    waits = mine.state in ("Active", "Connect")
    cut = not mine.up and mine.reset in (resets.BFD_DOWN, resets.CARRIER_FIRST, resets.CARRIER_LATER)
    return {
        hops: 255 if neighbor.internal else 1,
        **addresses,
        **({} if cut else next_hop),
        "connectRetryTimer": peer.connect_s,
        **({"estimatedRttInMsecs": 4} if mine.up else {}),
        **(retry if waits else {}),
        "readThread": "on" if mine.up else "off",
        "writeThread": "on" if mine.up else "off",
    }


def _bfd(view: EdgeView, neighbor: Neighbor, bfd: BfdSession) -> Json:
    found = neighbor.session.site.bfd
    return {
        "type": "single hop",
        "detectMultiplier": found.multiplier if found else 3,
        "rxMinInterval": found.rx_ms if found else 300,
        "txMinInterval": found.tx_ms if found else 300,
        "status": "Up" if bfd.up else "Down",
        "lastUpdate": _ago(view.now - bfd.since),
    }


def _ago(seconds: float) -> str:
    """BGP's form of BFD's age: d:hh:mm:ss."""
    days, rest = divmod(int(seconds), 86400)
    return f"{days}:{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"
