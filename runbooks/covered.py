"""What a plan's hash covers, as named facts, so that two plans can be compared and the difference said in words. Pure.

Covered: the book, the parameters, every step as it is rendered, the site file, and the state that the plan relies on.
Not covered: time, ages, rtt, loss, load, forecast figures, the change, the driver, credentials.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from network.health import PathHealth, SiteHealth
from network.verdict import Verdict
from runbooks.journal.records import canonical, sha256
from runbooks.unfold import Filled

Covered = Mapping[str, Any]

#: Of a step: what is sent, what is expected, what puts it back, who watches, how grave it is.
_RENDERED = ("kind", "verb", "commands", "expect", "undo", "guards", "risk")


def covered(
    texts: Sequence[str],
    parameters: Mapping[str, str],
    steps: Iterable[Mapping[str, Any]],
    site_text: str,
    relied_on: Iterable[tuple[str, Mapping[str, Any]]],
    health: SiteHealth,
) -> dict[str, Any]:
    """`steps` are definitions, in order; `relied_on` are (what an act is about, its facts)."""
    rendered = list(steps)
    facts: dict[str, Any] = {"the book": sha256(canonical(list(texts)))}
    facts |= {f"parameter {name}": value for name, value in parameters.items()}
    facts["the steps"] = [step["id"] for step in rendered]
    facts |= {f"{key} of {step['id']}": step.get(key) for step in rendered for key in _RENDERED}
    return facts | state(site_text, relied_on, health.paths)


def state(
    site_text: str, relied_on: Iterable[tuple[str, Mapping[str, Any]]], paths: Iterable[PathHealth]
) -> dict[str, Any]:
    """What of it the world can move: the site file, the facts that acts rely on, and how the paths stand."""
    facts: dict[str, Any] = {"the site file": sha256(canonical(site_text))}
    for about, found in relied_on:
        facts |= {f"{key.replace('_', ' ')} of {about}": value for key, value in found.items()}
    for path in paths:
        facts[f"role of {path.name}"] = path.role
        facts[f"{path.name} is down"] = path.verdict is Verdict.DOWN
    return facts


def subjects(steps: Sequence[Filled]) -> dict[str, str]:
    """What the facts of each step are named after, by its id: an act's cloud if no other works on it, else itself."""
    ids, clouds = {each.step.id for each in steps}, Counter(map(cloud_of, acts_of(steps)))
    alone = {cloud for cloud, times in clouds.items() if cloud and times == 1 and cloud not in ids}
    return {name: name for name in ids} | {a.step.id: cloud_of(a) for a in acts_of(steps) if cloud_of(a) in alone}


def acts_of(steps: Iterable[Filled]) -> list[Filled]:
    return [each for each in steps if each.step.kind == "act"]


def cloud_of(act: Filled) -> str:
    """The cloud that an act says it works on; "" when it names none."""
    return str(act.args.get("cloud", ""))


def hashed(facts: Covered) -> str:
    """The plan's hash: sha256 over the canonical JSON of everything that it covers."""
    return sha256(canonical(dict(facts)))


def moved(before: Covered, after: Covered) -> list[str]:
    """What is not as it was, in words: "standby of azure: azure/er-secondary → azure/vpn-1"."""
    names = dict.fromkeys([*before, *after])
    return [
        f"{name}: {_word(before.get(name))} → {_word(after.get(name))}"
        for name in names
        if canonical(before.get(name)) != canonical(after.get(name))
    ]


def _word(value: Any) -> str:
    """A fact for a person, on one line."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_word(part) for part in value) or "nothing"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_word(part)}" for key, part in value.items()) or "nothing"
    text = " ".join(str(value).split())
    return text[:12] if len(text) == 64 and text.isalnum() else text
