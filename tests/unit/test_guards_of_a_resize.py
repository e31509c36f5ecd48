"""The guards of resize-vxc: they judge the VXC's own path and the one that would take over, and no tunnel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from network.observation import Kind, Load, Observation, SessionHere
from runbooks.guards.facts import Facts
from runbooks.model import StepDef
from runbooks.view import PhaseView, RunView, StepView
from tests.engine.test_resize import network, planned
from tests.sample import NOW
from tests.unit.test_guards import BEGAN, RESIZED, event, facts, now, read

ALSO = {"also": "vxc-azure-a"}


def resized(
    *changed: Observation, to: int = 1500, phase: str = "acted", without: Sequence[tuple[Kind, str]] = ()
) -> Facts:
    """A run that sets vxc-azure-a from 1000 Mbps."""
    args = {"vxc": "vxc-azure-a", "from": 1000, "to": to}
    spec = StepDef.model_validate({"id": "rate", "kind": "act", "verb": "set-vxc-rate", "with": args})
    step = StepView(spec, PhaseView(phase, 1))  # type: ignore[arg-type]
    view = RunView(run_id="R", seq=5, steps=(step,), started=BEGAN)
    return Facts(facts(*changed, without=without).moment, RESIZED, view)


def flapped(session: str) -> Observation:
    return now(Kind.SESSION_HERE, session, SessionHere("Established", NOW - timedelta(minutes=1), 2, 3, 100))


def loads(own: float, other: float) -> list[Observation]:
    return [now(Kind.LOAD, "vxc-azure-a", Load(own, 7)), now(Kind.LOAD, "vxc-azure-b", Load(other, 7))]


def test_the_act_and_the_soak_are_watched() -> None:
    steps = {step.id: step for step in planned(network()).steps}
    watching = ["usable-domains", "survivor-load", "no-fresh-flap", "no-maintenance"]
    for name in ("rate", "soak"):
        guards = steps[name].definition["guards"]
        assert [each["name"] for each in guards] == watching
        assert [each["with"].get("also") for each in guards] == [None, None, "vxc-azure-a", "vxc-azure-a"]
    assert steps["fits"].guards == (), "a check finds for itself"


def test_the_vxc_is_counted_as_gone() -> None:
    assert read("usable-domains", resized()).margin.startswith("azure: 2 of 2 failure domains left")
    down = now(Kind.SESSION_HERE, "er-secondary", SessionHere("Idle", NOW - timedelta(minutes=9), 0, 0, 100))
    assert read("usable-domains", resized(down)).ok is False


@pytest.mark.parametrize(
    ("session", "ok"), [("er-primary", False), ("er-secondary", False), ("vpn-azure-1", True), ("dx-1", True)]
)
def test_its_own_path_and_its_survivor_must_not_flap(session: str, ok: bool) -> None:
    assert read("no-fresh-flap", resized(flapped(session)), **ALSO).ok is ok


@pytest.mark.parametrize(("thing", "ok"), [("vxc-azure-a", False), ("port-b", False), ("vpn-azure-1", True)])
def test_nobody_may_work_on_its_own_path_or_on_its_survivor(thing: str, ok: bool) -> None:
    assert read("no-maintenance", resized(event(thing)), **ALSO).ok is ok


def test_a_drained_port_is_no_path_that_must_carry_on() -> None:
    assert read("no-fresh-flap", resized(flapped("er-primary"))).ok is True, "not unless the book says so"


@pytest.mark.parametrize("phase", ["pending", "acted", "done"])
@pytest.mark.parametrize(
    ("to", "own", "other", "ok", "said"),
    [
        (1500, 990, 990, True, ""),  # more room is the cure
        (500, 350, 40, True, ""),
        (500, 351, 0, False, "azure/er-primary carries (p95) 351 of 500 Mbps: more than 70 %"),
        (500, 100, 301, False, "azure/er-primary would carry without azure/er-secondary (p95) 401 of 500 Mbps"),
        (900, 500, 301, False, "azure/er-secondary would carry (p95) 801 of 1000 Mbps"),
    ],
)
def test_a_lower_rate_needs_room_here_and_on_the_other_path(
    phase: str, to: int, own: float, other: float, ok: bool, said: str
) -> None:
    found = read("survivor-load", resized(*loads(own, other), to=to, phase=phase))
    assert (found.ok, said in found.reason) == (ok, True), found


def test_a_load_that_is_not_known_is_unknown_where_the_rate_goes_down() -> None:
    gone: list[tuple[Kind, str]] = [(Kind.LOAD, "vxc-azure-a")]
    assert read("survivor-load", resized(to=500, without=gone)).ok is None
    assert read("survivor-load", resized(to=1500, without=gone)).ok is True
    short = resized(now(Kind.LOAD, "vxc-azure-a", Load(10, 3)), to=500)
    assert read("survivor-load", short).ok is None, "three days are no week"


def test_without_another_private_path_the_tunnels_are_the_survivors() -> None:
    of: Any = resized(flapped("vpn-azure-1"))
    lone = of.site.model_copy(update={"paths": tuple(p for p in of.site.paths if p.name != "azure/er-secondary")})
    alone = Facts(replace(of.moment, site=lone), of.definition, of.run)
    assert read("no-fresh-flap", alone).ok is False
