"""announce-specifics: bring a cloud's way back onto its tunnels, by longer prefixes that the tunnels alone announce.

Longest match decides in both clouds before any preference, and nothing is withdrawn: when the tunnels fail, the longer
prefixes go with them and the private paths take over again. The other edge does not get them (a clause of our own in
the map towards it): an edge without an origination of its own would send by them across to its neighbour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from connectors.errors import InterlockError
from connectors.routers.frr_specifics import named_by_others
from network.forced import private, tunnels
from network.health import judge
from network.inventory import Path
from network.observation import Advertised, Kind, SessionHere
from network.rescue import rescues
from network.snapshot import Snapshot
from runbooks.actions import clauses
from runbooks.actions.sending import commands_of, send_due, sends, still_due, window_s
from runbooks.actions.specifics import (
    clear,
    exports,
    kept,
    objections,
    read_kept,
    specifics_of,
    states_of,
    tunnels_by_router,
)
from runbooks.actions.ways import as_before
from runbooks.declares import Declaration
from runbooks.effects import Finding, NotSent, Seen
from runbooks.model import Phase, StepDef
from runbooks.proof import Line, line, no_ot_overlap, until_proven
from runbooks.scene import CannotPlan, Compiled, Moment, Scene, moment_of
from runbooks.standby import room


class Args(BaseModel):
    """The cloud that comes back by its tunnels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cloud: str


class AnnounceSpecifics:
    """See the module. The step keeps in `specifics` what each router gets."""

    declares = Declaration(
        "announce-specifics", "act", Args, reads=frozenset({"routers"}), writes=frozenset({"routers"}), undoes=True
    )

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:
        """Lines for each router with a tunnel of the cloud. Raises CannotPlan, and what reading may raise."""
        cloud, health = args["cloud"], moment.health.cloud(args["cloud"])
        made = {
            router: specifics_of(moment, router, paths) for router, paths in tunnels_by_router(moment, cloud).items()
        }
        if not made or not moment.site.specifics(cloud):
            raise CannotPlan(f"{cloud} has no tunnel, or nothing of ours is sanctioned towards it: nothing to announce")
        if reasons := [*objections(moment, made), *_too_many(moment, cloud)]:
            raise CannotPlan("\n".join(reasons))
        peers = {
            router: [clear(moment, path) for path in paths]
            for router, paths in tunnels_by_router(moment, cloud).items()
        }
        commands = tuple(s for router, each in made.items() for s in sends(router, each.lines, *peers[router]))
        return Compiled(
            commands=commands,
            window_s=window_s(commands),
            undo=tuple(s for router, each in reversed(made.items()) for s in sends(router, each.undo, *peers[router])),
            expect=tuple({"what": what, "want": want} for what, want in _wanted(moment, cloud)),
            relied_on={"export": [clause.text for clause in exports(moment, cloud)]},
            args={
                "specifics": [kept(router, each) for router, each in made.items()],
                "carried_by": list(health.carried_by),
                "return_by": list(health.way_back.paths),
            },
            touches=(cloud, *made),
            locks=(f"cloud:{cloud}",),
        )

    def rescues(self, moment: Moment, args: Mapping[str, Any]) -> str:
        return rescues(moment.view, moment.health, str(args["cloud"]))

    async def act(
        self, scene: Scene, step: StepDef, phase: Phase, send_allowed: Callable[[], None]
    ) -> Mapping[str, Any]:
        """Send what is due of the step's commands or its undo. What another cloud needs is not removed.

        Raises NotSent when a router cannot be read or somebody else's work stands in the way.
        """
        try:
            running = await clauses.texts(scene, step)
            foreign = states_of(step, running)[1]
        except InterlockError as error:
            raise NotSent(str(error)) from error
        if foreign:
            raise NotSent("\n".join(foreign))
        of = dict(read_kept(step))

        def lacks(router: str, _lines: Sequence[str]) -> Sequence[str]:
            kept = of[router]
            return (kept.standing if clauses.restores(step, phase) else kept.lacking)(running[router])

        due = still_due(commands_of(step, phase), lacks)
        return {**await send_due(scene, step, phase, due, send_allowed), "routers": list(of)}

    def own(self, step: StepDef, router: str, lines: tuple[str, ...], running: str) -> tuple[str, ...]:
        """The inverse that a timer on the router may send: it cannot count, so what another cloud needs stays."""
        shared = named_by_others(dict(read_kept(step))[router], running)
        return tuple(each for each in lines if each.removeprefix("no network ") not in shared)

    async def observe(self, scene: Scene, step: StepDef) -> Seen:
        """Whether our list, clauses and originations are there; somebody else's among them are unknown, and shown."""
        found, foreign = states_of(step, await clauses.texts(scene, step))
        if foreign:
            return Seen("unknown", {"foreign": foreign})
        return Seen(
            found.pop() if len(found) == 1 else "mixed", {"specifics": [each.name for _, each in read_kept(step)]}
        )

    async def verify(self, scene: Scene, step: StepDef, phase: Phase) -> Finding:
        """Wait until the tunnels alone announce them, or until nobody does and the cloud comes back as before."""

        async def prove(since: Snapshot) -> list[Line]:
            lines = [await _configured(scene, step, phase)]
            if clauses.restores(step, phase):
                return [*lines, *as_before(judge(scene.site, since, scene.now()), step, "back")]
            known = moment_of(scene)
            return [*lines, *_announced(scene, since, step), no_ot_overlap(known.health, known.view)]

        return await until_proven(scene, step.timeout_s, prove)


