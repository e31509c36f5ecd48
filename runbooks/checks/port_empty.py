"""port-empty: wait until what the port carries stays below the limit, several samples in a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from network.inventory import Site
from network.layers import View
from network.observation import Kind, Link
from network.policy import Policy
from runbooks.declares import Declaration
from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.scene import Compiled, Moment, Report, Scene


class Args(BaseModel):
    """The port that must carry nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: str


class PortEmpty:
    """See the module. The limit is the larger of a share of the load before the move and a floor (policy)."""

    declares = Declaration("port-empty", "wait_until", Args, reads=frozenset({"routers"}))

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:
        policy = moment.site.policy
        sample = sampled(moment.view, args["port"])
        before = sample.mbps if sample else None
        limit = max(policy.empty_below_pct / 100 * (before or 0.0), policy.empty_below_kbps / 1000)
        return Compiled(
            expect=({"what": f"{args['port']} carries", "want": _wanted(policy)},),
            args={"below_mbps": limit, "before_mbps": before},
            timeout_s=policy.empty_timeout_s,
        )

    async def wait(self, scene: Scene, step: StepDef, report: Report) -> Finding:
        policy, port, limit = scene.site.policy, step.args["port"], float(step.args["below_mbps"])
        began = scene.now()
        deadline = began + timedelta(seconds=step.timeout_s)
        spacing = timedelta(seconds=policy.empty_spacing_s)
        snapshot, in_a_row, last, carried = scene.snapshot, 0, began, None
        while (now := scene.now()) < deadline:
            pause_s = min(policy.empty_spacing_s, (deadline - now).total_seconds())
            snapshot = await scene.newer(snapshot.revision, pause_s)
            sample = sampled(View(scene.site, snapshot, scene.now()), port)
            if sample is None:
                in_a_row, carried = 0, None
            elif sample.at <= began or (in_a_row and sample.at - last < spacing):
                continue  # from before the wait, or too soon after the last one that counts
            else:
                carried, last = sample.mbps, sample.at
                in_a_row = in_a_row + 1 if carried < limit else 0
            proof = _proof(port, carried, limit, in_a_row, policy.empty_samples)
            report(proof)
            if in_a_row >= policy.empty_samples:
                return Finding(ok=True, evidence=proof)
        return _late(step, carried, limit)


def _late(step: StepDef, carried: float | None, limit: float) -> Finding:
    """Only a load that was seen above the limit is a fact against it."""
    words = "is unknown" if carried is None else f"is {carried:.2f} Mbps"
    reason = (
        f"{step.args['port']} {words} after {step.timeout_s:g} s, not proven below {limit:.3g} Mbps: do not shut it"
    )
    return Finding(ok=False if carried is not None and carried >= limit else None, reason=reason)


def _wanted(policy: Policy) -> str:
    """In the words of the policy: measured loads are no part of a plan's hash."""
    floor = f"{policy.empty_below_pct:g} % of its load, or {policy.empty_below_kbps:g} kb/s"
    return f"below {floor}, {policy.empty_samples} times"


@dataclass(frozen=True, slots=True)
class Sample:
    """What the port carries, and when its oldest counter was read."""

    mbps: float
    at: datetime


def sampled(view: View, port: str) -> Sample | None:
    """In plus out over every VXC of the port, in Mbps, from the router's own counters; None when any is unknown."""
    total, times = 0.0, []
    for router, interface in _interfaces(view.site, port):
        name = f"{router} {interface}"
        link, seen = view.snapshot.fresh(Kind.LINK, name, Link, view.now), view.snapshot.get(Kind.LINK, name)
        if link is None or seen is None or link.in_mbps is None or link.out_mbps is None:
            return None
        total += link.in_mbps + link.out_mbps
        times.append(seen.at)
    return Sample(total, min(times)) if times else None


def _interfaces(site: Site, port: str) -> list[tuple[str, str]]:
    router = site.port(port).router
    return [(router, vxc.interface) for vxc in site.vxcs if vxc.port == port]


def _proof(port: str, carried: float | None, limit: float, in_a_row: int, wanted: int) -> dict[str, object]:
    now = "unknown" if carried is None else f"{carried:.2f} Mbps, {in_a_row} of {wanted}"
    want = f"below {limit:.3g} Mbps, {wanted} times"
    return {"expected": [{"what": f"{port} carries", "want": want, "now": now, "ok": in_a_row >= wanted}]}
