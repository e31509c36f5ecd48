"""What was seen: typed facts, each with its source, its time, and how long it stays fresh.

A connector turns a reply into observations; nothing else in the product reads a reply. Counts that a source
does not know are None, never 0. Times are aware UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeVar

Fact = TypeVar("Fact")


@dataclass(frozen=True, slots=True)
class SessionHere:
    """A BGP session as our router sees it.

    `state` is FRR's word (Established, Idle, Active, …). `since` is when the present up or down time began.
    `no_policy`: Established, but RFC 8212 lets nothing through. `over_limit`: stopped by max-prefix.
    """

    state: str
    since: datetime | None
    received: int | None
    advertised: int | None
    limit: int | None
    admin_shut: bool = False
    over_limit: bool = False
    no_policy: bool = False
    limit_warning: bool = False
    reason: str = ""
    shutdown_text: str = ""
    drops: int | None = None

    @property
    def established(self) -> bool:
        return self.state == "Established"


@dataclass(frozen=True, slots=True)
class BfdHere:
    """BFD as our router sees it: status up, down, init, shutdown or unknown; intervals in ms.

    `drops`: how often it went down while watched.
    """

    status: str
    diagnostic: str = ""
    since_s: int | None = None
    detect_ms: int | None = None
    drops: int | None = None


@dataclass(frozen=True, slots=True)
class RoutePath:
    """One path to a prefix in a router's table. `peer` is the neighbour's address; `via` its session name."""

    peer: str
    as_path: str
    local_pref: int | None
    best: bool
    valid: bool
    internal: bool
    next_hop: str = ""
    reason: str = ""
    weight: int = 0
    origin: str = "IGP"
    med: int | None = None
    router_id: str = ""


@dataclass(frozen=True, slots=True)
class Routes:
    """A router's paths to one prefix, as it holds them; empty when it holds none."""

    paths: tuple[RoutePath, ...]

    @property
    def best(self) -> RoutePath | None:
        return next((path for path in self.paths if path.best), None)


@dataclass(frozen=True, slots=True)
class Advert:
    """A prefix with the AS path that the receiver sees (own AS included) and its communities, if known."""

    prefix: str
    as_path: tuple[int, ...]
    communities: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Advertised:
    """What we announce on a session, as our router reports it (communities are not reported by FRR)."""

    routes: tuple[Advert, ...]


@dataclass(frozen=True, slots=True)
class ReceivedRoute:
    """A prefix as a neighbour sent it; `accepted` is False for one that our import policy stopped."""

    prefix: str
    as_path: tuple[int, ...]
    local_pref: int | None = None
    accepted: bool = True


@dataclass(frozen=True, slots=True)
class Received:
    """Everything that a neighbour announces to us on a session.

    `stopped_known` is False when the router does not keep what it stops: then only accepted routes are here.
    """

    routes: tuple[ReceivedRoute, ...]
    stopped_known: bool = True


