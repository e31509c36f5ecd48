"""prefer-standby: make one cloud leave a port, out and back in one act.

Out: local-preference below the standby's and above the VPN's, so that the VPN is never used on the way. Back: our AS
prepended until the path is longer than the standby's as observed, and on AWS the 7224 class replaced by the lowest.
The undo is the scoped inverse of the lines that stood there; it is never a whole saved configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from connectors.errors import Denied, InterlockError
from connectors.errors import NotSent as ConnectorNotSent
from connectors.routers.frr_config import Clause, read_clause
from connectors.routers.frr_render import Drain, Edit, drain, foreign_change
from network.health import judge
from network.inventory import Path
from network.snapshot import Snapshot
from runbooks.effects import Finding, NotSent, Seen
from runbooks.model import Phase, StepDef
from runbooks.scene import CannotPlan, Compiled, Moment, RouterPort, Scene
from runbooks.standby import Takeover, observed_length, over, takeovers

#: One longer than strictly needed, so that the standby still wins when it gains a hop of our own.
MARGIN = 1
#: The class that AWS judges before the AS path; the lowest one.
AWS_LOW = "7224:7100"
#: How long a new snapshot is waited for before the router is read again.
LOOK_S = 1.0


class PreferStandby:
    """See the module."""

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:
        """Exact lines from the router's configuration as it stands. Raises CannotPlan, and what reading may raise."""
        move = _move(moment, args)
        session = moment.site.session(move.leaving.session)
        community = AWS_LOW if moment.site.cloud(move.cloud).aws else None
        made = drain(
            session,
            moment.site.on_prem.asn,
            moment.running[session.router],
            local_pref=_preference(moment, move),
            prepend=_prepend(moment, move),
            community=community,
        )
        _refuse_drained(made, move)
        health = moment.health.cloud(move.cloud)
        return Compiled(
            commands=_sends(session.router, made.lines, made),
            undo=_sends(session.router, made.undo, made),
            expect=_expected(move.cloud, move.survivor.name),
            relied_on={
                "clauses": [edit.before.text for edit in made.edits],
                "carried_by": list(health.carried_by),
                "standby": move.survivor.name,
                "held": {path.name: _prefixes(moment, path) for path in (move.leaving, move.survivor)},
            },
            args={
                "router": session.router,
                "leaving": move.leaving.name,
                "survivor": move.survivor.name,
                "carried_by": list(health.carried_by),
                "edits": [_kept(edit) for edit in made.edits],
            },
        )

    async def act(
        self, scene: Scene, step: StepDef, phase: Phase, send_allowed: Callable[[], None]
    ) -> Mapping[str, Any]:
        """Send the step's commands or its undo, asking before each send whether the moment has passed.

        Raises NotSent when somebody else has changed a clause meanwhile: their work is never written over.
        """
        router, sent = scene.router(step.args["router"]), 0
        await _refuse_foreign(router, step)
        for command in step.commands if phase == "do" else step.undo:
            send_allowed()
            try:
                if "configure" in command:
                    await router.configure(tuple(command["configure"]))
                else:
                    await router.execute(command["exec"])
            except (ConnectorNotSent, Denied) as error:
                if sent:
                    raise
                raise NotSent(str(error)) from error
            sent += 1
        return {"sent": sent, "router": step.args["router"]}

    async def observe(self, scene: Scene, step: StepDef) -> Seen:
        """Read the clauses and say which of ours they are; anybody else's is unknown, and both texts are shown."""
        running = await scene.router(step.args["router"]).running_config()
        states, foreign = _states(step, running)
        if foreign:
            return Seen("unknown", {"foreign": foreign})
        evidence = {"clauses": [clause.text for clause in _found(step, running)]}
        return Seen(states.pop() if len(states) == 1 else "mixed", evidence)  # type: ignore[arg-type]

    async def verify(self, scene: Scene, step: StepDef, phase: Phase) -> Finding:
        """Wait until configuration and routes of both directions are as wanted. Unknown is not proof."""
        deadline = scene.now().timestamp() + step.timeout_s
        snapshot = scene.snapshot
        while True:
            proof = await self._proof(scene, snapshot, step, phase)
            if all(line["ok"] for line in proof):
                return Finding(ok=True, evidence={"expected": proof})
            if scene.now().timestamp() >= deadline:
                missing = "; ".join(
                    f"{line['what']}: {line['now']}, expected {line['want']}" for line in proof if not line["ok"]
                )
                return Finding(ok=None, reason=missing, evidence={"expected": proof})
            snapshot = await scene.newer(snapshot.revision, LOOK_S)

    async def _proof(self, scene: Scene, snapshot: Snapshot, step: StepDef, phase: Phase) -> list[dict[str, Any]]:
        running = await scene.router(step.args["router"]).running_config()
        states, foreign = _states(step, running)
        is_so = states == {phase} and not foreign
        restores = _restores(step, phase)
        words = "byte for byte as before" if restores else "as planned"
        lines = [_line("configuration", words, words if is_so else "not so", ok=is_so)]
        if not restores:
            return lines + _routes(scene, snapshot, step.args["cloud"], step.args["survivor"])
        return lines + _back(scene, snapshot, step)


