"""prefer-vpn: make a cloud leave by its tunnels, every private path below them and in its order.

A provider's own drain clause goes down too, or its drain in the middle of it would pull egress back. The standby goes
first: until then it carries nothing, so egress moves once. Nothing is withdrawn: when the tunnels fail, the private
paths take over again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from connectors.routers import frr_config
from connectors.routers.frr_config import Clause, read_clause
from connectors.routers.frr_render import LOCAL_PREF, Edit, change, soft_clear
from network.forced import forecast_forced, preferences, private, tunnels
from network.health import judge
from network.inventory import Path, SessionPolicy
from network.rescue import rescues
from network.snapshot import Snapshot
from network.verdict import Overall
from runbooks.actions import clauses
from runbooks.actions.preferences import refuse_unknown_way_out, tunnel_preferences
from runbooks.actions.sending import send_due, sends, window_s
from runbooks.actions.ways import among, as_before, coverage
from runbooks.declares import Declaration
from runbooks.effects import Finding, Seen
from runbooks.model import Phase, StepDef
from runbooks.proof import Line, no_ot_overlap, until_proven
from runbooks.scene import CannotPlan, Compiled, Moment, Scene, moment_of


class Args(BaseModel):
    """The cloud that leaves by its tunnels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cloud: str


@dataclass(frozen=True, slots=True)
class _Lowered:
    """One private session's edits."""

    router: str
    edits: tuple[Edit, ...]
    soft_clear: str

    @property
    def lines(self) -> list[str]:
        return [line for edit in self.edits for line in edit.lines]

    @property
    def undo(self) -> list[str]:
        return [line for edit in reversed(self.edits) for line in edit.undo]


class PreferVpn:
    """See the module."""

    declares = Declaration(
        "prefer-vpn", "act", Args, reads=frozenset({"routers"}), writes=frozenset({"routers"}), undoes=True
    )

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:
        """Exact lines from the routers' configuration as it stands. Raises CannotPlan, and what reading may raise."""
        cloud, health = args["cloud"], moment.health.cloud(args["cloud"])
        _refuse_not_below(moment, cloud)
        made = [_lowered(moment, path) for path in reversed(private(moment.site, cloud))]
        made = [each for each in made if each.edits]
        if not made:
            raise CannotPlan(f"{cloud} has every private path below its VPN already")
        refuse_unknown_way_out(health)
        ports = {moment.site.vxc(path.vxc).port for path in private(moment.site, cloud) if path.vxc}
        commands = tuple(s for each in made for s in sends(each.router, each.lines, each.soft_clear))
        return Compiled(
            commands=commands,
            window_s=window_s(commands),
            undo=tuple(s for each in reversed(made) for s in sends(each.router, each.undo, each.soft_clear)),
            expect=_expected(cloud, _names(moment, cloud)),
            relied_on={
                "clauses": [edit.before.text for each in made for edit in each.edits],
                "carried_by": list(health.carried_by),
            },
            args={
                "edits": [clauses.kept(each.router, edit) for each in made for edit in each.edits],
                "carried_by": list(health.carried_by),
                "return_by": list(health.way_back.paths),
            },
            touches=(cloud, *dict.fromkeys(each.router for each in made)),
            locks=(f"cloud:{cloud}", *(f"port:{port}" for port in ports)),
            after={cloud: _foretold(moment, cloud)},
        )

    def rescues(self, moment: Moment, args: Mapping[str, Any]) -> str:
        return rescues(moment.view, moment.health, str(args["cloud"]))

    async def act(
        self, scene: Scene, step: StepDef, phase: Phase, send_allowed: Callable[[], None]
    ) -> Mapping[str, Any]:
        """Send what is due of the commands or the undo. Raises NotSent when somebody else has changed a clause."""
        return await send_due(scene, step, phase, await clauses.due(scene, step, phase), send_allowed)

    async def observe(self, scene: Scene, step: StepDef) -> Seen:
        """Read the clauses and say which of ours they are; anybody else's is unknown, and both texts are shown."""
        return await clauses.observed(scene, step)

    async def verify(self, scene: Scene, step: StepDef, phase: Phase) -> Finding:
        """Wait until both directions are on the tunnels, or egress is as before, as seen from now on."""

        async def prove(since: Snapshot) -> list[Line]:
            configured = await clauses.configured(scene, step, phase)
            if clauses.restores(step, phase):  # the way back is the other act's, and comes after this one
                return [configured, *as_before(judge(scene.site, since, scene.now()), step, "out")]
            return [configured, *_moved(scene, since, step)]

        return await until_proven(scene, step.timeout_s, prove)