@dataclass(frozen=True, slots=True)
class Rides:
    """By which interface a router reaches a session's peer: a tunnel's session may ride the private path instead."""

    interface: str | None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a router is and what its release can do, by flag name; a flag that is not listed is not known to work."""

    platform: str
    version: str
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RunningConfig:
    """A router's running configuration, secrets taken out; `digest` is sha256 of that text."""

    digest: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BmpFeed:
    """A router's BMP stream: `up` while it is connected and has sent its tables; `state` in words; since when."""

    up: bool
    state: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A router interface: admin and operational state, and rates in Mbps once two samples exist.

    `errors` (in and out) and `downs` (carrier lost) count from when the watch began.
    """

    admin_up: bool
    oper_up: bool
    in_mbps: float | None = None
    out_mbps: float | None = None
    errors: int | None = None
    downs: int | None = None
    mtu: int | None = None


@dataclass(frozen=True, slots=True)
class Optics:
    """Light in dBm and MACsec of an interface or on-ramp, where its system reports them."""

    rx_dbm: float | None = None
    tx_dbm: float | None = None
    macsec: bool | None = None


@dataclass(frozen=True, slots=True)
class FabricPort:
    """A fabric port, or router of the fabric, as the fabric reports it (sampled there about every 5 minutes).

    `note` says what a status other than LIVE means; "" when there is nothing to say.
    """

    up: bool
    status: str
    locked: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class FabricVxc:
    """A VXC as the fabric reports it; `waiting`: an approval that somebody owes, or a cancellation to come.

    `note` says what a status other than LIVE means; "" when there is nothing to say. `max_mbps`: the most that the
    fabric says it could carry (its own maximum, its cloud key's bandwidth); None when it does not say.
    """

    up: bool
    shutdown: bool
    status: str
    rate_mbps: int
    locked: bool = False
    waiting: str = ""
    note: str = ""
    max_mbps: int | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """Load history of a path in Mbps: the larger direction's 95th percentile over `days`."""

    p95_mbps: float
    days: float


@dataclass(frozen=True, slots=True)
class Circuit:
    """The provider's part of a private path, or a tunnel's IPsec state: usable or not, and its own words.

    `known` is False when its word is neither of the two ("unknown"); `up` is False then. `bandwidth_mbps` is an
    ExpressRoute circuit's, where the cloud says it.
    """

    up: bool
    state: str
    degraded: bool = False
    known: bool = True
    bandwidth_mbps: int | None = None


@dataclass(frozen=True, slots=True)
class SessionThere:
    """A BGP session as the cloud sees it: its own word for the state, prefixes it accepted, how long.

    `known` is False when its word is neither up nor down (unknown, or a failover test); `up` is False then.
    `advertised`: prefixes that it sends us. `down_at`: when its own recent history last shows the session down.
    """

    up: bool
    state: str
    received: int | None = None
    uptime: str = ""
    known: bool = True
    advertised: int | None = None
    down_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """How the path is attached inside the cloud: gateway, association, propagation. `degraded`: in part."""

    up: bool
    state: str
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class CloudRoute:
    """How a cloud reaches one of our prefixes: the paths that win, by site name, and its own next hop."""

    prefix: str
    via: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CloudRoutes:
    """The cloud's way back. `basis` is table (its route tables) or inferred (best path over what it accepted)."""

    routes: tuple[CloudRoute, ...]
    basis: Literal["table", "inferred"]


@dataclass(frozen=True, slots=True)
class HubPreference:
    """How the cloud's hub prefers between attachments, as it reports it now."""

    preference: str


@dataclass(frozen=True, slots=True)
class FailoverTest:
    """A provider's own failover test of a path: its word for the state, when it began, when it ends by itself."""

    path: str
    running: bool
    state: str
    starts: datetime | None = None
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class FailoverTests:
    """The failover tests that a cloud knows of, newest first."""

    tests: tuple[FailoverTest, ...]


class Kind(StrEnum):
    """What a fact is about; with a name it is the key of an observation. The fact's type is in the comment."""

    SESSION_HERE = "session_here"  # SessionHere, by session
    BFD = "bfd"  # BfdHere, by session
    ROUTES = "routes"  # Routes, by "router prefix"
    ADVERTISED = "advertised"  # Advertised, by session
    LINK = "link"  # Link, by "router interface"
    PORT = "port"  # FabricPort, by port or MCR
    VXC = "vxc"  # FabricVxc, by VXC
    LOAD = "load"  # Load, by VXC or tunnel
    CIRCUIT = "circuit"  # Circuit, by path
    SESSION_THERE = "session_there"  # SessionThere, by path
    ATTACHMENT = "attachment"  # Attachment, by path
    CLOUD_ROUTES = "cloud_routes"  # CloudRoutes, by cloud
    HUB_PREFERENCE = "hub_preference"  # HubPreference, by cloud
    PROBE = "probe"  # ProbeResult, by path
    ACCEPTED = "accepted"  # Advertised, by path: what the cloud accepted from us, communities included
    RECEIVED = "received"  # Received, by session
    RIDES = "rides"  # Rides, by session
    CAPABILITIES = "capabilities"  # Capabilities, by router
    CONFIG = "config"  # RunningConfig, by router
    BMP = "bmp"  # BmpFeed, by router
    OPTICS = "optics"  # Optics, by "router interface" or by connection
    EVENTS = "events"  # network.events.Events, by source
    FAILOVER_TESTS = "failover_tests"  # FailoverTests, by cloud
    LEG = "leg"  # LegResult, by path
    MTU = "mtu"  # MtuResult, by path
    FEED = "feed"  # FeedResult, by feed


@dataclass(frozen=True, slots=True)
class Observation:
    """One fact: what it is about, what was seen, by whom, when, fresh for how long, and the raw evidence.

    `evidence` is the command or call; `raw` is its reply, already redacted, for the drill-down.
    """

    kind: Kind
    name: str
    fact: object
    source: str
    at: datetime
    fresh_s: float
    evidence: str = ""
    raw: str = ""

    @property
    def key(self) -> tuple[Kind, str]:
        return self.kind, self.name

    def age_s(self, now: datetime) -> float:
        age = (now - self.at).total_seconds()
        return age if age > 0 else 0.0

    def stale(self, now: datetime) -> bool:
        return (now - self.at).total_seconds() > self.fresh_s
