"""The engine against a little device: what a run does, and what it does not do by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from runbooks.effects import Finding, GateVerdict, NotSent, WindowPassed
from runbooks.engine import view_of
from runbooks.journal import FenceLost, RunClosed
from runbooks.journal.where import Where
from runbooks.model import StepDef
from runbooks.ops import AwaitDecision, next_op
from runbooks.view import RunView
from tests.engine.little_device import ACTS, BOOK, Device, World, act, book, console, until

ITS_OWN_S = StepDef(id="any", kind="act").timeout_s  # for which a gate or a wait of these books is waited for


async def run(file: Path, world: World, steps: Any = BOOK) -> tuple[RunView, list[str]]:
    async with console(file, world) as (journal, engine):
        row = await journal.create_run(book(steps))
        view = await engine.drive(row.run_id, row.fence)
        return view, [event.kind for event in await journal.events(row.run_id)]


async def test_whole_run_is_journaled_intent_first(file: Path, world: World) -> None:
    view, kinds = await run(file, world)
    assert view.state == "COMPLETED"
    assert {step.id: step.state for step in view.steps} == dict.fromkeys(
        ["safe", "egress", "return", "empty", "clear", "shut"], "done"
    )
    assert world.device.ledger == [(name, "do") for name in ACTS]
    assert [kind for kind in kinds if kind != "wait.progress"] == [
        "run.created",
        *("step.started", "check.passed"),
        *("gate.passed", "act.intent", "act.result", "verify.ok"),
        *("act.intent", "act.result", "verify.ok"),
        *("step.started", "wait.passed"),
        *("step.started", "cmd.confirm"),
        *("gate.passed", "act.intent", "act.result", "verify.ok"),
        "run.closed",
    ]
    assert world.gates == ["egress", "shut"]  # once for the group
    assert world.told == [kind for kind in kinds[1:] if kind != "wait.progress"]


async def test_intent_carries_exactly_what_is_sent(file: Path, world: World) -> None:
    async with console(file, world) as (journal, engine):
        row = await journal.create_run(book())
        await engine.drive(row.run_id, row.fence)
        intent = next(e for e in await journal.events(row.run_id) if e.kind == "act.intent")
    assert intent.data["commands"] == ["set egress 120"]
    assert intent.data["idempotency_key"] == f"{row.run_id}:egress:do:1:f1"
    assert (intent.attempt, intent.phase, intent.mode) == (1, "do", "LAB")


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"check safe": Finding(False, "no spare left")}, "safe: no spare left"),
        ({"check safe": Finding(None, "edge-2 is silent")}, "safe: edge-2 is silent"),
        ({"check safe": OSError("refused")}, "safe: could not be read: OSError: refused"),
        ({"gate egress": GateVerdict(open=False, reason="no change")}, "gate closed: no change"),
        ({"gate egress": OSError("no route")}, "gate closed: the gate could not be asked: OSError: no route"),
    ],
)
async def test_refusal_before_anything_was_begun(file: Path, world: World, answers: dict[str, Any], why: str) -> None:
    world.answers = answers
    view, _ = await run(file, world)
    assert (view.state, view.reason, view.why) == ("ROLLED_BACK", "refused", why)
    assert world.device == Device()


async def test_locks_are_free_after_the_close(file: Path, world: World) -> None:
    await run(file, world)
    view, _ = await run(file, world)
    assert view.closed


async def test_gate_that_closes_later_is_asked_again(file: Path, world: World) -> None:
    closed = GateVerdict(open=False, reason="P1 open")
    world.answers["gate shut"] = [closed, closed, closed]
    view, kinds = await run(file, world)
    assert view.state == "COMPLETED"
    assert kinds.count("gate.closed") == 1  # asked three times, written once
    assert world.gates == ["egress", "shut", "shut", "shut", "shut"]


async def test_abort_does_not_wait_for_a_gate_that_hangs(file: Path, world: World) -> None:
    world.answers["gate shut"] = asyncio.Event().wait
    async with console(file, world) as (journal, engine), console(file, World(), "bob") as (other, _):
        row = await journal.create_run(book())
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        await until(lambda: "shut" in world.gates, "the gate is asked")
        await other.append(row.run_id, "cmd.abort")
        assert (await asyncio.wait_for(driving, ITS_OWN_S * 2 / 3)).state == "ROLLED_BACK"
    assert world.device.values == Device().values


async def test_exception_is_unknown_and_seen_as_done(file: Path, world: World) -> None:
    world.answers["after v6 of do egress"] = ConnectionResetError("gone")
    view, kinds = await run(file, world)
    assert view.state == "COMPLETED"
    assert kinds[kinds.index("act.intent") + 1 :][:3] == ["act.interrupted", "act.observed", "verify.ok"]
    assert world.device.ledger == [(name, "do") for name in ACTS]


@pytest.mark.parametrize("at", ["do egress", "after v4 of do egress"])
async def test_exception_and_not_seen_as_done_asks(file: Path, world: World, at: str) -> None:
    world.answers[at] = [ConnectionResetError("gone")]
    async with console(file, world) as (journal, engine):
        row = await journal.create_run(book())
        view = await engine.drive(row.run_id, row.fence)
        assert view.state == "NEEDS_DECISION"
        assert await engine.drive(row.run_id, row.fence) == view  # asking again changes nothing
        asked = next_op(view)
        assert isinstance(asked, AwaitDecision)
        seq = asked.question.seq
        await journal.append(row.run_id, "cmd.decide", reply_to=seq, data={"choice": "redo"})
        assert (await engine.drive(row.run_id, row.fence)).state == "COMPLETED"


async def test_act_without_an_answer_in_time_is_looked_at(file: Path, world: World) -> None:
    world.answers["do shut"] = asyncio.Event().wait
    view, kinds = await run(file, world, {"steps": [act("shut", timeout_s=0.05)]})
    assert view.state == "NEEDS_DECISION"
    assert kinds[-2:] == ["act.interrupted", "act.unknown"]


async def test_proof_that_nothing_was_sent_asks_without_looking(file: Path, world: World) -> None:
    world.answers["do egress"] = NotSent("connect refused")
    view, kinds = await run(file, world)
    assert view.state == "NEEDS_DECISION"
    assert view.question is not None
    assert view.question.text == "egress: nothing was sent: connect refused"
    assert kinds[-1] == "act.not_sent"
    assert world.device == Device()


@pytest.mark.parametrize(
    ("freeze_at", "ended"), [("do shut", "act.not_sent"), ("after v4 of do shut", "act.interrupted")]
)
async def test_driver_that_was_frozen_sends_nothing_more(
    where: Where, world: World, freeze_at: str, ended: str
) -> None:
    clock = [0.0]

    async def freeze() -> None:
        clock[0] += 60

    world.answers[freeze_at] = freeze
    async with console(where, world, boottime=lambda: clock[0]) as (journal, engine):
        row = await journal.create_run(book({"steps": [act("shut")]}))
        view = await engine.drive(row.run_id, row.fence)
        kinds = [event.kind for event in await journal.events(row.run_id)]
    assert view.state == "NEEDS_DECISION"
    assert ended in kinds
    assert world.device.values["shut/v6"] == 100


async def test_driver_that_lost_the_run_reports_late_and_stops(where: Where, world: World) -> None:
    async with console(where, world) as (journal, engine), console(where, World(world.device), "bob") as (other, _):
        row = await journal.create_run(book({"steps": [act("shut")]}))

        async def taken_over() -> None:
            await other.claim(row.run_id, force=True)

        world.answers["after v6 of do shut"] = taken_over
        with pytest.raises(FenceLost):
            await engine.drive(row.run_id, row.fence)
        last = (await journal.events(row.run_id))[-1]
        assert (last.kind, last.fence, last.actor) == ("late.act.result", None, "alice")
        assert (await view_of(journal, row.run_id)).state == "RUNNING"


async def test_wait_ends_when_the_run_is_taken_over(file: Path, world: World) -> None:
    world.answers["wait empty"] = asyncio.Event().wait
    async with console(file, world) as (journal, engine), console(file, World(), "bob") as (other, _):
        row = await journal.create_run(book())
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        async for event in other.follow(row.run_id):
            if event.kind == "wait.progress":
                break
        await other.claim(row.run_id, force=True)
        with pytest.raises(FenceLost):
            await asyncio.wait_for(driving, ITS_OWN_S * 2 / 3)


async def test_send_is_forbidden_once_the_run_was_taken_over(where: Where, world: World) -> None:
    async with console(where, world) as (journal, engine), console(where, World(), "bob") as (other, _):
        row = await journal.create_run(book({"steps": [act("shut")]}))

        def refused() -> bool:
            try:
                world.send_allowed()
            except WindowPassed:
                return True
            return False

        async def taken_over() -> None:
            await other.claim(row.run_id, force=True)
            await until(refused, "this console hears that it lost the run")

        world.answers["do shut"] = taken_over
        with pytest.raises(FenceLost):
            await engine.drive(row.run_id, row.fence)
    assert world.device == Device()


async def test_failed_verification_asks_and_policy_may_undo(file: Path, world: World) -> None:
    world.answers["verify do shut"] = [Finding(False, "still up")]
    view, _ = await run(file, world, {"steps": [act("shut")]})
    assert view.state == "NEEDS_DECISION"
    world.answers["verify do shut"] = [Finding(False, "still up")]
    fresh = file.with_name("other.db")
    world.device = Device()
    view, _ = await run(fresh, world, {"steps": [act("shut", on_failure="undo")]})
    assert (view.state, view.reason) == ("ROLLED_BACK", "shut: still up")
    assert world.device.values == Device().values


async def test_no_from_the_operator_puts_everything_back(file: Path, world: World) -> None:
    world.answers["confirm clear"] = False
    view, _ = await run(file, world)
    assert (view.state, view.reason) == ("ROLLED_BACK", "clear: not confirmed by alice")
    assert world.device.values == Device().values
    assert world.device.ledger[2:] == [("return", "undo"), ("egress", "undo")]


async def test_nobody_here_to_confirm_leaves_the_run_waiting(file: Path, world: World) -> None:
    world.answers["confirm clear"] = [None]
    async with console(file, world) as (journal, engine):
        row = await journal.create_run(book())
        assert (await engine.drive(row.run_id, row.fence)).state == "WAITING"
        until_there = await engine.drive(row.run_id, row.fence, lambda _view, step: step.id == "clear")
        assert until_there.state == "WAITING"
        await journal.append(row.run_id, "cmd.confirm", step="clear")
        assert (await engine.drive(row.run_id, row.fence)).state == "COMPLETED"


async def test_another_console_confirms_while_this_one_asks(file: Path, world: World) -> None:
    world.answers["confirm clear"] = asyncio.Event().wait
    async with console(file, world) as (journal, engine), console(file, World(), "bob") as (other, _):
        row = await journal.create_run(book())
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        async for event in other.follow(row.run_id):
            if (event.kind, event.step) == ("step.started", "clear"):
                await other.append(row.run_id, "cmd.confirm", step="clear")
                break
        assert (await driving).state == "COMPLETED"


async def test_abort_ends_a_wait_but_never_an_act(file: Path, world: World) -> None:
    acting = asyncio.Event()

    async def slow() -> None:
        acting.set()
        await heard.wait()

    heard = asyncio.Event()
    world.answers |= {"after v4 of do return": slow, "wait empty": asyncio.Event().wait}
    async with console(file, world) as (journal, engine), console(file, World(), "bob") as (other, _):
        row = await journal.create_run(book())
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        await acting.wait()
        abort = await other.append(row.run_id, "cmd.abort", data={"reason": "storm"})
        async for event in journal.follow(row.run_id):
            if event.seq == abort.seq:
                break
        assert not driving.done()
        heard.set()
        view = await driving
    assert (view.state, view.reason) == ("ROLLED_BACK", "storm")
    assert world.device.ledger == [("egress", "do"), ("return", "do"), ("return", "undo"), ("egress", "undo")]

    world.device.ledger.clear()
    world.answers = {"wait empty": asyncio.Event().wait}
    async with console(file, world) as (journal, engine), console(file, World(), "bob") as (other, _):
        row = await journal.create_run(book())
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        async for event in other.follow(row.run_id):
            if event.kind == "wait.progress":
                assert event.data == {"mbps": 3}
                await other.append(row.run_id, "cmd.decide", data={"choice": "skip"}, reply_to=1)
                await other.append(row.run_id, "cmd.pause")
                await other.append(row.run_id, "cmd.abort")
                break
        view = await driving
        kinds = [event.kind for event in await journal.events(row.run_id)]
    assert (view.state, view.reason) == ("ROLLED_BACK", "aborted by bob")
    assert "cmd.rejected" in kinds
    assert world.device.values == Device().values


async def test_pause_holds_between_steps_until_resumed(file: Path, world: World) -> None:
    async with console(file, world) as (journal, engine), console(file, World(), "bob") as (other, _):
        row = await journal.create_run(book())

        async def pause() -> None:
            await other.append(row.run_id, "cmd.pause")

        world.answers["after v4 of do egress"] = pause
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        async for event in other.follow(row.run_id):
            if (event.kind, event.step) == ("verify.ok", "return"):
                break  # both halves, in spite of the pause
        assert (await view_of(other, row.run_id)).state == "PAUSED"
        await other.append(row.run_id, "cmd.resume")
        assert (await driving).state == "COMPLETED"


async def test_ctrl_c_in_an_act_is_written_down_and_looked_at(file: Path, world: World) -> None:
    acting = asyncio.Event()

    async def hang() -> None:
        acting.set()
        await asyncio.Event().wait()

    world.answers["after v4 of do shut"] = [hang]
    async with console(file, world) as (journal, engine):
        row = await journal.create_run(book({"steps": [act("shut")]}))
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        await acting.wait()
        driving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await driving
        assert (await journal.events(row.run_id))[-1].kind == "act.interrupted"
        assert (await journal.run(row.run_id)).closed_at is None
        assert (await engine.drive(row.run_id, row.fence)).state == "NEEDS_DECISION"  # it is mixed
        await engine.request_rollback(row.run_id, row.fence, "put it back")
        assert (await engine.drive(row.run_id, row.fence)).state == "ROLLED_BACK"
        with pytest.raises(RunClosed):
            await engine.request_rollback(row.run_id, row.fence, "again")
    assert world.device.values == Device().values


async def test_what_was_put_back_by_hand_is_not_undone_again(file: Path, world: World) -> None:
    world.answers["confirm clear"] = [None]
    async with console(file, world) as (journal, engine):
        row = await journal.create_run(book())
        await engine.drive(row.run_id, row.fence)
        world.device.values |= {"return/v4": 100, "return/v6": 100}
        await engine.request_rollback(row.run_id, row.fence, "enough")
        assert (await engine.drive(row.run_id, row.fence)).state == "ROLLED_BACK"
    assert world.device.ledger[2:] == [("egress", "undo")]
    assert world.device.values == Device().values


async def test_undo_that_cannot_be_seen_asks(file: Path, world: World) -> None:
    world.answers |= {"confirm clear": False, "observe return": [OSError("no route")]}
    async with console(file, world) as (journal, engine):
        row = await journal.create_run(book())
        view = await engine.drive(row.run_id, row.fence)
        assert (view.state, view.direction) == ("NEEDS_DECISION", "rollback")
        assert len(world.device.ledger) == 2
        await engine.request_rollback(row.run_id, row.fence, "look again")
        assert (await engine.drive(row.run_id, row.fence)).state == "ROLLED_BACK"


async def test_notes_that_fail_or_hang_never_stop_a_run(file: Path, world: World) -> None:
    world.answers["tell"] = [OSError("502"), asyncio.Event().wait]
    async with console(file, world, tell_s=0.05) as (journal, engine):
        row = await journal.create_run(book())
        view = await engine.drive(row.run_id, row.fence)
        kinds = [event.kind for event in await journal.events(row.run_id)]
    assert view.state == "COMPLETED"
    assert kinds.count("note.failed") == 2


async def test_notes_that_were_not_told_are_named(file: Path, world: World) -> None:
    world.answers |= {"tell": asyncio.Event().wait, "wait empty": asyncio.Event().wait}
    async with console(file, world) as (journal, engine):
        row = await journal.create_run(book())
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        async for event in journal.follow(row.run_id):
            if event.kind == "wait.progress":
                break
        driving.cancel()
        await asyncio.wait({driving})
        events = await journal.events(row.run_id)
    written = [e.seq for e in events[1:] if e.kind not in {"wait.progress", "note.failed"}]
    assert [e.reply_to for e in events if e.kind == "note.failed"] == written


async def test_undo_run_is_an_ordinary_definition(file: Path, world: World) -> None:
    view, _ = await run(file, world, {"steps": [act("shut")]})
    inverse = {"steps": [act("shut", before=120, after=100)]}
    async with console(file, world) as (journal, engine):
        row = await journal.create_run(book(inverse, undo_of=view.run_id))
        undone = await engine.drive(row.run_id, row.fence)
    assert (undone.state, undone.undo_of) == ("COMPLETED", view.run_id)
    assert world.device.values == Device().values


async def test_nothing_is_left_running_after_a_drive(file: Path, world: World) -> None:
    async with console(file, world) as (journal, engine):
        row = await journal.create_run(book())
        await engine.drive(row.run_id, row.fence)
        names = {"notes", f"watch {row.run_id}"}
        await until(lambda: not names & {t.get_name() for t in asyncio.all_tasks()}, "the drive's tasks end")
