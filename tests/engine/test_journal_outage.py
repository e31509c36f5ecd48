"""The shared journal goes away in the middle of a run, and comes back: soon, late, taken over, or with less in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from runbooks.effects import Finding, Reading
from runbooks.engine import view_of
from runbooks.journal import Event, FenceLost, Journal, UnknownRun
from runbooks.journal.drain import deliver_leftovers
from runbooks.journal.store import LEASE_S
from tests.engine.little_device import BOOK, Clock, Died, World, act, book, console, until
from tests.engine.shared_journal import Wire, elsewhere
from tests.engine.watcher import Watcher
from tests.postgres import Cluster

pytestmark = pytest.mark.postgres

LONG_S = 120.0  # a lease that no restart of a server outlasts, however busy the machine: after a long outage a run asks


def stops(world: World, cluster: Cluster, at: str, answer: Finding | None = None) -> None:
    """The server dies at this moment of the run."""

    async def stop() -> Finding | None:
        world.answers.pop(at)
        await asyncio.to_thread(cluster.stop)
        return answer

    world.answers[at] = stop


async def read(where: str, run_id: str) -> tuple[list[Event], bool]:
    async with console(where, World(), "reader") as (journal, _):
        return await journal.events(run_id), (await journal.verify(run_id))[0].ok


def sent(world: World) -> list[str]:
    return [step for step, _ in world.device.ledger]


async def test_results_wait_and_the_next_act_does_too(pg_cluster: Cluster, pg_database: str, tmp_path: Path) -> None:
    world, watcher = World(), Watcher()
    stops(world, pg_cluster, "after v6 of do egress")
    async with console(pg_database, world, spool=tmp_path / "spool.db", outage=watcher, lease_s=LONG_S) as (
        journal,
        engine,
    ):
        row = await journal.create_run(book())
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        try:
            await until(lambda: "asked" in watcher.told, "the run holds before its next act")
            assert sent(world) == ["egress"]
            assert journal.spool is not None
            waiting = [entry.kind for entry in await journal.spool.waiting(row.run_id)]
            assert waiting == ["act.result", "verify.ok"]
        finally:
            await asyncio.to_thread(pg_cluster.start)
        view = await asyncio.wait_for(driving, 30)
        assert await journal.spool.waiting(row.run_id) == []
    assert (view.state, sent(world)) == ("COMPLETED", ["egress", "return", "shut"])
    assert watcher.told == ["holding", "asked", "returned 2"]
    events, intact = await read(pg_database, row.run_id)
    assert intact
    kinds = [event.kind for event in events if event.step in {None, "egress"}]
    assert kinds == [
        *("run.created", "gate.passed", "act.intent", "act.result", "verify.ok", "journal.returned", "run.closed"),
    ]
    assert [event.kind for event in events if "spooled_at" in event.data] == ["act.result", "verify.ok"]


async def test_long_outage_asks(pg_cluster: Cluster, pg_database: str, tmp_path: Path) -> None:
    world, watcher, clock = World(), Watcher(), Clock()
    stops(world, pg_cluster, "check safe", Finding(True))
    settings: dict[str, Any] = {"boottime": clock, "spool": tmp_path / "spool.db", "outage": watcher}
    async with console(pg_database, world, **settings) as (journal, engine):
        row = await journal.create_run(book())
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        try:
            await until(lambda: "asked" in watcher.told, "the run holds before its first gate")
            clock.now += LEASE_S + 1
        finally:
            await asyncio.to_thread(pg_cluster.start)
        await until(lambda: "returned 1" in watcher.told, "the journal is back")
        async with console(pg_database, World(), "bob") as (other, _):
            assert (await view_of(other, row.run_id)).state == "PAUSED"
            returned = next(e for e in await other.events(row.run_id) if e.kind == "journal.returned")
            assert "look, then resume" in returned.data["reason"]
            assert sent(world) == []
            await other.append(row.run_id, "cmd.resume")
        assert (await asyncio.wait_for(driving, 30)).state == "COMPLETED"


async def test_broken_glass_finishes_the_work_and_tells_it_all(
    pg_cluster: Cluster, pg_database: str, tmp_path: Path
) -> None:
    world, watcher = World(), Watcher(reason="both ports dark")
    stops(world, pg_cluster, "after v6 of do egress")
    settings: dict[str, Any] = {"lease_s": LONG_S, "spool": tmp_path / "spool.db", "outage": watcher}
    async with console(pg_database, world, **settings) as (journal, engine):
        row = await journal.create_run(book())
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        try:
            await until(lambda: sent(world) == ["egress", "return", "shut"], "the work is done meanwhile")
            assert not driving.done()
        finally:
            await asyncio.to_thread(pg_cluster.start)
        view = await asyncio.wait_for(driving, 30)
    assert view.state == "COMPLETED"
    events, intact = await read(pg_database, row.run_id)
    assert intact
    kinds = [event.kind for event in events]
    assert kinds.count("act.intent") == kinds.count("act.result") == 3
    glass = next(event for event in events if event.kind == "journal.break_glass")
    assert (glass.data["reason"], glass.actor) == ("both ports dark", "alice")
    local = [event.kind for event in events if "spooled_at" in event.data and event.seq > glass.seq]
    assert [kind for kind in local if kind in {"act.intent", "act.result", "cmd.confirm"}] == [
        *("act.intent", "act.result", "cmd.confirm", "act.intent", "act.result"),
    ]
    assert kinds[-1] == "run.closed"


async def test_glass_is_not_broken_once_the_lease_is_over(
    pg_cluster: Cluster, pg_database: str, tmp_path: Path
) -> None:
    """The reason was typed too late: by then another console may drive, and both would act."""
    # By the clock that stands still nothing but the typing takes time: an act has half a lease to be sent in.
    world, watcher, clock = World(), Watcher(reason="both ports dark", types_after_s=60), Clock()
    stops(world, pg_cluster, "after v6 of do egress")
    settings: dict[str, Any] = {"lease_s": 0.5, "boottime": clock, "spool": tmp_path / "spool.db", "outage": watcher}
    async with console(pg_database, world, **settings) as (journal, engine):
        row = await journal.create_run(book())
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        try:
            await until(lambda: any("lease of 0.5 s has run out" in told for told in watcher.told), "refused")
            clock.now += 1
            assert (sent(world), driving.done()) == (["egress"], False)
            assert journal.spool is not None
            kinds = {entry.kind for entry in await journal.spool.waiting(row.run_id)}
            assert kinds == {"act.result", "verify.ok"}
        finally:
            await asyncio.to_thread(pg_cluster.start)
        await until(lambda: "returned 2" in watcher.told, "the journal is back")
        await journal.append(row.run_id, "cmd.resume")
        assert (await asyncio.wait_for(driving, 30)).state == "COMPLETED"


async def test_glass_that_was_broken_in_time_stays_broken(
    pg_cluster: Cluster, pg_database: str, tmp_path: Path
) -> None:
    """It is begun within the lease, and goes on after it."""
    world, watcher, clock = World(), Watcher(reason="both ports dark"), Clock()
    stops(world, pg_cluster, "after v6 of do egress")

    async def long() -> Finding:
        clock.now += LEASE_S + 1
        return Finding(True)

    world.answers["wait empty"] = long
    settings: dict[str, Any] = {"boottime": clock, "spool": tmp_path / "spool.db", "outage": watcher}
    async with console(pg_database, world, **settings) as (journal, engine):
        row = await journal.create_run(book())
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        try:
            await until(lambda: sent(world) == ["egress", "return", "shut"], "the work is done meanwhile")
        finally:
            await asyncio.to_thread(pg_cluster.start)
        await until(lambda: any(told.startswith("returned") for told in watcher.told), "the journal is back")
        await journal.append(row.run_id, "cmd.resume")
        assert (await asyncio.wait_for(driving, 30)).state == "COMPLETED"


GUARD = {"name": "seen", "policy": "hold", "k": 2, "n": 3}


async def test_act_behind_broken_glass_is_guarded(pg_cluster: Cluster, pg_database: str, tmp_path: Path) -> None:
    """The first act without the journal does harm: the guard stops the second, from what is known here alone."""
    world, watcher = World(), Watcher(reason="both ports dark")

    async def harm() -> Reading:
        return Reading("return" not in sent(world), "flows fell")

    async def patient() -> Finding:
        await until(lambda: journal.spool is not None and "asked" in watcher.told, "the glass is broken")
        looks = world.looks
        await until(lambda: world.looks >= looks + 5, "the guard has looked often enough to trip")
        return Finding(True)

    each = [act("egress"), act("return", guards=[GUARD]), {"id": "empty", "kind": "wait_until", "timeout_s": 20}]
    world.answers |= {"wait empty": patient, "guard seen": harm}
    stops(world, pg_cluster, "after v6 of do egress")
    async with console(pg_database, world, spool=tmp_path / "spool.db", outage=watcher) as (journal, engine):
        row = await journal.create_run(book({"steps": [*each, act("shut")]}))
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        try:
            assert journal.spool is not None
            kinds: list[str] = []
            async with asyncio.timeout(30):
                while "guard.tripped" not in kinds:
                    kinds = [entry.kind for entry in await journal.spool.waiting(row.run_id)]
                    await asyncio.sleep(0.01)
            assert sent(world) == ["egress", "return"]
        finally:
            await asyncio.to_thread(pg_cluster.start)
        await until(lambda: any(told.startswith("returned") for told in watcher.told), "the journal is back")
        async with console(pg_database, World(), "bob") as (other, _):
            assert (await view_of(other, row.run_id)).state == "PAUSED"
            assert sent(world) == ["egress", "return"]
            await other.append(row.run_id, "cmd.abort")
        assert (await asyncio.wait_for(driving, 30)).state == "ROLLED_BACK"
    assert (await read(pg_database, row.run_id))[1]


async def test_dead_men_are_extended_through_an_outage(pg_cluster: Cluster, pg_database: str, tmp_path: Path) -> None:
    """The console lives: that it cannot write is no reason to put the step back under the traffic."""
    world, watcher = World(), Watcher()
    stops(world, pg_cluster, "after v6 of do egress")
    async with console(pg_database, world, spool=tmp_path / "spool.db", outage=watcher, lease_s=LONG_S) as (
        journal,
        engine,
    ):
        row = await journal.create_run(book({"steps": [act("egress", deadman_s=0.6), act("shut")]}))
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        try:
            await until(lambda: "asked" in watcher.told, "it holds before the next act")
            begun = world.extended
            await until(lambda: world.extended >= begun + 7, "more than two of its lives")
            assert (world.fired, len(world.timers), driving.done()) == ([], 1, False)
        finally:
            await asyncio.to_thread(pg_cluster.start)
        assert (await asyncio.wait_for(driving, 30)).state == "COMPLETED"
    assert (world.fired, world.timers) == ([], {})
    assert sent(world) == ["egress", "shut"]


@asynccontextmanager
async def cut_in_the_first_act(world: World, cluster: Cluster, database: str) -> AsyncIterator[tuple[Wire, str]]:
    """A console's wire to the server and its URL by that wire, which is cut when the first act has been done."""
    async with Wire(cluster.port) as wire:

        async def cut() -> None:
            wire.cut()

        world.answers["after v6 of do egress"] = cut
        yield wire, cluster.url(database.rpartition("/")[2], port=wire.port)


