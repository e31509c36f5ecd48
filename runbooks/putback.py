"""Putting back what a COMPLETED run changed: its acts inverted, in strict reverse, with what was recorded. Pure.

A run may be put back in parts, a cloud at a time: what one undo has put back, no later one puts back again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from runbooks.leftbehind import NONE, traces

#: The placeholder act of a book that `undoes` another: it stands for every act of the run that is put back.
PUT_BACK = "put-back"
#: An act that puts another one back is called after it.
_RESTORE = "restore-"


def acts(definition: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The acts that can be put back; what has no undo lasts."""
    return [step for step in definition["steps"] if step["kind"] == "act" and step["undo"]]


def clouds_moved(definition: Mapping[str, Any]) -> list[str]:
    """The clouds that a definition's acts name; every cloud that it knows of where one of them names none."""
    named = {step["with"].get("cloud") for step in acts(definition)}
    return [cloud for cloud in definition["before"] if None in named or not named or cloud in named]


def remaining(original: Mapping[str, Any], undos: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The frozen definition with those of its acts that none of these undos has put back."""
    done = {act for undo in undos for act in put_back(undo)}
    return part(original, [step["id"] for step in acts(original) if step["id"] not in done])


def put_back(undo: Mapping[str, Any]) -> set[str]:
    """The acts that an undo's definition puts back, by their ids in the run that it undoes."""
    return {step["id"].removeprefix(_RESTORE) for step in acts(undo) if step["id"].startswith(_RESTORE)}


def part(original: Mapping[str, Any], ids: Collection[str]) -> Mapping[str, Any]:
    """The frozen definition as if of the acts that can be put back it had had these alone."""
    gone = {step["id"] for step in acts(original)} - set(ids)
    made = {**original, "steps": [step for step in original["steps"] if step["id"] not in gone]}
    others = set(original["before"]) - set(clouds_moved(made))
    return {**made, "touches": [name for name in original["touches"] if name not in others]}


def at_rest(original: Mapping[str, Any]) -> dict[str, Mapping[str, list[str]]]:
    """Who carried each cloud that its acts move, out and back, when it was planned.

    Of another cloud it says nothing: that may have been moved since, by a run that is still in place.
    """
    return {cloud: original["before"][cloud] for cloud in clouds_moved(original)}


def inverted(original: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The acts of a frozen definition with commands and undo exchanged, the last one first."""
    return [
        {
            **step,
            "id": f"{_RESTORE}{step['id']}",
            "title": f"put back: {step['title']}",
            "risk": "restore",
            "rescues": "",  # whatever made the act one, putting it back is one anyway
            "with": {**step["with"], "inverse": True},
            "commands": step["undo"],
            "undo": step["commands"],
            "deadman_s": None,  # what puts back is not itself put back by silence
            "expect": [{"what": _changed(step), "want": "byte for byte as before"}],
            "guards": [],  # nothing may stop what puts back
            "on_failure": "ask",
        }
        for step in reversed(acts(original))
    ]


def _staying(original: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A note for what the run did and nothing puts back."""
    titles = [str(step["title"]) for step in original["steps"] if step["kind"] == "act" and not step["undo"]]
    text = f"Left in place, it cannot be put back: {'; '.join(titles)}."
    note = {"id": "left", "kind": "note", "title": "what stays", "risk": "reading", "text": text}
    return [{**_BARE, **note}] if titles else []


_BARE: Mapping[str, Any] = {"commands": [], "undo": [], "expect": []}


def _changed(step: Mapping[str, Any]) -> str:
    return "configuration" if all("router" in send for send in step["undo"]) else "what was set"


def baseline(original: Mapping[str, Any], run: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """How it was before the run: arguments and what is expected.

    Who carried each cloud that it moved, out and back; and what its acts must not have left on the routers.
    """
    ways = {"carried_by": "out", "return_by": "back"}
    args = {key: {cloud: list(way[key]) for cloud, way in at_rest(original).items()} for key in ways}
    expect = [
        {"what": f"{cloud} {word}", "want": ", ".join(args[key][cloud])}
        for key, word in ways.items()
        for cloud in args[key]
    ]
    left = traces(run, (send for step in acts(original) for send in step["commands"]))
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
    clear = {
        **_BARE,
        "id": "field-clear",
        "title": _clear(original),
        "kind": "confirm",
        "risk": "restore",
    }
    restored = {
        **_BARE,
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
        "before": {cloud: original["after"][cloud] for cloud in clouds_moved(original)},
        "after": at_rest(original),
        "steps": [clear, *inverted(original), *_staying(original), restored],
    }
