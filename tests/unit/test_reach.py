"""What puts an act back must be reached after the act: what is refused, and what a site leaves open is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from network.inventory import Site
from runbooks.reach import refusals, warnings
from runbooks.scene import CannotPlan
from tests.engine.little_network import SITE, LittleScene
from tests.engine.test_resize import network, planned

ROUTER: dict[str, Any] = {
    "id": "move",
    "kind": "act",
    "undo": [{"router": "edge-1", "configure": ["set local-preference 200"]}],
    "deadman_s": 120,
}
FABRIC: dict[str, Any] = {"id": "rate", "kind": "act", "undo": [{"system": "megaport", "put": "/x", "json": {}}]}


def managed(how: str | None) -> Site:
    return SITE.model_copy(
        update={"routers": tuple(r.model_copy(update={"management": how}) for r in SITE.routers)},
    )


def reached(by: str | None) -> Site:
    fabric = SITE.systems.megaport.model_copy(update={"reached_by": by})
    return SITE.model_copy(update={"systems": SITE.systems.model_copy(update={"megaport": fabric})})


@pytest.mark.parametrize(
    ("site", "deadman_s", "refused", "warned"),
    [
        (managed("out-of-band"), 120, False, False),
        (managed("out-of-band"), None, False, False),
        (managed("in-band"), 120, False, False),  # its own timer puts it back
        (managed("in-band"), None, True, False),
        (managed(None), 120, False, True),
        (managed(None), None, True, True),
    ],
)
def test_a_router_restores_itself_or_is_reached_by_another_way(
    site: Site, deadman_s: float | None, refused: bool, warned: bool
) -> None:
    step = {**ROUTER, "deadman_s": deadman_s}
    assert bool(refusals(site, step, ())) is refused
    assert ["routers[].management" in each for each in warnings(site, step)] == ([True] if warned else [])


@pytest.mark.parametrize(
    ("by", "refused", "warned"),
    [
        ("internet", False, False),
        ("azure/er-secondary", False, False),
        ("azure/vpn-1", False, False),
        ("azure/er-primary", True, False),
        (None, False, True),
    ],
)
def test_the_way_to_the_fabric_must_not_ride_the_vxc_that_is_changed(
    by: str | None, refused: bool, warned: bool
) -> None:
    site = reached(by)
    assert bool(refusals(site, FABRIC, ("vxc-azure-a",))) is refused
    assert ["reached_by" in each for each in warnings(site, FABRIC)] == ([True] if warned else [])


def test_a_step_that_writes_nothing_needs_no_way_back() -> None:
    step = {"id": "look", "kind": "check"}
    assert refusals(reached(None), step, ("vxc-azure-a",)) == warnings(managed(None), step) == []


def test_the_plan_refuses_and_says_what_to_do() -> None:
    with pytest.raises(CannotPlan, match=r"azure/er-primary, which rides vxc-azure-a.*Reach the fabric another way"):
        planned(network(of=reached("azure/er-primary")))


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (lambda: planned(network(of=reached(None))), ["megaport"]),
        (lambda: planned(network()), []),
        (lambda: LittleScene(site=managed(None)).plan(), ["edge-1"]),
        (lambda: LittleScene().plan(), []),
    ],
)
def test_a_plan_says_what_the_site_leaves_open(plan: Callable[[], Any], said: list[str]) -> None:
    assert [warning.split(":")[0] for warning in plan().warnings] == said
