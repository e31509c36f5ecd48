"""Putting back what a COMPLETED run changed: its acts inverted, in strict reverse, with what was recorded. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runbooks.leftbehind import NONE, traces

#: The placeholder act of a book that `undoes` another: it stands for every act of the run that is put back.
PUT_BACK = "put-back"


def inverted(original: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The acts of a frozen definition with commands and undo exchanged, the last one first."""
    return [
        {
            **step,
            "id": f"restore-{step['id']}",
            "title": f"put back: {step['title']}",
            "risk": "restore",
            "with": {**step["with"], "inverse": True},
            "commands": step["undo"],
            "undo": step["commands"],
            "deadman_s": None,  # what puts back is not itself put back by silence
            "expect": [{"what": _changed(step), "want": "byte for byte as before"}],
            "guards": [],  # nothing may stop what puts back
            "on_failure": "ask",
        }
        for step in reversed(original["steps"])
        if step["kind"] == "act"
    ]


def _changed(step: Mapping[str, Any]) -> str:
    return "configuration" if all("router" in send for send in step["undo"]) else "what was set"


def baseline(original: Mapping[str, Any], run: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """How it was before the run: arguments and what is expected.

    Who carried each cloud, out and back, when it was planned; and what its acts must not have left on the routers.
    """
    ways = {"carried_by": "out", "return_by": "back"}
    args = {key: {cloud: list(way[key]) for cloud, way in original["before"].items()} for key in ways}
    expect = [
        {"what": f"{cloud} {word}", "want": ", ".join(args[key][cloud])}
        for key, word in ways.items()
        for cloud in args[key]
    ]
    commands = (send for step in original["steps"] if step["kind"] == "act" for send in step["commands"])
    left = traces(run, commands)
    expect += [{"what": f"{router} {what}", "want": NONE} for router in left.sent for what in ("leftovers", "dead-men")]
    return {**args, "run": run, "sent": left.sent}, expect


def _clear(original: Mapping[str, Any]) -> str:
    """The question before anything is put back. Where a port was emptied, somebody may have their hands on it."""
    target = original["target"]
    if f"port:{target}" in original["locks"]:
        return f"field clear? {target} will carry again"
    return f"put back on {target} what this run set: {original['title']}?"


def undo_definition(original: Mapping[str, Any], undo_of: str) -> dict[str, Any]:
    """The linked run of `rollback RUN`: asked once, every act put back, and the baseline proven. No book is needed."""
    args, expect = baseline(original, undo_of)
    bare: dict[str, Any] = {"commands": [], "undo": [], "expect": []}
    clear = {
        **bare,
        "id": "field-clear",
        "title": _clear(original),
        "kind": "confirm",
        "risk": "restore",
    }
    restored = {
        **bare,
        "id": "restored",
        "title": "both directions are back as before",
        "kind": "check",
        "verb": "restored",
        "risk": "reading",
        "with": args,
        "expect": expect,
        "timeout_s": 60.0,
    }
    return {
        **original,
        "title": f"undo of {undo_of}: {original['title']}",
        "undo_of": undo_of,
        "before": original["after"],
        "after": original["before"],
        "steps": [clear, *inverted(original), restored],
    }