def _refuse_not_below(moment: Moment, cloud: str) -> None:
    """The policy's values, proven to lie below every preference of the tunnels, as observed and as declared."""
    found = [pref for path in tunnels(moment.site, cloud) for pref in tunnel_preferences(moment, path)]
    if not found:
        raise CannotPlan(f"the local-preference of {cloud}'s VPN is not known: what lies below it cannot be said")
    lowest = min(found)
    for path in private(moment.site, cloud):
        wanted = preferences(moment.site, cloud)[path.session]
        if wanted >= lowest:
            raise CannotPlan(
                f"{wanted} for {path.name} (policy.forced_local_pref, forced_standby_local_pref) is not below the "
                f"VPN's {lowest} for {cloud}"
            )


def _lowered(moment: Moment, path: Path) -> _Lowered:
    session = moment.site.session(path.session)
    if session.policy is None:
        raise CannotPlan(f"session {session.name} declares no policy: nothing is known to lower it by")
    running, wanted = moment.running[session.router], preferences(moment.site, path.cloud)[session.name]
    own = change(read_clause(running, session.policy.import_map, session.policy.import_seq), [f"{LOCAL_PREF} {wanted}"])
    drain = f"{LOCAL_PREF} {moment.site.policy.forced_drain_local_pref}"
    edits = (*(change(clause, [drain]) for clause in _others(running, session.policy)), own)
    return _Lowered(
        session.router, tuple(edit for edit in edits if clauses.changes(edit)), soft_clear(str(session.peer))
    )


def _others(running: str, policy: SessionPolicy) -> Iterator[Clause]:
    """The map's other clauses that let routes in with a preference of their own: a provider's drain."""
    for clause in frr_config.clauses(running).values():
        sets = any(line.strip().startswith(f"{LOCAL_PREF} ") for line in clause.lines)
        if clause.name == policy.import_map and clause.seq != policy.import_seq and clause.action == "permit" and sets:
            yield clause


def _names(moment: Moment, cloud: str) -> tuple[str, ...]:
    return tuple(path.name for path in tunnels(moment.site, cloud))


def _expected(cloud: str, names: Sequence[str]) -> tuple[dict[str, str], ...]:
    only = f"only {', '.join(names)}"
    return (
        {"what": f"{cloud} out", "want": only},
        {"what": f"{cloud} back", "want": only},
        {"what": f"{cloud} coverage", "want": "nothing lost"},
        {"what": "OT ranges", "want": "no overlap"},
    )


def _foretold(moment: Moment, cloud: str) -> dict[str, Sequence[str]]:
    """As it is foretold; where nothing certain can be said, as the plan means it."""
    after = forecast_forced(moment.view, moment.health, cloud).after
    if after.verdict is Overall.UNKNOWN:
        return {"carried_by": _names(moment, cloud), "return_by": _names(moment, cloud)}
    return {"carried_by": after.carried_by, "return_by": after.return_by}


def _moved(scene: Scene, since: Snapshot, step: StepDef) -> list[Line]:
    """Both directions over tunnels alone, nothing lost, and nothing announced that must not be."""
    cloud = judge(scene.site, since, scene.now()).cloud(step.args["cloud"])
    known = moment_of(scene)
    names = _names(known, cloud.name)
    return [
        among(f"{cloud.name} out", names, cloud.carried_by, known=not cloud.unseen_routers),
        among(f"{cloud.name} back", names, cloud.way_back.paths, known=True),
        coverage(cloud),
        no_ot_overlap(known.health, known.view),
    ]
