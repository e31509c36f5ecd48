import contextlib
import copy
import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from network.located import Fault
from network.sitefile import SiteError, load
from tests.sample import REFERENCE

TEXT = REFERENCE.read_text()


def line_of(text: str) -> int:
    return TEXT[: TEXT.index(text)].count("\n") + 1


def test_the_reference_site_is_valid_and_names_its_one_shared_fate() -> None:
    loaded = load(TEXT, "reference.yaml")
    assert [path.name for path in loaded.site.paths][:2] == ["azure/er-primary", "azure/er-secondary"]
    assert len(loaded.warnings) == 1
    assert "frankfurt" in str(loaded.warnings[0])


def test_a_site_that_does_not_say_how_it_reaches_what_it_changes_is_warned() -> None:
    text = TEXT.replace("management: out-of-band, ", "").replace("reached_by: internet, ", "")
    told = [str(each) for each in load(text, "site.yaml").warnings]
    assert sum("say `management:" in each for each in told) == 2
    assert sum("`reached_by:`" in each for each in told) == 1


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("router: edge-1", "router: edge-11", "did you mean 'edge-1'?"),
        ("carrier: carrier-1", "carier: carrier-1", "did you mean 'carrier'?"),
        ("mode: lab", "mode: labb", "'labb' is not allowed; did you mean 'lab'?"),
        ("prefix: 10.11.0.0/16", "prefix: 10.201.0.0/16", "overlaps the OT range 10.200.0.0/14"),
        ("prefix: 10.11.0.0/16", "prefix: 10.0.0.0/8", "overlaps the OT range 10.200.0.0/14"),
        ("b_end: azure-key", "b_end: azur-key", "did you mean 'azure-key'?"),
        ("session: er-primary, vxc", "session: er-primry, vxc", "did you mean 'er-primary'?"),
        ("speed_mbps: 10000", "speed_mbps: fast", "'fast'"),
        ("asn: 65010", "asn: 0", "0:"),
        ("- {name: port-b", "- {name: port-a", "'port-a' is used twice"),
        ("ot_ranges:", "specifics: [10.12.0.0/17]\n  ot_ranges:", "10.12.0.0/17 is not a longer prefix inside one of"),
        ("ot_ranges:", "specifics: [10.10.0.0/16]\n  ot_ranges:", "10.10.0.0/16 is not a longer prefix inside one of"),
        ("ot_ranges:", "specifics: [10.10.0.0/17]\n  ot_ranges:", "10.10.0.0/16 is not covered by them"),
        ("policy:\n", "policy:\n  forced_local_pref: 80\n", "must hold, and they are 70, 80, 80"),
        ("schema: 1", "schema: [", "yaml"),
        ("reached_by: internet", "reached_by: azure/er-primry", "did you mean 'azure/er-primary'?"),
        ("management: out-of-band", "management: outofband", "did you mean 'out-of-band'?"),
        ("crosses: [azure/er-primary", "crosses: [azure/er-primari", "did you mean 'azure/er-primary'?"),
    ],
)
def test_a_fault_names_file_line_value_and_the_nearest_name(good: str, bad: str, said: str) -> None:
    with pytest.raises(SiteError) as caught:
        load(TEXT.replace(good, bad, 1), "site.yaml")
    message = str(caught.value)
    assert said in message
    lines = {int(fault.where.rsplit(":", 1)[1]) for fault in caught.value.faults}
    assert line_of(good) in lines or bad == "schema: ["


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(SiteError) as caught:
        load(TEXT.replace("mode: lab", "mode: labb").replace("  asn: 65010", "  asn: -1", 1), "site.yaml")
    assert len(caught.value.faults) == 2


def test_a_policy_below_production_is_for_a_lab_only() -> None:
    with pytest.raises(SiteError, match="only mode lab may go below"):
        load(TEXT.replace("mode: lab", "mode: live", 1), "site.yaml")


def test_a_hidden_standby_is_warned_of() -> None:
    loaded = load(TEXT.replace("add_path: true", "add_path: false"), "site.yaml")
    assert any("hidden on iBGP" in str(warning) for warning in loaded.warnings)


