"""The dead-men of a router as it lists them: which are armed, and when each would put its lines back."""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field

from connectors.reply import Shape, read
from connectors.routers.channel import Reply
from connectors.routers.frr_json import bad_reply

DEADMEN = "deadman list"


class Armed(Shape):
    """One that is armed. `left_s`: seconds until it fires; `alive` False: its process is gone, so it never will."""

    id: str
    left_s: float = Field(alias="left_s")
    alive: bool = True


def armed(reply: Reply) -> list[Armed]:
    """Read the answer to `deadman list`. Raises BadReply."""
    try:
        rows: Any = json.loads(reply.text)
    except ValueError:
        rows = None
    if not isinstance(rows, list):
        raise bad_reply("the reply is no list of dead-men", DEADMEN, reply.text[:200])
    return [read(Armed, row, DEADMEN) for row in rows]
