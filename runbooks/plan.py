"""Compile a runbook, its parameters and what is known now into a plan: what you approve is what will run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from network.health import SiteHealth
from network.verdict import Verdict
from runbooks.book import Book, BookStep, bound
from runbooks.journal.records import canonical, sha256
from runbooks.putback import PUT_BACK, inverted
from runbooks.scene import CannotPlan, Compiled, Moment
from runbooks.turns import turns
from runbooks.verbs import VERBS

Send = Mapping[str, Any]

#: Which of a step's facts are part of the plan's hash. Loads, ages and titles are not.
_HASHED = ("id", "kind", "verb", "commands", "expect", "undo", "risk")


@dataclass(frozen=True, slots=True)
class PlanStep:
    """A step made exact. `lines` and `undo_lines` are the commands as a person reads them, one a line."""

    id: str
    title: str
    kind: str
    verb: str
    risk: str
    approvals: int
    definition: Mapping[str, Any]
    expect: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(shown(self.definition["commands"]))

    @property
    def undo(self) -> tuple[str, ...]:
        return tuple(shown(self.definition["undo"]))


@dataclass(frozen=True, slots=True)
class Plan:
    """`before` and `after`: by cloud, the paths that carry it out and back. `touches`: every thing it works on."""

    book: str
    version: int
    title: str
    parameters: Mapping[str, str]
    target: str
    steps: tuple[PlanStep, ...]
    hash: str
    before: Mapping[str, Mapping[str, Any]]
    after: Mapping[str, Mapping[str, Any]]
    touches: tuple[str, ...]
    locks: tuple[str, ...]
    undo_of: str | None = None

    def definition(self) -> dict[str, Any]:
        """What the journal freezes: enough to drive, undo and explain the run without the runbook."""
        return {
            "book": self.book,
            "version": self.version,
            "title": self.title,
            "parameters": dict(self.parameters),
            "target": self.target,
            "plan_hash": self.hash,
            "touches": list(self.touches),
            "locks": list(self.locks),
            "before": dict(self.before),
            "after": dict(self.after),
            "steps": [dict(step.definition) for step in self.steps],
            **({"undo_of": self.undo_of} if self.undo_of else {}),
        }


def compile_plan(book: Book, given: Mapping[str, str], moment: Moment, site_text: str) -> Plan:
    """Make every step exact. Raises BookError (parameters), CannotPlan (with every reason), and reading errors."""
    parameters = bound(book, given, moment.site)
    target, record = parameters[book.target], _record(book, moment)
    compiled: list[Compiled] = []
    steps: list[PlanStep] = []
    for step, args in _turns(book, parameters, moment):
        if step.verb == PUT_BACK:
            steps += [_recorded(definition, moment) for definition in inverted(record)]
            continue
        compiled.append(_compiled(step, args, moment))
        steps.append(_plan_step(step, args, compiled[-1], moment))
    health = moment.health
    before = {c.name: _carried(c.carried_by, c.way_back.paths) for c in health.clouds}
    after = {**record.get("before", {}), **{name: way for each in compiled for name, way in each.after.items()}}
    own = {f"site:{moment.site.name}", f"{book.parameters[book.target].type}:{target}", *record.get("locks", ())}
    touched = [*record.get("touches", ()), *(name for each in compiled for name in each.touches)]
    return Plan(
        book=book.runbook,
        version=book.version,
        title=book.title,
        parameters=parameters,
        target=target,
        steps=tuple(steps),
        hash=_hash(book, parameters, tuple(steps), site_text, [each.relied_on for each in compiled], health),
        before=before,
        after={**before, **{name: _carried(way["carried_by"], way["return_by"]) for name, way in after.items()}},
        touches=tuple(dict.fromkeys([target, *touched])),
        locks=tuple(sorted(own.union(*(each.locks for each in compiled)))),
        undo_of=moment.undoing.run_id if moment.undoing else None,
    )


def _record(book: Book, moment: Moment) -> Mapping[str, Any]:
    """The frozen definition of the run that this book puts back; empty for a book that undoes none."""
    if not book.undoes:
        return {}
    if moment.undoing is None:
        raise CannotPlan(f"{book.runbook} puts back a run of {book.undoes}, and none is in place")
    return moment.undoing.definition


def _compiled(step: BookStep, args: Mapping[str, str], moment: Moment) -> Compiled:
    """A step for a person needs nothing from the network."""
    return VERBS[step.kind][step.verb].compile(moment, args) if step.verb else Compiled()


def _recorded(definition: Mapping[str, Any], moment: Moment) -> PlanStep:
    """A step that was made exact when the run that is put back was planned."""
    expect = tuple(f"{line['what']}: {line['want']}" for line in definition["expect"])
    risk = str(definition["risk"])
    return PlanStep(
        str(definition["id"]), str(definition["title"]), "act", str(definition["verb"]), risk,
        _approvals(moment, risk), definition, expect,
    )  # fmt: skip


def _approvals(moment: Moment, risk: str) -> int:
    """How many second people the site's policy asks for."""
    return int(getattr(moment.site.policy.approvals, risk.replace("-", "_")))


