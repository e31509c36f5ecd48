"""FRR's view of its BGP and BFD sessions, as facts. Pure: text in, facts out.

Health is `state == "Established"`: `peerState` says OK for peers that are down. Figures come from
`show bgp summary json`, `show bgp neighbors X json` and `show bfd peers json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from connectors.routers.frr_json import (
    BfdCountersRow,
    BfdRow,
    NeighborRow,
    PeerRow,
    SummaryRow,
    bad_reply,
    document,
    read,
    rows,
)
from connectors.routers.frr_reason import Reason, down_reason, limit_words, policy_words
from network.observation import BfdHere, Link, SessionHere

SUMMARY = "show bgp summary json"
BFD_PEERS = "show bfd peers json"
BFD_COUNTERS = "show bfd peers counters json"

_SUMMARY: TypeAdapter[SummaryRow] = TypeAdapter(SummaryRow)
_NEIGHBOR: TypeAdapter[NeighborRow] = TypeAdapter(NeighborRow)
_BFD: TypeAdapter[list[BfdRow]] = TypeAdapter(list[BfdRow])
_BFD_COUNTERS: TypeAdapter[list[BfdCountersRow]] = TypeAdapter(list[BfdCountersRow])

ESTABLISHED = "Established"


@dataclass(frozen=True, slots=True)
class Over:
    """What a session runs over: the interface's name and its state, when the site names one."""

    interface: str = ""
    link: Link | None = None


def summary(text: str) -> dict[str, PeerRow]:
    """IPv4 unicast peers by address. Raises BadReply for `{}`: a router without BGP is not one without peers."""
    family = read(_SUMMARY, text, SUMMARY).ipv4_unicast
    if family is None:
        raise bad_reply("no IPv4 BGP is configured there, or the reply is of an unknown shape", SUMMARY, text)
    return family.peers


def neighbor_command(peer: str) -> str:
    return f"show bgp neighbors {peer} json"


def neighbor(text: str, peer: str) -> NeighborRow | None:
    """One neighbor in full; None when the router has none of that address. Raises BadReply."""
    command = neighbor_command(peer)
    value = document(text, command)
    if isinstance(value, dict) and value.get("bgpNoSuchNeighbor") is True:
        return None
    if not isinstance(value, dict) or peer not in value:
        raise bad_reply(f"the reply is not about {peer}", command, text)
    return rows(_NEIGHBOR, value[peer], command)


def bfd_peers(text: str) -> dict[str, BfdRow]:
    """BFD peers by address; empty when none is configured or known. Raises BadReply."""
    return {row.peer: row for row in read(_BFD, text, BFD_PEERS)}


def bfd_downs(text: str) -> dict[str, int]:
    """How often each BFD peer went down since bfdd started, by address. Raises BadReply."""
    return {row.peer: row.session_down for row in read(_BFD_COUNTERS, text, BFD_COUNTERS)}


def session_here(
    peer: PeerRow, neighbor: NeighborRow, bfd: BfdRow | None, over: Over, now: datetime
) -> tuple[SessionHere, Reason | None]:
    """The session as the router sees it now, and why it is down (None when it is up or stopped on purpose).

    `drops` is the router's own counter; the source turns it into drops while watched.
    """
    admin = admin_shut(peer) or neighbor.admin_shut_down
    up = peer.state == ESTABLISHED
    over_limit = not up and not admin and (peer.state == "Idle (PfxCt)" or neighbor.prefixes_config_exceed_max)
    no_policy = up and peer.peer_state == "Policy"
    reason: Reason | None = None
    if admin:
        text = "shut on our router"
    elif over_limit:
        text = limit_words(neighbor)
    elif up:
        text = policy_words(neighbor) if no_policy else ""
    else:
        reason = down_reason(peer, neighbor, bfd, over.interface, over.link)
        text = reason.text
    fact = SessionHere(
        state=peer.state,
        since=_since(peer, now),
        received=peer.pfx_rcd,
        advertised=peer.pfx_snt,
        limit=neighbor.ipv4.prefix_allowed_max,
        admin_shut=admin,
        over_limit=over_limit,
        no_policy=no_policy,
        limit_warning=up and _past_warning(peer, neighbor),
        reason=text,
        drops=peer.connections_dropped,
    )
    return fact, reason


def admin_shut(peer: PeerRow) -> bool:
    """Shut by us: the session itself or all of BGP on the router."""
    return peer.state == "Idle (Admin)" or peer.peer_state == "Admin"


def not_configured(router: str, peer: str) -> SessionHere:
    """A session of the site that the router does not know."""
    words = f"{router} has no neighbor {peer} configured"
    return SessionHere("Idle", since=None, received=None, advertised=None, limit=None, reason=words)


def bfd_here(peers: Mapping[str, BfdRow], peer: str, router: str, drops: int | None = None) -> BfdHere:
    """BFD of one session. Detection time = their multiplier x max(our receive, their transmit interval), ms."""
    row = peers.get(peer)
    if row is None:
        return BfdHere("unknown", diagnostic=f"no BFD for {peer} on {router}")
    intervals = (row.remote_detect_multiplier, row.receive_interval, row.remote_transmit_interval)
    multiplier, ours, theirs = intervals
    detect = multiplier * max(ours or 0, theirs or 0) if multiplier and ours and theirs else None
    since = row.uptime if row.status == "up" else row.downtime
    return BfdHere(row.status, diagnostic=row.diagnostic, since_s=since, detect_ms=detect, drops=drops)


def _since(peer: PeerRow, now: datetime) -> datetime | None:
    """From the duration, not the router's epoch: its clock may be wrong. A peer that never was up has none."""
    if peer.peer_uptime == "never":
        return None
    return now - timedelta(milliseconds=peer.peer_uptime_msec)


def _past_warning(peer: PeerRow, neighbor: NeighborRow) -> bool:
    """FRR's own warning: the threshold percentage of the limit (75 when not set), or a warning-only limit."""
    limit, received = neighbor.ipv4.prefix_allowed_max, peer.pfx_rcd
    if limit is None or received is None:
        return False
    threshold = neighbor.ipv4.prefix_allowed_warning_thresh or 75
    return 100 * received >= threshold * limit
