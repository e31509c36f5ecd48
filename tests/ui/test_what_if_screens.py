"""The forecast and the calendar on screens, the feed in its cloud's box, and the runbook beside an alert."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from textual.pilot import Pilot

from console.ui.app import InterlockApp
from console.ui.widgets.lines import Lines
from network.events import Events, ProviderEvent
from network.measured import FeedResult
from network.observation import Kind, Observation
from tests.sample import NOW, healthy, seen
from tests.truth import World as Network
from tests.truth import snapshot_of
from tests.ui.test_pulse_screen import NARROW, WIDE, text
from tests.ui.world import World, judged, press, wait_for, with_faults

MAINTENANCE = ProviderEvent(
    "CSS-7", "megaport", "maintenance", "announced", "Software upgrade", NOW + timedelta(days=2),
    NOW + timedelta(days=2, hours=4), ("port-a",),
)  # fmt: skip
MEANWHILE = ProviderEvent(
    "VNT9-8", "azure", "maintenance", "announced", "ExpressRoute maintenance", NOW + timedelta(days=2, hours=1),
    NOW + timedelta(days=2, hours=2), ("er-secondary",),
)  # fmt: skip


def planned(*events: ProviderEvent) -> list[Observation]:
    systems = ("megaport", "azure", "aws", "servicenow")
    by = {system: tuple(event for event in events if event.system == system) for system in systems}
    return [seen(Kind.EVENTS, system, Events(found)) for system, found in by.items()]


def foreseeable(world: World) -> None:
    """Everything is known that a forecast needs."""
    loads = {vxc.name: 100.0 for vxc in world.site.vxcs} | {tunnel.name: 2.0 for tunnel in world.site.tunnels}
    known = snapshot_of(Network(world.site, p95=loads)).observations.values()
    world.snapshot = healthy(world.site).with_observations([*known, *planned(MAINTENANCE, MEANWHILE)])


def shown(app: InterlockApp, name: str) -> str:
    lines = app.screen.query_one(f"#{name}", Lines)
    return f"{lines.border_title}\n{lines.text}"


async def test_what_if_says_who_carries_then_and_goes_along_the_path(world: World) -> None:
    foreseeable(world)
    app = world.app(desk=False)
    async with app.run_test(size=NARROW) as pilot:
        await judged(app)
        await press(pilot, "f")
        await wait_for(lambda: "er-primary -> er-secondary" in shown(app, "forecast"), "one cloud")
        await wait_for(lambda: "dx-1 -> dx-2" in shown(app, "forecast"), "and the other")
        assert "IF port-a FAILS" in shown(app, "forecast")
        await press(pilot, "n", "n")
        await wait_for(lambda: "IF er-primary FAILS" in shown(app, "forecast"), "what the path runs over next but one")
        assert "dx-1 -> dx-1" in shown(app, "forecast")
        await press(pilot, "d")
        await wait_for(lambda: "IF er-primary IS DRAINED" in shown(app, "forecast"), "what else could happen to it")
        await press(pilot, "p", "p", "p")
        await wait_for(lambda: "fabric" in shown(app, "forecast").splitlines()[0], "it goes round")
        await press(pilot, "escape")
        await wait_for(lambda: app.screen.query("#clouds"), "back")


async def test_what_is_not_known_is_no_forecast(world: World) -> None:
    app = world.app(desk=False)
    async with app.run_test(size=NARROW) as pilot:
        await judged(app)
        await press(pilot, "f")
        await wait_for(lambda: "-> . UNKNOWN" in shown(app, "forecast"), "nothing is foretold")


async def test_the_calendar_lists_what_is_planned_and_where_it_meets(world: World) -> None:
    foreseeable(world)
    app = world.app(desk=False)
    async with app.run_test(size=NARROW) as pilot:
        await judged(app)
        assert "calendar" in text(app) or "er-secondary" in text(app)
        await press(pilot, "c")
        await wait_for(lambda: "port-a: Software upgrade" in shown(app, "calendar"), "what is planned")
        said = shown(app, "calendar")
        assert "the next 14 days" in said
        assert "! " in said, "two at once that a cloud does not survive as well"


async def test_a_system_that_tells_no_plans_is_not_taken_for_one_without(world: World) -> None:
    world.snapshot = healthy(world.site)
    app = world.app(desk=False)
    async with app.run_test(size=NARROW) as pilot:
        await judged(app)
        await press(pilot, "c")
        await wait_for(lambda: "what megaport plans is not known" in shown(app, "calendar"), "it is said")


@pytest.mark.parametrize(
    ("fact", "words", "brief"),
    [
        (
            FeedResult(ok=True, latency_ms=12, why="", good=9_900, total=10_000),
            "forecasting 99.00 %  budget 96 %",
            "= feed 99.00 %",
        ),
        (
            FeedResult(ok=False, latency_ms=None, why="refused", good=10, total=12),
            "forecasting FAILS: refused",
            "X feed FAILS",
        ),
        (None, "forecasting: unknown", ". feed"),
    ],
)
async def test_the_feed_stands_in_its_clouds_box(world: World, fact: FeedResult | None, words: str, brief: str) -> None:
    world.snapshot = healthy(world.site).with_observations([seen(Kind.FEED, "forecasting", fact)] if fact else [])
    app = world.app(desk=False)
    async with app.run_test(size=WIDE):
        await judged(app)
        assert words in shown(app, "cloud-azure")
        assert "forecasting" not in shown(app, "cloud-aws")
    app = world.app(desk=False)
    async with app.run_test(size=NARROW):
        await judged(app)
        assert brief in shown(app, "cloud-azure"), "where there is no room for a line it is in the title"


async def test_an_alert_names_a_runbook_that_fits_and_exists(world: World) -> None:
    world.snapshot = with_faults(world.site, healthy(world.site))
    app = world.app(desk=False)
    async with app.run_test(size=(160, 40)):
        await judged(app)
        hints = [line for line in shown(app, "alerts").splitlines() if " > " in line]
        assert all("drain-port port=" in line for line in hints), hints


def opened(app: InterlockApp, *keys: str) -> Any:
    async def before(pilot: Pilot[None]) -> None:
        await judged(app)
        await press(pilot, *keys)
        box = app.screen.query("#forecast, #calendar").first(Lines)
        await wait_for(lambda: box.text and (box.id == "calendar" or wide(box.text)), "its lines fit the box")

    return before


def wide(said: str) -> bool:
    return max(map(len, said.splitlines()), default=0) > 60


@pytest.mark.parametrize("keys", [("f",), ("c",)], ids=["forecast", "calendar"])
def test_pictures(world: World, snap_compare: Any, keys: tuple[str, ...]) -> None:
    foreseeable(world)
    app = world.app(desk=False)
    assert snap_compare(app, terminal_size=NARROW, run_before=opened(app, *keys))


async def test_a_vpn_path_shows_whether_it_would_carry(world: World) -> None:
    foreseeable(world)
    app = world.app(desk=False)
    async with app.run_test(size=WIDE) as pilot:
        await judged(app)
        await press(pilot, "j", "j", "enter")
        await wait_for(lambda: "would carry: " in shown(app, "proof"), "what proves it")
        assert all(mark in shown(app, "proof") for mark in ("ike", "bgp", "rides", "coverage", "probe"))
        await press(pilot, "escape", "k", "enter")
        await wait_for(lambda: "er-secondary" in shown(app, "layers"), "another path")
        assert not app.screen.query_one("#proof").display, "a private path has no tunnel to prove"