def _turns(book: Book, parameters: Mapping[str, str], moment: Moment) -> Iterator[tuple[BookStep, dict[str, str]]]:
    """Every step with its words filled in, once for each turn of its `for_each`."""
    kind, target = book.parameters[book.target].type, parameters[book.target]
    for step in book.steps:
        for words in turns(moment.site, kind, target, step.for_each):
            values = {**parameters, **words}
            args = {key: _filled(value, values) for key, value in step.args.items()}
            group = _filled(step.group, values) if step.group else None
            yield (
                step.model_copy(
                    update={"id": _filled(step.id, values), "title": _filled(step.title, values), "group": group}
                ),
                args,
            )


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    return text


def _plan_step(step: BookStep, args: Mapping[str, str], compiled: Compiled, moment: Moment) -> PlanStep:
    definition = {
        "id": step.id,
        "title": step.title,
        "kind": step.kind,
        "verb": step.verb,
        "risk": step.risk,
        "with": {**args, **compiled.args},
        "commands": list(compiled.commands),
        "undo": list(compiled.undo),
        "expect": list(compiled.expect),
        "group": step.group,
        "timeout_s": compiled.timeout_s or step.timeout_s or 30.0,
    }
    approvals = _approvals(moment, step.risk)
    expect = tuple(f"{line['what']}: {line['want']}" for line in compiled.expect)
    return PlanStep(step.id, step.title, step.kind, step.verb, step.risk, approvals, definition, expect)


def _hash(
    book: Book,
    parameters: Mapping[str, str],
    steps: tuple[PlanStep, ...],
    site_text: str,
    relied_on: list[Mapping[str, Any]],
    health: SiteHealth,
) -> str:
    """sha256 over what the plan is and what it relies on. Not in it: time, ages, rtt, loss, load, change, driver."""
    return sha256(
        canonical(
            {
                "book": book.text,
                "parameters": dict(parameters),
                "steps": [{key: step.definition[key] for key in _HASHED} for step in steps],
                "site": sha256(canonical(site_text)),
                "relied_on": [dict(facts) for facts in relied_on],
                "paths": {path.name: [path.role, path.verdict is Verdict.DOWN] for path in health.paths},
            }
        )
    )


def _carried(out: Sequence[str], back: Sequence[str]) -> dict[str, list[str]]:
    return {"carried_by": list(out), "return_by": list(back)}


def shown(sends: tuple[Send, ...] | list[Send]) -> Iterator[str]:
    """Commands as a person types them, each with its router."""
    for send in sends:
        if "configure" in send:
            yield f"{send['router']}> configure terminal"
            yield from (f"{send['router']}(config)> {line}" for line in send["configure"])
        else:
            yield f"{send['router']}> {send['exec']}"
