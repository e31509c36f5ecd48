"""Words that are filled in: exactly in ids and arguments, by templates in texts, and never twice."""

from __future__ import annotations

import pytest

from runbooks.book import parse
from runbooks.language import BookError
from runbooks.parameters import bound
from runbooks.texts import UnfitText, filled, needed, rendered
from runbooks.unfold import Filled, unfolded
from tests.sample import reference
from tests.unit.test_lint import SOUND

SITE = reference()


def test_an_argument_that_is_only_a_word_takes_the_value_with_its_type() -> None:
    assert filled("${mbps}", {"mbps": 500}) == 500
    assert filled("${mbps} Mbps", {"mbps": 500}) == "500 Mbps"
    assert filled({"a": ["${x}", 7]}, {"x": "y"}) == {"a": ["y", 7]}


def test_what_a_value_contains_is_neither_filled_in_nor_run() -> None:
    values = {"a": "${b} {{ b }} {% raw %}", "b": "no"}
    assert filled("${a}", values) == filled("x ${a}", values).removeprefix("x ") == values["a"]
    assert rendered("${a} and {{ a }}", values) == f"{values['a']} and {values['a']}"


def test_texts_are_templates_that_know_no_way_out() -> None:
    assert rendered("{% if n > 1 %}many{% else %}one{% endif %}", {"n": 2}) == "many"
    for text in ("{{ nothing }}", "{{ ''.__class__.__mro__ }}", "{{ policy.nothing }}", "{{ 1 / 0 }}"):
        with pytest.raises(UnfitText):
            rendered(text, {"policy": {}})


def test_the_names_that_a_text_needs() -> None:
    assert needed("${port} {{ cloud }} {% for x in range(3) %}{{ x }}{% endfor %}") - {"range"} == {"port", "cloud"}


def steps(text: str, **given: str) -> dict[str, Filled]:
    book = parse(text, "book.yaml")
    return {each.step.id: each for each in unfolded(book, bound(book, {"port": "port-a", **given}, SITE), SITE)}


def test_a_step_says_what_it_is_about() -> None:
    text = SOUND.replace("id: move", "id: move-${cloud}\n    for_each: [cloud]").replace(
        "cloud: azure", 'cloud: "${cloud}"'
    )
    text = text.replace("kind: act", "kind: act\n    title: move {{ cloud | upper }} off ${port}").replace(
        "    risk: traffic-moving",
        "    expect: {'{{ cloud }} parts': 'none lost on ${port}'}\n    risk: traffic-moving",
    )
    found = steps(text)
    assert list(found) == ["ready", "move-azure", "move-aws", "empty"]
    assert found["move-aws"].step.title == "move AWS off port-a"
    assert found["move-aws"].step.expect == {"aws parts": "none lost on port-a"}
    assert found["move-aws"].args == {"port": "port-a", "cloud": "aws"}


def test_times_come_from_the_policy_and_from_parameters() -> None:
    text = SOUND.replace(
        "timeout: 10m", "timeout: ${hold}\n    samples: ${policy.empty_samples}\n    spacing: 2s"
    ).replace("{type: port}", "{type: port}\n  hold: {type: duration, default: 5m}")
    found = steps(text, hold="2h")["empty"]
    assert (found.timeout_s, found.samples, found.spacing_s) == (7200.0, SITE.policy.empty_samples, 2.0)
    assert steps(text)["empty"].timeout_s == 300.0


def test_a_parameter_that_is_no_time_cannot_be_one() -> None:
    with pytest.raises(BookError, match=r"empty\.timeout: 'port-a' is not a duration"):
        steps(SOUND.replace("timeout: 10m", "timeout: ${port}"))


def test_a_guard_of_the_book_watches_from_the_first_act_on_and_a_steps_own_word_counts() -> None:
    text = SOUND.replace("steps:", "guards: [survivor-load, symmetry]\nsteps:")
    text = text.replace(
        "verb: port-empty", "verb: port-empty\n    guards: [{name: symmetry, policy: undo, k: 1, n: 1}]"
    )
    found = steps(text)
    assert found["ready"].guards == ()
    assert [guard.name for guard in found["move"].guards] == ["survivor-load", "symmetry"]
    assert [(guard.name, guard.policy, guard.k) for guard in found["empty"].guards] == [
        ("survivor-load", "hold", 2),
        ("symmetry", "undo", 1),
    ]
