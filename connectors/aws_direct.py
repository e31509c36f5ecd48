"""Direct Connect's replies, read: connections, virtual interfaces with their peers, routes, failover tests.

Shapes name what they keep: the BGP key, which a virtual interface shows three times, stops here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network
from typing import Any

from connectors.aws_shapes import Moment, Network, dx_paths, only
from connectors.reply import Finding, Flag, Rows, Shape, Text, read
from network.inventory import Cloud, Path, Site
from network.observation import Advert, Advertised, Circuit, FailoverTest, FailoverTests, Kind, SessionThere

#: Words that say nothing.
NO_WORD = frozenset({"", "unknown"})


class _Connection(Shape):
    connection_id: str
    connection_state: Text = ""
    aws_device_v2: Text = ""
    aws_logical_device_id: Text = ""
    mac_sec_capable: Flag = False
    encryption_mode: Text = ""
    port_encryption_status: Text = ""

    @property
    def device(self) -> str:
        return self.aws_logical_device_id or self.aws_device_v2

    @property
    def unencrypted(self) -> bool:
        """MACsec is wanted, and not there."""
        wanted = self.encryption_mode in {"should_encrypt", "must_encrypt"}
        return self.mac_sec_capable and wanted and self.port_encryption_status.lower() == "encryption down"


class _Connections(Shape):
    connections: tuple[_Connection, ...]


class _Peer(Shape):
    asn: int | None = None
    asn_long: int | None = None
    address_family: Text = ""
    customer_address: Text = ""
    bgp_peer_state: Text = ""
    bgp_status: Text = ""

    @property
    def as_number(self) -> int | None:
        """`asn` is 0 when the AS has four bytes."""
        return self.asn_long or self.asn or None


class Vif(Shape):
    """A virtual interface as far as it is used, without its keys."""

    virtual_interface_id: str
    virtual_interface_state: Text = ""
    direct_connect_gateway_id: Text = ""
    bgp_peers: tuple[_Peer, ...]


class _Vifs(Shape):
    virtual_interfaces: tuple[Vif, ...]


class _Segment(Shape):
    path: Rows[int] = ()


class _VifRoute(Shape):
    cidr: Network
    as_path: Rows[_Segment] = ()
    communities: Rows[str] = ()


class _VifRoutes(Shape):
    routes: tuple[_VifRoute, ...]


class _Test(Shape):
    virtual_interface_id: str
    status: Text = ""
    start_time: Moment | None = None
    end_time: Moment | None = None


class _TestHistory(Shape):
    virtual_interface_test_history: tuple[_Test, ...]


@dataclass(frozen=True, slots=True)
class BgpHistory:
    """What CloudWatch tells of a session beside its state: when it was last down, and its counts with their time."""

    down_at: datetime | None = None
    accepted: int | None = None
    advertised: int | None = None
    counted_at: datetime | None = None


def parse_connections(data: Any, site: Site, cloud: Cloud) -> list[Finding]:
    """Circuit of each Direct Connect path: its connection is `available`. Raises BadReply.

    Degraded without the encryption that it should have, and on a device that it shares with another path while
    the site file says that it does not: a maintenance takes every connection of a device.
    """
    where = "aws DescribeConnections"
    paths = dx_paths(site, cloud)
    ids = {path.name: site.connection(path.connection or "").connection_id for path in paths}
    ours = only(data, "connections", ids.values(), "connectionId", where)
    known = {each.connection_id: each for each in read(_Connections, ours, where).connections}
    seen = {path: known[identity] for path, identity in ids.items() if identity in known}
    return [_circuit(path, seen, site) for path in paths]


def _circuit(path: Path, seen: Mapping[str, _Connection], site: Site) -> Finding:
    row = seen.get(path.name)
    if row is None:
        return Finding(Kind.CIRCUIT, path.name, Circuit(up=False, state="connection absent"))
    state = row.connection_state or "unknown"
    wrong = [f"MACsec down ({row.encryption_mode})"] if row.unencrypted else []
    wrong += [f"on one device ({row.device}) with {other}" for other in _shared(path, row, seen, site)]
    fact = Circuit(
        up=state == "available",
        state=", ".join([f"connection {state}", *wrong]),
        degraded=bool(wrong),
        known=state not in NO_WORD,
    )
    return Finding(Kind.CIRCUIT, path.name, fact, row.model_dump())


def _shared(path: Path, row: _Connection, seen: Mapping[str, _Connection], site: Site) -> list[str]:
    """Other paths whose connection is on the same device at AWS, and on another one in the site file."""

    def declared(name: str) -> str:
        return site.connection(site.path(name).connection or "").device

    return [
        name
        for name, other in seen.items()
        if other.connection_id != row.connection_id
        and row.device
        and row.device == other.device
        and declared(name) != declared(path.name)
    ]


def parse_vifs(data: Any, site: Site, cloud: Cloud) -> dict[str, Vif]:
    """The virtual interface of each Direct Connect path, where the reply has one. Raises BadReply."""
    where = "aws DescribeVirtualInterfaces"
    ids = {site.connection(path.connection or "").vif_id: path.name for path in dx_paths(site, cloud)}
    ours = only(data, "virtualInterfaces", ids, "virtualInterfaceId", where)
    return {ids[vif.virtual_interface_id]: vif for vif in read(_Vifs, ours, where).virtual_interfaces}


def parse_sessions(
    vifs: Mapping[str, Vif],
    accepted: Mapping[str, Advertised],
    history: Mapping[str, BgpHistory],
    site: Site,
    cloud: Cloud,
) -> list[Finding]:
    """SessionThere of each Direct Connect path from the peer with our address; state is per peer, not per VIF.

    AWS's lists may lag: a VIF that is not listed while its routes are told (`accepted` has them) is not proven gone.
    """
    found = []
    for path in dx_paths(site, cloud):
        vif, local = vifs.get(path.name), str(site.session(path.session).local)
        peers = vif.bgp_peers if vif else ()
        peer = next((each for each in peers if each.customer_address.partition("/")[0] == local), None)
        if vif is None:
            gone = path.name not in accepted
            fact = SessionThere(up=False, state="VIF absent" if gone else "VIF not listed", known=gone)
        elif peer is None:
            fact = SessionThere(up=False, state="peer absent")
        else:
            fact = _session(vif, peer, accepted.get(path.name), history.get(path.name, BgpHistory()), site)
        found.append(Finding(Kind.SESSION_THERE, path.name, fact, vif.model_dump() if vif else None))
    return found


def _session(vif: Vif, peer: _Peer, routes: Advertised | None, history: BgpHistory, site: Site) -> SessionThere:
    """A failover test (VIF `testing`) holds the peering down on purpose: neither up nor down."""
    testing = vif.virtual_interface_state == "testing"
    up = peer.bgp_status == "up" and not testing
    words = [f"{peer.bgp_status or 'unknown'}, VIF {vif.virtual_interface_state or 'unknown'}"]
    if peer.bgp_peer_state not in {"", "available"}:
        words.append(f"peer {peer.bgp_peer_state}")
    if peer.as_number not in {None, site.on_prem.asn}:
        words.append(f"for AS {peer.as_number}, not {site.on_prem.asn}")
    received = len(routes.routes) if routes else None
    if received is None and up and history.accepted is not None:
        received = history.accepted
        words.append(f"prefixes as of {history.counted_at:%H:%M} UTC")
    return SessionThere(
        up=up,
        state=", ".join(words),
        received=received,
        known=not testing and peer.bgp_status not in NO_WORD,
        advertised=history.advertised if up else None,
        down_at=history.down_at,
    )


def parse_vif_routes(data: Any, path: Path) -> list[Finding]:
    """What the path's VIF accepted from us: AS path and communities, IPv4 alone. Raises BadReply."""
    rows = read(_VifRoutes, data, f"aws ListVirtualInterfaceRoutes of {path.name}").routes
    adverts = tuple(
        Advert(str(row.cidr), tuple(asn for part in row.as_path for asn in part.path), tuple(row.communities))
        for row in rows
        if isinstance(row.cidr, IPv4Network)
    )
    return [Finding(Kind.ACCEPTED, path.name, Advertised(adverts), [row.model_dump() for row in rows])]


def parse_test_history(data: Any, site: Site, cloud: Cloud) -> list[Finding]:
    """The failover tests of our VIFs, newest first. Raises BadReply.

    The status is a free text: the guide writes "In progress", the service may write IN_PROGRESS.
    """
    where = "aws ListVirtualInterfaceTestHistory"
    ids = {site.connection(path.connection or "").vif_id: path.name for path in dx_paths(site, cloud)}
    ours = only(data, "virtualInterfaceTestHistory", ids, "virtualInterfaceId", where)
    rows = read(_TestHistory, ours, where).virtual_interface_test_history
    tests = [
        FailoverTest(
            path=ids[row.virtual_interface_id],
            running=_plain(row.status) == "inprogress",
            state=row.status or "unknown",
            starts=row.start_time,
            ends=row.end_time,
        )
        for row in rows
    ]
    newest = sorted(tests, key=lambda test: test.starts.timestamp() if test.starts else 0.0, reverse=True)
    return [Finding(Kind.FAILOVER_TESTS, cloud.name, FailoverTests(tuple(newest)), [row.model_dump() for row in rows])]


def _plain(status: str) -> str:
    return "".join(status.split()).replace("_", "").replace("-", "").lower()