async def test_taken_over_meanwhile_it_reports_late_and_stops(
    pg_cluster: Cluster, pg_database: str, tmp_path: Path
) -> None:
    world, watcher = World(), Watcher()
    soon: dict[str, Any] = {"lease_s": 0.5, "boottime": Clock()}  # by the server's clock alone
    quick = {"steps": [step | {"timeout_s": 1} if step["kind"] == "act" else step for step in BOOK["steps"]]}
    async with (
        cut_in_the_first_act(world, pg_cluster, pg_database) as (wire, url),
        console(url, world, spool=tmp_path / "spool.db", outage=watcher, **soon) as (journal, engine),
    ):
        row = await journal.create_run(book(quick))
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        await until(lambda: "asked" in watcher.told, "the old driver holds")
        theirs = World(world.device)
        async with console(pg_database, theirs, identity=elsewhere(), **soon) as (other, second):
            assert await claimed_when_silent(other, row.run_id) == 2
            wire.mend()
            with pytest.raises(FenceLost):
                await asyncio.wait_for(driving, 30)
            late = [event.kind for event in await other.events(row.run_id) if event.kind.startswith("late.")]
            assert late == ["late.act.result", "late.verify.ok"]
            assert (await second.drive(row.run_id, 2)).state == "COMPLETED"
            assert (await other.verify(row.run_id))[0].ok
    assert sent(world) == ["egress", "return", "shut"]  # each once, by the one or the other


