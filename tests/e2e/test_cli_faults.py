"""Every system broken in the same way at once: each says so, the routers stay live, figures age, and all comes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.embedded_lab import Cli, Document, Observer, brisk, lab_up, source

pytestmark = [pytest.mark.vault, pytest.mark.timeout(300)]

SYSTEMS = ("megaport", "azure", "aws", "vault", "servicenow")
LIVE_S = 5.0  # a router is asked each second, and on a busy machine a little later


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
    """Each system says what is wrong with it, while the routers and the probes, which need none of them, go on."""
    live = [*(source(document, name) for name in ("edge-1", "edge-2", "probes")), *document["paths"]]
    return (
        all(source(document, name)["error"] for name in SYSTEMS)
        and all(source(document, name)["ok"] for name in ("edge-1", "edge-2", "probes"))
        and all(each["layers"]["bgp_here"] == "up" for each in document["paths"])
        and max(each["age_s"] for each in live) < LIVE_S
    )


@pytest.mark.parametrize("fault", ["down", "hang", "slow", "429", "500", "garbage"])
def test_all_systems_at_once_say_so_while_the_routers_stay_live(lab: Cli, watch: Observer, fault: str) -> None:
    watch.until("whole before", whole)
    for system in SYSTEMS:
        lab.ask_lab("fail", thing=system, fault=fault)
    _, seen = watch.until(f"all systems tell of {fault}, the routers are live", all_told)
    ages = [source(seen, name)["age_s"] for name in SYSTEMS]
    watch.until(
        "their ages grow, the routers are live",
        lambda d: all_told(d) and all(source(d, n)["age_s"] > a for n, a in zip(SYSTEMS, ages, strict=True)),
    )
    lab.heal()
    watch.until("whole again, without a restart", whole)
