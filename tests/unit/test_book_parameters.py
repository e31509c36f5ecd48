"""Typed parameters: what fits, what is said of what does not, and that nothing else than BookError is ever raised."""

from __future__ import annotations

import contextlib
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runbooks.book import parse, shipped
from runbooks.language import Book, BookError, Parameter, ParameterType, seconds
from runbooks.parameters import bound, typed
from runbooks.unfold import unfolded
from tests.sample import reference

SITE = reference()


def book(**parameter: Any) -> Book:
    made = shipped("drain-port")
    given = {"port": made.parameters["port"], "x": Parameter.model_validate(parameter)}
    return made.model_copy(update={"parameters": given})


def value(text: str | None, **parameter: Any) -> Any:
    made = book(**parameter)
    given = {"port": "port-a"} | ({} if text is None else {"x": text})
    return typed(made, bound(made, given, SITE))["x"]


@pytest.mark.parametrize(
    ("kind", "good", "bad", "said"),
    [
        ("port", "port-b", "prt-b", "is not a port; did you mean 'port-b'?"),
        ("path", "azure/vpn-1", "azure/vpn-3", "is not a path; did you mean 'azure/vpn-"),
        ("session", "er-primary", "er-primry", "is not a session; did you mean 'er-primary'?"),
        ("vxc", "vxc-aws-a", "vxc-aws", "is not a vxc; did you mean 'vxc-aws-"),
        ("edge", "edge-1", "egde-1", "is not an edge; did you mean 'edge-1'?"),
        ("cloud", "aws", "asw", "is not a cloud; did you mean 'aws'?"),
        ("incident", "INC0012345", "CHG0012345", "is not an incident, such as INC0012345"),
        ("text", "the carrier asked", "two\nlines", "is not one line of at most 200 printable characters"),
    ],
)
def test_a_value_is_of_its_type(kind: str, good: str, bad: str, said: str) -> None:
    assert value(good, type=kind) == good
    with pytest.raises(BookError, match="x: ") as caught:
        value(bad, type=kind)
    assert said in str(caught.value)


def test_a_rate_is_a_number_and_a_duration_is_seconds() -> None:
    assert value("500", type="mbps") == 500
    for bad in ("0", "-5", "1e3", "500Mbps", "1\u0660"):
        with pytest.raises(BookError, match="a rate in whole Mbps, such as 500"):
            value(bad, type="mbps")
    assert [value(each, type="duration") for each in ("3s", "5m", "2h", "1.5m")] == [3.0, 300.0, 7200.0, 90.0]
    for bad in ("3", "0s", "5 m", "h", "-1s"):
        with pytest.raises(BookError, match="a duration; write 3s, 5m or 2h"):
            value(bad, type="duration")


def test_all_is_a_cloud_where_the_parameter_says_so() -> None:
    assert value("all", type="cloud", all=True) == "all"
    with pytest.raises(BookError, match="is not a cloud; allowed: aws, azure"):
        value("all", type="cloud")


def test_a_text_has_its_pattern_and_length() -> None:
    assert value("P1", type="text", pattern="P[1-4]") == "P1"
    with pytest.raises(BookError, match=r"printable characters like P\[1-4\]"):
        value("P1 and more", type="text", pattern="P[1-4]")
    with pytest.raises(BookError, match="at most 3 printable"):
        value("four", type="text", max_length=3)


def test_what_is_not_given_is_the_default_or_missing_or_empty() -> None:
    assert value(None, type="mbps", default="100") == 100
    assert value(None, type="duration", required=False) == ""
    with pytest.raises(BookError, match="x: is missing: give x=…; it is a duration"):
        value(None, type="duration")
    with pytest.raises(BookError, match="x: is missing: give x=…; allowed: port-a, port-b"):
        value(None, type="port")


@given(st.sampled_from(get_args(ParameterType)), st.text(), st.booleans())
@settings(max_examples=300)
def test_no_value_raises_anything_but_a_fault(kind: str, text: str, all_: bool) -> None:
    with contextlib.suppress(BookError):
        value(text, type=kind, all=all_)


@given(st.from_regex(r"[0-9]{1,4}(\.[0-9])?[smhd]", fullmatch=True))
def test_a_duration_is_never_less_than_nothing(text: str) -> None:
    found = seconds(text)
    assert found is None or found > 0


TEXT = shipped("drain-port").text
PIECES = [
    *("${port}", "{{ port }}", "{% for x in y %}", "- ", "&a [*a]", "!!python/object:os.system", "? ", ": ", "0o7"),
    *("2026-99-99", "\t", "\x00", "kind: call\n    book: drain-port", "undoes: drain-port", "[", "{", "'", "null"),
]


@given(st.lists(st.tuples(st.integers(0, len(TEXT)), st.integers(0, 12), st.sampled_from(PIECES)), max_size=4))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_mangled_book_is_read_or_has_faults(cuts: list[tuple[int, int, str]]) -> None:
    text = TEXT
    for at, gone, piece in cuts:
        text = text[:at] + piece + text[at + gone :]
    with contextlib.suppress(BookError):
        made = parse(text, "book.yaml")
        list(unfolded(made, bound(made, {"port": "port-a"}, SITE), SITE))


@given(st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_text_is_read_or_has_faults(text: str) -> None:
    with contextlib.suppress(BookError):
        parse(text, "book.yaml")


def test_a_book_that_contains_itself_is_a_fault() -> None:
    for text in ("runbook: &a [*a]\n", TEXT.replace("with: {port", "with: &w {more: *w, port", 1)):
        with pytest.raises(BookError):
            parse(text, "book.yaml")