async def test_a_persons_word_behind_broken_glass_is_a_report_once_the_run_is_anothers(
    pg_cluster: Cluster, pg_database: str, tmp_path: Path
) -> None:
    """A command needs no fence: brought in as one, an old confirmation would count for the new driver's question."""
    world, watcher = World(), Watcher(reason="both ports dark")
    async with (
        cut_in_the_first_act(world, pg_cluster, pg_database) as (wire, url),
        console(url, world, spool=tmp_path / "spool.db", outage=watcher) as (journal, engine),
    ):
        row = await journal.create_run(book())
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        await until(lambda: sent(world) == ["egress", "return", "shut"], "the work is done meanwhile")
        async with console(pg_database, World(), identity=elsewhere()) as (other, _):
            await other.claim(row.run_id, force=True)
            wire.mend()
            await asyncio.wait({driving}, timeout=30)
            assert isinstance(driving.exception(), FenceLost)
            kinds = [event.kind for event in await other.events(row.run_id)]
    assert ("cmd.confirm" in kinds, "late.cmd.confirm" in kinds) == (False, True)


async def test_an_abort_that_came_while_this_console_was_cut_off_is_heard(
    pg_cluster: Cluster, pg_database: str, tmp_path: Path
) -> None:
    """It stands before the results that were spooled meanwhile: whoever reads on behind those never meets it."""
    world, watcher = World(), Watcher()
    async with (
        cut_in_the_first_act(world, pg_cluster, pg_database) as (wire, url),
        console(url, world, spool=tmp_path / "spool.db", outage=watcher) as (journal, engine),
    ):
        row = await journal.create_run(book())
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        await until(lambda: "asked" in watcher.told, "the driver holds")
        async with console(pg_database, World(), identity=elsewhere()) as (other, _):
            await other.append(row.run_id, "cmd.abort")
        wire.mend()
        assert (await asyncio.wait_for(driving, 30)).state == "ROLLED_BACK"
    assert world.device.ledger == [("egress", "do"), ("egress", "undo")]


