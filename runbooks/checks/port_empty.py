"""port-empty: wait until what the port carries stays below the limit, several samples in a row."""

from __future__ import annotations

from collections.abc import Mapping

from network.inventory import Site
from network.layers import View
from network.observation import Kind, Link
from network.policy import Policy
from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.scene import Compiled, Moment, Report, Scene


class PortEmpty:
    """See the module. The limit is the larger of a share of the load before the move and a floor (policy)."""

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:
        policy = moment.site.policy
        before = carried_mbps(moment.view, args["port"])
        limit = max(policy.empty_below_pct / 100 * (before or 0.0), policy.empty_below_kbps / 1000)
        return Compiled(
            expect=({"what": f"{args['port']} carries", "want": _wanted(policy)},),
            args={"below_mbps": limit, "before_mbps": before},
            timeout_s=policy.empty_timeout_s,
        )

    async def wait(self, scene: Scene, step: StepDef, report: Report) -> Finding:
        policy, port, limit = scene.site.policy, step.args["port"], float(step.args["below_mbps"])
        deadline = scene.now().timestamp() + step.timeout_s
        snapshot, in_a_row, last_sample = scene.snapshot, 0, 0.0
        carried: float | None = None
        while scene.now().timestamp() < deadline:
            snapshot = await scene.newer(snapshot.revision, policy.empty_spacing_s)
            now = scene.now().timestamp()
            if now - last_sample < policy.empty_spacing_s:
                continue
            last_sample = now
            carried = carried_mbps(View(scene.site, snapshot, scene.now()), port)
            in_a_row = in_a_row + 1 if carried is not None and carried < limit else 0
            proof = _proof(port, carried, limit, in_a_row, policy.empty_samples)
            report(proof)
            if in_a_row >= policy.empty_samples:
                return Finding(ok=True, evidence=proof)
        words = "is unknown" if carried is None else f"is {carried:.2f} Mbps"
        reason = f"{port} {words} after {step.timeout_s:g} s, not below {limit:.3g} Mbps: do not shut it"
        return Finding(ok=None if carried is None else False, reason=reason)


def _wanted(policy: Policy) -> str:
    """In the words of the policy: measured loads are no part of a plan's hash."""
    floor = f"{policy.empty_below_pct:g} % of its load, or {policy.empty_below_kbps:g} kb/s"
    return f"below {floor}, {policy.empty_samples} times"


def carried_mbps(view: View, port: str) -> float | None:
    """In plus out over every VXC of the port, in Mbps, from the router's own counters; None when any is unknown."""
    total = 0.0
    for router, interface in _interfaces(view.site, port):
        link = view.snapshot.fresh(Kind.LINK, f"{router} {interface}", Link, view.now)
        if link is None or link.in_mbps is None or link.out_mbps is None:
            return None
        total += link.in_mbps + link.out_mbps
    return total


def _interfaces(site: Site, port: str) -> list[tuple[str, str]]:
    router = site.port(port).router
    return [(router, vxc.interface) for vxc in site.vxcs if vxc.port == port]


def _proof(port: str, carried: float | None, limit: float, in_a_row: int, wanted: int) -> dict[str, object]:
    now = "unknown" if carried is None else f"{carried:.2f} Mbps, {in_a_row} of {wanted}"
    want = f"below {limit:.3g} Mbps, {wanted} times"
    return {"expected": [{"what": f"{port} carries", "want": want, "now": now, "ok": in_a_row >= wanted}]}
