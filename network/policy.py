"""The site's policy values (site file, key `policy:`): how long, how empty, how loaded, who approves.

Defaults are the production ones; a site may go below them only in mode lab (`network.sitefile` checks it).
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Approvals(BaseModel):
    """How many second people a step of each risk class needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reading: int = Field(default=0, ge=0)
    reversible: int = Field(default=0, ge=0)
    restore: int = Field(default=0, ge=0, le=0, description="undo and restore are never gated")
    traffic_moving: int = Field(default=0, ge=0)
    last_spare: int = Field(default=1, ge=0)
    irreversible: int = Field(default=1, ge=0)


class Policy(BaseModel):
    """Seconds unless the name says otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    established_min_s: float = Field(default=1800, ge=0, description="the survivor's session must be this old")
    empty_samples: int = Field(default=3, ge=1, description="consecutive samples below `empty`")
    empty_spacing_s: float = Field(default=30, gt=0)
    empty_timeout_s: float = Field(default=600, gt=0)
    empty_below_pct: float = Field(default=1.0, gt=0, description="percent of the baseline load")
    empty_below_kbps: float = Field(default=100.0, gt=0, description="whichever of the two is larger")
    soak_s: float = Field(default=900, ge=0)
    baseline_s: float = Field(default=300, ge=0)
    domains_min: int = Field(default=2, ge=1, description="failure domains that must be left of each cloud")
    survivor_p95_pct: float = Field(default=80, gt=0, le=100)
    holddown_s: float = Field(default=900, ge=0)
    resize_p95_pct: float = Field(
        default=70, gt=0, le=100, description="of a lower rate: the load it must leave room for"
    )
    megaport_update_gap_s: float = Field(default=300, ge=0, description="one update of a service in this time")
    megaport_settle_s: float = Field(
        default=180, gt=0, description="within this time an accepted update is recorded and effective"
    )
    circuit_bandwidths_mbps: tuple[int, ...] = Field(
        default=(50, 100, 200, 500, 1000, 2000, 5000, 10000), description="what Azure offers for a provider's circuit"
    )
    circuit_settle_s: float = Field(
        default=600,
        gt=0,
        description="a circuit's new bandwidth is recorded, and known to the fabric, within this time",
    )
    drain_local_pref: int = Field(default=120, ge=1, description="between the standby's and the VPN's; 0 is refused")
    forced_local_pref: int = Field(default=90, ge=1, description="the primary's, while the VPN is forced")
    forced_standby_local_pref: int = Field(default=80, ge=1, description="and every other private path's")
    forced_drain_local_pref: int = Field(default=70, ge=1, description="and what a provider drains itself, below both")
    prefix_warning_pct: float = Field(default=80, gt=0, le=100)
    loss_limit_pct: float = Field(default=1.0, gt=0, le=100, description="probe loss that makes a path degraded")
    latency_step_ms: float = Field(default=20.0, gt=0, description="a round trip this much above the usual, and")
    latency_step_pct: float = Field(default=50.0, gt=0, description="this much in percent, makes a path degraded")
    rate_reached_pct: float = Field(default=95, gt=0, le=100, description="of a path's rate: it is full")
    light_low_dbm: float = Field(
        default=-14.4, description="light outside low to high makes a port or on-ramp degraded"
    )
    light_high_dbm: float = Field(default=2.5, description="these two are 10GBASE-LR's, as far as AWS says")
    calendar_days: float = Field(default=14, gt=0)
    approvals: Approvals = Approvals()
    deadman_s: float = Field(
        default=120, ge=5, le=3600, description="silence of the console after which its act is put back"
    )
    gate_cis: Literal["target", "all"] = "target"


#: Values that may not be weaker than production anywhere but in a lab.
GUARDED = ("established_min_s", "empty_samples", "empty_spacing_s", "soak_s", "baseline_s", "holddown_s", "deadman_s")
