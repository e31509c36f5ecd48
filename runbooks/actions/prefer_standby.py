"""prefer-standby: make one cloud leave a port, out and back in one act.

Out: local-preference below the standby's and above the VPN's, so that the VPN is never used on the way. Back: our AS
prepended until the path is longer than the standby's as observed, and on AWS the 7224 class replaced by the lowest.
The undo is the scoped inverse of the lines that stood there; it is never a whole saved configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict

from connectors.routers.frr_config import read_clause
from connectors.routers.frr_render import COMMUNITY, drain
from network.forecast import forecast
from network.health import judge
from network.inventory import Path, Session
from network.layers import View
from network.observation import Advertised, Kind
from network.preferences import AWS_LOW
from network.snapshot import Snapshot
from network.takeover import Takeover, drained_length, observed_length, takeovers
from network.verdict import Overall, Verdict
from runbooks.actions import clauses
from runbooks.actions.preferences import preferences_held, refuse_unknown_way_out, tunnel_preferences
from runbooks.actions.sending import send_due, sends
from runbooks.actions.ways import coverage, way
from runbooks.declares import Declaration
from runbooks.effects import Finding, Seen
from runbooks.model import Phase, StepDef
from runbooks.proof import Line, line, no_ot_overlap, until_proven
from runbooks.scene import CannotPlan, Compiled, Moment, Scene
from runbooks.standby import over

#: AWS's preference classes: one of them replaces another, and nothing else that a clause sets.
AWS_CLASSES = frozenset({"7224:7100", "7224:7200", "7224:7300"})


class Args(BaseModel):
    """The port to leave, and the cloud that leaves it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: str
    cloud: str


class PreferStandby:
    """See the module."""

    declares = Declaration(
        "prefer-standby", "act", Args, reads=frozenset({"routers"}), writes=frozenset({"routers"}), undoes=True
    )

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:
        """Exact lines from the router's configuration as it stands. Raises CannotPlan, and what reading may raise."""
        move = _move(moment, args)
        session = moment.site.session(move.leaving.session)
        running = moment.running[session.router]
        full = drain(
            session,
            moment.site.on_prem.asn,
            running,
            local_pref=_preference(moment, move),
            prepend=_prepend(moment, move),
            community=_community(session, running) if moment.site.cloud(move.cloud).aws else None,
        )
        made = replace(full, edits=tuple(edit for edit in full.edits if clauses.changes(edit)))
        if not made.edits:
            raise CannotPlan(f"{move.leaving.name} is drained already")
        health = moment.health.cloud(move.cloud)
        refuse_unknown_way_out(health)
        return Compiled(
            commands=sends(session.router, made.lines, made.soft_clear),
            undo=sends(session.router, made.undo, made.soft_clear),
            expect=_expected(move.cloud, move.survivor.name),
            relied_on={
                "clauses": [edit.before.text for edit in full.edits],
                "carried_by": list(health.carried_by),
                "standby": move.survivor.name,
                "held": {path.name: _prefixes(moment, path) for path in (move.leaving, move.survivor)},
            },
            args={
                "router": session.router,
                "leaving": move.leaving.name,
                "survivor": move.survivor.name,
                "carried_by": list(health.carried_by),
                "return_by": list(health.way_back.paths),
                "edits": [clauses.kept(session.router, edit) for edit in made.edits],
            },
            touches=(args["port"], session.router),
            locks=(f"port:{args['port']}", f"port:{moment.site.vxc(str(move.survivor.vxc)).port}"),
            after={move.cloud: _foretold(moment, args["port"], move)},
        )

    async def act(
        self, scene: Scene, step: StepDef, phase: Phase, send_allowed: Callable[[], None]
    ) -> Mapping[str, Any]:
        """Send what is due of the step's commands or its undo, asking before each send whether the moment has passed.

        Raises NotSent when somebody else has changed a clause meanwhile: their work is never written over.
        """
        due = await clauses.due(scene, step, phase)
        return {**await send_due(scene, step, phase, due, send_allowed), "router": step.args["router"]}

    async def observe(self, scene: Scene, step: StepDef) -> Seen:
        """Read the clauses and say which of ours they are; anybody else's is unknown, and both texts are shown."""
        return await clauses.observed(scene, step)

    async def verify(self, scene: Scene, step: StepDef, phase: Phase) -> Finding:
        """Wait until configuration and routes of both directions are as wanted, as seen from now on."""

        async def prove(since: Snapshot) -> list[Line]:
            configured = await clauses.configured(scene, step, phase)
            if clauses.restores(step, phase):
                return [configured, *_back(scene, since, step)]
            return [configured, *_moved(scene, since, step)]

        return await until_proven(scene, step.timeout_s, prove)


def _move(moment: Moment, args: Mapping[str, str]) -> Takeover:
    found = [m for m in takeovers(moment.site, args["port"]) if m.cloud == args["cloud"]]
    if not found:
        raise CannotPlan(
            f"{args['cloud']} has no private path on another port than {args['port']}: nothing could take over"
        )
    return found[0]


