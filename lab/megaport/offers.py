"""What the fabric offers: cloud keys, partner ports, locations, and the price book."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from lab.canary import canary, canary_guid
from lab.megaport.answers import JSON, Answer
from lab.megaport.products import HOSTED_RATES, maximum_rate, number, service_key
from lab.megaport.sampled import Keyed
from network.inventory import Vxc

CURRENCY = "EUR"
_PER_MBPS = 0.42  # a month
_TERM_DISCOUNT = {1: 1.0, 12: 0.9, 24: 0.85, 36: 0.8, 48: 0.78, 60: 0.75}


class Offers:
    """Look-ups by key and by kind. `partner_key` is a service key of another company, and a secret."""

    def __init__(self, facts: Keyed) -> None:
        self._site = facts.site
        self._facts = facts
        self.partner_key = canary("partner_key", "supplier")

    def routes(self) -> dict[str, Answer]:
        return {
            "/v2/secure/azure/{key}": self._azure,
            "/v2/secure/awshc": self._hosted,
            "/v2/service/key": self._service_key,
            "/v2/dropdowns/partner/megaports": self._partners,
            "/v3/locations": self._locations,
        }

    def _azure(self, request: Request) -> tuple[str, Any]:
        key = service_key(self._facts)
        if request.path_params["key"] != key:
            raise HTTPException(404, "Service key not found")
        ours = [vxc for vxc in self._site.vxcs if vxc.b_end == "azure-key"]
        bandwidth = max((maximum_rate(self._facts, vxc) for vxc in ours), default=0)
        ports = [self._cloud_port(vxc, side) for vxc, side in zip(ours, ("primary", "secondary"), strict=False)]
        offer = {"bandwidth": bandwidth, "bandwidths": [bandwidth], "vlan": 100, "service_key": key, "peers": []}
        return "Successful lookup", offer | {"resource_type": "csp_connection", "megaports": ports}

    def _cloud_port(self, vxc: Vxc, side: str) -> JSON:
        pop = self._site.port(vxc.port).pop
        return {
            "port": number(vxc.uid),
            "type": side,
            "vxc": number("service " + vxc.uid),
            "productId": number(vxc.uid),
            "productUid": canary_guid("b-end", vxc.uid),
            "name": f"Azure ExpressRoute {side}",
            "companyName": "Azure",
            "portSpeed": 100000,
            "locationId": number(pop),
            "state": "LIVE",
            "country": "Germany",
        }

    def _hosted(self, request: Request) -> tuple[str, Any]:  # noqa: ARG002 - one signature for every answer
        ports = [
            self._cloud_port(vxc, "") | {"name": "AWS Direct Connect", "vxc": None}
            for vxc in self._site.vxcs
            if vxc.b_end == "aws-hosted-connection"
        ]
        return "Successful lookup", {"bandwidths": list(HOSTED_RATES), "megaports": ports}

    def _service_key(self, request: Request) -> tuple[str, Any]:
        if request.query_params.get("key") != self.partner_key:
            raise HTTPException(404, "Service key not found")
        valid = {"active": True, "expired": False, "valid": True, "validFor": {"start": 0, "end": 4102444800000}}
        terms = {"maxSpeed": 500, "vlan": 120, "singleUse": True, "preApproved": False}
        return "Found key", {"key": self.partner_key} | terms | valid

    def _partners(self, request: Request) -> tuple[str, Any]:
        kinds = {"AZURE": "azure-key", "AWSHC": "aws-hosted-connection", "AWS": "aws-hosted-vif"}
        b_end = kinds.get(request.query_params.get("connectType", ""))
        rows = [self._partner(vxc, request) for vxc in self._site.vxcs if vxc.b_end == b_end]
        return "Partner ports", rows

    def _partner(self, vxc: Vxc, request: Request) -> JSON:
        port = self._cloud_port(vxc, "")
        return {
            "connectType": request.query_params["connectType"],
            "productUid": port["productUid"],
            "title": port["name"],
            "companyUid": canary_guid("company", "cloud"),
            "companyName": "Cloud",
            "diversityZone": "red",
            "locationId": port["locationId"],
            "speed": port["portSpeed"],
            "rank": 1,
            "vxcPermitted": True,
            "maxVxcSpeed": 10000,
        }

    def _locations(self, request: Request) -> tuple[str, Any]:  # noqa: ARG002 - one signature for every answer
        pops = dict.fromkeys(port.pop for port in self._site.ports)
        rows = [
            {"id": number(pop), "name": pop, "metro": "Frankfurt", "market": "DE", "status": "Active"} for pop in pops
        ]
        return "List all locations", rows


def price(asked: Any) -> JSON:
    """The price book's answer for a VXC; raises HTTPException 400 for what it cannot price."""
    if not isinstance(asked, dict) or asked.get("productType") != "VXC":
        raise HTTPException(400, "productType VXC is required")
    missing = [name for name in ("aLocationId", "bLocationId", "speed") if not isinstance(asked.get(name), int)]
    if missing or asked["speed"] <= 0:
        raise HTTPException(400, f"{missing[0] if missing else 'speed'} is required")
    rack = round(asked["speed"] * _PER_MBPS, 2)
    monthly = round(rack * _TERM_DISCOUNT.get(asked.get("term", 1), 1.0), 2)
    core = {"chargeReason": "CORE", "frequency": "MONTHLY", "amount": monthly}
    rates = {"currency": CURRENCY, "monthlyRate": monthly, "monthlyRackRate": rack}
    return {"productType": "VXC", "prices": [core], "discounts": []} | rates
