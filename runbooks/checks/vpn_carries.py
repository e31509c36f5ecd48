"""vpn-carries: wait until a cloud's private paths are empty and its tunnels carry what was carried before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from network.forced import private, tunnels
from network.inventory import Path
from network.layers import View
from network.load import link_of
from network.observation import Kind, Link
from runbooks.declares import Declaration
from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.proof import Line, finding, line
from runbooks.scene import Compiled, Moment, Report, Scene
from runbooks.until import Sample, until

#: What was carried before is the load of a moment, and bursts; this share of it says that it has come along. What is
#: lost on the way is told by the probes, and that nothing is left behind by the private paths' own counters.
ALIKE = 0.2
#: Below this a path is idle: sessions, probes and pings alone.
FLOOR_MBPS = 0.1


class Args(BaseModel):
    """The cloud that its tunnels carry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cloud: str


@dataclass(frozen=True, slots=True)
class Carried:
    """What private paths and tunnels carry, in plus out, in Mbps; `at`: when the oldest counter was read."""

    private: float
    vpn: float
    at: datetime


class VpnCarries:
    """See the module. The step says how many samples in a row it takes, and how far apart they are."""

    declares = Declaration("vpn-carries", "wait_until", Args, reads=frozenset({"routers"}))

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:
        policy, cloud = moment.site.policy, args["cloud"]
        sample = sampled(moment.view, cloud)
        before = sample.private + sample.vpn if sample else None
        floor = f"{policy.empty_below_pct:g} % of its load, or {policy.empty_below_kbps:g} kb/s a path"
        idle = (
            policy.empty_below_kbps / 1000 * len(private(moment.site, cloud))
        )  # each has sessions and probes of its own
        return Compiled(
            expect=(
                {"what": f"{cloud} private", "want": f"below {floor}"},
                {"what": f"{cloud} VPN", "want": f"at least {ALIKE:.0%} of the load before"},
            ),
            args={
                "before_mbps": before,
                "below_mbps": max(policy.empty_below_pct / 100 * (before or 0.0), idle),
            },
            timeout_s=policy.empty_timeout_s,
            samples=policy.empty_samples,
            spacing_s=policy.empty_spacing_s,
        )

    async def wait(self, scene: Scene, step: StepDef, report: Report) -> Finding:
        return await until(scene, step, self.sample, report)

    def sample(self, scene: Scene, step: StepDef) -> Sample:
        """Both figures against their bounds. Only what was seen not to be so is a fact against it."""
        load = sampled(View(scene.site, scene.snapshot, scene.now()), step.args["cloud"])
        lines = _lines(step, load)
        found = finding(lines)
        return Sample(load.at if load else None, found.ok, tuple(lines), found.reason)


def sampled(view: View, cloud: str) -> Carried | None:
    """From the routers' own counters; None when any of the cloud's paths cannot be counted."""
    times: list[datetime] = []

    def total(paths: tuple[Path, ...]) -> float | None:
        mbps = 0.0
        for path in paths:
            key = link_of(view, path)
            link, seen = view.snapshot.fresh(Kind.LINK, key, Link, view.now), view.snapshot.get(Kind.LINK, key)
            if link is None or seen is None or link.in_mbps is None or link.out_mbps is None:
                return None
            times.append(seen.at)
            mbps += link.in_mbps + link.out_mbps
        return mbps

    left, carried = total(private(view.site, cloud)), total(tunnels(view.site, cloud))
    return Carried(left, carried, min(times)) if left is not None and carried is not None and times else None


def _lines(step: StepDef, sample: Carried | None) -> list[Line]:
    cloud, before, limit = step.args["cloud"], step.args["before_mbps"], step.args["below_mbps"]
    # Where it is not known what was carried before, more than idle shows that the tunnels carry; less shows nothing.
    least = FLOOR_MBPS if before is None else ALIKE * before if before >= FLOOR_MBPS else 0.0
    empty, full = f"below {limit:.3g} Mbps", f"at least {least:.3g} Mbps"
    if sample is None:
        return [line(f"{cloud} private", empty, "unknown", ok=None), line(f"{cloud} VPN", full, "unknown", ok=None)]
    carried = sample.vpn >= least or (None if before is None else False)
    was = "" if carried is not None else ", and what was carried before is unknown"
    return [
        line(f"{cloud} private", empty, f"{sample.private:.2f} Mbps", ok=sample.private < limit),
        line(f"{cloud} VPN", full, f"{sample.vpn:.2f} Mbps{was}", ok=carried),
    ]
