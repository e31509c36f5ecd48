"""The site: what the network consists of, as its owners declare it in one YAML file.

Everything here is a frozen pydantic model; `network.sitefile` reads the YAML and tells where it is wrong.
Names are the site's own and are what ServiceNow, the lab and every command call a thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from network.index import Index
from network.policy import Policy
from network.record import Asn, Mbps, Name, Record
from network.surroundings import Feed, ProbePoint, Probes, Systems


class Prefix(Record):
    """A prefix with the use it has; `towards` names the clouds it may be advertised to."""

    prefix: IPv4Network
    name: str
    towards: tuple[Name, ...] = ()


class OnPrem(Record):
    """Our own side: the AS, what we may advertise, and what must never be overlapped."""

    asn: Asn
    prefixes: tuple[Prefix, ...]
    ot_ranges: tuple[IPv4Network, ...]
    demand_mbps: dict[Name, Mbps] = Field(default_factory=dict, description="lab only: offered load by cloud")
    specifics: tuple[IPv4Network, ...] | None = Field(
        default=None,
        description="announced on the VPN alone when it is forced; by default each prefix's halves",
    )


class Router(Record):
    """An edge router and the way to it.

    `channel` is `line` (the on-box line protocol), `exec`, or `shell` (an account whose shell is the router's own).
    """

    name: Name
    platform: Literal["frr"] = "frr"
    address: str
    ssh_port: int = Field(default=22, ge=1, le=65535)
    channel: Literal["line", "exec", "shell"] = "line"
    jump: str | None = None
    management: Literal["out-of-band", "in-band"] | None = Field(
        default=None,
        description="whether our way to it is a network of its own or the very paths that it routes; left out: unknown",
    )
    cadence_s: float = Field(default=1.0, gt=0)
    bmp: str | None = Field(
        default=None, pattern=r"^\S+:\d+$", description="host:port where the router itself accepts BMP stations"
    )


class Port(Record):
    """A fabric port: where it is, who carries it, which router is plugged into it."""

    name: Name
    uid: str = Field(description="the fabric's product uid")
    router: Name
    interface: str
    pop: Name
    carrier: Name
    speed_mbps: Mbps


class Vxc(Record):
    """A virtual cross connect. `b_end` decides how it can be resized."""

    name: Name
    uid: str
    port: Name
    interface: str = Field(description="the router's interface that this VXC ends on")
    b_end: Literal["azure-key", "aws-hosted-connection", "aws-hosted-vif"]
    rate_mbps: Mbps


class Mcr(Record):
    """A router of the fabric's own, asked through its looking glass."""

    name: Name
    uid: str


class Isp(Record):
    """An internet provider and the router behind it."""

    name: Name
    router: Name


class Tunnel(Record):
    """An IPsec tunnel; its state is what the cloud reports."""

    name: Name
    cloud: Name
    isp: Name
    interface: str
    rate_mbps: Mbps
    outside: IPv4Address = Field(description="the cloud's outside address")


class Connection(Record):
    """One private on-ramp: an ExpressRoute link of a circuit, or a Direct Connect connection with its VIF."""

    name: Name
    cloud: Name
    device: Name = Field(description="the provider's device: an MSEE or a DX router")
    location: Name
    link: Literal["primary", "secondary"] | None = Field(default=None, description="ExpressRoute only")
    connection_id: str = ""
    vif_id: str = Field(default="", description="Direct Connect only")


class AzureSide(Record):
    """Where the Azure end is: the circuit, the hub and its gateways, by their ARM names."""

    tenant: str
    subscription: str
    resource_group: str
    circuit: Name
    circuit_bandwidth_mbps: Mbps
    peering_location: Name
    hub: Name
    hub_preference: Literal["ExpressRoute", "VpnGateway", "ASPath"]
    er_gateway: Name
    er_connection: Name
    vpn_gateway: Name
    vpn_asn: Asn
    gateways: Literal["vwan", "classic"] = Field(
        default="vwan", description="virtual WAN hub gateways, or virtual network gateways in a hub VNet"
    )


class AwsSide(Record):
    """Where the AWS end is: region, DX gateway, transit gateway, VPN connections by their ids.

    `health`: the account's support plan includes AWS Health's API (Business or better); without it set false.
    """

    account: str
    region: str
    dx_gateway: Name
    dx_gateway_id: str
    dx_gateway_asn: Asn
    allowed_prefixes: tuple[IPv4Network, ...]
    tgw: Name
    tgw_id: str
    tgw_asn: Asn
    tgw_route_table: str
    vpn_connection_ids: dict[Name, str] = Field(description="tunnel name to vpn-… id")
    health: bool = True
    health_region: str = Field(default="us-east-1", description="where AWS Health's endpoint is, for every region")
    health_services: tuple[str, ...] = Field(default=("DIRECTCONNECT", "VPN"), description="AWS Health's own codes")


class Cloud(Record):
    """A cloud, the prefixes that plants need from it, and its provider's own part."""

    name: Name
    provider: Literal["azure", "aws"]
    prefixes: tuple[Prefix, ...]
    azure: AzureSide | None = None
    aws: AwsSide | None = None

    @model_validator(mode="after")
    def _has_its_side(self) -> Self:
        if getattr(self, self.provider) is None:
            raise ValueError(f"cloud {self.name} is of provider {self.provider} and needs a key `{self.provider}:`")
        return self


class Bfd(Record):
    """BFD as configured on our end: intervals in milliseconds, detection multiplier."""

    tx_ms: int = Field(gt=0)
    rx_ms: int = Field(gt=0)
    multiplier: int = Field(default=3, ge=2, le=255)

    @property
    def detect_s(self) -> float:
        """Nominal detection time in seconds; a real session takes 70 to 98 % of it (measured on FRR)."""
        return max(self.tx_ms, self.rx_ms) * self.multiplier / 1000


class SessionPolicy(Record):
    """The knobs of one session: which clauses of our policy carry them, and their values at rest."""

    import_map: str
    import_seq: int = 10
    export_map: str
    export_seq: int = 10
    local_pref: int = Field(ge=1)
    prepend: int = Field(default=0, ge=0, le=10)
    community: str | None = Field(default=None, pattern=r"^\d+:\d+$")


class Session(Record):
    """A BGP session, both ends. `there` names the device at the other end; `internal` marks iBGP."""

    name: Name
    router: Name
    local: IPv4Address
    peer: IPv4Address
    peer_asn: Asn
    there: Name
    internal: bool = False
    add_path: bool = Field(default=True, description="iBGP: the standby path is advertised")
    bfd: Bfd | None = None
    hold_s: int = 30
    max_prefix_here: int | None = None
    max_prefix_there: int | None = None
    policy: SessionPolicy | None = None


class Path(Record):
    """One complete way from on-prem to a cloud."""

    name: str = Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")
    cloud: Name
    kind: Literal["expressroute", "directconnect", "vpn"]
    session: Name
    vxc: Name | None = None
    connection: Name | None = None
    tunnel: Name | None = None
    probe: ProbePoint | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        needed = ("tunnel",) if self.kind == "vpn" else ("vxc", "connection")
        missing = [field for field in needed if getattr(self, field) is None]
        if missing:
            raise ValueError(f"a {self.kind} path needs {' and '.join(missing)}")
        return self


class StatefulDevice(Record):
    """A firewall or inspection point: both directions of a flow must cross the same one."""

    name: Name
    where: str
    crosses: tuple[str, ...]


class Site(Record):
    """The whole site. References between its parts are checked by `network.sitefile`."""

    schema_: Literal[1] = Field(alias="schema")
    name: Name
    mode: Literal["live", "drill", "lab"] = "live"
    on_prem: OnPrem
    routers: tuple[Router, ...]
    ports: tuple[Port, ...]
    vxcs: tuple[Vxc, ...]
    isps: tuple[Isp, ...]
    tunnels: tuple[Tunnel, ...]
    clouds: tuple[Cloud, ...]
    connections: tuple[Connection, ...]
    sessions: tuple[Session, ...]
    paths: tuple[Path, ...]
    stateful: tuple[StatefulDevice, ...] = ()
    mcrs: tuple[Mcr, ...] = ()
    feeds: tuple[Feed, ...] = ()
    probes: Probes = Probes()
    systems: Systems
    policy: Policy = Policy()

    @cached_property
    def index(self) -> Index:
        """Everything by name. A copy of the site builds its own."""
        return Index(self)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        made = super().model_copy(update=update, deep=deep)
        made.__dict__.pop("index", None)
        return made

    def router(self, name: str) -> Router:
        return self.index.routers[name]

    def port(self, name: str) -> Port:
        return self.index.ports[name]

    def vxc(self, name: str) -> Vxc:
        return self.index.vxcs[name]

    def isp(self, name: str) -> Isp:
        return self.index.isps[name]

    def tunnel(self, name: str) -> Tunnel:
        return self.index.tunnels[name]

    def cloud(self, name: str) -> Cloud:
        return self.index.clouds[name]

    def connection(self, name: str) -> Connection:
        return self.index.connections[name]

    def session(self, name: str) -> Session:
        return self.index.sessions[name]

    def path(self, name: str) -> Path:
        return self.index.paths[name]

    def paths_of(self, cloud: str) -> tuple[Path, ...]:
        """The cloud's paths in site-file order."""
        return self.index.paths_of_cloud.get(cloud, ())

    def path_of_session(self, session: str) -> Path | None:
        """The path that a session belongs to; None for iBGP."""
        return self.index.path_of_session.get(session)

    def paths_on_port(self, port: str) -> tuple[Path, ...]:
        """Every path that runs over the fabric port."""
        on = {vxc.name for vxc in self.vxcs if vxc.port == port}
        return tuple(path for path in self.paths if path.vxc in on)

    def specifics(self, cloud: str) -> tuple[IPv4Network, ...]:
        """Our longer prefixes that bring a cloud back over the VPN: those declared, else two halves of each of ours."""
        ours = [each.prefix for each in self.on_prem.prefixes if cloud in each.towards]
        if self.on_prem.specifics is not None:
            return tuple(each for each in self.on_prem.specifics if any(each.subnet_of(own) for own in ours))
        return tuple(half for own in ours if own.prefixlen < own.max_prefixlen for half in own.subnets())

    def rate_mbps(self, path: Path) -> int:
        """What the path may carry: its VXC's rate, or its tunnel's."""
        return self.vxc(path.vxc).rate_mbps if path.vxc else self.tunnel(path.tunnel or "").rate_mbps

    def interface(self, path: Path) -> str:
        """The router interface that the path leaves by."""
        return self.vxc(path.vxc).interface if path.vxc else self.tunnel(path.tunnel or "").interface
