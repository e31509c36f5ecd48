"""Guards beside a run: what stops an act, what undoes it, and what only a person may decide."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from console.commands.past import show
from console.folders import state_dir
from console.status import stamp
from runbooks.effects import Finding, GateVerdict, Reading
from runbooks.engine import Engine, view_of
from runbooks.journal import Event, Journal
from runbooks.view import RunView
from tests.engine.little_device import World, act, book, console, until

BLIND, BAD, GOOD = Reading(None, "azure is silent"), Reading(False, "the survivor is lossy"), Reading(True, margin="2")


def guard(policy: str = "hold", name: str = "seen", **more: Any) -> dict[str, Any]:
    return {"name": name, "policy": policy, "k": 2, "n": 3} | more


def steps(*guards: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A guarded pair of acts, and a wait after it."""
    return {
        "steps": [
            act("egress", group="drain", guards=list(guards)),
            act("return", group="drain", guards=list(guards), **more),
            {"id": "empty", "kind": "wait_until", "timeout_s": 30},
        ]
    }


class Run:
    """One run under way: its log, and the commands of other consoles."""

    def __init__(self, journal: Journal, engine: Engine, run_id: str, fence: int) -> None:
        self.journal, self.run_id = journal, run_id
        self.task = asyncio.create_task(engine.drive(run_id, fence))

    async def events(self) -> list[Event]:
        return await self.journal.events(self.run_id)

    async def heard(self, kind: str) -> Event:
        """Wait for the first entry of a kind."""
        async with asyncio.timeout(30):
            async for event in self.journal.follow(self.run_id):
                if event.kind == kind:
                    return event
        raise AssertionError(f"the log ended without {kind}")

    async def say(self, kind: str, **more: Any) -> None:
        await self.journal.append(self.run_id, kind, **more)

    async def ended(self) -> RunView:
        async with asyncio.timeout(30):
            return await self.task

    async def view(self) -> RunView:
        return await view_of(self.journal, self.run_id)

    async def kinds(self) -> list[str]:
        return [event.kind for event in await self.events()]


async def begin(journal: Journal, engine: Engine, definition: dict[str, Any]) -> Run:
    row = await journal.create_run(book(definition))
    return Run(journal, engine, row.run_id, row.fence)


def until_set(event: asyncio.Event) -> Any:
    async def wait() -> Finding:
        await event.wait()
        return Finding(True)

    return wait


class Sight:
    """What a guard says; a test changes it while the run is under way."""

    def __init__(self, now: Reading) -> None:
        self.now = now

    async def __call__(self) -> Reading:
        return self.now


async def test_a_guard_that_is_clear_is_said_before_the_act_and_again_of_what_it_made(file: Path, world: World) -> None:
    world.answers["guard seen"] = Sight(GOOD)
    async with console(file, world) as (journal, engine):
        world.answers["wait empty"] = until_set(told := asyncio.Event())
        run = await begin(journal, engine, steps(guard()))
        async with asyncio.timeout(30):
            async for event in journal.follow(run.run_id):
                if event.kind == "guard.clear" and event.seq > (await run.heard("verify.ok")).seq:
                    break
        told.set()
        assert (await run.ended()).state == "COMPLETED"
        kinds = await run.kinds()
        seen = (await run.view()).guards["seen"]
    assert kinds.count("guard.clear") == 2, "before the group, and once it is moved"
    assert kinds.index("guard.clear") < kinds.index("act.intent")
    assert (seen.state, seen.margin) == ("clear", "2")


async def test_blind_before_the_act_nothing_is_sent_until_it_sees(file: Path, world: World) -> None:
    world.answers["guard seen"] = sight = Sight(BLIND)
    async with console(file, world) as (journal, engine):
        run = await begin(journal, engine, steps(guard("undo")))
        said = await run.heard("guard.unknown")
        view = await run.view()
        assert (view.state, view.unsure, said.data["guard"]) == ("WAITING", {"seen": "azure is silent"}, "seen")
        looked = world.looks
        await until(lambda: world.looks >= looked + 5, "five more looks")
        assert world.device.ledger == []
        assert world.gates == []  # nobody is asked for a permission that could not be used
        sight.now = GOOD
        assert (await run.ended()).state == "COMPLETED"