def _foretold(moment: Moment, port: str, move: Takeover) -> dict[str, Sequence[str]]:
    """As the drain is foretold; where nothing certain can be said, as the plan means it."""
    after = forecast(moment.view, moment.health, "drain", (port,)).cloud(move.cloud).after
    if after.verdict is Overall.UNKNOWN:
        return {"carried_by": (move.survivor.name,), "return_by": (move.survivor.name,)}
    return {"carried_by": after.carried_by, "return_by": after.return_by}


def _preference(moment: Moment, move: Takeover) -> int:
    """The site's drain preference, proven to lie strictly between the standby's and the VPN's as observed."""
    wanted = moment.site.policy.drain_local_pref
    standby = preferences_held(moment, move.survivor)
    if not standby or None in standby:
        raise CannotPlan(f"the local-preference of {move.survivor.name} is not known: no route of it is held")
    tunnels = [
        pref for p in moment.site.paths_of(move.cloud) if p.kind == "vpn" for pref in tunnel_preferences(moment, p)
    ]
    low, high = max(tunnels, default=0), min(pref for pref in standby if pref is not None)
    if not low < wanted < high:
        raise CannotPlan(
            f"policy.drain_local_pref {wanted} is not between the VPN's {low} and the standby's {high} for {move.cloud}"
        )
    return wanted


def _prefixes(moment: Moment, path: Path) -> list[str]:
    """The cloud's prefixes that the path's router holds over it."""
    every = [str(p.prefix) for p in moment.site.cloud(path.cloud).prefixes]
    return [prefix for prefix in every if over(moment, path, prefix)]


def _prepend(moment: Moment, move: Takeover) -> int:
    """Longer than the standby as observed, and never shorter than it is: others may compare with it too."""
    length = observed_length(moment.view, move.survivor)
    if length is None:
        raise CannotPlan(f"what {move.survivor.name} advertises is not known: how much to prepend cannot be said")
    own = observed_length(moment.view, move.leaving) or 1
    return drained_length(own, length) - 1


def _community(session: Session, running: str) -> str:
    """The lowest class in place of the present one; what else the clause sets stays."""
    policy = session.policy
    clause = read_clause(running, policy.export_map, policy.export_seq) if policy else None
    lines = [line.strip() for line in clause.lines] if clause else []
    values = next((line.split()[2:] for line in lines if line.startswith(f"{COMMUNITY} ")), [])
    return " ".join(sorted({AWS_LOW, *values} - (AWS_CLASSES - {AWS_LOW}) - {"additive"}))


def _expected(cloud: str, survivor: str) -> tuple[dict[str, str], ...]:
    return (
        {"what": f"{cloud} out", "want": survivor},
        {"what": f"{cloud} back", "want": survivor},
        {"what": f"{cloud} coverage", "want": "nothing lost"},
        {"what": "OT ranges", "want": "no overlap"},
    )


def _moved(scene: Scene, since: Snapshot, step: StepDef) -> list[Line]:
    """Both directions over the survivor, nothing lost, and nothing announced that must not be."""
    cloud = judge(scene.site, since, scene.now()).cloud(step.args["cloud"])
    survivor: str = step.args["survivor"]
    leaving = scene.site.path(step.args["leaving"]).session
    view = View(scene.site, scene.snapshot, scene.now())
    overlap = no_ot_overlap(judge(view.site, view.snapshot, view.now), view)
    if overlap["ok"] and since.fact(Kind.ADVERTISED, leaving, Advertised) is None:
        overlap = overlap | {"now": f"what {leaving} advertises now is unknown", "ok": None}
    return [
        way(f"{cloud.name} out", (survivor,), cloud.carried_by, known=not cloud.unseen_routers),
        way(f"{cloud.name} back", (survivor,), cloud.way_back.paths, known=bool(cloud.way_back.paths)),
        coverage(cloud),
        overlap,
    ]


def _back(scene: Scene, since: Snapshot, step: StepDef) -> list[Line]:
    """After an undo the cloud is carried as before, unless the path itself cannot carry any more."""
    health = judge(scene.site, since, scene.now())
    leaving, cloud = health.path(step.args["leaving"]), health.cloud(step.args["cloud"])
    out, back = tuple(step.args.get("carried_by", ())), tuple(step.args.get("return_by", ()))
    if leaving.verdict is Verdict.DOWN:
        return [line(f"{cloud.name} out", leaving.name, f"{leaving.name} is down: {leaving.why}", ok=True)]
    # A router that the undo does not touch, dead perhaps, must not keep the rest of a rollback waiting.
    seen = step.args["router"] not in cloud.unseen_routers
    lines = [way(f"{cloud.name} out", out, cloud.carried_by, known=seen)]
    if back and not cloud.unseen_routers:  # a way back that was not known before cannot be compared
        lines.append(way(f"{cloud.name} back", back, cloud.way_back.paths, known=bool(cloud.way_back.paths)))
    return lines
