"""What any console may say to a run, with nothing but the journal: no site, no login, no driver of its own.

An order that would not count is refused before it is written, with the machine's own reason: the log then holds only
orders that were taken. One that is so already is not written a second time. Nothing is performed here: whoever drives
the run obeys, and where nobody does, the order stands until somebody does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runbooks.engine import view_of
from runbooks.journal import Conflict, Event, Journal, RunRow
from runbooks.machine import objection
from runbooks.view import RunView

TRIES = 20  # a busy log may move on between the look and the entry
ABANDON = "abandon"  # `approve RUN abandon`


class NotTaken(Exception):
    """An order that does not count as the run stands; nothing was written. The message says why, and what would do."""


class Orders:
    """One person's orders. Each returns the entry that was written, or None when it is so already.

    All raise NotTaken, UnknownRun and JournalUnavailable. A desk (console/desk.py) gives these orders too, and drives.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    async def pause(self, run_id: str) -> Event | None:
        """No further step, once the atomic group under way has ended."""
        _, view = await self._open(run_id)
        return None if view.paused else await self._give(run_id, "cmd.pause")

    async def resume(self, run_id: str) -> Event | None:
        """Go on after a pause, where somebody drives."""
        return await self._give(run_id, "cmd.resume")

    async def hand_over(self, run_id: str) -> Event | None:
        """The driver ends its atomic group and lets the run go."""
        row, view = await self._open(run_id)
        if not row.driver_alive:
            raise NotTaken(f"nobody drives {run_id}: `interlock resume {run_id} --write` drives it on from here")
        return None if view.handover else await self._give(run_id, "cmd.handover")

    async def abandon(self, run_id: str) -> Event | None:
        """Ask that the run be given up as it stands; a second person's approval closes it and frees its locks.

        A run whose driver is dead is taken from it first, so that it can never go on behind the two people's backs.
        """
        row, view = await self._open(run_id)
        if view.abandon:
            return None
        if view.state != "NEEDS_DECISION" and not view.unmanned:
            await self._let_go(row, view)
        return await self._give(run_id, "cmd.abandon")

    async def approve(self, run_id: str, step: str) -> Event | None:
        """Approve a step of this very definition, or (step "abandon") that the run be given up."""
        row, view = await self._open(run_id)
        what = {"definition_sha": row.definition_sha, "step": step, "plan_hash": row.definition.get("plan_hash")}
        if step == ABANDON and view.step(step) is None:
            if view.abandon is None:
                raise NotTaken(f"nobody asks to abandon {run_id}: `interlock abandon {run_id}` does")
            return await self._give(run_id, "cmd.approve", reply_to=view.abandon.seq, data=what)
        return await self._give(run_id, "cmd.approve", step=step, data=what)

    async def review(self, run_id: str) -> Event | None:
        """Say, as a second person, that a restore which nothing gated has been looked at, now that it is closed."""
        view = await view_of(self.journal, run_id)
        user = self.journal.identity.user
        if view.reviewed:
            return None
        if not view.review_owed:
            raise NotTaken(f"{run_id} owes no review: nothing of it was done as a restore, by what was observed")
        if not view.closed:
            raise NotTaken(f"{run_id} is {view.state}: it is reviewed when it is closed")
        if user in {view.creator, view.driver}:
            raise NotTaken(f"{user} started or drove {run_id}: a second person must review it")
        return await self.journal.append(run_id, "cmd.review")

    async def decide(self, run_id: str, choice: str, reply_to: int) -> Event | None:
        """Answer the open question, which is named by its entry: an answer to another one does not count."""
        _, view = await self._open(run_id)
        if view.question is None:
            raise NotTaken(f"{run_id} asks nothing: it is {view.state}")
        if view.question.seq != reply_to:
            raise NotTaken(f"{run_id} asks something else by now: entry {view.question.seq}, {view.question.text}")
        return await self._give(run_id, "cmd.decide", reply_to=reply_to, data={"choice": choice})

    async def abort(self, run_id: str) -> Event | None:
        """Have everything undone that the run did; asked twice is asked once. Nothing gates it."""
        row, view = await self.journal.run(run_id), await view_of(self.journal, run_id)
        if undone := row.definition.get("undo_of"):
            raise NotTaken(f"{run_id} puts back what {undone} changed: half of that would be neither; let it end")
        if view.state == "COMPLETED":
            raise NotTaken(f"{run_id} is COMPLETED: `interlock rollback {run_id} --write` puts it back")
        if view.closed or turning(view):
            return None
        return await self._give(run_id, "cmd.abort", data={"reason": f"aborted by {self.journal.identity.user}"})

    async def _open(self, run_id: str) -> tuple[RunRow, RunView]:
        row, view = await self.journal.run(run_id), await view_of(self.journal, run_id)
        if view.closed:
            raise NotTaken(f"{run_id} is {view.state}: nothing more can be asked of it")
        return row, view

    async def _let_go(self, row: RunRow, view: RunView) -> None:
        if row.driver_alive:
            raise NotTaken(
                f"{row.run_id} is {view.state} and driven by {row.driver_user}: only a run that asks, or that nobody"
                f" drives, can be abandoned; `interlock abort {row.run_id}` undoes it"
            )
        await self.journal.release(row.run_id, await self.journal.claim(row.run_id))

    async def _give(
        self,
        run_id: str,
        kind: str,
        *,
        step: str | None = None,
        reply_to: int | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Event:
        """Write an order if it counts at this moment, and at no later one."""
        for _ in range(TRIES):
            _, view = await self._open(run_id)
            user = self.journal.identity.user
            if why := objection(view, kind, user, step=step, reply_to=reply_to, data=data or {}):
                raise NotTaken(f"{run_id}: {kind.removeprefix('cmd.')} does not count: {why}")
            try:
                return await self.journal.append(
                    run_id, kind, step=step, reply_to=reply_to, data=data, expect_seq=view.seq
                )
            except Conflict:
                continue
        raise NotTaken(f"{run_id} moves on faster than it can be told: ask again")


def turning(view: RunView) -> bool:
    """It is being undone already, or the driver has been told to."""
    return bool(view.turn_back) or (view.direction == "rollback" and view.question is None)