async def test_show_says_waiting_with_the_guard_and_its_reason(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("INTERLOCK_JOURNAL", raising=False)
    world.answers["guard seen"] = sight = Sight(BLIND)
    async with console(state_dir() / "journal.db", world) as (journal, engine):
        run = await begin(journal, engine, steps(guard("undo")))
        since = (await run.heard("guard.unknown")).ts
        await asyncio.to_thread(show, run.run_id, as_json=True)
        shown = json.loads(capsys.readouterr().out)
        assert (shown["state"], shown["driver_alive"]) == ("WAITING", True)
        seen = {"name": "seen", "state": "unknown", "policy": "undo", "reason": "azure is silent", "margin": ""}
        assert shown["guards"] == [seen | {"since": stamp(since)}]
        assert [step["attempts"] for step in shown["steps"]] == [0, 0, 0]
        await asyncio.to_thread(show, run.run_id, as_json=False)
        assert "guard seen  azure is silent" in capsys.readouterr().out
        sight.now = GOOD
        assert (await run.ended()).state == "COMPLETED"


async def test_nobody_who_watches_is_blindness_not_a_licence(file: Path, world: World) -> None:
    world.answers["guard seen"] = OSError("no network here")
    async with console(file, world) as (journal, engine):
        run = await begin(journal, engine, steps(guard()))
        said = await run.heard("guard.unknown")
        assert said.data["reason"] == "could not be judged: OSError: no network here"
        await run.say("cmd.abort")
        assert (await run.ended()).state == "ROLLED_BACK"
    assert world.device.ledger == []


async def test_blindness_after_the_act_holds_nothing_back_and_undoes_nothing(file: Path, world: World) -> None:
    """A 429 storm: the wait goes on, the guard says that it cannot see, and no traffic moves."""
    world.answers["guard seen"] = sight = Sight(GOOD)
    let = asyncio.Event()
    world.answers["wait empty"] = until_set(let)
    async with console(file, world) as (journal, engine):
        run = await begin(journal, engine, steps(guard("undo")))
        await run.heard("step.started")
        sight.now = BLIND
        await run.heard("guard.unknown")
        assert (await run.view()).state == "WAITING"
        let.set()
        assert (await run.ended()).state == "COMPLETED"
    assert world.device.ledger == [("egress", "do"), ("return", "do")]


async def test_what_was_seen_before_an_act_does_not_count_after_it(file: Path, world: World) -> None:
    """Two bad samples of three trip it; one of these two is of the network as it was."""
    looking = asyncio.Event()

    async def once_it_looks() -> GateVerdict:
        await looking.wait()
        return GateVerdict(open=True)

    async def before_the_act() -> Reading:
        looking.set()
        await until(lambda: "act.intent" in world.told, "an act has begun while this look was under way")
        return BAD

    async def looked_often() -> Finding:
        await until(lambda: world.looks >= 6, "more looks after the act")
        return Finding(True)

    world.answers["guard seen"] = [GOOD, before_the_act, BAD]
    world.answers |= {"gate egress": once_it_looks, "wait empty": looked_often}
    async with console(file, world) as (journal, engine):
        one = {"steps": [act("egress", guards=[guard("undo")]), {"id": "empty", "kind": "wait_until", "timeout_s": 30}]}
        run = await begin(journal, engine, one)
        assert (await run.ended()).state == "COMPLETED"
        assert "guard.tripped" not in await run.kinds()


async def test_blindness_while_an_act_is_being_proven_is_of_the_time_before_it(file: Path, world: World) -> None:
    world.answers["guard seen"] = sight = Sight(GOOD)

    async def proven_late() -> Finding:
        sight.now, looked = BLIND, world.looks
        await until(lambda: world.looks >= looked + 5, "it looks while the act is being proven")
        sight.now = GOOD
        return Finding(True)

    world.answers["verify do egress"] = proven_late
    async with console(file, world) as (journal, engine):
        run = await begin(journal, engine, {"steps": [act("egress", guards=[guard()])]})
        assert (await run.ended()).state == "COMPLETED"
        assert "guard.unknown" not in await run.kinds()


async def test_observed_harm_after_the_act_interrupts_the_wait_and_undoes(file: Path, world: World) -> None:
    world.answers["guard seen"] = sight = Sight(GOOD)
    world.answers["wait empty"] = until_set(asyncio.Event())
    async with console(file, world) as (journal, engine):
        run = await begin(journal, engine, steps(guard("undo")))
        await run.heard("step.started")
        sight.now = BAD
        view = await run.ended()
        begun = await run.heard("rollback.begin")
    assert (view.state, view.reason) == ("ROLLED_BACK", "guard: the survivor is lossy")
    assert begun.data["baseline"] == "the baseline is healthy"
    assert world.device.ledger == [("egress", "do"), ("return", "do"), ("return", "undo"), ("egress", "undo")]


@pytest.mark.parametrize("found", [Finding(False, "er-primary is lossy"), Finding(None, "er-primary is unknown")])
async def test_no_undo_by_itself_to_a_baseline_that_is_not_proven(file: Path, world: World, found: Finding) -> None:
    world.answers["guard seen"] = sight = Sight(GOOD)
    world.answers["wait empty"] = until_set(asyncio.Event())
    world.answers["baseline"] = found
    async with console(file, world) as (journal, engine):
        run = await begin(journal, engine, steps(guard("undo")))
        await run.heard("step.started")
        sight.now = BAD
        view = await run.ended()
        assert view.state == "NEEDS_DECISION"
        assert view.question is not None
        assert "the survivor is lossy" in view.question.text, "what is now"
        assert found.reason in view.question.text, "and what the undo would lead to"
        assert world.device.ledger == [("egress", "do"), ("return", "do")]
        # a person's word is never gated
        await run.say("cmd.decide", data={"choice": "rollback"}, reply_to=view.question.seq)
        ended = await engine.drive(run.run_id, 1)
    assert ended.state == "ROLLED_BACK"
    assert world.device.ledger[2:] == [("return", "undo"), ("egress", "undo")]


async def test_a_failed_verification_that_would_undo_is_gated_by_the_baseline_too(file: Path, world: World) -> None:
    world.answers["verify do return"] = Finding(False, "nothing moved")
    world.answers["baseline"] = Finding(False, "er-primary is lossy")
    async with console(file, world) as (journal, engine):
        run = await begin(journal, engine, steps(on_failure="undo"))
        view = await run.ended()
        assert view.question is not None
        assert (view.state, view.question.kind, view.question.step) == ("NEEDS_DECISION", "undo.held", "return")
        assert view.question.text == "return: nothing moved; not undone by itself: er-primary is lossy"
        await run.say("cmd.decide", data={"choice": "accept"}, reply_to=view.question.seq)
        world.answers["verify do return"] = Finding(True)
        assert (await engine.drive(run.run_id, 1)).state == "COMPLETED"


async def test_an_automatic_undo_waits_for_a_person_while_another_guard_is_blind(file: Path, world: World) -> None:
    world.answers |= {"guard seen": (seen := Sight(GOOD)), "guard loads": (loads := Sight(GOOD))}
    world.answers["wait empty"] = until_set(asyncio.Event())
    async with console(file, world) as (journal, engine):
        run = await begin(journal, engine, steps(guard("undo"), guard("hold", "loads")))
        await run.heard("step.started")
        loads.now = BLIND
        await run.heard("guard.unknown")
        seen.now = BAD
        view = await run.ended()
    assert view.question is not None
    assert "loads cannot see: azure is silent" in view.question.text
    assert world.device.ledger == [("egress", "do"), ("return", "do")]


async def test_an_abort_is_never_gated(file: Path, world: World) -> None:
    world.answers["baseline"] = Finding(False, "er-primary is lossy")
    world.answers["guard seen"] = Sight(GOOD)
    world.answers["wait empty"] = until_set(asyncio.Event())
    async with console(file, world) as (journal, engine):
        run = await begin(journal, engine, steps(guard("undo")))
        await run.heard("step.started")
        await run.say("cmd.abort")
        assert (await run.ended()).state == "ROLLED_BACK"
    assert ("egress", "undo") in world.device.ledger


async def test_a_word_from_before_an_act_is_no_licence_for_the_next_one(file: Path, world: World) -> None:
    world.answers["guard seen"] = sight = Sight(GOOD)

    async def storm() -> None:
        sight.now = BLIND

    world.answers["after v6 of do egress"] = storm
    definition = {"steps": [act("egress", guards=[guard()]), act("shut", guards=[guard()])]}
    async with console(file, world) as (journal, engine):
        run = await begin(journal, engine, definition)
        await run.heard("guard.unknown")
        assert world.device.ledger == [("egress", "do")]
        sight.now = GOOD
        assert (await run.ended()).state == "COMPLETED"


async def test_harm_before_the_act_refuses_it(file: Path, world: World) -> None:
    world.answers["guard seen"] = Sight(BAD)
    async with console(file, world) as (journal, engine):
        view = await (await begin(journal, engine, steps(guard("undo")))).ended()
    assert (view.state, view.reason, view.why) == ("ROLLED_BACK", "refused", "guard: the survivor is lossy")
    assert world.device.ledger == []


async def test_a_hold_stops_before_the_next_act_and_a_person_may_go_on_over_it(file: Path, world: World) -> None:
    world.answers["guard seen"] = sight = Sight(GOOD)
    let = asyncio.Event()
    world.answers["wait empty"] = until_set(let)
    definition = steps(guard())
    definition["steps"].append(act("shut"))
    async with console(file, world) as (journal, engine):
        run = await begin(journal, engine, definition)
        await run.heard("step.started")
        sight.now = BAD
        await run.heard("guard.tripped")
        assert (await run.view()).state == "PAUSED"
        await run.say("cmd.resume")
        let.set()
        assert (await run.ended()).state == "COMPLETED"
        assert (await run.kinds()).count("guard.tripped") == 1, "what a person has gone over is not said again"


async def test_nothing_stops_between_the_halves_of_a_group(file: Path, world: World) -> None:
    """What is seen while one half is moved is no harm: it is neither before nor after."""
    world.answers["guard seen"] = sight = Sight(GOOD)

    async def half() -> Finding:
        sight.now = BAD
        with suppress(AssertionError):  # five looks would be enough to trip, if anybody looked
            looked = world.looks
            await until(lambda: world.looks >= looked + 5, "five looks while one half is moved", 0.3)
        sight.now = GOOD
        return Finding(True)

    world.answers["verify do egress"] = half
    async with console(file, world) as (journal, engine):
        run = await begin(journal, engine, steps(guard("undo")))
        assert (await run.ended()).state == "COMPLETED"
        assert "guard.tripped" not in await run.kinds()


async def test_a_new_driver_looks_for_itself(file: Path, world: World) -> None:
    world.answers["guard seen"] = sight = Sight(GOOD)
    world.answers["confirm clear"] = None
    definition = steps(guard())
    definition["steps"] += [{"id": "clear", "kind": "confirm"}, act("shut", guards=[guard()])]
    async with console(file, world, dead=True) as (journal, engine):
        run = await begin(journal, engine, definition)
        assert (await run.ended()).state == "WAITING"
    sight.now = BLIND
    world.answers["confirm clear"] = True
    async with console(file, world, "bob") as (journal, engine):
        again = Run(journal, engine, run.run_id, await journal.claim(run.run_id))
        await again.heard("guard.unknown")
        assert ("shut", "do") not in world.device.ledger
        sight.now = GOOD
        assert (await again.ended()).state == "COMPLETED"


async def test_a_watch_that_dies_of_a_bug_ends_the_drive_with_it(file: Path, world: World) -> None:
    class Buggy(World):
        async def look(self, *_: Any) -> Any:
            return None  # no mapping: an error in the watch itself, not in a guard

    async with console(file, Buggy()) as (journal, engine):
        run = await begin(journal, engine, steps(guard()))
        with pytest.raises(AttributeError):
            await run.ended()
        assert "act.intent" not in await run.kinds()
