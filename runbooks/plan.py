"""Compile a runbook, its parameters and what is known now into a plan: what you approve is what will run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from network.located import Fault
from runbooks import reach
from runbooks.approvals import with_approvals
from runbooks.covered import covered, hashed, subjects
from runbooks.filledin import arguments, compiled
from runbooks.guards.registry import UnfitGuard, exact
from runbooks.language import Book, BookError
from runbooks.parameters import bound
from runbooks.planstep import PlanStep, shown
from runbooks.putback import PUT_BACK, at_rest, clouds_moved, inverted
from runbooks.rescue import rescues, with_word
from runbooks.scene import CannotPlan, Compiled, Moment
from runbooks.turns import ALL
from runbooks.unfold import Filled, unfolded
from runbooks.until import refuse_too_slow
from runbooks.verbs import VERBS

__all__ = ["Plan", "PlanStep", "compile_plan", "shown"]


@dataclass(frozen=True, slots=True)
class Plan:
    """`before` and `after`: by cloud, the paths that carry it out and back. `touches`: every thing it works on.

    `covered`: the named facts behind `hash`. `text`: the book as read. `warnings`: what nobody can tell of it.
    """

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
    covered: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def rescue(self) -> bool:
        """Every act of it is a restore by what is observed: such a plan is never gated."""
        acts = [step for step in self.steps if step.kind == "act"]
        return bool(acts) and all(step.rescues for step in acts)

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
            "covered": dict(self.covered),
            "text": self.text,
            **({"undo_of": self.undo_of} if self.undo_of else {}),
        }


def compile_plan(book: Book, given: Mapping[str, str], moment: Moment, site_text: str) -> Plan:
    """Make every step exact. Raises BookError (parameters), CannotPlan (with every reason), and reading errors."""
    parameters = bound(book, given, moment.site)
    target, record = parameters[book.target], _record(book, moment)
    every = list(unfolded(book, parameters, moment.site))
    made, about = [each for filled in every for each in _made(filled, moment, record)], subjects(every)
    steps = with_word(with_approvals([step for _, _, step in made]))
    _refuse_out_of_reach(made, moment)
    health = moment.health
    before = {c.name: _carried(c.carried_by, c.way_back.paths) for c in health.clouds}
    moved = {name: way for _, each, _ in made for name, way in each.after.items()}
    after = {**(at_rest(record) if record else {}), **moved}
    touched = [*record.get("touches", ()), *(name for _, each, _ in made for name in each.touches)]
    facts = covered(
        book.texts,
        parameters,
        [step.definition for step in steps],
        site_text,
        [(about[filled.step.id], each.relied_on) for filled, each, _ in made],
        health,
    )
    return Plan(
        book=book.runbook,
        version=book.version,
        title=book.title,
        parameters=parameters,
        target=target,
        steps=steps,
        hash=hashed(facts),
        before=before,
        after={**before, **{name: _carried(way["carried_by"], way["return_by"]) for name, way in after.items()}},
        touches=tuple(dict.fromkeys([*([] if target == ALL else [target]), *touched])),
        locks=_locks(book, parameters, moment, record, made),
        undo_of=moment.undoing.run_id if moment.undoing else None,
        covered=facts,
        text=book.text,
        warnings=tuple(dict.fromkeys(each for step in steps for each in reach.warnings(moment.site, step.definition))),
    )


def _refuse_out_of_reach(made: Sequence[Made], moment: Moment) -> None:
    """Raises CannotPlan for an act that nothing could put back. What itself puts back is never refused."""
    if moment.undoing is not None:
        return
    site = moment.site
    why = [each for _, act, step in made for each in reach.refusals(site, step.definition, act.touches)]
    if why:
        raise CannotPlan("\n".join(why))


Made = tuple[Filled, Compiled, PlanStep]


def _made(filled: Filled, moment: Moment, record: Mapping[str, Any]) -> Iterator[Made]:
    """The steps that a written one becomes: itself, or for put-back every act that was recorded."""
    if record and filled.step.for_each and filled.args.get("cloud") not in clouds_moved(record):
        return  # of `all`, the turn of a cloud that has been put back before
    if filled.step.verb == PUT_BACK:
        for definition in inverted(record):
            yield filled, Compiled(), _plan_step({**definition, "guards": _guards(filled)}, moment)
        return
    made, args = compiled(filled, moment), arguments(filled)
    if made.needless:
        filled, args, made = _left_out(filled, made), {}, replace(made, args={})
    yield filled, made, _plan_step(_definition(filled, args, made, moment), moment)


def _left_out(filled: Filled, compiled: Compiled) -> Filled:
    """A step that has nothing to do, as the note that says why. Its kind is part of the hash, and so is its going."""
    plain: dict[str, Any] = {
        "kind": "note",
        "verb": "",
        "risk": "reading",
        "group": None,
        "exits": {},
        "text": compiled.needless,
    }
    return replace(filled, step=filled.step.model_copy(update=plain), guards=(), deadman_s=None)


def _record(book: Book, moment: Moment) -> Mapping[str, Any]:
    """The frozen definition of the run that this book puts back; empty for a book that undoes none."""
    if not book.undoes:
        return {}
    if moment.undoing is None:
        raise CannotPlan(f"{book.runbook} puts back a run of {book.undoes}, and none is in place")
    return moment.undoing.definition


def _locks(
    book: Book, parameters: Mapping[str, str], moment: Moment, record: Mapping[str, Any], made: Sequence[Made]
) -> tuple[str, ...]:
    """What nobody else may move meanwhile: the site, the targets of the book and of those it calls, what verbs name."""
    targets = {(book.parameters[book.target].type, parameters[book.target]), *(filled.target for filled, _, _ in made)}
    own = {lock for kind, name in targets for lock in _target_locks(kind, name, moment)}
    named = (lock for _, compiled, _ in made for lock in compiled.locks)
    return tuple(sorted({f"site:{moment.site.name}", *own, *named, *record.get("locks", ())}))


def _target_locks(kind: str, name: str, moment: Moment) -> list[str]:
    """`all` is no thing that could be locked: every cloud is."""
    names = [cloud.name for cloud in moment.site.clouds] if (kind, name) == ("cloud", ALL) else [name]
    return [f"{kind}:{each}" for each in names]


def _definition(filled: Filled, args: Mapping[str, Any], compiled: Compiled, moment: Moment) -> dict[str, Any]:
    """A step as the journal freezes it. What the book says of time goes before what the verb says.

    A wait takes as many samples as the more careful of the two wants. Raises CannotPlan for one that cannot be fed.
    """
    step = filled.step
    observed = rescues(step.verb, moment, args) if step.kind == "act" else ""
    silence_s = moment.site.policy.deadman_s if step.kind == "act" else None
    made: dict[str, Any] = {
        "id": step.id,
        "title": step.title,
        "kind": step.kind,
        "verb": step.verb,
        "risk": "restore" if observed else step.risk or "reading",
        **({"rescues": observed} if observed else {}),
        "with": {**args, **compiled.args},
        "commands": list(compiled.commands),
        "undo": list(compiled.undo),
        "expect": [*compiled.expect, *({"what": what, "want": want} for what, want in step.expect.items())],
        "group": step.group,
        "timeout_s": filled.timeout_s or compiled.timeout_s or 30.0,
        **({"window_s": compiled.window_s} if compiled.window_s else {}),
        "text": step.text,
        "evidence": list(step.evidence),
        "samples": max(filled.samples, compiled.samples),
        "spacing_s": max(filled.spacing_s, compiled.spacing_s),
        "on_failure": step.then or step.on_failure,
        "guards": _guards(filled),
        "exits": dict(step.exits),
        "deadman_s": filled.deadman_s or silence_s,
    }
    if step.kind == "wait_until":
        wait = made["timeout_s"], made["samples"], made["spacing_s"]
        refuse_too_slow(moment.site, step.id, VERBS[step.kind][step.verb].declares.reads, wait)
    return made


def _guards(filled: Filled) -> list[dict[str, Any]]:
    """The step's guards; what the book leaves out, each guard says itself. Raises BookError."""
    try:
        made = [exact(guard.model_dump(by_alias=True, exclude_unset=True)) for guard in filled.guards]
    except UnfitGuard as error:
        raise BookError([Fault("plan", f"{filled.step.id}.guards", str(error))]) from error
    return [guard.model_dump(mode="json", by_alias=True) for guard in made]


def _plan_step(definition: Mapping[str, Any], moment: Moment) -> PlanStep:
    risk = str(definition["risk"])
    return PlanStep(
        id=str(definition["id"]),
        title=str(definition["title"]),
        kind=str(definition["kind"]),
        verb=str(definition["verb"]),
        risk=risk,
        approvals=int(getattr(moment.site.policy.approvals, risk.replace("-", "_"))),
        definition=definition,
        expect=tuple(f"{line['what']}: {line['want']}" for line in definition["expect"]),
    )


def _carried(out: Sequence[str], back: Sequence[str]) -> dict[str, list[str]]:
    return {"carried_by": list(out), "return_by": list(back)}
