"""Azure's own failover tests, as it tells of them: of one link of the circuit, and of a whole peering location.

A test is only read here. One that is not stopped runs for ever, so it has an end only once it is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from connectors.azure_site import Moment, legs_of, link_of
from connectors.azure_tables import table_rows
from connectors.reply import Shape, Text, read
from network.inventory import Cloud, Path, Site
from network.observation import FailoverTest

TESTS_VERSION = "2025-07-01"
LINK_TESTS = {"api-version": TESTS_VERSION, "failoverTestType": "All", "fetchLatest": "true"}
SITE_TESTS = {"api-version": TESTS_VERSION, "type": "All", "fetchLatest": "true"}
#: Words for a test that has the traffic moved, is moving it, or could not move it back.
RUNNING = frozenset({"starting", "running", "stopping", "stopfailed"})

_TIME: TypeAdapter[datetime] = TypeAdapter(Moment)


class _Test(Shape):
    status: Text = ""
    start_time: Text = ""
    end_time: Text = ""
    link_type: Text = ""
    circuit_test_category: Text = ""
    peering_location: Text = ""


def parse_link_tests(data: Any, site: Site, cloud: Cloud) -> list[FailoverTest]:
    """Tests of the circuit's links, each of the leg that it is about. Raises BadReply."""
    tests = _tests(data, "azure circuit failover tests")
    return [
        _fact(test, leg, test.circuit_test_category)
        for test in tests
        for leg in legs_of(site, cloud)
        if test.link_type.lower() in {"", link_of(site, leg)}
    ]


def parse_site_tests(data: Any, site: Site, cloud: Cloud) -> list[FailoverTest]:
    """Tests of a peering location: one for each leg that ends there. Raises BadReply."""
    tests = _tests(data, "azure gateway failover tests")
    return [
        _fact(test, leg, f"site {test.peering_location}".strip())
        for test in tests
        for leg in legs_of(site, cloud)
        if _same_place(test.peering_location, site.connection(leg.connection or "").location)
    ]


def newest_first(tests: Iterable[FailoverTest]) -> tuple[FailoverTest, ...]:
    """By their start; one that has not begun comes first."""
    return tuple(sorted(tests, key=lambda test: test.starts or datetime.max.replace(tzinfo=UTC), reverse=True))


def _tests(data: Any, where: str) -> list[_Test]:
    return [read(_Test, row, where) for row in table_rows(data, where)]


def _fact(test: _Test, leg: Path, what: str) -> FailoverTest:
    return FailoverTest(
        path=leg.name,
        running=test.status.lower() in RUNNING,
        state=" ".join(word for word in (test.status or "unknown", f"({what})" if what else "") if word),
        starts=_time(test.start_time),
        ends=_time(test.end_time),
    )


def _same_place(told: str, ours: str) -> bool:
    """A location as Azure writes it (`Frankfurt`, `Los Angeles2`) and as the site file does; untold is ours."""
    letters = "".join(char for char in told.lower() if char.isalnum())
    return letters in {"", ours.replace("-", "")}


def _time(text: str) -> datetime | None:
    """The service types its times as plain strings: one that cannot be read is unknown, the test is not."""
    try:
        moment = datetime.fromisoformat(text)
        return _TIME.validate_python(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, ValidationError):
        return None
