"""The Megaport fabric as a status source: ports, VXCs, and a week of load.

The fabric samples its links about every five minutes, so a fresh reply may tell an old truth.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field, FiniteFloat

from connectors.errors import BadReply
from connectors.http import Bearer, JsonApi, Token
from connectors.parts import settle
from connectors.ports import Clock, Credentials, deadline_for
from connectors.redact import redactor
from connectors.reply import (
    CHECK_VERSION,
    Finding,
    Flag,
    Origin,
    Rows,
    Shape,
    Text,
    excerpt,
    fresh_for,
    mapping,
    mappings,
    read,
)
from network.inventory import Site, Vxc
from network.observation import FabricPort, FabricVxc, Kind, Load, Observation

READY = frozenset({"CONFIGURED", "LIVE"})
TELEMETRY_EVERY_S = 600.0
TELEMETRY_DAYS = 7
PRODUCTION_TOKENS = "https://auth-m2m.megaport.com/oauth2/token"
TO_MBPS = {"bps": 1e-6, "kbps": 1e-3, "mbps": 1.0, "gbps": 1e3}


class _Element(Shape):
    """A network element below a product; `up` is 0 or 1."""

    up: bool | None = None


class _PortResources(Shape):
    interface: _Element | Rows[_Element] = ()


class _VxcResources(Shape):
    vll: _Element | tuple[()] | None = None  # [] once decommissioned


class _Approval(Shape):
    status: Text = ""
    message: Text = ""
    type: Text = ""
    new_speed: int | None = None


class _Product(Shape):
    product_uid: str
    product_name: Text = ""
    provisioning_status: Text = ""
    locked: Flag = False
    admin_locked: Flag = False


class _PortProduct(_Product):
    resources: _PortResources | None = None


class _VxcProduct(_Product):
    rate_limit: int
    up: bool | None = None
    shutdown: Flag = False
    vxc_approval: _Approval | None = None
    resources: _VxcResources | tuple[()] | None = None


class _Unit(Shape):
    name: str


class _Series(Shape):
    type: Text = ""
    subtype: Text = ""
    unit: _Unit
    samples: Rows[tuple[FiniteFloat, FiniteFloat | None]] = ()


class _Telemetry(Shape):
    data: tuple[_Series, ...]


class _TokenReply(Shape):
    access_token: str = Field(alias="access_token", min_length=1)
    expires_in: FiniteFloat = Field(alias="expires_in", default=300.0)


def parse_products(data: Any, site: Site) -> list[Finding]:
    """Ports and VXCs of the site from the reply of GET /v2/products, matched by uid.

    One that the reply does not list is not up, status "absent". Raises BadReply.
    """
    where = "megaport /v2/products"
    products = mappings(mapping(data, where).get("data"), where)
    ports = {product.get("productUid"): product for product in products if _named(product)}
    vxcs = {vxc.get("productUid"): vxc for vxc in _associated(products, where) if _named(vxc)}
    found = [_port(port.name, ports.get(port.uid), where) for port in site.ports]
    return found + [_vxc(vxc.name, vxcs.get(vxc.uid), where) for vxc in site.vxcs]


def _named(product: Mapping[str, Any]) -> bool:
    return isinstance(product.get("productUid"), str)


def _associated(products: Iterable[Mapping[str, Any]], where: str) -> Iterable[Mapping[str, Any]]:
    for product in products:
        yield from mappings(product.get("associatedVxcs") or [], where)


def _port(name: str, product: Mapping[str, Any] | None, where: str) -> Finding:
    if product is None:
        return Finding(Kind.PORT, name, FabricPort(up=False, status="absent"))
    port = read(_PortProduct, product, where)
    elements = port.resources.interface if port.resources else ()
    lights = [each.up for each in (elements if isinstance(elements, tuple) else (elements,))]
    up = port.provisioning_status in READY and bool(lights) and all(lights)
    fact = FabricPort(up=up, status=port.provisioning_status, locked=port.locked or port.admin_locked)
    return Finding(Kind.PORT, name, fact, port.model_dump())


def _vxc(name: str, product: Mapping[str, Any] | None, where: str) -> Finding:
    if product is None:
        return Finding(Kind.VXC, name, FabricVxc(up=False, shutdown=False, status="absent", rate_mbps=0))
    vxc = read(_VxcProduct, product, where)
    vll = vxc.resources.vll if isinstance(vxc.resources, _VxcResources) else None
    link = vxc.up if vxc.up is not None or not isinstance(vll, _Element) else vll.up
    fact = FabricVxc(
        up=vxc.provisioning_status in READY and link is True and not vxc.shutdown,
        shutdown=vxc.shutdown,
        status=vxc.provisioning_status,
        rate_mbps=vxc.rate_limit,
        locked=vxc.locked or vxc.admin_locked,
        waiting=_waiting(vxc.vxc_approval),
    )
    return Finding(Kind.VXC, name, fact, vxc.model_dump())


def _waiting(approval: _Approval | None) -> str:
    if approval is None or not approval.status:
        return ""
    speed = f"to {approval.new_speed} Mbps" if approval.new_speed else ""
    return " ".join(part for part in (approval.type, approval.status, speed, approval.message) if part)


def parse_telemetry(data: Any, vxc: str) -> list[Finding]:
    """Load of a VXC: nearest-rank 95th percentile of each direction, the larger one; nothing without samples.

    `days` is the span that the samples really cover. Raises BadReply.
    """
    where = f"megaport telemetry of {vxc}"
    bits = [series for series in read(_Telemetry, data, where).data if series.type == "BITS"]
    peaks = [_p95(_mbps(series, where)) for series in bits if series.samples]
    times = [at for series in bits for at, value in series.samples if value is not None]
    if not times:
        return []
    days = (max(times) - min(times)) / 86_400_000
    raw = [{"subtype": series.subtype, "samples": len(series.samples)} for series in bits]
    return [Finding(Kind.LOAD, vxc, Load(p95_mbps=round(max(peaks), 3), days=round(days, 2)), raw)]


def _mbps(series: _Series, where: str) -> list[float]:
    factor = TO_MBPS.get(series.unit.name.lower())
    if factor is None:
        raise BadReply(
            f"unit {series.unit.name!r} is not one of {', '.join(TO_MBPS)}",
            where=where,
            do_next=CHECK_VERSION,
            evidence=excerpt(series.unit.model_dump()),
        )
    return [value * factor for _, value in series.samples if value is not None]


def _p95(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1] if values else 0.0


class MegaportSource:
    """One GET of all products a poll; telemetry of each VXC every ten minutes."""

    name = "megaport"
    kind = "fabric"

    def __init__(self, site: Site, now: Clock, credentials: Credentials[Mapping[str, str]]) -> None:
        system = site.systems.megaport
        self.cadence_s = system.cadence_s
        self.deadline_s = deadline_for(system.cadence_s)
        self._site, self._now, self._credentials = site, now, credentials
        self._auth = JsonApi(self.name, system.token_address or PRODUCTION_TOKENS, self.deadline_s)
        self._api = JsonApi(self.name, system.address, self.deadline_s, Bearer(self._token))
        self._loads: dict[str, Observation] = {}
        self._due = {vxc.name: 0.0 for vxc in site.vxcs}

    async def close(self) -> None:
        await asyncio.gather(self._auth.close(), self._api.close())

    async def collect(self) -> Sequence[Observation]:
        now = asyncio.get_running_loop().time()
        due = [vxc for vxc in self._site.vxcs if self._due[vxc.name] <= now]
        return await settle([self._products(), *map(self._load, due)], self._loads.values())

    async def _products(self) -> list[Observation]:
        # As old as its question: a reading that an act overtakes must not count as made after it.
        origin = self._origin(fresh_for(self.cadence_s), "GET /v2/products")
        data = await self._api.get("/v2/products")
        return origin.observe(parse_products(data, self._site))

    async def _load(self, vxc: Vxc) -> list[Observation]:
        path = f"/v2/product/vxc/{vxc.uid}/telemetry"
        data = await self._api.get(path, params={"type": "BITS", "days": TELEMETRY_DAYS})
        origin = self._origin(fresh_for(TELEMETRY_EVERY_S), f"GET {path}")
        seen = origin.observe(parse_telemetry(data, vxc.name))
        self._loads.update({each.name: each for each in seen})
        self._due[vxc.name] = asyncio.get_running_loop().time() + TELEMETRY_EVERY_S
        return seen

    def _origin(self, fresh_s: float, evidence: str) -> Origin:
        return Origin(self.name, self._now(), fresh_s, evidence)

    async def _token(self) -> Token:
        secret = await self._credentials()
        auth = (secret["client_id"], redactor.add(secret["client_secret"]))
        reply = await self._auth.send("POST", "", auth=auth, data={"grant_type": "client_credentials"})
        token = read(_TokenReply, self._auth.json(reply), "megaport token")
        redactor.add(token.access_token)
        return Token(token.access_token, asyncio.get_running_loop().time() + token.expires_in * 0.8)
