"""The dead-man of a run: from act to confirm the console's silence restores; in a hold its death means hold."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from runbooks.driving import Driving
from runbooks.effects import Finding
from runbooks.engine import view_of
from runbooks.machine import fold
from runbooks.model import StepDef
from runbooks.ops import Disarm, next_op
from runbooks.perform import Performer
from runbooks.view import RunView, Timer
from tests.engine.little_device import Clock, Device, World, act, book, console, until
from tests.engine.little_network import SITE, LittleScene, steps

SECONDS = 60.0  # it is over in no test that does not ask for a shorter one
SHORT_S = 0.6
CLEAR = {"id": "clear", "kind": "confirm"}
EMPTY = {"id": "empty", "kind": "wait_until", "timeout_s": 30}


def armed(name: str = "egress", seconds: float = SECONDS) -> dict[str, Any]:
    return act(name, deadman_s=seconds)


async def run(file: Path, world: World, *each: dict[str, Any], **more: Any) -> tuple[RunView, list[str]]:
    async with console(file, world, **more) as (journal, engine):
        row = await journal.create_run(book({"steps": list(each)}))
        view = await engine.drive(row.run_id, row.fence)
        return view, [event.kind for event in await journal.events(row.run_id)]


async def test_it_is_armed_before_the_first_send_and_gone_before_the_close(file: Path, world: World) -> None:
    order: list[str] = []
    world.moment = lambda name: order.append(name) if name.split()[0] in {"arm", "sent", "disarm"} else None
    view, kinds = await run(file, world, armed())
    assert view.state == "COMPLETED"
    assert order == ["arm egress", "sent v4 of do egress", "sent v6 of do egress", "disarm egress"]
    assert kinds[-3:] == ["verify.ok", "deadman.disarmed", "run.closed"]
    assert world.timers == {}
    assert world.fired == []


async def test_the_intent_says_what_is_armed_where_and_for_how_long(file: Path, world: World) -> None:
    async with console(file, world) as (journal, engine):
        row = await journal.create_run(book({"steps": [armed()]}))
        await engine.drive(row.run_id, row.fence)
        events = await journal.events(row.run_id)
    intent = next(event for event in events if event.kind == "act.intent")
    assert intent.data["deadman"] == {"id": f"{row.run_id}-egress-a1", "seconds": SECONDS, "places": ["device"]}
    view = fold([StepDef.model_validate(armed())], events[: intent.seq])
    assert view.steps[0].armed == Timer(f"{row.run_id}-egress-a1", SECONDS, ("device",), row.run_id, row.fence)


@pytest.mark.parametrize("failure", [OSError("no route"), asyncio.Event().wait])
async def test_what_cannot_be_armed_is_not_sent(file: Path, world: World, failure: Any) -> None:
    world.answers["arm egress"] = failure
    view, kinds = await run(file, world, armed() | {"window_s": 0.1}, boottime=Clock())
    assert world.device == Device()
    assert view.question is not None
    assert (view.state, view.question.kind) == ("NEEDS_DECISION", "act.not_sent")
    assert "dead-man could not be armed" in view.question.text
    assert kinds[-2:] == ["act.not_sent", "deadman.disarmed"], "some of its places may have been armed"


async def test_what_it_takes_to_get_ready_is_not_of_the_acts_window(file: Path, world: World) -> None:
    """A watchdog is a process that has to start, and to see the network: on a busy machine that outlasts a window."""
    clock = Clock()

    async def slow() -> None:
        clock.now += 50

    world.answers["prepare egress"] = slow
    view, kinds = await run(file, world, armed(), boottime=clock)
    assert (view.state, "act.not_sent" in kinds) == ("COMPLETED", False)
    assert world.device.ledger == [("egress", "do")]


async def test_while_the_driver_lives_it_does_not_fire(file: Path, world: World) -> None:
    async def enough() -> Finding:
        await until(lambda: world.extended >= 6, "two lifetimes of extensions")
        return Finding(None, "not seen")

    world.answers["wait empty"] = enough
    world.answers["extend egress"] = [None, OSError("lost"), None, OSError("lost"), OSError("lost")]

    view, _ = await run(file, world, armed(seconds=SHORT_S), EMPTY)
    assert world.fired == []
    assert view.state == "NEEDS_DECISION"
    assert world.timers == {}, "a question is a hold"


async def test_no_extension_is_restoration_and_the_thawed_console_asks(file: Path, world: World) -> None:
    waits = asyncio.Event()

    async def for_ever() -> None:
        waits.set()
        await asyncio.Event().wait()

    async def cut_off() -> None:
        if waits.is_set() and not world.fired:
            raise OSError("cut off")

    world.answers |= {"wait empty": for_ever, "extend egress": cut_off}
    view, kinds = await run(file, world, armed(seconds=0.3), EMPTY)
    assert len(world.fired) == 1
    assert world.device.values == Device().values
    assert world.device.ledger == [("egress", "do")], "never a second time by itself"
    assert view.question is not None
    assert (view.question.step, view.question.kind) == ("egress", "act.unknown")
    told = [kind for kind in kinds if kind != "wait.progress"]  # which is written beside the driver
    assert told[-3:] == ["deadman.fired", "act.unknown", "deadman.disarmed"]


async def test_a_driver_that_dies_leaves_it_to_fire(file: Path, world: World) -> None:
    world.answers["wait empty"] = asyncio.Event().wait
    async with console(file, world) as (journal, engine):
        row = await journal.create_run(book({"steps": [armed(seconds=SHORT_S), EMPTY]}))
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        await until(lambda: "verify.ok" in world.told, "the act is proven")
        driving.cancel()
        await asyncio.wait({driving})
        assert len(world.timers) == 1
        await until(lambda: world.fired, "it fires")
        assert world.device.values == Device().values
        # The next driver believes nothing: it is told by the device, looks, and asks.
        fence = await journal.claim(row.run_id)
        view = await engine.drive(row.run_id, fence)
    assert view.question is not None
    assert (view.question.step, view.question.kind) == ("egress", "act.unknown")
    assert world.device.ledger == [("egress", "do")]


@pytest.mark.parametrize("hold", ["paused", "asked", "handed over"])
async def test_in_a_hold_nothing_moves_when_the_console_dies(file: Path, world: World, hold: str) -> None:
    world.answers["wait empty"] = asyncio.Event().wait
    world.answers["confirm clear"] = [asyncio.Event().wait]
    each = [armed(seconds=0.3), CLEAR] if hold == "asked" else [armed(seconds=0.3), EMPTY]
    async with console(file, world) as (journal, engine):
        row = await journal.create_run(book({"steps": each}))
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        await until(lambda: "verify.ok" in world.told, "the act is proven")
        if hold != "asked":
            await journal.append(row.run_id, "cmd.pause" if hold == "paused" else "cmd.handover")
        await until(lambda: "deadman.disarmed" in world.told, "the hold disarms")
        driving.cancel()
        await asyncio.wait({driving})
    assert world.timers == {}
    assert world.fired == []
    assert world.device.values["egress/v4"] == 120


async def test_what_has_been_disarmed_is_extended_no_more(file: Path, world: World) -> None:
    world.answers["wait empty"] = asyncio.Event().wait
    async with console(file, world) as (journal, engine):
        row = await journal.create_run(book({"steps": [armed(seconds=600), EMPTY]}))
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        await until(lambda: "verify.ok" in world.told, "the act is proven")
        assert keepers()
        await journal.append(row.run_id, "cmd.pause")
        await until(lambda: "deadman.disarmed" in world.told and not keepers(), "nobody keeps it any more")
        driving.cancel()
        await asyncio.wait({driving})


def keepers() -> list[str]:
    return [name for task in asyncio.all_tasks() if (name := task.get_name()).startswith("keep ")]


async def test_a_driver_that_leaves_to_hold_disarms_before_it_lets_go(file: Path, world: World) -> None:
    world.answers["wait empty"] = asyncio.Event().wait
    async with console(file, world) as (journal, engine):
        row = await journal.create_run(book({"steps": [armed(), EMPTY]}))
        driving = Driving(engine, row.run_id, row.fence)
        await until(lambda: "verify.ok" in world.told, "the act is proven")
        await driving.stop()
        kinds = [event.kind for event in await journal.events(row.run_id)]
    assert kinds[-2:] == ["deadman.disarmed", "driver.released"]
    assert world.timers == {}
    assert world.fired == []


async def test_a_rollback_disarms_once_the_step_is_put_back(file: Path, world: World) -> None:
    world.answers["wait empty"] = asyncio.Event().wait
    async with console(file, world) as (journal, engine):
        row = await journal.create_run(book({"steps": [armed(), EMPTY]}))
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        await until(lambda: "verify.ok" in world.told, "the act is proven")
        await journal.append(row.run_id, "cmd.abort")
        view = await asyncio.wait_for(driving, 20)
        kinds = [event.kind for event in await journal.events(row.run_id)]
    assert view.state == "ROLLED_BACK"
    assert kinds[-3:] == ["verify.ok", "deadman.disarmed", "run.closed"]
    assert world.fired == []


async def test_one_that_does_not_answer_is_a_question_and_can_be_tried_again(file: Path, world: World) -> None:
    world.answers["disarm egress"] = ["edge-1 is silent"] * 2
    async with console(file, world, disarm_pauses_s=(0.01,)) as (journal, engine):
        row = await journal.create_run(book({"steps": [armed()]}))
        view = await engine.drive(row.run_id, row.fence)
        asked = view.question
        assert asked is not None
        assert (asked.kind, asked.step) == ("deadman.unanswered", "egress")
        assert "edge-1 is silent" in asked.text
        assert "60 s after it last heard" in asked.text
        assert len(world.timers) == 1, "it would still fire"
        await journal.append(row.run_id, "cmd.decide", reply_to=asked.seq, data={"choice": "redo"})
        assert (await engine.drive(row.run_id, row.fence)).state == "COMPLETED"
    assert world.timers == {}


async def test_one_that_is_given_up_leaves_nothing_believed(file: Path, world: World) -> None:
    world.answers["disarm egress"] = ["edge-1 is silent"]
    async with console(file, world, disarm_pauses_s=()) as (journal, engine):
        row = await journal.create_run(book({"steps": [armed()]}))
        asked = (await engine.drive(row.run_id, row.fence)).question
        assert asked is not None
        await journal.append(row.run_id, "cmd.decide", reply_to=asked.seq, data={"choice": "accept"})
        view = await engine.drive(row.run_id, row.fence)
        kinds = [event.kind for event in await journal.events(row.run_id)]
    assert view.state == "COMPLETED"
    assert kinds[-4:] == ["cmd.decide", "act.observed", "verify.ok", "run.closed"], "it looked again"


async def test_before_another_attempt_the_old_timer_is_gone(file: Path, world: World) -> None:
    world.answers["after v4 of do egress"] = [ConnectionResetError("gone")]
    async with console(file, world) as (journal, engine):
        row = await journal.create_run(book({"steps": [armed()]}))
        asked = (await engine.drive(row.run_id, row.fence)).question
        assert asked is not None
        assert world.timers == {}
        await journal.append(row.run_id, "cmd.decide", reply_to=asked.seq, data={"choice": "redo"})
        view = await engine.drive(row.run_id, row.fence)
        events = await journal.events(row.run_id)
    assert view.state == "COMPLETED"
    ids = [event.data["deadman"]["id"] for event in events if event.kind == "act.intent"]
    assert ids == [f"{row.run_id}-egress-a1", f"{row.run_id}-egress-a2"]
    assert world.timers == {}


async def test_a_driver_that_lost_the_run_no_longer_extends(file: Path, world: World) -> None:
    world.answers["wait empty"] = asyncio.Event().wait
    async with console(file, world) as (journal, engine), console(file, World(), "bob") as (other, _):
        row = await journal.create_run(book({"steps": [armed(seconds=SHORT_S), EMPTY]}))
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        await until(lambda: "verify.ok" in world.told, "the act is proven")
        await other.claim(row.run_id, force=True)
        await asyncio.wait({driving})
        view = await view_of(other, row.run_id)
        assert next_op(view) != Disarm("egress", f"{row.run_id}-egress-a1")
        await until(lambda: world.fired, "nobody extends it")


async def test_each_router_is_armed_with_its_own_undo() -> None:
    scene = LittleScene()
    step = steps(scene.plan())["move-azure"]
    assert step.deadman_s == SITE.policy.deadman_s
    hands = Performer(scene)
    timer = Timer("R-1-move-azure-a1", 120, tuple(hands.places(step)))
    assert timer.places == ("edge-1",)
    await hands.arm(step, timer)
    seconds, lines, clears = scene.router("edge-1").timers[timer.id]
    assert seconds == 120
    assert list(lines) == step.undo[0]["configure"]
    assert clears == ("clear bgp ipv4 unicast 10.255.1.2 soft",)
    assert await hands.extend(step, timer) == await hands.disarm(step, timer) == {"edge-1": "armed"}
    assert await hands.extend(step, timer) == {"edge-1": "absent"}
