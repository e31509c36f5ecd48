"""The desk: plans, runs and undoes runbooks for one operator. The command line and the screens both work at it."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

from connectors.errors import NotFound
from connectors.servicenow import ServiceNow
from console.fail import Refused
from console.journals import open_journal
from console.leash import Leashes
from console.live import LiveScene
from console.planning import Planner
from console.undoing import left_of, undos_of
from console.wiring import Watch, utc_now
from runbooks.driving import Driving
from runbooks.effects import Operator, Outage, Ports, Unattended
from runbooks.engine import Engine, view_of
from runbooks.exits import ExitPath
from runbooks.guards.watch import GuardWatch
from runbooks.journal import DriverAlive, Journal, LockHeld, NewRun, RunRow
from runbooks.model import StepDef
from runbooks.orders import Orders
from runbooks.perform import Performer
from runbooks.plan import Plan
from runbooks.policy import window_left_s
from runbooks.putback import acts, put_back, undo_definition
from runbooks.rescue import rescues
from runbooks.scene import moment_of
from runbooks.standing import Standing
from runbooks.ticket import ChangeGate, WorkNotes
from runbooks.verbs import actions_of, lacking
from runbooks.view import RunView


class Desk(Orders):
    """One operator's desk: it gives orders and drives. While `write` is False only plans and orders leave it."""

    def __init__(
        self, watch: Watch, journal: Journal, operator: Operator, *, write: bool, outage: Outage | None = None
    ) -> None:
        super().__init__(journal)
        self._outage = outage or Unattended()
        self._watch, self._operator, self.write = watch, operator, write
        self._scene = LiveScene(watch)
        self._planner = Planner(watch, self._scene, journal)
        self._leashes = Leashes(watch)
        self._gates: dict[str, ChangeGate] = {}
        self._drives: dict[str, Driving] = {}

    async def plan(self, book: str, parameters: Mapping[str, str], *, rescue: bool = False) -> Plan:
        """See Planner.plan."""
        return await self._planner.plan(book, parameters, rescue=rescue)

    async def start(self, plan: Plan, change: str | None, *, plan_hash: str | None = None) -> str:
        """Begin a run in a task of its own and return its id. Raises Refused with every reason; nothing is touched.

        What restores is never gated, and needs no change; an undo without one tells that of the run it puts back.
        """
        if not self.write:
            raise Refused("read-only: give --write to allow changes")
        if plan_hash is not None and plan_hash != plan.hash:
            raise Refused(f"the plan has changed: {plan.hash} now, {plan_hash} approved. Look at it again")
        if plan.undo_of is not None:
            return await self._start_undo(plan, plan.undo_of, change)
        gate = self._gate(change or "", plan.target, plan.touches, plan.definition())
        if not plan.rescue:
            await self._refuse_closed(gate, change)
        for router in self._watch.site.routers:  # the credential works before anything is begun
            if router.name in plan.touches:
                await self._scene.router(router.name).running_config()
        sends = [send for step in plan.steps for send in step.definition["commands"]]
        for system in dict.fromkeys(str(send["system"]) for send in sends if "put" in send):
            await self._scene.log_in(system)
        definition = plan.definition()
        run = NewRun(plan.book, str(plan.version), definition, actions_of(definition), change, plan.locks)
        return await self._begin(run, gate)

    async def rollback(self, run_id: str, change: str | None = None) -> str:
        """Undo a run and return the run that does it: an open one turns round, a COMPLETED one gets a linked run.

        An undo that was interrupted, or that asked something, goes on where it stands; it is never itself undone.
        """
        if not self.write:
            raise Refused("read-only: give --write to allow changes")
        row = await self.journal.run(run_id)
        if row.closed_at is None:
            return await self._undo_open(row)
        if undone := row.definition.get("undo_of"):
            raise Refused(f"{run_id} is itself an undo (of {undone}): to move again, run the book under a change")
        if row.state != "COMPLETED":
            raise Refused(f"{run_id} is {row.state}: nothing of it is in place")
        undos = undos_of(run_id, await self.journal.runs())
        done, left = [undo.run_id for undo in undos if undo.state == "COMPLETED"], left_of(row, undos)
        if done and not acts(left):
            raise Refused(f"{run_id} was put back by {', '.join(done)} already")
        if begun := [undo for undo in undos if undo.closed_at is None]:
            return await self._undo_open(begun[0])
        definition = undo_definition(left, run_id)
        ticket = change or row.ticket
        locks = tuple(row.definition["locks"])
        gate = self._gate_of(row, ticket)
        actions = actions_of(definition)
        return await self._begin(NewRun(row.book, row.version, definition, actions, ticket, locks, run_id), gate)

    async def abort(self, run_id: str) -> None:
        """Have everything undone that the run did; asking twice is asking once, and nothing gates it.

        Whoever drives the run obeys; a run that nobody drives is taken up here. Raises Refused for an undo.
        """
        row, view = await self.journal.run(run_id), await view_of(self.journal, run_id)
        if view.state == "ROLLED_BACK":
            return
        if run_id in self.driving or view.closed or row.definition.get("undo_of") or self._obeyed(row, view):
            await super().abort(run_id)
        else:
            await self._turn_round(row)

    async def resume(self, run_id: str, *, force: bool = False) -> None:
        """Go on: a paused run where it is driven, one that nobody drives from here. `force` takes it from its driver.

        What a driver that may still live was doing must have ended before anything is looked at. Raises Refused.
        """
        row, view = await self.journal.run(run_id), await view_of(self.journal, run_id)
        if view.closed:
            raise Refused(f"{run_id} is {view.state}: there is nothing to go on with")
        if run_id in self.driving or (row.driver_alive and view.paused and not force):
            await super().resume(run_id)
            return
        if not self.write:
            raise Refused("read-only: give --write to allow changes")
        fence = await self._claimed(row, force=force)
        if view.paused:
            await super().resume(run_id)
        gate = self._gate_of(row)
        self._drive(self._engine(gate, row), run_id, fence, gate)

    async def decide(self, run_id: str, choice: str, reply_to: int) -> None:
        """Answer the open question, and drive on from here when nobody does and changes are allowed."""
        await super().decide(run_id, choice, reply_to)
        if self.write and (await self.journal.run(run_id)).orphaned:
            await self.resume(run_id)

    async def finished(self, run_id: str) -> RunView:
        """Wait until this desk has nothing more to do for the run. Raises what ended it: FenceLost when taken over."""
        return await self._drives[run_id].result()

    @property
    def driving(self) -> tuple[str, ...]:
        """Runs that this desk drives now."""
        return tuple(run for run, driving in self._drives.items() if not driving.done)

    async def leave(self, path: ExitPath) -> None:
        """Leave every run that is driven here by the exit table, and return when the last has been let go."""
        await asyncio.gather(*(driving.leave(path) for driving in self._drives.values()))

    def window_left_s(self, run_id: str) -> float | None:
        """Seconds until the change's window closes, as last read."""
        gate = self._gates.get(run_id)
        return window_left_s(gate.last, utc_now()) if gate and gate.last else None

    def lease_left_s(self, run_id: str) -> float | None:  # noqa: ARG002 -- one login serves every run of the desk
        """Seconds until the run's certificate ends."""
        ends = self._scene.lease_ends
        return (ends - utc_now()).total_seconds() if ends else None

    def standing(self, run_id: str) -> Standing | None:
        """What only the driver knows of a run: its dead-men's time, an outage of the journal. None: not driven here."""
        driving = self._drives.get(run_id)
        return driving.standing() if driving else None

    async def close(self) -> None:
        """Leave: a run that is still driven is cancelled, its act's outcome journaled as unknown, its locks kept."""
        await self.stop()
        self._leashes.let_go()
        await self._scene.close()

    async def _start_undo(self, plan: Plan, undo_of: str, change: str | None) -> str:
        row = await self.journal.run(undo_of)
        ticket, frozen = change or row.ticket, plan.definition()
        left = left_of(row, undos_of(undo_of, await self.journal.runs()))
        if not put_back(frozen) <= {act["id"] for act in acts(left)}:
            raise Refused(f"{undo_of} was put back meanwhile: plan it again")
        gate = self._gate(ticket or "", plan.target, plan.touches)
        new = NewRun(plan.book, str(plan.version), frozen, actions_of(frozen), ticket, plan.locks, undo_of)
        return await self._begin(new, gate)

    async def stop(self) -> None:
        """Hold every run that is driven here, now."""
        await asyncio.gather(*(driving.stop() for driving in self._drives.values()))

    async def _refuse_closed(self, gate: ChangeGate, change: str | None) -> None:
        if change is None:
            raise Refused("no change: give --change CHG (a routing change needs an approved one)")
        try:
            reasons = await gate.objections()
        except NotFound as missing:
            raise Refused(f"no such change: {change} ({missing})") from missing
        if reasons:
            raise Refused("; ".join(reasons))

    async def _undo_open(self, row: RunRow) -> str:
        """A run that this desk drives is told, never claimed: two drivers of one desk could both be sending."""
        undoes = row.definition.get("undo_of") is not None
        if row.run_id not in self.driving:
            return await (self._go_on(row) if undoes else self._turn_round(row))
        if not undoes:
            await self.abort(row.run_id)
        return row.run_id

    async def _turn_round(self, row: RunRow) -> str:
        """Undo an open run in place. Asked again after a question, every undo that is not done is looked at anew."""
        fence, gate = await self._claimed(row), self._gate_of(row)
        engine, view = self._engine(gate, row), await view_of(self.journal, row.run_id)
        if view.direction == "forward" or view.question:
            await engine.request_rollback(row.run_id, fence, f"rollback asked by {self.journal.identity.user}")
        self._drive(engine, row.run_id, fence, gate)
        return row.run_id

    async def _go_on(self, row: RunRow) -> str:
        """Drive an open undo on; who asks for it again answers its question with "try again"."""
        fence, gate = await self._claimed(row), self._gate_of(row)
        if asked := (await view_of(self.journal, row.run_id)).question:
            data = {"choice": "redo", "reason": f"rollback asked again by {self.journal.identity.user}"}
            await self.journal.append(row.run_id, "cmd.decide", data=data, reply_to=asked.seq)
        self._drive(self._engine(gate, row), row.run_id, fence, gate)
        return row.run_id

    def _obeyed(self, row: RunRow, view: RunView) -> bool:
        """Another console drives it, and hears what it is told: one that asks a person has stopped driving."""
        return row.driver_alive and row.driver != self.journal.console and not view.question

    async def _claimed(self, row: RunRow, *, force: bool = False) -> int:
        if missing := lacking(row.actions):
            words = ", ".join(missing)
            raise Refused(f"this console lacks {words}, which {row.run_id} needs: it may follow that run, not drive it")
        try:
            return await self.journal.claim(row.run_id, force=force)
        except DriverAlive as alive:
            raise Refused(f"{alive}: `interlock resume {row.run_id} --force --write`") from alive

    async def _begin(self, new: NewRun, gate: ChangeGate) -> str:
        try:
            row = await self.journal.create_run(new)
        except LockHeld as held:
            raise Refused(str(held)) from held
        self._drive(self._engine(gate, row), row.run_id, row.fence, gate)
        return row.run_id

    def _drive(self, engine: Engine, run_id: str, fence: int, gate: ChangeGate) -> None:
        self._gates[run_id] = gate
        self._drives[run_id] = Driving(engine, run_id, fence)

    def _gate(
        self, change: str, target: str, touches: tuple[str, ...], definition: Mapping[str, Any] | None = None
    ) -> ChangeGate:
        policy, moved = self._watch.site.policy, partial(self._planner.moved, definition or {})
        return ChangeGate(self._tickets, change, target, tuple(touches), policy, utc_now, moved, self._rescues)

    def _rescues(self, step: StepDef) -> str:
        return rescues(step.verb, moment_of(self._scene), step.args)

    def _gate_of(self, row: RunRow, ticket: str | None = None) -> ChangeGate:
        frozen = row.definition
        return self._gate(ticket or row.ticket or "", str(frozen["target"]), frozen["touches"], frozen)

    def _engine(self, gate: ChangeGate, row: RunRow) -> Engine:
        notes, guards = WorkNotes(self._tickets, row.ticket), GuardWatch(self._scene, row.definition)
        self._leashes.plan(row.run_id, row.definition)
        ports = Ports(Performer(self._scene, self._leashes), gate, notes, self._operator, guards, self._outage)
        return Engine(
            self.journal,
            ports,
            now=utc_now,
            boottime=lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
            new_id=lambda: uuid.uuid4().hex,
        )

    async def _tickets(self) -> ServiceNow:
        return await self._watch.tickets()


@contextlib.asynccontextmanager
async def at_desk(
    watch: Watch, operator: Operator, *, write: bool, outage: Outage | None = None
) -> AsyncIterator[Desk]:
    """A desk for as long as the block lasts."""
    who = await watch.session.operator()
    journal = await open_journal(who.name, watch.site.mode)
    desk = Desk(watch, journal, operator, write=write, outage=outage)
    try:
        yield desk
    finally:
        await desk.close()
        await journal.close()
