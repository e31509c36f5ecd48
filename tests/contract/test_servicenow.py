"""The ServiceNow connector against the lab's server on loopback, faults and all."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import (
    BadReply,
    Denied,
    NotFound,
    NotSent,
    OutcomeUnknown,
    Throttled,
    TimedOut,
    Unreachable,
)
from connectors.servicenow import NOTE_LIMIT, THREADS, ServiceNow, _Call
from connectors.servicenow_answers import Verdicts
from connectors.servicenow_rows import code, flag, moment, server_time, shown, value_of
from lab.serve import on_loopback
from lab.servicenow import LabServiceNow

NAMES = ["port-a", "port-b", "vxc-azure-a", "er-primary", "dx-1", "edge-1", "azure", "aws"]
PASSWORD = "loopback-Passw0rd!"
MARKER = "[R-20261123-01 #7]"


@pytest.fixture
async def lab() -> AsyncIterator[LabServiceNow]:
    instance = LabServiceNow(NAMES, password=PASSWORD)
    async with on_loopback(instance) as instance.url:
        yield instance
        instance.set_fault(None)


@asynccontextmanager
async def logged_in(url: str, password: str = PASSWORD, deadline_s: float = 60.0) -> AsyncIterator[ServiceNow]:
    snow = ServiceNow(url, "interlock", password, deadline_s=deadline_s)
    try:
        yield snow
    finally:
        await snow.aclose()


@pytest.fixture
async def snow(lab) -> AsyncIterator[ServiceNow]:
    async with logged_in(lab.url) as connector:
        yield connector


@asynccontextmanager
async def answering(raw: bytes, *, close: bool = True) -> AsyncIterator[str]:
    """A server that gives one raw answer to whatever it is asked, then closes or falls silent."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()
        if not close:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@contextlib.contextmanager
