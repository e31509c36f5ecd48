"""Why a session is not up, in words that someone woken at night understands.

Codes are FRR's table of reset reasons (8.4 bgp_fsm.c) and the BGP NOTIFICATION code and subcode as FRR prints
them (4 hex digits). All of it holds only while the session is down: a healthy peer shows code 30.
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.routers.frr_json import BfdRow, NeighborRow, PeerRow
from network.observation import Link

NOTIFICATION_RECEIVED = 13
BFD_DETECTION = "control detection time expired"

_RECEIVED = {
    "0601": "the far end stopped it: we sent more prefixes than it allows",
    "0603": "the far end removed this session from its configuration",
    "0604": "the far end reset the session",
    "0605": "the far end rejected the connection",
    "0400": "the far end's hold timer expired: it did not hear us",
}
_SENT = {
    "0400": "hold timer expired: nothing heard from the far end's BGP",
    "0601": "max-prefix was reached; the session has not come back yet",
    "0604": "we reset the session",
}
#: Reset codes that name a cause by themselves.
_CODES = {
    11: "our shutdown was lifted; the session has not come back yet",
    12: "reset on our router (clear bgp)",
    24: "BFD went down",
    25: "interface went down",
    33: "max-prefix was reached; the session has not come back yet",
}
#: Reset codes that say what the router waits for, not what happened.
_WAITING = {
    15: "the far end closed the connection",
    27: "no usable next hop to the peer",
    32: "the far end does not answer our OPEN",
    34: "TCP socket error",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """The words, and whether they name a cause (True) or only what the router waits for."""

    text: str
    firm: bool = True


def limit_words(neighbor: NeighborRow) -> str:
    """What stopped the session and what brings it back: raising the limit alone does not (measured)."""
    allowed, again_ms = neighbor.ipv4.prefix_allowed_max, neighbor.ipv4.prefix_allowed_restart_interval_msecs
    limit = f"more than {allowed} prefixes" if allowed is not None else "too many prefixes"
    again = f"it retries every {again_ms // 1000} s" if again_ms else "it needs a clear to come back"
    return f"stopped by max-prefix: {limit} received; {again}"


def policy_words(neighbor: NeighborRow) -> str:
    closed_in = bool(neighbor.ipv4.inbound_ebgp_requires_policy)
    closed_out = bool(neighbor.ipv4.outbound_ebgp_requires_policy)
    ways = "in or out" if closed_in == closed_out else ("in" if closed_in else "out")
    return f"no policy on this session: RFC 8212 lets nothing {ways}"


def down_reason(peer: PeerRow, neighbor: NeighborRow, bfd: BfdRow | None, interface: str, link: Link | None) -> Reason:
    """Why a session that nobody shut here is not Established; `link` is the interface that it runs over."""
    if link is not None and not link.admin_up:
        return Reason(f"interface {interface} is shut on our router")
    if link is not None and not link.oper_up:
        return Reason(f"link lost on {interface}: no carrier")
    return _notified(neighbor, bfd) or _reset(peer, neighbor)


def _notified(neighbor: NeighborRow, bfd: BfdRow | None) -> Reason | None:
    """The NOTIFICATION that ended the session; FRR prints one only when it was the last reset's cause."""
    code, received = (
        neighbor.last_error_code_subcode.upper(),
        neighbor.last_reset_code == NOTIFICATION_RECEIVED,
    )
    if not code:
        return None
    if code == "060A":
        return Reason(_bfd_words(received=received, bfd=bfd))
    known = notified_words(
        code, received=received, said=neighbor.last_shutdown_description, name=neighbor.last_notification_reason
    )
    if code == "0400" and not received and bfd is not None and bfd.status == "up":
        known += "; BFD is up, so the link is fine and its BGP process is not"
    return Reason(known)


def notified_words(code: str, *, received: bool, said: str = "", name: str = "") -> str:
    """What a NOTIFICATION means; `code` as FRR prints it, `said` its shutdown text, `name` what to call an odd one."""
    if code == "0602" and received:
        return f"shut by the far end: {said}" if said else "shut by the far end"
    known = (_RECEIVED if received else _SENT).get(code)
    way = "far end sent" if received else "we sent"
    return known or f"{way} BGP notification {code} {name}".rstrip()


def _bfd_words(*, received: bool, bfd: BfdRow | None) -> str:
    if received:
        return "the far end's BFD went down: it did not hear us"
    diagnostic = bfd.diagnostic if bfd is not None and bfd.status != "up" else ""
    if diagnostic == BFD_DETECTION:
        return "BFD detection time expired: nothing heard from the far end"
    return f"BFD went down: {diagnostic}" if diagnostic else "BFD went down"


def _reset(peer: PeerRow, neighbor: NeighborRow) -> Reason:
    code = neighbor.last_reset_code
    if peer.peer_uptime == "never":
        return Reason(f"never established; now {peer.state}", firm=False)
    if code in _CODES:
        return Reason(_CODES[code])
    if code in _WAITING:
        return Reason(f"down: {_WAITING[code]}", firm=False)
    return Reason(f"down: {neighbor.last_reset_due_to or peer.state}", firm=False)
