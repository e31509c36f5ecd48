"""What the screens need from the outside: something to look at, and a desk where changes are asked for.

The screens never decide what is allowed and never wait: whoever implements these does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from console.ui.screen_operator import ScreenOperator
from network.snapshot import Snapshot

if TYPE_CHECKING:
    from runbooks.journal import Journal
    from runbooks.plan import Plan
    from runbooks.standing import Standing


class Desk(Protocol):
    """Where a change is asked for. Each method raises named errors whose text is shown as it stands.

    `write` follows the screens' READ-ONLY or WRITE; whether a change is allowed, the desk decides.
    """

    write: bool

    @property
    def journal(self) -> Journal: ...
    async def plan(self, book: str, parameters: Mapping[str, str]) -> Plan: ...
    async def start(self, plan: Plan, change: str | None) -> str: ...
    async def rollback(self, run_id: str) -> str: ...
    async def abort(self, run_id: str) -> object: ...
    async def pause(self, run_id: str) -> object: ...
    async def resume(self, run_id: str, *, force: bool = False) -> object: ...
    async def hand_over(self, run_id: str) -> object: ...
    async def decide(self, run_id: str, choice: str, reply_to: int) -> object: ...
    async def approve(self, run_id: str, step: str) -> object: ...
    async def abandon(self, run_id: str) -> object: ...
    def window_left_s(self, run_id: str) -> float | None: ...
    def lease_left_s(self, run_id: str) -> float | None: ...
    def standing(self, run_id: str) -> Standing | None: ...
    async def close(self) -> None: ...


class SnapshotSource(Protocol):
    """What is known now, and the next thing known: the collector, or anything like it."""

    @property
    def snapshot(self) -> Snapshot: ...
    async def wait(self, after_revision: int, timeout_s: float) -> Snapshot: ...


@dataclass(frozen=True, slots=True)
class Connection:
    """A site that is being watched. `desk` opens the desk, which may need systems that are away: it is retried."""

    source: SnapshotSource
    desk: Callable[[], Awaitable[Desk]] | None = None


#: Opens the connection for the operator at these screens; awaited after the first paint.
Connect = Callable[[ScreenOperator], Awaitable[Connection]]
