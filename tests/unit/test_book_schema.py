"""The schema for editors accepts what lint accepts, and knows every verb with its arguments."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from runbooks.book import names, shipped
from runbooks.bookschema import schema
from runbooks.verbs import VERBS
from tests.unit.test_lint import SOUND

SCHEMA = schema()


def accepts(text: str) -> bool:
    return bool(Draft202012Validator(SCHEMA).is_valid(yaml.safe_load(text)))


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", names())
def test_the_library_is_accepted(name: str) -> None:
    assert accepts(shipped(name).text)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("verb: survivors-ready", "verb: survivors-redy"),
        ("verb: survivors-ready", "verb: port-empty"),
        ("cloud: azure", "clod: azure"),
        ("timeout: 10m", "timeout: soon"),
        ("    timeout: 10m\n", ""),
        ("    risk: traffic-moving\n", ""),
        ("timeout: 10s", "deadman: 10s"),
        ("kind: check", "kind: chek"),
        ("type: port", "type: prt"),
        ("steps:", "guards: [symetry]\nsteps:"),
    ],
)
def test_what_lint_refuses_is_not_accepted(good: str, bad: str) -> None:
    assert accepts(SOUND)
    assert not accepts(SOUND.replace(good, bad, 1))


def test_every_verb_is_in_it_with_its_arguments() -> None:
    shapes: list[dict[str, Any]] = SCHEMA["$defs"]["Step"]["oneOf"]
    found = {(s["properties"]["kind"]["const"], s["properties"].get("verb", {}).get("const")): s for s in shapes}
    for kind, verbs in VERBS.items():
        for name, verb in verbs.items():
            assert (
                found[kind, name]["properties"]["with"]["properties"].keys() == verb.declares.args.model_fields.keys()
            )
