"""What another rate of a VXC would cost a month, and whether the fabric's own figures allow it. Nothing is changed.

The price book is asked, at the rate of now and at the wanted one. `networkdesign/validate` is not: it checks an
order of something new, and would refuse a cloud port that the very VXC in question occupies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import Field, FiniteFloat

from connectors.megaport_client import Lane, content
from connectors.megaport_products import Approval
from connectors.reply import Flag, Rows, Shape, Text, read
from network.inventory import Site, Vxc

PRICE_BOOK = "/v4/pricebook/product"


@dataclass(frozen=True, slots=True)
class Limit:
    """A figure of the fabric that bounds a rate, in Mbps, and whose it is."""

    whose: str
    mbps: int


@dataclass(frozen=True, slots=True)
class Resize:
    """A change of rate before it is made. `against` says what speaks against it; empty means allowed.

    Prices are a month's, None where the price book has none. `replaces`: such a VXC is not changed in place, the
    new rate is a new order.
    """

    vxc: str
    now_mbps: int
    to_mbps: int
    monthly_now: float | None
    monthly_then: float | None
    currency: str
    limits: tuple[Limit, ...]
    against: tuple[str, ...]
    replaces: bool

    @property
    def allowed(self) -> bool:
        return not self.against

    @property
    def monthly_more(self) -> float | None:
        """What it costs more a month; negative when it costs less."""
        if self.monthly_now is None or self.monthly_then is None:
            return None
        return round(self.monthly_then - self.monthly_now, 2)


class CloudEnd(Shape):
    """One `csp_connection` without its secrets. `connect_type` says which of the others have a meaning."""

    connect_type: Text = ""
    vlan: int | None = None
    bandwidth: int | None = None
    bandwidths: Rows[int] = ()
    connection_id: Text = ""


class _Resources(Shape):
    csp_connection: CloudEnd | Rows[CloudEnd] = Field(alias="csp_connection", default=())


class _End(Shape):
    product_name: Text = ""
    location_id: int | None = None


class VxcDetails(Shape):
    """A VXC as its own product object tells it, as far as a change of rate needs it."""

    product_uid: str
    rate_limit: int
    maximum_rate: int | None = None
    contract_term_months: int | None = None
    locked: Flag = False
    admin_locked: Flag = False
    vxc_approval: Approval | None = None
    a_end: _End = _End()
    b_end: _End = _End()
    resources: _Resources | tuple[()] | None = None

    @property
    def cloud_ends(self) -> tuple[CloudEnd, ...]:
        """The fabric gives one object or a list of them: always a list here."""
        found = self.resources.csp_connection if isinstance(self.resources, _Resources) else ()
        return found if isinstance(found, tuple) else (found,)


class _Price(Shape):
    currency: Text = ""
    monthly_rate: FiniteFloat | None = None


def parse_vxc(data: Any, where: str) -> VxcDetails:
    """`data` of GET /v2/product/{uid} of a VXC. Raises BadReply."""
    return read(VxcDetails, data, where)


def parse_price(data: Any, where: str) -> tuple[float | None, str]:
    """A month's price and its currency. Raises BadReply."""
    price = read(_Price, data, where)
    return price.monthly_rate, price.currency


class Prices:
    """Prices of changes to the site's VXCs."""

    def __init__(self, lane: Lane, site: Site) -> None:
        self._lane, self._site = lane, site

    async def resize(self, vxc: Vxc, to_mbps: int) -> Resize:
        """What `to_mbps` would cost, and what speaks against it."""
        path = f"/v2/product/{vxc.uid}"
        details = parse_vxc(await self._lane.data(path), self._lane.where(path))
        now, currency = await self._price(details, details.rate_limit)
        then, _ = await self._price(details, to_mbps)
        limits = tuple(self._limits(vxc, details))
        return Resize(
            vxc=vxc.name,
            now_mbps=details.rate_limit,
            to_mbps=to_mbps,
            monthly_now=now,
            monthly_then=then,
            currency=currency,
            limits=limits,
            against=tuple(_against(details, limits, to_mbps)),
            replaces=vxc.b_end == "aws-hosted-connection",
        )

    async def _price(self, details: VxcDetails, mbps: int) -> tuple[float | None, str]:
        """None where the price book cannot be asked: no such rate, or ends without a location."""
        if mbps <= 0 or details.a_end.location_id is None or details.b_end.location_id is None:
            return None, ""
        asked = {
            "productType": "VXC",
            "aLocationId": details.a_end.location_id,
            "bLocationId": details.b_end.location_id,
            "speed": mbps,
            "term": details.contract_term_months,
            "connectType": next((end.connect_type for end in details.cloud_ends if end.connect_type), None),
        }
        body = {name: value for name, value in asked.items() if value is not None}
        where = self._lane.where(PRICE_BOOK)
        reply = await self._lane.send("POST", PRICE_BOOK, json=body)
        return parse_price(content(self._lane.json(reply), where), where)

    def _limits(self, vxc: Vxc, details: VxcDetails) -> Iterator[Limit]:
        port = self._site.port(vxc.port)
        yield Limit(f"the speed of {port.name}", port.speed_mbps)
        if details.maximum_rate is not None:
            yield Limit("the VXC's own maximum", details.maximum_rate)
        for end in details.cloud_ends:
            if end.connect_type == "AZURE" and end.bandwidth is not None:
                yield Limit("the bandwidth of its ExpressRoute key", end.bandwidth)


def _against(details: VxcDetails, limits: tuple[Limit, ...], to_mbps: int) -> Iterator[str]:
    if to_mbps <= 0:
        yield "a rate is a whole number of Mbps above 0"
    if to_mbps == details.rate_limit:
        yield f"it has {to_mbps} Mbps already"
    for limit in limits:
        if to_mbps > limit.mbps:
            yield f"{to_mbps} Mbps is above {limit.whose}, {limit.mbps} Mbps"
    for end in details.cloud_ends:
        if end.connect_type == "AWSHC" and end.bandwidths and to_mbps not in end.bandwidths:
            yield f"hosted connections come in {', '.join(map(str, end.bandwidths))} Mbps"
    if details.locked or details.admin_locked:
        yield "it is locked" if details.locked else "the fabric has locked it"
    if details.vxc_approval and details.vxc_approval.waiting:
        yield f"it waits already: {details.vxc_approval.waiting}"
