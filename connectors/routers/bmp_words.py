"""Why a session went down and why a stream ended, in BMP's terms, as words for a person."""

from __future__ import annotations

from connectors.routers.bmp_message import PeerDown, Termination
from connectors.routers.frr_reason import notified_words

ASKED = "our router dropped it and is being asked why"

_ENDS = {
    0: "closed by its administrator",
    2: "it is out of resources",
    3: "it takes this connection for a second one",
    4: "it takes this station for unwanted",
}


def down_words(down: PeerDown) -> str:
    """The cause as far as BMP tells it; the poll that follows knows more."""
    note = down.notification
    if note is not None:
        code = f"{note.code:02X}{note.subcode:02X}"
        return notified_words(code, received=down.reason == 3, said=note.text)
    if down.reason == 4:
        return "down: the far end closed the connection"
    event = f" (BGP event {down.fsm_event})" if down.fsm_event else ""
    return f"{ASKED}{event}"


def end_words(end: Termination) -> str:
    why = _ENDS.get(end.reason, f"reason {end.reason}") if end.reason is not None else "without a reason"
    said = f": {'; '.join(end.texts)}" if end.texts else ""
    return f"the router ended the stream: {why}{said}"
