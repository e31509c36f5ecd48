"""Look-ups of what clouds and partners give for a connection: keys, ports, locations. Asked on demand.

An ExpressRoute service key stands in the address of its look-up, so it is made known to the redactor before
anything is built with it, and travels over TLS only (`connectors.http` refuses other addresses off this machine).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from connectors.errors import NotSent
from connectors.megaport_client import Lane
from connectors.redact import MIN_LENGTH, redactor
from connectors.reply import Flag, Rows, Shape, Text, mappings, read


@dataclass(frozen=True, slots=True)
class KeyPort:
    """A port of the cloud at the fabric. `side` is primary, secondary or ""; `free`: no VXC of its key ends there."""

    uid: str
    name: str
    side: str
    free: bool
    speed_mbps: int | None
    location_id: int | None
    state: str


@dataclass(frozen=True, slots=True)
class CloudKey:
    """What an ExpressRoute service key, or the AWS hosted connection, offers: rates in Mbps, and where."""

    bandwidth_mbps: int | None
    bandwidths_mbps: tuple[int, ...]
    vlan: int | None
    ports: tuple[KeyPort, ...]


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """A key by which another company lets us connect to it. `valid` and the others are the fabric's own words."""

    max_mbps: int | None
    vlan: int | None
    single_use: bool
    pre_approved: bool
    active: bool
    expired: bool
    valid: bool


@dataclass(frozen=True, slots=True)
class PartnerPort:
    """A port of a cloud or partner that VXCs may end on."""

    uid: str
    name: str
    company: str
    connect_type: str
    location_id: int | None
    zone: str
    speed_mbps: int | None
    permitted: bool


@dataclass(frozen=True, slots=True)
class Location:
    """A place where the fabric has ports."""

    id: int
    name: str
    metro: str
    market: str
    status: str


class _KeyPort(Shape):
    product_uid: Text = ""
    name: Text = ""
    type: Text = ""
    vxc: int | None = None  # null and 0: free
    port_speed: int | None = None
    location_id: int | None = None
    state: Text = ""


class _Offer(Shape):
    bandwidth: int | None = None
    bandwidths: Rows[int] = ()
    vlan: int | None = None
    megaports: tuple[_KeyPort, ...]


class _ServiceKey(Shape):
    max_speed: int | None = None
    vlan: int | None = None
    single_use: Flag = False
    pre_approved: Flag = False
    active: Flag = False
    expired: Flag = False
    valid: Flag = False


class _PartnerPort(Shape):
    product_uid: str
    title: Text = ""
    company_name: Text = ""
    connect_type: Text = ""
    location_id: int | None = None
    diversity_zone: Text = ""
    speed: int | None = None
    vxc_permitted: Flag = False


class _Location(Shape):
    id: int
    name: Text = ""
    metro: Text = ""
    market: Text = ""
    status: Text = ""


def parse_offer(data: Any, where: str) -> CloudKey:
    """The answer of a cloud look-up; some answer with a list of one. Raises BadReply."""
    offer = read(_Offer, data[0] if isinstance(data, list) and len(data) == 1 else data, where)
    ports = tuple(
        KeyPort(port.product_uid, port.name, port.type, not port.vxc, port.port_speed, port.location_id, port.state)
        for port in offer.megaports
    )
    return CloudKey(offer.bandwidth, offer.bandwidths, offer.vlan, ports)


def parse_service_key(data: Any, where: str) -> ServiceKey:
    """The answer of a service key look-up, without the key. Raises BadReply."""
    key = read(_ServiceKey, data[0] if isinstance(data, list) and len(data) == 1 else data, where)
    return ServiceKey(
        max_mbps=key.max_speed,
        vlan=key.vlan,
        single_use=key.single_use,
        pre_approved=key.pre_approved,
        active=key.active,
        expired=key.expired,
        valid=key.valid,
    )


def parse_partner_ports(data: Any, where: str) -> tuple[PartnerPort, ...]:
    """Raises BadReply."""
    return tuple(_partner_port(read(_PartnerPort, row, where)) for row in mappings(data, where))


def _partner_port(row: _PartnerPort) -> PartnerPort:
    return PartnerPort(
        uid=row.product_uid,
        name=row.title,
        company=row.company_name,
        connect_type=row.connect_type,
        location_id=row.location_id,
        zone=row.diversity_zone,
        speed_mbps=row.speed,
        permitted=row.vxc_permitted,
    )


def parse_locations(data: Any, where: str) -> tuple[Location, ...]:
    """Raises BadReply."""
    rows = [read(_Location, row, where) for row in mappings(data, where)]
    return tuple(Location(row.id, row.name, row.metro, row.market, row.status) for row in rows)


class Lookups:
    """Questions about keys, partner ports and locations."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def azure_key(self, key: str) -> CloudKey:
        """What an ExpressRoute service key offers, and which of its two ports are free."""
        path = f"/v2/secure/azure/{quote(_secret(key), safe='')}"
        return parse_offer(await self._lane.data(path), "megaport /v2/secure/azure")

    async def aws_hosted_connection(self) -> CloudKey:
        """The rates and ports of AWS hosted connections."""
        path = "/v2/secure/awshc"
        return parse_offer(await self._lane.data(path), self._lane.where(path))

    async def service_key(self, key: str) -> ServiceKey:
        """What a service key of another company allows."""
        path = "/v2/service/key"
        return parse_service_key(await self._lane.data(path, params={"key": _secret(key)}), self._lane.where(path))

    async def partner_ports(self, connect_type: str) -> tuple[PartnerPort, ...]:
        """Ports of a kind (AWS, AWSHC, AZURE …) that VXCs may end on."""
        path = "/v2/dropdowns/partner/megaports"
        data = await self._lane.data(path, params={"connectType": connect_type})
        return parse_partner_ports(data, self._lane.where(path))

    async def locations(self) -> tuple[Location, ...]:
        """Where the fabric is."""
        path = "/v3/locations"
        return parse_locations(await self._lane.data(path), self._lane.where(path))


def _secret(key: str) -> str:
    """The key, once the redactor knows it; one too short to be hidden is not sent."""
    if len(key.strip()) < MIN_LENGTH:
        raise NotSent("this is no service key", where="megaport", do_next="Copy the whole key from the cloud.")
    return redactor.add(key.strip())
