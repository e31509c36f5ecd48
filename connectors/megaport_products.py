"""Ports, VXCs and routers of the fabric, from its product objects.

A product may stand in a reply twice (below both its ends) and its parts in several forms; what is secret in
them (keys, passwords) is in no shape here and ends at this parser.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field

from connectors.megaport_client import content
from connectors.reply import Finding, Flag, Rows, Shape, Text, mappings, read
from network.inventory import Site
from network.observation import FabricPort, FabricVxc, Kind

PRODUCTS = "megaport /v2/products"

#: provisioningStatus: whether the service stands in the network, and what an operator should know about it.
STATUSES: dict[str, tuple[bool, str]] = {
    "DESIGN": (False, "not yet ordered"),
    "NEW": (False, "ordered"),
    "DEPLOYABLE": (False, "being deployed, normally 1 to 2 minutes"),
    "CONFIGURED": (True, "configured, not yet in service"),
    "LIVE": (True, ""),
    "CANCELLED": (True, "cancelled: it stays until its end date"),
    "CANCELLED_PARENT": (True, "cancelled with its port: it stays until the port's end date"),
    "DECOMMISSIONED": (False, "gone"),
    "FAILED": (False, "its provisioning failed"),
}
_UNKNOWN = (False, "a status that this console does not know")
_ENDING = frozenset({"CANCELLED", "CANCELLED_PARENT"})


class Element(Shape):
    """A network element below a product; `up` is 0 or 1."""

    up: bool | None = None


class _PortResources(Shape):
    interface: Element | Rows[Element] = ()


class CloudEnd(Shape):
    """One `csp_connection` without its secrets. `connect_type` says which of the others have a meaning."""

    connect_type: Text = ""
    vlan: int | None = None
    bandwidth: int | None = None
    bandwidths: Rows[int] = ()
    connection_id: Text = ""


class _VxcResources(Shape):
    vll: Element | tuple[()] | None = None  # [] once decommissioned
    csp_connection: CloudEnd | Rows[CloudEnd] = Field(alias="csp_connection", default=())


class Approval(Shape):
    """What waits for the other side or for a person; all empty when nothing does."""

    status: Text = ""
    message: Text = ""
    type: Text = ""
    new_speed: int | None = None

    @property
    def waiting(self) -> str:
        speed = f"to {self.new_speed} Mbps" if self.new_speed else ""
        said = " ".join(part for part in (self.type, self.status, speed, self.message) if part)
        return said if self.status else ""


class _Product(Shape):
    product_uid: str
    product_name: Text = ""
    provisioning_status: Text = ""
    locked: Flag = False
    admin_locked: Flag = False

    @property
    def placed(self) -> bool:
        return STATUSES.get(self.provisioning_status, _UNKNOWN)[0]

    @property
    def note(self) -> str:
        return STATUSES.get(self.provisioning_status, _UNKNOWN)[1]


class _PortProduct(_Product):
    up: bool | None = None  # of an MCR, which need not have an interface
    resources: _PortResources | tuple[()] | None = None


class _VxcProduct(_Product):
    rate_limit: int
    maximum_rate: int | None = None
    up: bool | None = None
    shutdown: Flag = False
    vxc_approval: Approval | None = None
    resources: _VxcResources | tuple[()] | None = None

    @property
    def most_mbps(self) -> int | None:
        """The least of what it is said to be able to carry: its own maximum, and its ExpressRoute key's bandwidth."""
        ends = self.resources.csp_connection if isinstance(self.resources, _VxcResources) else ()
        keys = [end.bandwidth for end in (ends if isinstance(ends, tuple) else (ends,)) if end.connect_type == "AZURE"]
        return min((mbps for mbps in (self.maximum_rate, *keys) if mbps is not None), default=None)


def parse_products(data: Any, site: Site) -> list[Finding]:
    """Ports, VXCs and MCRs of the site from the reply of GET /v2/products, matched by uid.

    One that the reply does not list is not up, status "absent". Raises BadReply.
    """
    products = mappings(content(data, PRODUCTS), PRODUCTS)
    tops, vxcs = _by_uid(products), _by_uid(_associated(products))
    found = [_port(port.name, tops.get(port.uid)) for port in site.ports]
    found += [_port(mcr.name, tops.get(mcr.uid)) for mcr in site.mcrs]
    return found + [_vxc(vxc.name, vxcs.get(vxc.uid)) for vxc in site.vxcs]


def _by_uid(products: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for product in products:
        uid = product.get("productUid")
        if isinstance(uid, str):
            found.setdefault(uid, product)
    return found


def _associated(products: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    for product in products:
        yield from mappings(product.get("associatedVxcs") or [], PRODUCTS)


def _port(name: str, product: Mapping[str, Any] | None) -> Finding:
    if product is None:
        return Finding(Kind.PORT, name, FabricPort(up=False, status="absent"))
    port = read(_PortProduct, product, PRODUCTS)
    elements = port.resources.interface if isinstance(port.resources, _PortResources) else ()
    lights = [each.up for each in (elements if isinstance(elements, tuple) else (elements,))]
    lights += [] if port.up is None else [port.up]
    fact = FabricPort(
        up=port.placed and bool(lights) and all(lights),
        status=port.provisioning_status,
        locked=port.locked or port.admin_locked,
        note=port.note,
    )
    return Finding(Kind.PORT, name, fact, port.model_dump())


def _vxc(name: str, product: Mapping[str, Any] | None) -> Finding:
    if product is None:
        return Finding(Kind.VXC, name, FabricVxc(up=False, shutdown=False, status="absent", rate_mbps=0))
    vxc = read(_VxcProduct, product, PRODUCTS)
    vll = vxc.resources.vll if isinstance(vxc.resources, _VxcResources) else None
    link = vxc.up if vxc.up is not None or not isinstance(vll, Element) else vll.up
    fact = FabricVxc(
        up=vxc.placed and link is True and not vxc.shutdown,
        shutdown=vxc.shutdown,
        status=vxc.provisioning_status,
        rate_mbps=vxc.rate_limit,
        locked=vxc.locked or vxc.admin_locked,
        waiting=_waiting(vxc),
        note=vxc.note,
        max_mbps=vxc.most_mbps,
    )
    return Finding(Kind.VXC, name, fact, vxc.model_dump())


def _waiting(vxc: _VxcProduct) -> str:
    approval = vxc.vxc_approval.waiting if vxc.vxc_approval else ""
    ending = vxc.note if vxc.provisioning_status in _ENDING else ""
    return ", ".join(part for part in (approval, ending) if part)