async def claimed_when_silent(journal: Journal, run_id: str) -> int:
    end = asyncio.get_running_loop().time() + 30
    while (await journal.run(run_id)).driver_alive:
        assert asyncio.get_running_loop().time() < end, "the cut-off driver's lease never ran out"
        await asyncio.sleep(0.02)
    return await journal.claim(run_id)


def fail_over(url: str, keep: int) -> None:
    """A standby took over that had not received the last entries."""
    with psycopg.connect(url) as server:
        server.execute("ALTER TABLE event DISABLE TRIGGER ALL")
        server.execute("DELETE FROM event WHERE seq > %s", (keep,))
        server.execute("UPDATE run SET head_seq = seq, head_hash = hash FROM event e WHERE e.seq = %s", (keep,))
        server.execute("ALTER TABLE event ENABLE TRIGGER ALL")


@dataclass
class Flapping(Watcher):
    """The line breaks again in the moment in which it is back."""

    wire: Wire | None = None

    def returned(self, _run_id: str, _away_s: float, spooled: int) -> None:
        super().returned(_run_id, _away_s, spooled)
        if self.wire is not None and self.told.count("holding") == 1:
            self.wire.cut()


async def test_line_that_breaks_again_at_once(pg_cluster: Cluster, pg_database: str, tmp_path: Path) -> None:
    world = World()
    async with cut_in_the_first_act(world, pg_cluster, pg_database) as (wire, url):
        watcher = Flapping(wire=wire)
        settings: dict[str, Any] = {"lease_s": LONG_S, "spool": tmp_path / "spool.db", "outage": watcher}
        async with console(url, world, **settings) as (journal, engine):
            row = await journal.create_run(book())
            driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
            await until(lambda: "asked" in watcher.told, "the run holds")
            wire.mend()
            await until(lambda: watcher.told.count("holding") == 2, "it holds again")
            assert not driving.done()
            wire.mend()
            assert (await asyncio.wait_for(driving, 30)).state == "COMPLETED"
    assert sent(world) == ["egress", "return", "shut"]
    assert (await read(pg_database, row.run_id))[1]


