"""primary-stable: what is to carry again has held long enough, loses nothing and is as quick as it used to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from network.forced import private
from network.inventory import Path
from network.measured import ProbeResult
from network.observation import Kind, SessionHere
from network.snapshot import Snapshot
from network.verdict import Verdict
from runbooks.declares import Declaration
from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.proof import LOOK_S, Line, finding, line
from runbooks.scene import CannotPlan, Compiled, Moment, Scene, moment_of

#: A round trip may be so much above its usual; below the floor a difference is the host's, not the network's.
LATENCY_PCT = 10.0
LATENCY_FLOOR_MS = 2.0
#: Losses double the hold-down each, up to so many.
MOST_DOUBLINGS = 6


class Args(BaseModel):
    """The cloud that fails back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cloud: str


class PrimaryStable:
    """See the module. Judged while it is not preferred yet; for as long as policy.baseline_s without a break.

    Flaps are counted as far as this console has watched.
    """

    declares = Declaration("primary-stable", "check", Args, reads=frozenset({"routers", "azure", "aws", "probes"}))

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:
        paths = _returning(moment, args["cloud"])
        if not paths:
            raise CannotPlan(f"{args['cloud']} has no private path: there is nothing to fail back to")
        policy = moment.site.policy
        return Compiled(
            expect=tuple({"what": path.name, "want": _want(moment)} for path in paths),
            args={"paths": [path.name for path in paths]},
            timeout_s=policy.holddown_s + 2 * policy.baseline_s + 30,
        )

    async def check(self, scene: Scene, step: StepDef) -> Finding:
        began = steady = scene.now()
        while True:
            moment, since = moment_of(scene), scene.snapshot.since(began)
            found = finding([_line(moment, since, scene.site.path(name)) for name in step.args["paths"]])
            if not found.ok:
                steady = moment.now
            if (moment.now - steady).total_seconds() >= scene.site.policy.baseline_s:
                return found
            left_s = step.timeout_s - (moment.now - began).total_seconds()
            if left_s <= 0:
                return found if not found.ok else _brief(found, moment.now, steady, scene.site.policy.baseline_s)
            await scene.newer(moment.snapshot.revision, min(LOOK_S, left_s))


def _brief(found: Finding, now: datetime, steady: datetime, wanted_s: float) -> Finding:
    held = f"so for {(now - steady).total_seconds():.0f} s; policy.baseline_s asks {wanted_s:g}"
    return Finding(None, held, found.evidence)


def _returning(moment: Moment, cloud: str) -> Sequence[Path]:
    """The private paths that carried it when it was forced; the primary where none did."""
    paths = private(moment.site, cloud)
    was = moment.undoing.definition["before"][cloud] if moment.undoing else {}
    names = {*was.get("carried_by", ()), *was.get("return_by", ())}
    return [path for path in paths if path.name in names] or paths[:1]


def _want(moment: Moment) -> str:
    policy = moment.site.policy
    return (
        f"up for {policy.holddown_s:g} s, twice that per flap; no loss for {policy.baseline_s:g} s; as quick as usual"
    )


def _line(moment: Moment, since: Snapshot, path: Path) -> Line:
    health = moment.health.path(path.name)
    if health.verdict is Verdict.DOWN or health.verdict is Verdict.DEGRADED:
        return line(path.name, _want(moment), f"{health.verdict.value}: {health.why}", ok=False)
    if health.verdict is not Verdict.UP:
        return line(path.name, _want(moment), f"{health.verdict.value}: {health.why}", ok=None)
    held, held_ok = _held(moment, path)
    quick, quick_ok = _quick(since.fact(Kind.PROBE, path.name, ProbeResult))
    ok = None if held_ok is None or quick_ok is None else held_ok and quick_ok
    ok = False if held_ok is False or quick_ok is False else ok
    return line(path.name, _want(moment), f"{held}; {quick}", ok=ok)


def _held(moment: Moment, path: Path) -> tuple[str, bool | None]:
    here = moment.snapshot.fresh(Kind.SESSION_HERE, path.session, SessionHere, moment.now)
    if here is None or here.since is None:
        return f"since when {path.session} is up is unknown", None
    age = moment.now - here.since
    least = timedelta(seconds=moment.site.policy.holddown_s) * 2 ** min(here.drops or 0, MOST_DOUBLINGS)
    flaps = f" after {here.drops} losses" if here.drops else ""
    return f"up for {age.total_seconds():.0f} s of {least.total_seconds():.0f}{flaps}", age >= least


def _quick(probe: ProbeResult | None) -> tuple[str, bool | None]:
    if probe is None or not probe.pinned or probe.sent == 0:
        return f"probe unknown{f': {probe.why}' if probe and probe.why else ''}", None
    if probe.received < probe.sent:
        return f"{probe.sent - probe.received} of {probe.sent} probes lost", False
    if probe.usual_ms is None or probe.median_ms is None:
        return "no probe lost, its usual round trip not known yet", None
    above = probe.median_ms - probe.usual_ms
    slow = above > LATENCY_FLOOR_MS and above > LATENCY_PCT / 100 * probe.usual_ms
    return f"no probe lost, {probe.median_ms:.1f} ms, usual {probe.usual_ms:.1f}", not slow
