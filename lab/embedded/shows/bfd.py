"""`show bfd peers json` and its counters."""

from __future__ import annotations

from typing import Any

from lab.embedded.shows.view import EdgeView, Json, Neighbor, number


def peers(view: EdgeView) -> list[Any]:
    return [_peer(view, neighbor) for neighbor in _with_bfd(view)]


def counters(view: EdgeView) -> list[Any]:
    return [_counters(view, neighbor) for neighbor in _with_bfd(view)]


def _with_bfd(view: EdgeView) -> list[Neighbor]:
    return [n for n in view.neighbors().values() if n.peer.bfd and n.session.site.bfd]


def _head(view: EdgeView, neighbor: Neighbor) -> Json:
    return {
        "multihop": False,
        "peer": neighbor.peer.address,
        "local": neighbor.local,
        "vrf": "default",
        "interface": view.interface(neighbor),
    }


def _peer(view: EdgeView, neighbor: Neighbor) -> Json:
    bfd, found = neighbor.session.bfd, neighbor.session.site.bfd
    assert found is not None
    age = int(view.now - bfd.since)
    return {
        **_head(view, neighbor),
        "id": number("bfd", view.router, neighbor.peer.address),
        "remote-id": number("bfd", neighbor.name, neighbor.local) if bfd.up else 0,
        "passive-mode": False,
        "status": "up" if bfd.up else "down",
        ("uptime" if bfd.up else "downtime"): age,
        "diagnostic": bfd.diagnostic,
        "remote-diagnostic": "ok",
        "receive-interval": found.rx_ms,
        "transmit-interval": found.tx_ms,
        "echo-receive-interval": 50,
        "echo-transmit-interval": 0,
        "detect-multiplier": found.multiplier,
        "remote-receive-interval": found.rx_ms,
        "remote-transmit-interval": found.tx_ms,
        "remote-echo-receive-interval": 50,
        "remote-detect-multiplier": found.multiplier,
        "rtt-min": 0,
        "rtt-avg": 0,
        "rtt-max": 0,
    }


def _counters(view: EdgeView, neighbor: Neighbor) -> Json:
    bfd, found = neighbor.session.bfd, neighbor.session.site.bfd
    assert found is not None
    # BFD sends at 75 to 100 % of its interval: 1.14 packets an interval.
    packets = int((view.now - view.world.booted[view.router]) * 1000 / found.tx_ms * 1.14)
    return {
        **_head(view, neighbor),
        "control-packet-input": packets,
        "control-packet-output": packets + 1,
        "echo-packet-input": 0,
        "echo-packet-output": 0,
        "session-up": bfd.ups,
        "session-down": bfd.downs,
        "zebra-notifications": bfd.ups + bfd.downs + 1,
    }