def _too_many(moment: Moment, cloud: str) -> Iterator[str]:
    """What is seen to be over the cloud's limit; whether anything is not known, vpn-ready asks before the act."""
    rooms = (room(moment, path) for path in tunnels(moment.site, cloud))
    yield from (each["now"] for each in rooms if each["ok"] is False)


def _wanted(moment: Moment, cloud: str) -> list[tuple[str, str]]:
    names = ", ".join(map(str, moment.site.specifics(cloud)))
    return [(f"{cloud} tunnels announce", names), (f"{cloud} private paths announce", "none of them"),
            ("OT ranges", "no overlap")]  # fmt: skip


def _announced(scene: Scene, since: Snapshot, step: StepDef) -> list[Line]:
    """On every tunnel that is up, on no private path: as our routers say they announce since the act."""
    cloud, view = step.args["cloud"], moment_of(scene).view
    wanted = frozenset(map(str, scene.site.specifics(cloud)))
    up = [path for path in tunnels(scene.site, cloud) if not _is_down(since, path)]
    have = {path.name: _sent(since, path) for path in up}
    lacks = {name: sorted(wanted - sent) for name, sent in have.items() if sent is not None and wanted - sent}
    unread = [name for name, sent in have.items() if sent is None]
    leaks = {
        path.name: sorted(wanted & (_sent(view.snapshot, path) or frozenset()))
        for path in private(scene.site, cloud)
        if wanted & (_sent(view.snapshot, path) or frozenset())
    }
    blind = [
        path.name for path in private(scene.site, cloud) if not _is_down(since, path) and not _read_yet(since, path)
    ]
    (tunnel, names), (others, none), _ = _wanted(moment_of(scene), cloud)
    return [
        _line(tunnel, names, [f"{name} lacks {', '.join(each)}" for name, each in lacks.items()], unread or not up),
        _line(others, none, [f"{name} announces {', '.join(each)}" for name, each in leaks.items()], blind),
    ]


def _line(what: str, want: str, wrong: Sequence[str], unknown: object) -> Line:
    if wrong:
        return line(what, want, "; ".join(wrong), ok=False)
    return line(what, want, "unknown" if unknown else want, ok=None if unknown else True)


def _sent(snapshot: Snapshot, path: Path) -> frozenset[str] | None:
    sent = snapshot.fact(Kind.ADVERTISED, path.session, Advertised)
    return frozenset(route.prefix for route in sent.routes) if sent else None


def _read_yet(since: Snapshot, path: Path) -> bool:
    return since.fact(Kind.ADVERTISED, path.session, Advertised) is not None


def _is_down(snapshot: Snapshot, path: Path) -> bool:
    here = snapshot.fact(Kind.SESSION_HERE, path.session, SessionHere)
    return here is not None and not here.established


async def _configured(scene: Scene, step: StepDef, phase: Phase) -> Line:
    words = "nothing of ours left" if clauses.restores(step, phase) else "as planned"
    try:
        found, foreign = states_of(step, await clauses.texts(scene, step))
    except InterlockError as error:
        return line("configuration", words, f"could not be read: {error}", ok=None)
    now = "changed by somebody else" if foreign else words if found == {phase} else "not so"
    return line("configuration", words, now, ok=now == words)
