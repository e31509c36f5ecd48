"""Every system broken in the same way at once: each says so, the routers stay live, figures age, and all comes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.embedded_lab import Cli, Document, Observer, brisk, lab_up, path, source

pytestmark = [pytest.mark.vault, pytest.mark.timeout(180)]

SYSTEMS = ("megaport", "azure", "aws", "vault", "servicenow")
#: A hanging call is given up after 5 s, an SDK's after 12; the next look comes within 10.
TOLD_WITHIN_S, BACK_WITHIN_S = 40.0, 40.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with lab_up(tmp_path_factory.mktemp("faults")) as cli:
        brisk(cli)
        yield cli


@pytest.fixture(scope="module")
def watch(lab: Cli) -> Iterator[Observer]:
    with Observer(lab) as observer:
        yield observer


def whole(document: Document) -> bool:
    return document["verdict"] == "healthy" and all(each["ok"] for each in document["sources"])


def all_told(document: Document) -> bool:
    return not any(source(document, name)["ok"] for name in SYSTEMS)


@pytest.mark.parametrize("fault", ["down", "hang", "slow", "429", "500", "garbage"])
def test_all_systems_at_once_say_so_while_the_routers_stay_live(lab: Cli, watch: Observer, fault: str) -> None:
    watch.until("whole before", whole, BACK_WITHIN_S)
    for system in SYSTEMS:
        lab.ask_lab("fail", thing=system, fault=fault)
    _, seen = watch.until(f"all systems tell of {fault}", all_told, TOLD_WITHIN_S)
    for name in SYSTEMS:
        assert source(seen, name)["error"], name
    for name in ("edge-1", "edge-2", "probes"):
        assert source(seen, name)["ok"], f"{name} needs none of them"
        assert source(seen, name)["age_s"] < 5
    for each in seen["paths"]:
        assert each["layers"]["bgp_here"] == "up"
        assert each["age_s"] < 5, "our own routers are asked as before"
    ages = [source(seen, name)["age_s"] for name in SYSTEMS]
    _, later = watch.until(
        "their ages grow", lambda d: all(source(d, n)["age_s"] > a for n, a in zip(SYSTEMS, ages, strict=True))
    )
    assert not whole(later)
    assert path(later, "azure/er-primary")["layers"]["bgp_here"] == "up"
    lab.heal()
    watch.until("whole again, without a restart", whole, BACK_WITHIN_S)