def refusing() -> Iterator[str]:
    """An address that is bound and not listening: it refuses, and nobody else gets it meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@asynccontextmanager
async def hasty(lab: LabServiceNow) -> AsyncIterator[ServiceNow]:
    """A connector that waits a second for a silent instance; that it is made and connected does not count."""
    async with logged_in(lab.url) as snow:
        await snow.health()
        snow._deadline_s = 1.0
        yield snow


# Facts


async def test_a_new_change_reads_as_ready_to_run(lab, snow):
    before = datetime.now(UTC)
    number = lab.new_change(ci=["port-a", "vxc-azure-a", "edge-1"], short_description="Drain port-a")
    change = await snow.change(number)
    assert (change.number, change.short_description) == (number, "Drain port-a")
    assert (change.state, change.state_code) == ("Implement", -1)
    assert (change.approval, change.type) == ("approved", "normal")
    assert change.on_hold is False
    assert change.cis == ("port-a", "vxc-azure-a", "edge-1")
    assert (change.conflicts, change.conflict_status) == ((), "Not Run")
    assert change.start is not None
    assert change.end is not None
    assert change.start <= before < change.end, "the window is read as UTC, not in the user's zone"
    assert change.end - change.start == timedelta(minutes=121)
    assert change.server_time is not None
    assert abs(change.server_time - before) < timedelta(seconds=30)
    assert before <= change.fetched_at <= datetime.now(UTC)


async def test_what_the_lab_sets_is_what_the_connector_reads(lab, snow):
    number = lab.new_change(ci=["dx-1"])
    lab.set_change(
        number,
        state="scheduled",
        approval="requested",
        on_hold="true",
        on_hold_reason="waiting for the carrier",
        window="closed",
        conflict="Blackout",
        type="emergency",
    )
    change = await snow.change(number)
    assert (change.state, change.state_code, change.approval) == ("Scheduled", -2, "requested")
    assert (change.on_hold, change.on_hold_reason) == (True, "waiting for the carrier")
    assert (change.type, change.conflicts) == ("emergency", ("Blackout",))
    assert change.conflict_status == "Conflict"
    assert change.end is not None
    assert change.end < datetime.now(UTC)


async def test_a_change_without_window_or_ci_says_so(lab, snow):
    number = lab.new_change()
    lab.set_change(number, start_date="", end_date="", ci="")
    change = await snow.change(number)
    assert (change.start, change.end, change.cis) == (None, None, ())


@pytest.mark.parametrize("number", ["CHG9999999", "CHG0030001^ORnumber!=x", "", "../x"])
async def test_no_such_change_is_named(lab, snow, number):
    lab.new_change()
    with pytest.raises(NotFound) as caught:
        await snow.change(number)
    assert number in str(caught.value)


async def test_parallel_reads_do_not_mix_their_answers(lab, snow):
    numbers = [lab.new_change(ci=[NAMES[i % len(NAMES)]], short_description=f"work {i}") for i in range(50)]
    changes = await asyncio.gather(*(snow.change(number) for number in numbers))
    assert [change.number for change in changes] == numbers
    assert [change.short_description for change in changes] == [f"work {i}" for i in range(50)]
    assert [change.cis for change in changes] == [(NAMES[i % len(NAMES)],) for i in range(50)]


async def test_health_tells_server_time_and_latency(lab, snow):
    began = time.monotonic()
    health = await snow.health()
    assert health.server_time is not None
    assert abs(health.server_time - datetime.now(UTC)) < timedelta(seconds=30)
    assert 0 < health.latency_s <= time.monotonic() - began


# Work notes


async def test_a_note_is_appended_once(lab, snow):
    number = lab.new_change()
    first = await snow.note(number, "port-a is empty", MARKER)
    again = await snow.note(number, "port-a is empty", MARKER)
    assert (first.already, first.recorded, again.already) == (False, True, True)
    assert [note["text"] for note in lab.show_change(number)["notes"]] == [f"{MARKER} port-a is empty"]
    assert len(lab.ledger) == 1
    assert number in lab.ledger[0].what
    assert MARKER in lab.ledger[0].what


async def test_notes_come_oldest_first_and_only_from_this_change(lab, snow):
    one, other = lab.new_change(), lab.new_change()
    await snow.note(one, "first", "[R #1]")
    await snow.note(other, "elsewhere", "[R #1]")
    await snow.note(one, "second", "[R #2]")
    notes = await snow.notes(one)
    assert [note.text for note in notes] == ["[R #1] first", "[R #2] second"]
    assert notes[0].by == "interlock"
    assert notes[0].at is not None
    assert abs(notes[0].at - datetime.now(UTC)) < timedelta(seconds=30)


async def test_a_silent_write_that_took_effect_is_unknown_and_not_repeated(lab):
    number = lab.new_change()
    lab.set_fault("hang-after", writes_only=True)
    async with hasty(lab) as snow:
        with pytest.raises(OutcomeUnknown):
            await snow.note(number, "drained", MARKER)
        lab.set_fault(None)
        snow._deadline_s = 60.0
        receipt = await snow.note(number, "drained", MARKER)
    assert receipt.already
    assert len(lab.show_change(number)["notes"]) == 1


async def test_a_silent_write_that_was_lost_is_unknown_and_repeated(lab):
    number = lab.new_change()
    lab.set_fault("hang", writes_only=True)
    async with hasty(lab) as snow:
        with pytest.raises(OutcomeUnknown):
            await snow.note(number, "drained", MARKER)
        assert lab.show_change(number)["notes"] == []
        lab.set_fault(None)
        snow._deadline_s = 60.0
        receipt = await snow.note(number, "drained", MARKER)
    assert not receipt.already
    assert len(lab.show_change(number)["notes"]) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("403", Denied),
        ("429", Throttled),
        ("500", OutcomeUnknown),
        ("garbage", OutcomeUnknown),
        ("error-200", OutcomeUnknown),
    ],
)
async def test_a_fault_of_the_write_alone(lab, snow, fault, error):
    number = lab.new_change()
    lab.set_fault(fault, writes_only=True)
    with pytest.raises(error):
        await snow.note(number, "drained", MARKER)
    assert lab.ledger == []


class Timed(ServiceNow):
    """Notes how many seconds each action had; None is the whole deadline."""

    given: tuple[float | None, ...] = ()

    async def _perform(self, act, left_s=None):
        self.given += (left_s,)
        return await super()._perform(act, left_s)


async def test_note_and_read_back_share_one_deadline(lab):
    number = lab.new_change()
    snow = Timed(lab.url, "interlock", PASSWORD, deadline_s=60.0)
    await snow.health()
    snow._deadline_s, snow.given = 2.0, ()
    noting = asyncio.create_task(snow.note(number, "drained", MARKER))
    while not (lab.ledger or noting.done()):  # noqa: ASYNC110 -- once the write has arrived every answer is lost
        await asyncio.sleep(0)
    lab.set_fault("hang")
    receipt = await noting
    await snow.aclose()
    assert (receipt.already, receipt.recorded) == (False, False)
    assert "no answer" in receipt.why
    note_s, read_back_s = snow.given
    assert note_s is None
    assert 0 <= read_back_s < 2.0


async def test_the_rule_that_aborts_a_write_is_named(lab, snow):
    number = lab.new_change()
    lab.set_fault("403")
    with pytest.raises(Denied, match="Business Rule 'Change freeze") as caught:
        await snow.note(number, "drained", MARKER)
    assert caught.value.login_again is False


async def test_a_closed_journal_table_leaves_the_joined_text(lab, snow):
    number = lab.new_change()
    lab.closed_tables.add("sys_journal_field")
    receipts = [await snow.note(number, "drained", MARKER) for _ in range(2)]
    assert [each.already for each in receipts] == [False, True]
    assert receipts[0].recorded
    with pytest.raises(Denied, match="Insufficient rights"):
        await snow.notes(number)


async def test_a_note_too_long_or_without_marker_is_not_sent(lab, snow):
    number = lab.new_change()
    with pytest.raises(NotSent, match=str(NOTE_LIMIT)):
        await snow.note(number, "x" * NOTE_LIMIT, MARKER)
    with pytest.raises(NotSent, match="marker"):
        await snow.note(number, "text", " ")
    assert lab.ledger == []


def test_an_action_whose_caller_has_gone_may_not_write():
    call = _Call(60.0)
    assert call.give_up() is False
    assert call.may_write() is False


def test_a_call_under_way_knows_that_it_may_have_written():
    call = _Call(60.0)
    assert call.may_write()
    assert call.give_up() is True
    assert _Call(0.0).may_write() is False


# Faults of every call


async def test_a_wrong_password_asks_for_a_new_login_and_is_not_shown(lab):
    async with logged_in(lab.url, password="wrong-password-77") as snow:
        with pytest.raises(Denied, match="User Not Authenticated") as caught:
            await snow.health()
    assert caught.value.login_again
    assert "wrong-password-77" not in str(caught.value)


async def test_throttled_carries_the_wait(lab, snow):
    lab.set_fault("429")
    with pytest.raises(Throttled, match="100 requests per hour") as caught:
        await snow.health()
    assert caught.value.retry_after_s == 30.0


@pytest.mark.parametrize("action", ["change", "note", "notes", "health"])
@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        ("500", BadReply, "Internal Server Error"),
        ("garbage", BadReply, "asleep"),
        ("error-200", BadReply, "maximum execution time"),
    ],
)
async def test_a_faulty_answer_to_a_read(lab, snow, action, fault, error, said):
    arguments = {"change": 1, "note": 3, "notes": 1, "health": 0}[action]
    number = lab.new_change()
    lab.set_fault(fault)
    with pytest.raises(error, match=said):
        await getattr(snow, action)(*(number, "text", MARKER)[:arguments])
    assert lab.ledger == []


async def test_the_deadline_holds_when_the_server_is_silent(lab):
    number = lab.new_change()
    lab.set_fault("hang")
    async with logged_in(lab.url, deadline_s=0.5) as snow:
        began = time.monotonic()
        with pytest.raises(TimedOut, match=r"0\.5 s"):
            await snow.change(number)
        assert time.monotonic() - began < 10.0
        with pytest.raises(TimedOut):
            await snow.note(number, "text", MARKER)
    assert lab.ledger == []


async def test_more_silent_calls_than_threads_all_meet_their_deadline(lab):
    lab.set_fault("hang")
    async with logged_in(lab.url, deadline_s=0.5) as snow:
        began = time.monotonic()
        outcomes = await asyncio.gather(*(snow.health() for _ in range(30 * THREADS)), return_exceptions=True)
        assert time.monotonic() - began < 10.0, "one after the other they would take 15 s"
    assert {type(each) for each in outcomes} == {TimedOut}


async def test_refused_is_unreachable():
    with refusing() as url:
        async with logged_in(url) as snow:
            with pytest.raises(Unreachable, match="no connection"):
                await snow.change("CHG0030001")


@pytest.mark.parametrize(
    ("raw", "close", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", False, TimedOut),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", True, Unreachable),
        (b"", True, Unreachable),
        (b"nonsense\r\n\r\n", True, Unreachable),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/login\r\nContent-Length: 0\r\n\r\n", True, BadReply),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"result":"no"}', True, BadReply),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"result":[3]}', True, BadReply),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull", True, BadReply),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope", True, BadReply),
        (b"HTTP/1.1 503 No\r\nContent-Length: 6\r\n\r\n<html>", True, Unreachable),
        (b"HTTP/1.1 429 No\r\nRetry-After: Mon\r\nContent-Length: 0\r\n\r\n", True, Throttled),
    ],
)
async def test_odd_answers_have_a_name(raw, close, error):
    async with answering(raw, close=close) as url, logged_in(url, deadline_s=60.0 if close else 0.5) as snow:
        with pytest.raises(error):
            await snow.health()


def test_a_write_is_not_sent_only_when_no_connection_was_made():
    verdicts = Verdicts("ServiceNow", 1.0)
    with refusing() as url, pytest.raises(requests.ConnectionError) as refused:
        requests.patch(url, timeout=30)
    assert isinstance(verdicts.broken(refused.value, writes=True), NotSent)
    assert isinstance(verdicts.broken(requests.ConnectionError("reset"), writes=True), OutcomeUnknown)
    assert isinstance(verdicts.broken(requests.ReadTimeout("slow"), writes=True), OutcomeUnknown)


def test_the_sdk_is_imported_only_when_it_is_used():
    program = "import sys, connectors.servicenow; sys.exit(bool({'pysnow', 'requests'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


async def test_a_base_url_without_scheme_is_refused():
    with pytest.raises(NotSent, match="base URL"):
        ServiceNow("dev1.service-now.com", "interlock", PASSWORD)


# Values in every form


@given(st.integers(-5, 8))
@settings(max_examples=30)
def test_a_state_reads_the_same_in_every_form(state):
    forms = [state, float(state), str(state), f"{state}.0", {"display_value": "X", "value": float(state)}]
    assert {code({"state": form}, "state", "x") for form in forms} == {state}


@pytest.mark.parametrize("form", [True, "true", "1", 1, {"display_value": "Ja", "value": True}])
def test_a_flag_reads_the_same_in_every_form(form):
    assert flag({"on_hold": form}, "on_hold", "x") is True


@pytest.mark.parametrize("row", [{}, {"on_hold": ""}, {"on_hold": None}, {"on_hold": "maybe"}])
def test_a_flag_that_is_hidden_or_odd_is_not_false(row):
    with pytest.raises(BadReply, match="on_hold"):
        flag(row, "on_hold", "x")


@given(st.one_of(st.text(), st.floats(), st.none(), st.booleans(), st.integers()))
@settings(max_examples=100)
def test_any_value_is_read_or_is_a_bad_reply(form):
    for read in (code, moment, flag):
        with contextlib.suppress(BadReply):
            read({"f": {"value": form}}, "f", "x")
    assert value_of(value_of(form)) == value_of(form)
    assert isinstance(shown({"display_value": form, "value": "v"}), str)


def test_a_date_is_read_from_the_value_not_from_the_users_zone():
    cell = {"display_value": "2026-01-01 00:00:00", "value": "2026-01-01 08:00:00"}
    assert moment({"at": cell}, "at", "x") == datetime(2026, 1, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize("headers", [{}, {"Date": ""}, {"Date": "yesterday"}])
def test_an_unreadable_server_time_is_none(headers):
    assert server_time(headers) is None
