"""A step of a plan: what a person approves, and what the journal freezes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Send = Mapping[str, Any]
#: What a person reads in the place of an undo that there is not.
LASTING = "none: it cannot be put back"


@dataclass(frozen=True, slots=True)
class PlanStep:
    """A step made exact. `lines` and `undo_lines` are the commands as a person reads them, one a line."""

    id: str
    title: str
    kind: str
    verb: str
    risk: str
    approvals: int
    definition: Mapping[str, Any]
    expect: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(shown(self.definition["commands"]))

    @property
    def undo(self) -> tuple[str, ...]:
        return tuple(shown(self.definition["undo"]))

    @property
    def text(self) -> str:
        """What a person reads."""
        return str(self.definition.get("text", ""))

    @property
    def rescues(self) -> str:
        """What was observed that makes it a restore, whatever its book says."""
        return str(self.definition.get("rescues", ""))

    @property
    def guards(self) -> tuple[str, ...]:
        """Who watches, and what comes of it at this step, as a person reads it: "survivor-load, 2 of 3: hold"."""
        watching, own = self.definition.get("guards", ()), self.definition.get("exits", {}).get("guard")
        return tuple(f"{each['name']}, {each['k']} of {each['n']}: {own or each['policy']}" for each in watching)

    @property
    def group(self) -> str:
        """The atomic group that it stands in; a step alone is its own."""
        return str(self.definition.get("group") or self.id)


def shown(sends: tuple[Send, ...] | list[Send]) -> Iterator[str]:
    """Commands as a person types them, each with its router; a change of another system as its call."""
    for send in sends:
        if "put" in send:
            yield f"{send['system']}> PUT {send['put']} {json.dumps(send['json'])}"
        elif "configure" in send:
            yield f"{send['router']}> configure terminal"
            yield from (f"{send['router']}(config)> {line}" for line in send["configure"])
        else:
            yield f"{send['router']}> {send['exec']}"