async def test_server_that_forgot_gets_it_again_when_a_person_says_so(
    pg_cluster: Cluster, pg_database: str, tmp_path: Path
) -> None:
    world, watcher = World(), Watcher(writes_again=[False, True])
    async with Wire(pg_cluster.port) as wire:
        url = pg_cluster.url(pg_database.rpartition("/")[2], port=wire.port)

        async def cut() -> None:
            wire.cut()
            await asyncio.to_thread(fail_over, pg_database, 3)  # run.created, step.started, check.passed
            wire.mend()

        world.answers["after v6 of do egress"] = cut
        settings: dict[str, Any] = {"lease_s": LONG_S, "spool": tmp_path / "spool.db", "outage": watcher}
        async with console(url, world, **settings) as (journal, engine):
            row = await journal.create_run(book())
            view = await asyncio.wait_for(engine.drive(row.run_id, row.fence), 40)
    assert view.state == "COMPLETED"
    assert [told for told in watcher.told if told.startswith("lost")] == ["lost 2", "lost 2"]
    events, intact = await read(pg_database, row.run_id)
    assert intact
    again = [event.kind for event in events if "spooled_at" in event.data]
    assert again == ["gate.passed", "act.intent", "act.result", "verify.ok"]
    assert sent(world) == ["egress", "return", "shut"]


async def test_server_that_forgot_the_run_ends_the_drive(pg_cluster: Cluster, pg_database: str, tmp_path: Path) -> None:
    world = World()
    async with Wire(pg_cluster.port) as wire:
        url = pg_cluster.url(pg_database.rpartition("/")[2], port=wire.port)

        async def cut() -> None:
            wire.cut()
            await asyncio.to_thread(forget, pg_database)
            wire.mend()

        world.answers["after v6 of do egress"] = cut
        async with console(url, world, spool=tmp_path / "spool.db") as (journal, engine):
            row = await journal.create_run(book())
            with pytest.raises(UnknownRun):
                await asyncio.wait_for(engine.drive(row.run_id, row.fence), 30)
    assert sent(world) == ["egress"]


def forget(url: str) -> None:
    with psycopg.connect(url) as server:
        server.execute("ALTER TABLE event DISABLE TRIGGER ALL")
        server.execute("DELETE FROM event")
        server.execute("DELETE FROM run")


async def test_console_that_died_in_the_outage_left_its_results(
    pg_cluster: Cluster, pg_database: str, tmp_path: Path
) -> None:
    world, spool = World(), tmp_path / "spool.db"
    stops(world, pg_cluster, "after v6 of do egress")
    world.moment = dies_at("verify do egress")
    async with console(pg_database, world, dead=True, spool=spool) as (journal, engine):
        row = await journal.create_run(book())
        with pytest.raises(Died):
            await engine.drive(row.run_id, row.fence)
    world.moment = lambda _name: None
    await asyncio.to_thread(pg_cluster.start)
    async with console(pg_database, world, "bob", spool=spool) as (journal, engine):
        assert journal.spool is not None
        assert await deliver_leftovers(journal, journal.spool) == 1
        assert await deliver_leftovers(journal, journal.spool) == 0
        assert (await journal.events(row.run_id))[-1].kind == "act.result"
        view = await engine.drive(row.run_id, await journal.claim(row.run_id))
        assert (view.state, (await journal.verify(row.run_id))[0].ok) == ("COMPLETED", True)
    assert sent(world) == ["egress", "return", "shut"]


def dies_at(moment: str) -> Callable[[str], None]:
    def die(name: str) -> None:
        if name == moment:
            raise Died(name)

    return die


async def test_act_under_way_sends_no_more_once_the_journal_is_silent(
    pg_cluster: Cluster, pg_database: str, tmp_path: Path
) -> None:
    """Half of an act was sent, then the line broke for longer than the window: the rest is not sent."""
    clock = [0.0]
    world = World()
    async with Wire(pg_cluster.port) as wire:
        url = pg_cluster.url(pg_database.rpartition("/")[2], port=wire.port)

        async def cut_and_freeze() -> None:
            clock[0] += 6
            world.answers.clear()

        world.answers["after v4 of do egress"] = cut_and_freeze
        world.answers["observe egress"] = Finding(None)
        settings: dict[str, Any] = {"boottime": lambda: clock[0], "spool": tmp_path / "spool.db"}
        async with console(url, world, **settings) as (journal, engine):
            row = await journal.create_run(book())
            view = await engine.drive(row.run_id, row.fence)
            interrupted = next(e for e in await journal.events(row.run_id) if e.kind == "act.interrupted")
    assert view.state == "NEEDS_DECISION"
    assert "s after its intent" in interrupted.data["reason"] or "last heard" in interrupted.data["reason"]
    assert world.device.values["egress/v6"] == 100
