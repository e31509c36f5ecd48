"""ARM resource ids of the site's Azure side, and what every resource's object begins with."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from network.inventory import AzureSide, Path, Site

JSON = dict[str, Any]

REGION = "germanywestcentral"
PEERING = "AzurePrivatePeering"
VPN_CONNECTION = "on-prem"
"""One VPN site with a link for each tunnel, as a vWAN models a plant with two internet providers."""


class Arm:
    """The ids. `side` is the cloud's part of the site file; `cloud` its name."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.cloud, self.side = _azure(site)
        group = f"/subscriptions/{self.side.subscription}/resourceGroups/{self.side.resource_group}"
        self.network = f"{group}/providers/Microsoft.Network"
        self.circuit = f"{self.network}/expressRouteCircuits/{self.side.circuit}"
        self.peering = f"{self.circuit}/peerings/{PEERING}"
        self.classic = self.side.gateways == "classic"
        er, vpn = ("virtualNetworkGateways",) * 2 if self.classic else ("expressRouteGateways", "vpnGateways")
        self.er_gateway = f"{self.network}/{er}/{self.side.er_gateway}"
        self.er_connection = f"{self.er_gateway}/expressRouteConnections/{self.side.er_connection}"
        if self.classic:
            self.er_connection = self.connection(self.side.er_connection)
        self.hub = f"{self.network}/virtualHubs/{self.side.hub}"
        self.vpn_gateway = f"{self.network}/{vpn}/{self.side.vpn_gateway}"
        self.vpn_connection = f"{self.vpn_gateway}/vpnConnections/{VPN_CONNECTION}"
        self.vpn_site = f"{self.network}/vpnSites/{VPN_CONNECTION}"

    def connection(self, name: str) -> str:
        """A connection of a virtual network gateway."""
        return f"{self.network}/connections/{name}"

    def link(self, tunnel: str) -> str:
        """A tunnel's vpnLinkConnection, or classic connection; either bears the tunnel's name."""
        if self.classic:
            return self.connection(tunnel)
        return f"{self.vpn_connection}/vpnLinkConnections/{tunnel}"

    def legs(self) -> dict[str, Path]:
        """The circuit's paths by link: primary and secondary."""
        legs: dict[str, Path] = {}
        for path in self.site.paths_of(self.cloud):
            if path.connection:
                legs[self.site.connection(path.connection).link or "primary"] = path
        return legs

    def vpn_paths(self) -> list[Path]:
        return [path for path in self.site.paths_of(self.cloud) if path.tunnel]


def resource(identifier: str, kind: str, properties: JSON, *, located: bool = False) -> JSON:
    """The frame that every ARM resource has around its properties."""
    frame: JSON = {
        "name": identifier.rpartition("/")[2],
        "id": identifier,
        "etag": f'W/"{uuid5(NAMESPACE_URL, identifier)}"',
        "type": f"Microsoft.Network/{kind}",
    }
    if located:
        frame |= {"location": REGION, "tags": {}}
    return frame | {"properties": {"provisioningState": "Succeeded", **properties}}


def _azure(site: Site) -> tuple[str, AzureSide]:
    for cloud in site.clouds:
        if cloud.azure is not None:
            return cloud.name, cloud.azure
    raise ValueError(f"site {site.name} has no cloud of provider azure: the lab's Azure has nothing to serve")