@settings(max_examples=60)
@given(st.text(max_size=200))
def test_no_text_escapes_but_as_a_site_error(text: str) -> None:
    with pytest.raises(SiteError):
        load(text, "site.yaml")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(TEXT.splitlines()) - 1), st.text(max_size=30))
def test_a_damaged_reference_never_raises_anything_else(line: int, junk: str) -> None:
    lines = TEXT.splitlines()
    lines[line] = junk
    with contextlib.suppress(SiteError):
        load("\n".join(lines), "site.yaml")


DOCUMENT = yaml.safe_load(TEXT)
JUNK = (
    st.none()
    | st.booleans()
    | st.integers(-1, 2**70)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from([[], {}, [[]], {"a": {"b": 1}}, "10.0.0.1/8", "2026-99-99", "edge-9", "::1", "é\x00"])
)


@st.composite
def broken_documents(draw: st.DrawFn) -> str:
    """The reference site with one to three of its parts taken out, doubled, or replaced by something else."""
    document = copy.deepcopy(DOCUMENT)
    for _ in range(draw(st.integers(1, 3))):
        part: Any = document
        while True:
            key = draw(st.sampled_from(sorted(part) if isinstance(part, dict) else range(len(part))))
            if not isinstance(part[key], dict | list) or not part[key] or draw(st.integers(0, 3)) == 0:
                break
            part = part[key]
        how = draw(st.sampled_from(["out", "junk", "twice", "extra"]))
        if how == "out":
            del part[key]
        elif how == "twice" and isinstance(part, list):
            part.append(copy.deepcopy(part[key]))
        elif how == "extra" and isinstance(part, dict):
            part[draw(st.text(max_size=6))] = draw(JUNK)
        else:
            part[key] = draw(JUNK)
        if not document:
            break
    return yaml.safe_dump(document, allow_unicode=True)


def _faults_say_where(text: str) -> None:
    for fault in _faults(text):
        assert re.fullmatch(r"site\.yaml:[1-9]\d*", fault.where), fault
        assert fault.field, fault
        assert fault.text, fault


def _faults(text: str) -> tuple[Fault, ...]:
    try:
        load(text, "site.yaml")
    except SiteError as error:
        return error.faults
    return ()


@settings(max_examples=50, derandomize=True)
@given(broken_documents())
def test_a_broken_part_is_a_site_error_that_says_file_and_line(text: str) -> None:
    _faults_say_where(text)


@settings(max_examples=80, derandomize=True)
@given(
    st.integers(0, len(TEXT)),
    st.integers(0, 40),
    st.sampled_from(["", ":", "- ", "{", "]", "\t", "'", "&a *a", "!!int x", "\x00"]),
)
def test_a_torn_file_is_a_site_error_that_says_file_and_line(at: int, cut: int, put: str) -> None:
    _faults_say_where(TEXT[:at] + put + TEXT[at + cut :])


@pytest.mark.parametrize(
    "line",
    [
        "name: 2026-99-99",
        "name: !!int x",
        "name: !!binary '*'",
        "name: !!python/object:os.system {}",
        "name: &a [*a]",
        pytest.param("name: " + "[" * 3000, id="nested deeply"),
        "? [a]: b",
        "1: 2",
        "name: &b [*b, 2026-99-99]",
        "name: \x07",
        "name: *nowhere",
    ],
)
def test_what_yaml_itself_cannot_make_sense_of_is_a_site_error(line: str) -> None:
    with pytest.raises(SiteError):
        load(TEXT.replace("name: reference", line), "site.yaml")
    _faults_say_where(TEXT.replace("name: reference", line))


def test_a_value_that_is_no_date_says_its_line() -> None:
    faults = _faults(TEXT.replace("name: MES gateway", "name: 2026-99-99"))
    assert [fault.where for fault in faults] == [f"site.yaml:{line_of('name: MES gateway')}"]


def test_the_commented_example_is_a_valid_live_site() -> None:
    example = REFERENCE.parent.parent / "docs" / "site.example.yaml"
    assert load(example.read_text(), str(example)).site.mode == "live"
