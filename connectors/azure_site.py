"""What of the site is Azure's, and how Azure's replies refer to it: ARM ids, which compare without case."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

from connectors.reply import Shape, Text
from network.inventory import AzureSide, Cloud, Path, Site

#: A time that arithmetic cannot push out of the calendar.
Moment = Annotated[AwareDatetime, Field(gt=datetime(1971, 1, 1, tzinfo=UTC), lt=datetime(9000, 1, 1, tzinfo=UTC))]


class Reference(Shape):
    """`{"id": "/subscriptions/…"}`."""

    id: Text = ""


def azure_of(site: Site) -> tuple[Cloud, AzureSide]:
    """The site's Azure cloud and its own part; raises ValueError without one."""
    for cloud in site.clouds:
        if cloud.azure is not None:
            return cloud, cloud.azure
    raise ValueError(f"site {site.name} has no cloud of provider azure: leave this source out")


def network_of(side: AzureSide) -> str:
    """The path that every network resource of ours begins with."""
    return f"/subscriptions/{side.subscription}/resourceGroups/{side.resource_group}/providers/Microsoft.Network"


def side_of(cloud: Cloud) -> AzureSide:
    assert cloud.azure is not None, "the site file's model sees to it"
    return cloud.azure


def legs_of(site: Site, cloud: Cloud) -> tuple[Path, ...]:
    """The ExpressRoute paths, in site-file order."""
    return tuple(path for path in site.paths_of(cloud.name) if path.kind == "expressroute")


def tunnels_of(site: Site, cloud: Cloud) -> tuple[Path, ...]:
    """The VPN paths, in site-file order."""
    return tuple(path for path in site.paths_of(cloud.name) if path.kind == "vpn")


def link_of(site: Site, leg: Path) -> str:
    """`primary` or `secondary`: which link of the circuit a leg is."""
    return site.connection(leg.connection or "").link or "primary"


def names_in(identifier: str) -> frozenset[str]:
    """The parts of an ARM id in lower case."""
    return frozenset(identifier.lower().split("/")) - {""}


def refers_to(reference: Reference | None, name: str) -> bool:
    """The reference is to a resource called `name`, or to something inside it."""
    return reference is not None and name.lower() in names_in(reference.id)
