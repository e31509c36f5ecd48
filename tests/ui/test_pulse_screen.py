"""Pulse and Paths: what is seen, how old it is, and that nothing makes the keys wait."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from time import monotonic

import pytest

from console.ui.app import InterlockApp
from console.ui.desk_port import Connection
from console.ui.screens.pulse import PulseScreen
from console.ui.widgets.header import Header
from console.ui.widgets.lines import Lines
from console.ui.widgets.path_table import PathTable
from network.measured import ProbeResult
from network.observation import Kind
from network.verdict import Verdict
from tests.sample import healthy, seen
from tests.ui.world import SilentSource, StillSource, World, judged, press, raw, wait_for, with_faults

WIDE, NARROW = (120, 40), (80, 24)


def table(app: InterlockApp) -> PathTable:
    return app.screen.query_one(PathTable)


def listed(app: InterlockApp) -> list[str]:
    return [str(key.value) for key in table(app).rows]


def text(app: InterlockApp) -> str:
    """Everything that stands on the screen."""
    words = [lines.text for lines in app.screen.query(Lines).results()]
    for each in app.screen.query(PathTable).results():
        words += [" ".join(str(cell) for cell in each.get_row(key)) for key in each.rows]
    words += [str(w.border_title or "") + str(w.border_subtitle or "") for w in app.screen.query("*").results()]
    return "\n".join(words)


async def test_screens_are_there_before_anything_is_connected(world: World) -> None:
    connected = asyncio.Event()

    async def late(_operator: object) -> Connection:
        await connected.wait()
        return Connection(StillSource(raw(healthy(world.site))))

    app = InterlockApp(world.site, late, mode="LAB", operator="alice", write=False, clock=world.clock)
    async with app.run_test(size=NARROW) as pilot:
        await wait_for(lambda: "connecting …" in app.screen.query_one("#sources", Lines).text, "it says so")
        await press(pilot, "4", "1")
        assert "connecting …" in text(app)
        assert app.sight.health is None
        connected.set()
        await judged(app)
        assert "connecting …" not in text(app)


@pytest.mark.alone
async def test_source_that_never_answers_leaves_keys_answered(world: World) -> None:
    app = world.app(source=SilentSource, desk=False)
    async with app.run_test(size=NARROW):
        await judged(app)
        took = list[float]()
        for key, row in (("j", 1), ("j", 2), ("G", 7), ("g", 0), ("j", 1)):
            began = monotonic()
            app.simulate_key(key)
            await wait_for(lambda row=row: table(app).cursor_row == row, f"{key} is answered")  # type: ignore[misc]
            took.append(monotonic() - began)
        assert sorted(took)[2] < 0.1
        assert max(took) < 0.5, "a collection of this process's garbage may fall into one of them"


async def test_old_data_turns_to_a_question_mark(world: World) -> None:
    app = world.app(source=SilentSource, desk=False)
    async with app.run_test(size=NARROW):
        await judged(app)
        assert str(table(app).get_cell("azure/er-primary", "mark")) == "="
        world.clock.later(60)
        await wait_for(lambda: str(table(app).get_cell("azure/er-primary", "mark")) == "?", "the figure is old")
        assert "? 1m00s" in str(table(app).get_cell("azure/er-primary", "here"))
        assert "? oldest 1m00s" in app.screen.query_one(Header).text
        assert "HEALTHY" not in text(app)


async def test_only_changed_cells_are_rewritten(world: World) -> None:
    app = world.app(desk=False)
    async with app.run_test(size=WIDE):
        await judged(app)
        before = table(app).rewritten
        assert world.source is not None
        world.source.put(seen(Kind.PROBE, "aws/dx-2", ProbeResult(3, 3, 77.7)))
        await wait_for(lambda: "77.7" in str(table(app).get_cell("aws/dx-2", "rtt")), "the new rtt is shown")
        assert table(app).rewritten == before + 1


async def test_many_changes_are_drawn_at_most_four_times_a_second(world: World) -> None:
    app = world.app(desk=False)
    async with app.run_test(size=WIDE):
        await judged(app)
        assert world.source is not None
        began, before = monotonic(), table(app).rewritten
        for n in range(300):
            world.source.put(seen(Kind.PROBE, "aws/dx-2", ProbeResult(3, 3, 10.0 + n / 10)))
            await asyncio.sleep(0)  # each of them could be drawn
        await wait_for(lambda: "39.9" in str(table(app).get_cell("aws/dx-2", "rtt")), "the last rtt is shown")
        assert table(app).rewritten - before <= 4 * (monotonic() - began) + 1


async def test_enter_shows_the_layers_and_the_raw_evidence(world: World) -> None:
    world.snapshot = with_faults(world.site, raw(healthy(world.site)))
    app = world.app(desk=False)
    async with app.run_test(size=WIDE) as pilot:
        await judged(app)
        table(app).move_cursor(row=table(app).get_row_index("aws/dx-1"))
        await press(pilot, "enter")
        await wait_for(lambda: "hold timer expired" in text(app), "why its session is down")
        assert "bgp_there  down" in text(app)
        await press(pilot, "escape")
        await wait_for(lambda: isinstance(app.screen, PulseScreen), "back")
        table(app).move_cursor(row=table(app).get_row_index("aws/dx-2"))
        await press(pilot, "e")
        await wait_for(lambda: "$ show bgp summary json" in text(app), "the command behind it")
        assert '{"peer": "dx-2", "state": "Established"}' in text(app)
        assert app.screen.commands() == "show bgp summary json"  # type: ignore[attr-defined]


async def test_faults_only_and_filter(world: World) -> None:
    world.snapshot = with_faults(world.site, raw(healthy(world.site)))
    app = world.app(desk=False)
    async with app.run_test(size=NARROW) as pilot:
        await judged(app)
        await press(pilot, "exclamation_mark")
        await wait_for(lambda: listed(app) == ["azure/vpn-2", "aws/dx-1"], "the faults")
        await press(pilot, "exclamation_mark", "slash", *"role=backup", "enter")
        backups = {f"{cloud}/vpn-{n}" for cloud in ("azure", "aws") for n in (1, 2)}
        await wait_for(lambda: set(listed(app)) == backups, "those with the role")
        await press(pilot, "slash", *["backspace"] * len("role=backup"), *"!vpn", "enter")
        await wait_for(lambda: len(listed(app)) == 4 and not backups.intersection(listed(app)), "the others")
        await press(pilot, "slash", *["backspace"] * len("!vpn"), *"(", "enter")
        await wait_for(lambda: "fields:" in str(table(app).border_subtitle), "what is wrong with it")
        assert len(listed(app)) == 8
        await press(pilot, "slash", "escape")
        await wait_for(lambda: not table(app).border_subtitle, "no filter")


async def test_freeze_stops_the_figures_and_shows_for_how_long(world: World) -> None:
    app = world.app(desk=False)
    async with app.run_test(size=NARROW) as pilot:
        await judged(app)
        await press(pilot, "space")
        world.clock.later(41)
        await wait_for(lambda: "FROZEN 41 s" in app.screen.query_one(Header).text, "the age of the frozen screen")
        assert str(table(app).get_cell("aws/dx-1", "mark")) == "="
        await press(pilot, "space")
        await wait_for(lambda: str(table(app).get_cell("aws/dx-1", "mark")) == "?", "it goes on")


@pytest.mark.parametrize("no_color", [False, True])
async def test_every_verdict_is_told_apart_without_colour(
    world: World, monkeypatch: pytest.MonkeyPatch, *, no_color: bool
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    snapshot = with_faults(world.site, raw(healthy(world.site)))
    kept = {key: item for key, item in snapshot.observations.items() if key != (Kind.ATTACHMENT, "aws/vpn-2")}
    lossy = seen(Kind.PROBE, "azure/vpn-1", ProbeResult(10, 5, 9.0))
    world.snapshot = replace(snapshot, observations=kept).with_observations([lossy])
    app = world.app(desk=False, theme=None if no_color else "mono")
    async with app.run_test(size=NARROW):
        await judged(app)
        assert app.sight.health is not None
        marks = {path.verdict: str(table(app).get_cell(path.name, "mark")) for path in app.sight.health.paths}
        assert set(marks) == set(Verdict) - {Verdict.NONE}
        assert len(set(marks.values())) == len(marks)
        assert app.theme == "mono"
        assert app.no_color is no_color
    if no_color:
        os.environ.pop("NO_COLOR", None)


async def test_too_small_says_how_many_are_down(world: World) -> None:
    world.snapshot = with_faults(world.site, raw(healthy(world.site)))
    app = world.app(desk=False)
    async with app.run_test(size=(50, 12)):
        await judged(app)
        await wait_for(lambda: app.screen.query_one("#too-small").display, "it says that there is no room")
        assert "1 DOWN" in app.screen.query_one("#too-small", Lines).text
        assert not app.screen.query_one("#body").display


async def test_failing_source_is_named_with_its_reason(world: World) -> None:
    world.snapshot = with_faults(world.site, raw(healthy(world.site)))
    app = world.app(desk=False)
    async with app.run_test(size=NARROW):
        await judged(app)
        said = app.screen.query_one("#sources", Lines).text
        assert said == "? megaport 429 too many requests, last answer 41 s ago"


async def test_connection_that_cannot_be_made_is_said(world: World) -> None:
    async def refused(_operator: object) -> object:
        raise OSError("no such thing")

    app = InterlockApp(world.site, refused, mode="LIVE", operator="alice", write=False, clock=world.clock)  # type: ignore[arg-type]
    async with app.run_test(size=NARROW):
        sources = app.screen.query_one("#sources", Lines)
        await wait_for(lambda: "not connected: no such thing" in sources.text, "the reason is shown")
