"""What a cloud says that is neither up nor down is unknown, and what is impaired is not down."""

from __future__ import annotations

from datetime import timedelta

import pytest

from network.carriage import way_back
from network.health import judge
from network.layers import View
from network.observation import Attachment, Circuit, Kind, Observation, SessionThere
from network.snapshot import Snapshot
from network.verdict import Overall, Verdict
from tests.sample import NOW, healthy, reference, seen

SITE = reference()
TESTING = SessionThere(up=False, state="down, VIF testing", known=False)


def there(fact: SessionThere, path: str = "aws/dx-1") -> Observation:
    return seen(Kind.SESSION_THERE, path, fact, age_s=0.1)


@pytest.mark.parametrize(
    ("fact", "layer", "verdict", "why"),
    [
        (there(TESTING), "bgp_there", Verdict.UNKNOWN, "the cloud says down, VIF testing"),
        (
            seen(Kind.CIRCUIT, "aws/dx-1", Circuit(up=False, state="connection unknown", known=False), age_s=0.1),
            "circuit",
            Verdict.UNKNOWN,
            "the provider says connection unknown",
        ),
        (
            seen(Kind.ATTACHMENT, "aws/dx-1", Attachment(up=True, state="TGW modifying", degraded=True), age_s=0.1),
            "attach",
            Verdict.DEGRADED,
            "TGW modifying",
        ),
        (
            there(SessionThere(up=True, state="up", received=3, down_at=NOW - timedelta(minutes=5))),
            "bgp_there",
            Verdict.UP,
            "the cloud saw it down about 02:55 UTC",
        ),
    ],
)
def test_each_word_has_its_verdict(fact: Observation, layer: str, verdict: Verdict, why: str) -> None:
    health = judge(SITE, healthy(SITE).with_observations([fact]), NOW)
    shown = health.path("aws/dx-1").layers[layer]
    assert (shown.verdict, shown.why) == (verdict, why)
    assert (health.cloud("aws").verdict is Overall.HEALTHY) == (verdict is Verdict.UP)


def test_a_path_under_a_failover_test_is_no_spare_and_raises_no_outage() -> None:
    health = judge(SITE, healthy(SITE).with_observations([there(TESTING, "aws/dx-2")]), NOW)
    assert "aws/dx-2" not in health.cloud("aws").spares
    assert not [alert for alert in health.alerts if alert.id == "path:aws/dx-2"]


def test_only_a_session_that_is_known_to_be_down_needs_no_counter_for_the_way_back() -> None:
    def basis(fact: SessionThere) -> str | None:
        snapshot = healthy(SITE).with_observations([there(fact, "aws/dx-2")])
        kept = {key: item for key, item in snapshot.observations.items() if key != (Kind.LINK, "edge-2 vxc-aws-b")}
        return way_back(View(SITE, Snapshot(observations=kept), NOW), SITE.cloud("aws")).basis

    assert basis(SessionThere(up=False, state="down")) == "measured"
    assert basis(TESTING) == "table"