def _move(moment: Moment, args: Mapping[str, str]) -> Takeover:
    found = [m for m in takeovers(moment.site, args["port"]) if m.cloud == args["cloud"]]
    if not found:
        raise CannotPlan(
            f"{args['cloud']} has no private path on another port than {args['port']}: nothing could take over"
        )
    return found[0]


def _preference(moment: Moment, move: Takeover) -> int:
    """The site's drain preference, proven to lie strictly between the standby's and the VPN's as observed."""
    wanted = moment.site.policy.drain_local_pref
    standby = [_held(moment, move.survivor)]
    tunnels = [_held(moment, p) for p in moment.site.paths_of(move.cloud) if p.kind == "vpn"]
    if None in standby:
        raise CannotPlan(f"the local-preference of {move.survivor.name} is not known: no route of it is held")
    low, high = max((pref for pref in tunnels if pref is not None), default=0), min(p for p in standby if p is not None)
    if not low < wanted < high:
        raise CannotPlan(
            f"policy.drain_local_pref {wanted} is not between the VPN's {low} and the standby's {high} for {move.cloud}"
        )
    return wanted


def _held(moment: Moment, path: Path) -> int | None:
    prefixes = [str(p.prefix) for p in moment.site.cloud(path.cloud).prefixes]
    prefs = [route.local_pref for route in (over(moment, path, p) for p in prefixes) if route]
    return min((pref for pref in prefs if pref is not None), default=None)


def _prefixes(moment: Moment, path: Path) -> list[str]:
    """The cloud's prefixes that the path's router holds over it."""
    every = [str(p.prefix) for p in moment.site.cloud(path.cloud).prefixes]
    return [prefix for prefix in every if over(moment, path, prefix)]


def _prepend(moment: Moment, move: Takeover) -> int:
    length = observed_length(moment, move.survivor)
    if length is None:
        raise CannotPlan(f"what {move.survivor.name} advertises is not known: how much to prepend cannot be said")
    return length + MARGIN


def _refuse_drained(made: Drain, move: Takeover) -> None:
    if all(
        foreign_change(edit, edit.expected) is None and edit.before.text == edit.expected.text for edit in made.edits
    ):
        raise CannotPlan(f"{move.leaving.name} is drained already")


def _sends(router: str, lines: tuple[str, ...], made: Drain) -> tuple[dict[str, Any], ...]:
    """The configuration as one group, then the soft clear without which FRR waits 5 s to act."""
    return ({"router": router, "configure": list(lines)}, {"router": router, "exec": made.soft_clear})


def _expected(cloud: str, survivor: str) -> tuple[dict[str, str], ...]:
    return (
        {"what": f"{cloud} out", "want": survivor},
        {"what": f"{cloud} back", "want": survivor},
        {"what": "coverage", "want": "nothing lost"},
    )


