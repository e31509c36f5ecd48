"""port-empty: wait until what the port carries stays below the limit, several samples in a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from network.inventory import Site
from network.layers import View
from network.observation import Kind, Link
from network.policy import Policy
from runbooks.declares import Declaration
from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.proof import line
from runbooks.scene import Compiled, Moment, Report, Scene
from runbooks.until import Sample, until


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
            samples=policy.empty_samples,
            spacing_s=policy.empty_spacing_s,
        )

    async def wait(self, scene: Scene, step: StepDef, report: Report) -> Finding:
        return await until(scene, step, self.sample, report)

    def sample(self, scene: Scene, step: StepDef) -> Sample:
        """What the port carries against its limit. Only a load that was seen above the limit is a fact against it."""
        port, limit = step.args["port"], float(step.args["below_mbps"])
        load = sampled(View(scene.site, scene.snapshot, scene.now()), port)
        now, ok = ("unknown", None) if load is None else (f"{load.mbps:.2f} Mbps", load.mbps < limit)
        against = f"{port} is {now}, not proven below {limit:.3g} Mbps: do not shut it"
        proof = line(f"{port} carries", f"below {limit:.3g} Mbps", now, ok=ok)
        return Sample(load.at if load else None, ok, (proof,), against)


def _wanted(policy: Policy) -> str:
    """In the words of the policy: measured loads are no part of a plan's hash."""
    floor = f"{policy.empty_below_pct:g} % of its load, or {policy.empty_below_kbps:g} kb/s"
    return f"below {floor}, {policy.empty_samples} times"


@dataclass(frozen=True, slots=True)
class Carried:
    """What the port carries, and when its oldest counter was read."""

    mbps: float
    at: datetime


def sampled(view: View, port: str) -> Carried | None:
    """In plus out over every VXC of the port, in Mbps, from the router's own counters; None when any is unknown."""
    total, times = 0.0, []
    for router, interface in _interfaces(view.site, port):
        name = f"{router} {interface}"
        link, seen = view.snapshot.fresh(Kind.LINK, name, Link, view.now), view.snapshot.get(Kind.LINK, name)
        if link is None or seen is None or link.in_mbps is None or link.out_mbps is None:
            return None
        total += link.in_mbps + link.out_mbps
        times.append(seen.at)
    return Carried(total, min(times)) if times else None


def _interfaces(site: Site, port: str) -> list[tuple[str, str]]:
    router = site.port(port).router
    return [(router, vxc.interface) for vxc in site.vxcs if vxc.port == port]
