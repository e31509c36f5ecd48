"""Copy over SSH and through tmux: OSC 52, wrapped where a multiplexer would swallow it, with a size cap."""

from __future__ import annotations

import base64
from collections.abc import Mapping

#: Terminals and tmux drop longer sequences without a word; 74 994 bytes of base64 is xterm's own limit.
LIMIT_BYTES = 74_994


def osc52(text: str, environment: Mapping[str, str]) -> str | None:
    """The sequence that puts `text` on the terminal's clipboard; None when it is too long for one."""
    encoded = base64.b64encode(text.encode()).decode()
    if len(encoded) > LIMIT_BYTES:
        return None
    sequence = f"\x1b]52;c;{encoded}\x07"
    if environment.get("TMUX"):
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    if environment.get("TERM", "").startswith("screen"):
        return f"\x1bP{sequence}\x1b\\"
    return sequence
