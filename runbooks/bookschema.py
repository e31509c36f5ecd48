"""The JSON Schema of a runbook, for editors: a shape for each kind of step, and for each verb. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runbooks.guardnames import GUARD_NAMES
from runbooks.language import EVERY, FIELDS, Script
from runbooks.putback import PUT_BACK
from runbooks.verbs import VERBS

Schema = dict[str, Any]
#: A word that is filled in when the plan is compiled stands where any value may.
_WORD: Schema = {"type": "string", "pattern": r"\$\{[^{}]+\}"}
_DURATION: Schema = {
    "type": "string",
    "pattern": r"^[0-9]{1,9}(\.[0-9]{1,3})?[smhd]$|\$\{",
    "examples": ["3s", "5m", "2h"],
}
_DURATIONS = frozenset({"timeout", "spacing", "deadman"})


def schema() -> Schema:
    """JSON Schema 2020-12; the verbs of other packages are in it as they are installed here."""
    made = Script.model_json_schema(by_alias=True)
    defs = made["$defs"]
    fields: Schema = defs.pop("BookStep")["properties"]
    defs["BookGuard"]["properties"]["name"] = {"enum": list(GUARD_NAMES)}
    guards = {"type": "array", "items": {"anyOf": [{"enum": list(GUARD_NAMES)}, {"$ref": "#/$defs/BookGuard"}]}}
    made["properties"]["guards"] = fields["guards"] = guards
    fields |= dict.fromkeys(_DURATIONS, _DURATION)
    defs["Step"] = {"oneOf": list(_steps(fields, defs))}
    made["properties"]["steps"]["items"] = {"$ref": "#/$defs/Step"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Interlock runbook", **_titled(made)}


def _steps(fields: Schema, defs: Schema) -> Iterator[Schema]:
    for kind, own in FIELDS.items():
        if kind not in VERBS:
            yield _step(fields, EVERY | own, {"kind": {"const": kind}}, _needed(kind))
            continue
        for name, verb in VERBS[kind].items():
            taken = {"kind": {"const": kind}, "verb": {"const": name}, "with": _arguments(verb.declares.args, defs)}
            yield _step(fields, EVERY | own, taken, [*_needed(kind), "verb"])
    taken = {"kind": {"const": "act"}, "verb": {"const": PUT_BACK}}
    yield _step(fields, (EVERY | FIELDS["act"]) - {"with"}, taken, ["verb", "risk"])


def _needed(kind: str) -> list[str]:
    """What a step of a kind cannot be without."""
    needed = {"act": ["risk"], "wait_until": ["timeout"], "manual": ["text"], "note": ["text"], "call": ["book"]}
    return needed.get(kind, [])


def _step(fields: Schema, allowed: frozenset[str], taken: Schema, needed: list[str]) -> Schema:
    properties = {name: fields[name] for name in sorted(allowed)} | taken
    return {
        "type": "object",
        "properties": properties,
        "required": ["id", "kind", *needed],
        "additionalProperties": False,
    }


def _arguments(model: Any, defs: Schema) -> Schema:
    """A verb's arguments: each as its type says, or a word."""
    made = model.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    defs.update(made.pop("$defs", {}))
    each = {name: {"anyOf": [shape, _WORD]} for name, shape in made.get("properties", {}).items()}
    return {**made, "properties": each} if each else made


def _titled(made: Mapping[str, Any]) -> Schema:
    return {key: value for key, value in made.items() if key != "title"}
