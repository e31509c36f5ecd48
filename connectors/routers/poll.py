"""One poll of a router: its replies by command, and what went wrong in its parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Concatenate, ParamSpec, TypeVar

from connectors.errors import InterlockError
from connectors.redact import redactor
from connectors.routers.channel import Reply, judged
from network.observation import Kind, Observation

Part = TypeVar("Part")
More = ParamSpec("More")

RAW_LIMIT = 8_000  # characters of a reply kept for the drill-down


class Poll:
    """Replies so far, when they were read, and the errors of parts that could not be."""

    def __init__(self, router: str, at: datetime, fresh_s: float, replies: dict[str, Reply]) -> None:
        self.at, self.replies = at, replies
        self.errors: list[InterlockError] = []
        self._router, self._fresh_s = router, fresh_s

    def text(self, command: str) -> str:
        """The reply's text. Raises Denied or CommandFailed."""
        return judged(self.replies[command], command, self._router).text

    def part(
        self, command: str, parse: Callable[Concatenate[str, More], Part], *args: More.args, **named: More.kwargs
    ) -> Part | None:
        """The parsed reply; None when this part could not be read, with its error kept."""
        try:
            return parse(self.text(command), *args, **named)
        except InterlockError as error:
            self.errors.append(error)
            return None

    def seen(
        self, kind: Kind, name: str, fact: object, evidence: str, *, raw: object = None, intervals: int = 1
    ) -> Observation:
        """An observation of this poll. `intervals`: polls between two readings of such a fact."""
        text = self.replies[evidence].text if raw is None else json.dumps(raw)
        return Observation(
            kind,
            name,
            fact,
            source=self._router,
            at=self.at,
            fresh_s=self._fresh_s * intervals,
            evidence=evidence,
            raw=redactor.text(text[:RAW_LIMIT]),
        )