def _kept(edit: Edit) -> dict[str, Any]:
    def clause(kept: Clause) -> dict[str, Any]:
        return {"name": kept.name, "action": kept.action, "seq": kept.seq, "lines": list(kept.lines)}

    return {
        "before": clause(edit.before),
        "expected": clause(edit.expected),
        "lines": list(edit.lines),
        "undo": list(edit.undo),
    }


def _edits(step: StepDef) -> list[Edit]:
    def clause(kept: Mapping[str, Any]) -> Clause:
        return Clause(kept["name"], kept["action"], kept["seq"], tuple(kept["lines"]))

    return [
        Edit(clause(kept["before"]), tuple(kept["lines"]), tuple(kept["undo"]), clause(kept["expected"]))
        for kept in step.args["edits"]
    ]


def _found(step: StepDef, running: str) -> list[Clause]:
    return [read_clause(running, edit.before.name, edit.before.seq) for edit in _edits(step)]


def _restores(step: StepDef, phase: Phase) -> bool:
    """Whether a phase puts back what was saved: an undo does, and the `do` of a run that undoes another."""
    return (phase == "undo") != bool(step.args.get("inverse"))


async def _refuse_foreign(router: RouterPort, step: StepDef) -> None:
    """A look directly before the sends. A clause that cannot be read is no licence to write it."""
    try:
        running = await router.running_config()
    except InterlockError as error:
        raise NotSent(str(error)) from error
    if foreign := _states(step, running)[1]:
        raise NotSent("\n".join(foreign))


def _states(step: StepDef, running: str) -> tuple[set[str], list[str]]:
    """Which phase each clause is in: as saved means byte for byte; and foreign changes in words."""
    saved: Phase = "undo" if _restores(step, "undo") else "do"
    moved: Phase = "do" if saved == "undo" else "undo"
    states, foreign = set[str](), []
    for edit, found in zip(_edits(step), _found(step, running), strict=True):
        stranger = foreign_change(edit, found)
        if stranger:
            foreign.append(str(stranger))
        states.add(saved if found == edit.before else moved)
    return states, foreign


def _line(what: str, want: str, now: str, *, ok: bool) -> dict[str, Any]:
    return {"what": what, "want": want, "now": now, "ok": ok}


def _routes(scene: Scene, snapshot: Snapshot, cloud: str, survivor: str) -> list[dict[str, Any]]:
    """Both directions over the survivor and nothing lost, as last seen."""
    seen = judge(scene.site, snapshot, scene.now()).cloud(cloud)
    out, back = ", ".join(seen.carried_by) or "unknown", ", ".join(seen.way_back.paths) or "unknown"
    lost = "nothing lost" if seen.carried_by and "no route" not in seen.why else seen.why
    return [
        _line(f"{cloud} out", survivor, out, ok=seen.carried_by == (survivor,)),
        _line(f"{cloud} back", survivor, back, ok=seen.way_back.paths == (survivor,)),
        _line("coverage", "nothing lost", lost, ok=lost == "nothing lost"),
    ]


def _back(scene: Scene, snapshot: Snapshot, step: StepDef) -> list[dict[str, Any]]:
    """After an undo the cloud is carried as before, unless the path itself is not fit to carry any more."""
    health = judge(scene.site, snapshot, scene.now())
    leaving, cloud = health.path(step.args["leaving"]), step.args["cloud"]
    before: Iterable[str] = step.args.get("carried_by", ())
    if leaving.verdict in {"down", "unknown", "stale"}:
        return [
            _line(
                f"{cloud} out", leaving.name, f"{leaving.name} is {leaving.verdict.value}", ok=leaving.verdict == "down"
            )
        ]
    now = health.cloud(cloud).carried_by
    return [_line(f"{cloud} out", ", ".join(before), ", ".join(now) or "unknown", ok=now == tuple(before))]
