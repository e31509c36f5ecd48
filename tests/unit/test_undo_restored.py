"""After an undo each direction is compared with its own baseline: the way back need not have been the way out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from connectors.errors import Unreachable
from network.inventory import Site
from network.observation import CloudRoute, CloudRoutes, Kind
from network.snapshot import Snapshot
from runbooks.checks.restored import Restored
from runbooks.leftbehind import Traces, left_behind
from runbooks.model import StepDef, steps_of
from runbooks.putback import undo_definition
from tests.engine.little_network import LittleScene
from tests.sample import NOW, healthy, reference, seen

WAYS = {
    "azure": {"carried_by": ["azure/er-primary"], "return_by": ["azure/er-secondary"]},
    "aws": {"carried_by": ["aws/dx-1"], "return_by": ["aws/dx-1"]},
}


@dataclass
class StillScene:
    site: Site
    snapshot: Snapshot

    def now(self) -> datetime:
        return NOW - timedelta(seconds=1)  # what is seen has been seen since the check began

    def look_again(self) -> None:
        pass

    async def newer(self, revision: int, timeout_s: float) -> Snapshot:
        raise AssertionError(f"asked to wait {timeout_s} s after revision {revision}: what it saw did not satisfy it")

    def router(self, name: str) -> Any:
        raise AssertionError(f"a check of routes reads no configuration of {name}")


def last_step(before: dict[str, Any]) -> StepDef:
    original = {"title": "t", "target": "port-a", "locks": [], "steps": [], "before": before, "after": before}
    return steps_of(undo_definition(original, "R-1"))[-1]


def returning_by(site: Site, path: str) -> Snapshot:
    """A healthy site whose counters are not known, where Azure's own table says how it comes back."""
    table = tuple(CloudRoute(str(prefix.prefix), (path,)) for prefix in site.on_prem.prefixes)
    snapshot = healthy(site)
    quiet = [each for each in snapshot.observations.values() if each.kind is not Kind.LINK]
    bare = Snapshot(sources=snapshot.sources).with_observations(quiet)
    return bare.with_observations([seen(Kind.CLOUD_ROUTES, "azure", CloudRoutes(table, "table"))])


async def test_a_way_back_that_differed_before_is_restored_when_it_differs_again() -> None:
    site = reference()
    found = await Restored().check(StillScene(site, returning_by(site, "azure/er-secondary")), last_step(WAYS))
    assert found.ok is True, found.reason
    wanted = {line["what"]: line["want"] for line in found.evidence["expected"]}
    assert wanted["azure out"] == "azure/er-primary"
    assert wanted["azure back"] == "azure/er-secondary"


async def test_a_way_back_that_is_not_as_before_is_not_restored() -> None:
    site = reference()
    over = last_step(WAYS).model_copy(update={"timeout_s": 0.0})
    found = await Restored().check(StillScene(site, returning_by(site, "azure/er-primary")), over)
    assert found.ok is False
    assert "azure back: azure/er-primary, was azure/er-secondary" in found.reason


def undone_drain() -> tuple[LittleScene, StepDef]:
    """A network that is as before a drain of port-a, and the check that ends the drain's undo."""
    scene = LittleScene()
    return scene, steps_of(undo_definition(scene.plan().definition(), "R-1"))[-1]


async def test_an_undo_proves_that_nothing_of_the_run_is_left_on_the_routers_it_touched() -> None:
    scene, last = undone_drain()
    found = await Restored().check(scene, last)
    assert found.ok is True, found.reason
    assert [line["what"] for line in found.evidence["expected"]][-2:] == ["edge-1 leftovers", "edge-1 dead-men"]
    assert {line["what"] for line in last.expect} <= {line["what"] for line in found.evidence["expected"]}


async def test_what_the_run_could_have_made_and_a_dead_man_of_it_are_no_baseline() -> None:
    scene, last = undone_drain()
    router = scene.router("edge-1")
    router.timers["R-1-move-azure-a1"] = (15.0, (), ())
    router.timers["R-2-move-azure-a1"] = (15.0, (), ())  # another run's
    found = await Restored().check(scene, last)
    assert found.ok is False
    assert "edge-1 dead-men: R-1-move-azure-a1" in found.reason
    assert "R-2" not in found.reason


@pytest.mark.parametrize(("value", "ok"), [("120", False), ("190", True)])
async def test_only_a_value_that_the_run_has_sent_is_its_leftover(value: str, ok: bool) -> None:
    scene, last = undone_drain()
    router, unchanged = scene.router("edge-1"), last.model_copy(update={"args": {**last.args}})
    router.text = router.text.replace("set local-preference 200", f"set local-preference {value}", 1)
    left = await left_behind(scene, Traces("R-1", unchanged.args["sent"]))
    assert [line["ok"] for line in left] == [ok, True]


async def test_a_router_that_cannot_be_read_is_not_known_to_be_clean() -> None:
    scene, last = undone_drain()
    scene.router("edge-1").unreadable = Unreachable("no route to it", where="edge-1", do_next="Wait.")
    found = await Restored().check(scene, last)
    assert found.ok is None
    assert "edge-1 leftovers: not known" in found.reason
