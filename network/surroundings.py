"""The site's surroundings: how paths are probed, the feeds that it exists for, and the systems beside the routers."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Literal

from pydantic import Field

from network.record import Name, Record

#: `reached_by` of what no path of ours carries.
INTERNET = "internet"


class ProbePoint(Record):
    """How the path is probed: our source address (announced on this path alone), the far reflector, its UDP port."""

    source: IPv4Address
    bind: IPv4Address | None = Field(default=None, description="lab only: send from here instead of `source`")
    target: IPv4Address
    port: int = Field(ge=1, le=65535)
    mtu: int = Field(default=1500, ge=576, le=9216, description="the largest IP packet in bytes that the path carries")


class ProbeHost(Record):
    """A host behind the edges that sends the probes (agentless, over SSH)."""

    name: Name
    address: str
    ssh_port: int = Field(ge=1, le=65535)


class Probes(Record):
    """Who sends the probes: this machine (`local`) or a host behind the edges (`host`)."""

    sender: Literal["local", "host"] = "local"
    interval_s: float = Field(default=1.0, gt=0)
    timeout_s: float = Field(default=1.0, gt=0)
    window_s: float = Field(default=5.0, gt=0, description="the recent probes that make the loss figure, 3 at least")
    grey_s: float = Field(default=300.0, gt=0, description="how far the count looks back that shows small losses")
    leg_every_s: float = Field(default=5.0, gt=0, description="pings from the router to each peer, five at a time")
    mtu_every_s: float = Field(default=30.0, gt=0)
    host: ProbeHost | None = None


class Feed(Record):
    """A business feed that the network exists for, its objective, and how it is looked at.

    `address`: `host:port` for tcp, a URL for http. A look slower than `slow_ms` counts as bad.
    """

    name: Name
    cloud: Name
    kind: Literal["tcp", "http"]
    address: str
    objective_pct: float = Field(default=99.9, gt=0, lt=100)
    window_s: float = Field(default=30 * 86400.0, gt=0, description="the window of objective and error budget")
    cadence_s: float = Field(default=5.0, gt=0)
    timeout_s: float = Field(default=3.0, gt=0)
    slow_ms: float = Field(default=2000.0, gt=0)


class System(Record):
    """A system around the network: its address, its cadence, where its credential lives in Vault."""

    address: str
    token_address: str | None = None
    credential: str = ""
    run_credential: str = Field(default="", description="what a run writes with; the other one only reads")
    cadence_s: float = Field(default=30.0, gt=0)


class FabricSystem(System):
    """The fabric's API. What restores there is a process on this side, so the way to it counts."""

    reached_by: str | None = Field(
        default=None, description="what carries our calls to it: a path's name, or `internet`; left out: unknown"
    )


class VaultSystem(Record):
    """Vault: mounts and the roles that sign our certificates."""

    address: str
    host_ca: str = Field(default="", description="the CA line that signs router host keys")
    read_role: str = "edge-read"
    run_role: str = "edge-run"
    probe_role: str = "probe"
    read_principal: str = "interlock-read"
    run_principal: str = "interlock-run"
    probe_principal: str = "interlock-probe"
    cadence_s: float = Field(default=5.0, gt=0)


class Systems(Record):
    """Every system beside the routers."""

    vault: VaultSystem
    megaport: FabricSystem
    azure: System
    aws: System
    servicenow: System
    bmp_listen: str | None = Field(
        default=None, pattern=r"^\S+:\d+$", description="host:port where routers that dial a BMP station find us"
    )
