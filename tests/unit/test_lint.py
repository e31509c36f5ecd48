"""Every fault of a book: where it stands, to the column, and what is said. `‸` marks the place in each text."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.commands import books
from console.exits import Exit
from runbooks.book import faults, names, parse, shipped
from runbooks.language import BookError
from tests.sample import REFERENCE, reference

SOUND = """runbook: try
version: 1
title: Try
purpose: to be wrong in one place
target: port
parameters:
  port: {type: port}
steps:
  - {id: ready, kind: check, verb: survivors-ready, with: {port: "${port}"}, timeout: 10s}
  - id: move
    kind: act
    verb: prefer-standby
    risk: traffic-moving
    with: {port: "${port}", cloud: azure}
  - id: empty
    kind: wait_until
    verb: port-empty
    with: {port: "${port}"}
    timeout: 10m
"""
CHECK = next(line for line in SOUND.splitlines(keepends=True) if "survivors-ready" in line)
ACT = SOUND[SOUND.index("  - id: move") : SOUND.index("  - id: empty")]

#: What stood there, what stands there instead, and what is said of it.
CASES = [
    ("verb: survivors-ready", "‸verb: survivors-redy", "did you mean 'survivors-ready'?"),
    ("verb: survivors-ready", "‸verb: port-empty", "it is a wait_until"),
    ('{port: "${port}"}, t', '{‸prt: "${port}"}, t', "unknown argument 'prt'; did you mean 'port'?"),
    ('with: {port: "${port}", cloud', "‸with: {cloud", "the argument 'port' is missing"),
    ('{port: "${port}"}, t', "{‸port: 7}, t", "7: Input should be a valid string"),
    ("verb: prefer-standby", "verb: prefer-standby\n    guards: [‸survivor-lod]", "did you mean 'survivor-load'?"),
    ("steps:", "guards: [‸symetry]\nsteps:", "did you mean 'symmetry'?"),
    ("steps:", "guards: [‸{name: symmetry, k: 4, n: 3}]\nsteps:", "4 of the last 3 samples can never be"),
    ("timeout: 10s", "‸timout: 10s", "unknown key 'timout'; did you mean 'timeout'?"),
    ("timeout: 10s", "timeout: 10s, ‸deadman: 30s", "a check has no 'deadman'"),
    ("verb: prefer-standby", "verb: prefer-standby\n    exits: {‸sigtrm: hold}", "did you mean 'sigterm'?"),
    ("kind: check", "‸kind: chek", "did you mean 'check'?"),
    ("type: port", "‸type: prt", "did you mean 'port'?"),
    ("target: port", "‸target: prt", "did you mean 'port'?"),
    (
        'with: {port: "${port}"}, t',
        '‸with: {port: "${prt}"}, t',
        "${prt} is not a parameter here; did you mean 'port'?",
    ),
    ("timeout: 10m", "‸timeout: ${policy.empty_timout_s}", "did you mean 'policy.empty_timeout_s'?"),
    ("kind: check", "kind: check, ‸title: 'at {{ prt }}'", "'prt' is not a parameter here; did you mean 'port'?"),
    ("kind: check", "kind: check, ‸title: '{% if %}'", "cannot be filled in: TemplateSyntaxError"),
    ("timeout: 10s", "‸timeout: soon", "'soon': is not a duration; write 3s, 5m or 2h"),
    ("timeout: 10s", "‸timeout: 10", "10: is not a duration; write 3s, 5m or 2h"),
    ("verb: port-empty", "‸verb: sleep", "'sleep' is a bare sleep: time alone proves nothing"),
    ("kind: wait_until\n    verb: port-empty", "‸kind: wait_until", "a wait_until without a verb looks at nothing"),
    ("timeout: 10m", "samples: 3\n    spacing: 30s\n    ‸timeout: 1m", "what stands behind it is unreachable"),
    ("risk: traffic-moving", "‸risk: reading", "an act needs its `risk`, and that is not reading"),
    ("id: empty", "‸id: move", "step id 'move' is used twice"),
    ("id: move", "‸id: move\n    for_each: [cloud]", "write ${cloud} in it"),
    ("verb: prefer-standby", "‸verb: put-back", "only in a book that `undoes` another"),
    ("{type: port}", "{type: mbps, ‸default: fast}", "'fast' is not a rate in whole Mbps"),
    ("{type: port}", "{type: port, ‸all: true}", "only a cloud can be `all`"),
    ("  - id: empty", "  - id: m\n    ‸kind: manual\n  - id: empty", "a manual step needs `text`"),
    ("id: empty", "‸id: Empty Port", "'Empty Port': String should match pattern"),
]


def marked(text: str) -> tuple[str, str]:
    """The text without its mark, and where the mark stood: line:column."""
    before = text[: text.index("‸")]
    return text.replace("‸", ""), f"{before.count(chr(10)) + 1}:{len(before.rpartition(chr(10))[2]) + 1}"


@pytest.mark.parametrize(("good", "bad", "said"), CASES)
def test_each_fault_has_its_place_and_says_what_is_allowed(good: str, bad: str, said: str) -> None:
    assert good in SOUND
    lint_of(SOUND.replace(good, bad, 1), said)


def lint_of(marked_text: str, said: str) -> None:
    text, place = marked(marked_text)
    found = faults(text, "book.yaml")
    assert [fault.where for fault in found if said in fault.text] == [f"book.yaml:{place}"], found


def test_a_wait_without_an_end() -> None:
    lint_of(SOUND.replace("    timeout: 10m\n", "").replace("kind: wait", "‸kind: wait"), "an unbounded wait: give its")


def test_an_act_that_does_not_say_how_grave_it_is() -> None:
    lint_of(SOUND.replace("    risk: traffic-moving\n", "").replace("id: move", "‸id: move"), "an act needs its `risk`")


def test_an_act_before_its_gate() -> None:
    lint_of(SOUND.replace(CHECK, "").replace("- id: move", "- ‸id: move"), "act 'move' stands before its gate")
    note = "  - {id: n, kind: note, text: by and by}\n"
    lint_of(SOUND.replace(CHECK, note).replace("- id: move", "- ‸id: move"), "act 'move' stands before its gate")


def test_a_group_that_is_torn() -> None:
    torn = SOUND.replace(ACT, ACT + "    group: g\n") + ACT.replace("id: move", "id: two") + "    ‸group: g\n"
    lint_of(torn, "group 'g' is torn")


def test_what_is_no_yaml_has_a_place_too() -> None:
    (fault,) = faults("runbook: [\n", "book.yaml")
    assert (fault.where, fault.field) == ("book.yaml:2:1", "yaml")


def test_a_sound_book_has_no_fault() -> None:
    assert faults(SOUND, "book.yaml") == []


def test_every_fault_is_told_at_once() -> None:
    text = SOUND.replace("verb: survivors-ready", "verb: x-y").replace("    timeout: 10m\n", "    colour: red\n")
    said = [fault.text for fault in faults(text, "book.yaml")]
    assert any("no check" in each for each in said)
    assert any("unknown key 'colour'" in each for each in said)
    assert any("unbounded wait" in each for each in said)


def test_what_no_source_feeds_or_too_seldom_is_found_at_a_site() -> None:
    site = reference()
    assert faults(SOUND, "book.yaml", site=site) == []
    slow = site.model_copy(update={"routers": tuple(r.model_copy(update={"cadence_s": 900.0}) for r in site.routers)})
    found = faults(SOUND, "book.yaml", site=slow)
    assert [fault.where for fault in found] == ["book.yaml:17:5"]
    assert "routers is asked every 900 s, and the wait ends after 10m" in found[0].text
    blind = site.model_copy(update={"paths": tuple(path.model_copy(update={"probe": None}) for path in site.paths)})
    assert [fault.text for fault in faults(SOUND, "book.yaml", site=blind)] == [
        "'survivors-ready' reads probes, and nothing at site reference feeds that"
    ]


def test_the_library_is_sound_at_the_reference_site() -> None:
    site = reference()
    assert [faults(shipped(name).text, f"{name}.yaml", site=site) for name in names()] == [[]] * len(names())


def test_the_example_of_the_documentation_is_sound() -> None:
    page = (Path(__file__).parents[2] / "docs" / "runbooks.md").read_text()
    example = page.split("```yaml\n", 1)[1].split("```", 1)[0]
    assert faults(example, "runbooks.md", site=reference()) == []


def test_a_book_with_a_fault_is_not_read() -> None:
    with pytest.raises(BookError, match=r"book.yaml:\d+:\d+: steps.0.verb: 'x' is no check"):
        parse(SOUND.replace("survivors-ready", "x"), "book.yaml")


def test_the_command_tells_all_faults_of_all_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad, worse = (tmp_path / name for name in ("good.yaml", "bad.yaml", "worse.yaml"))
    good.write_text(SOUND)
    bad.write_text(SOUND.replace("survivors-ready", "survivors-redy"))
    worse.write_text("[")
    assert books.lint([good], REFERENCE) is Exit.OK
    assert capsys.readouterr().out == ""
    assert books.lint([bad, good, worse, tmp_path / "none.yaml"], None) is Exit.USAGE
    told = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in told] == [str(bad), str(worse), "runbook"]
    assert told[0].startswith(f"{bad}:9:30: steps.0.verb: 'survivors-redy' is no check; did you mean")
