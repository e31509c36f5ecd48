"""One poll of a router: its replies by command, and what went wrong in its parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Concatenate, ParamSpec, TypeVar, cast

from pydantic import BaseModel

from connectors.errors import InterlockError
from connectors.redact import redactor
from connectors.routers.channel import Reply, judged
from network.observation import Kind, Observation

Part = TypeVar("Part")
More = ParamSpec("More")

RAW_LIMIT = 8_000  # characters of a reply kept for the drill-down


@dataclass(slots=True)
class Kept:
    """What was made of each command's last reply: the same text need not be read or redacted again.

    Most replies of a quiet router are the same from poll to poll (interfaces, routes), and they are the long ones.
    """

    parts: dict[str, tuple[str, object]] = field(default_factory=dict)
    shown: dict[str, tuple[str, str]] = field(default_factory=dict)

    def raw(self, command: str, text: str) -> str:
        """The text as the drill-down may show it: redacted, cut."""
        known = self.shown.get(command)
        if known is None or known[0] != text:
            known = self.shown[command] = (text, redactor.text(text[:RAW_LIMIT]))
        return known[1]


class Poll:
    """Replies so far, when they were asked for, and the errors of parts that could not be read."""

    def __init__(self, router: str, at: datetime, fresh_s: float, replies: dict[str, Reply], kept: Kept) -> None:
        self.at, self.replies = at, replies
        self.errors: list[InterlockError] = []
        self._failed: set[str] = set()
        self._router, self._fresh_s, self._kept = router, fresh_s, kept

    def text(self, command: str) -> str:
        """The reply's text. Raises Denied or CommandFailed."""
        return judged(self.replies[command], command, self._router).text

    def part(
        self, command: str, parse: Callable[Concatenate[str, More], Part], *args: More.args, **named: More.kwargs
    ) -> Part | None:
        """The parsed reply; None when this part could not be read, with its error kept once.

        A command is always read by the same `parse` with the same arguments: what it gave is kept with the text.
        """
        if command in self._failed:
            return None
        try:
            text = self.text(command)
            known = self._kept.parts.get(command)
            if known is None or known[0] != text:
                known = self._kept.parts[command] = (text, parse(text, *args, **named))
            return cast("Part", known[1])
        except InterlockError as error:
            self.errors.append(error)
            self._failed.add(command)
            return None

    @staticmethod
    def row(row: BaseModel | None) -> str:
        """A part of a reply for the drill-down, by FRR's own keys."""
        return "" if row is None else redactor.text(row.model_dump_json(by_alias=True))

    def seen(
        self,
        kind: Kind,
        name: str,
        fact: object,
        evidence: str,
        *,
        raw: str | None = None,
        fresh_s: float | None = None,
    ) -> Observation:
        """An observation of this poll. `raw`: the part of the reply that says so, already redacted; else all of it."""
        return Observation(
            kind,
            name,
            fact,
            source=self._router,
            at=self.at,
            fresh_s=self._fresh_s if fresh_s is None else fresh_s,
            evidence=evidence,
            raw=self._kept.raw(evidence, self.replies[evidence].text) if raw is None else raw,
        )
