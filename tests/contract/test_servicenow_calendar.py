"""Our own planned changes, read from the lab's ServiceNow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from connectors.errors import InterlockError
from connectors.servicenow import ServiceNow
from connectors.servicenow_calendar import TicketSource
from lab.serve import on_loopback
from lab.servicenow import LabServiceNow
from network.events import Events, ProviderEvent
from network.observation import Kind
from tests.contract.test_servicenow import NAMES, PASSWORD
from tests.sample import reference

SITE = reference()


def utc_now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def lab() -> AsyncIterator[LabServiceNow]:
    instance = LabServiceNow([*NAMES, "printer-7"], password=PASSWORD)
    async with on_loopback(instance) as instance.url:
        yield instance
        instance.set_fault(None)


@pytest.fixture
async def client(lab: LabServiceNow) -> AsyncIterator[ServiceNow]:
    made = ServiceNow(lab.url, "interlock", PASSWORD, deadline_s=60.0)
    yield made
    await made.aclose()


@pytest.fixture
def source(client: ServiceNow) -> TicketSource:
    async def tickets() -> ServiceNow:
        return client

    return TicketSource(SITE, utc_now, tickets)


async def events(source: TicketSource) -> dict[str, ProviderEvent]:
    (seen,) = await source.collect()
    assert (seen.kind, seen.name) == (Kind.EVENTS, "servicenow")
    assert isinstance(seen.fact, Events)
    return {event.id: event for event in seen.fact.events}


async def test_nothing_planned_is_an_empty_calendar_and_not_an_unknown_one(source: TicketSource) -> None:
    assert await events(source) == {}


async def test_an_approved_change_under_way_is_running_and_names_every_ci(
    lab: LabServiceNow, source: TicketSource
) -> None:
    number = lab.new_change(["port-a", "dx-1"], 60, "implement")
    found = (await events(source))[number]
    assert (found.system, found.kind, found.state, found.touches) == (
        "servicenow", "change", "running", ("port-a", "dx-1"),
    )  # fmt: skip
    assert found.ends is not None
    assert 55 * 60 < (found.ends - utc_now()).total_seconds() < 65 * 60


async def test_a_scheduled_change_is_announced(lab: LabServiceNow, source: TicketSource) -> None:
    number = lab.new_change(["port-b"], 60, "scheduled")
    lab.set_change(number, window="future")
    assert (await events(source))[number].state == "announced"


@pytest.mark.parametrize(
    "fields",
    [
        {"approval": "requested"},
        {"state": "new"},
        {"state": "closed"},
        {"state": "canceled"},
        {"window": "closed"},
        {"start": "+30d", "end": "+31d"},
        {"ci": "printer-7"},
    ],
    ids=str,
)
async def test_what_is_not_approved_not_planned_over_too_far_or_elsewhere_is_left_out(
    lab: LabServiceNow, source: TicketSource, fields: dict[str, str]
) -> None:
    kept, other = lab.new_change(["port-a"]), lab.new_change(["port-b"])
    lab.set_change(other, **fields)
    assert set(await events(source)) == {kept}


@pytest.mark.parametrize("fault", ["hang", "500", "429", "garbage"])
async def test_a_ticket_system_that_does_not_answer_well_is_an_error_and_never_an_empty_calendar(
    lab: LabServiceNow, client: ServiceNow, source: TicketSource, fault: str
) -> None:
    lab.new_change(["port-a"])
    if fault == "hang":
        client._deadline_s = 0.5
    lab.set_fault(fault)
    with pytest.raises(InterlockError):
        await source.collect()


async def test_a_table_that_the_login_may_not_read_is_an_error(lab: LabServiceNow, source: TicketSource) -> None:
    lab.new_change(["port-a"])
    lab._store.closed.add("task_ci")
    with pytest.raises(InterlockError):
        await source.collect()
