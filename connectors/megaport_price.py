"""What another rate of a VXC would cost a month, and whether the fabric's own figures allow it. Nothing is changed.

The price book is asked, at the rate of now and at the wanted one. `networkdesign/validate` is not: it checks an
order of something new, and would refuse a cloud port that the very VXC in question occupies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import FiniteFloat

from connectors.megaport_client import Lane, content
from connectors.megaport_vxc import VxcDetails, vxc_details
from connectors.reply import Shape, Text, read
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


class _Price(Shape):
    currency: Text = ""
    monthly_rate: FiniteFloat | None = None


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
        details = await vxc_details(self._lane, vxc.uid)
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
    yield from details.against_change
