"""The virtual hub, its ExpressRoute and VPN gateways with their connections, and its effective routes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from lab.azure.circuit import GATEWAY_ADDRESSES, ByteCounters
from lab.azure.ids import JSON, Arm, resource
from lab.canary import canary, canary_guid
from lab.facts import Facts
from network.inventory import Path


class Hub:
    """The hub's answers.

    Effective routes: for each of our prefixes one entry, `nextHopType` ExpressRouteGateway or VPN_S2S_Gateway,
    `asPath` hyphen-separated as the hub holds it (12076 in front over ExpressRoute), `routeOrigin` the gateway.
    `nextHops` holds the ids of the winning connections (the ExpressRoute connection, VPN link connections);
    with `gateway_hops` it holds the gateway's id, which is what the public service has been seen to answer.
    Never does it tell the primary link from the secondary: see the circuit's route tables for that.
    """

    def __init__(self, arm: Arm, facts: Facts, now: Callable[[], datetime], *, gateway_hops: bool) -> None:
        self._arm = arm
        self._facts = facts
        self._gateway_hops = gateway_hops
        self._counters = ByteCounters(facts, now)
        self._authorization_key = canary_guid("authorizationKey", arm.side.er_connection)
        self._shared_keys = {path.name: canary("sharedKey", path.name) for path in arm.vpn_paths()}
        self.secrets = frozenset({self._authorization_key, *self._shared_keys.values()})

    def hub(self) -> JSON:
        properties: JSON = {
            "addressPrefix": "10.50.254.0/23",
            "hubRoutingPreference": self._arm.side.hub_preference,
            "routingState": "Provisioned",
            "sku": "Standard",
            "virtualRouterAsn": self._arm.side.vpn_asn,
            "virtualRouterIps": ["10.50.254.68", "10.50.254.69"],
            "expressRouteGateway": {"id": self._arm.er_gateway},
            "vpnGateway": {"id": self._arm.vpn_gateway},
            "azureFirewall": {"id": f"{self._arm.network}/azureFirewalls/azure-firewall"},
        }
        return resource(self._arm.hub, "virtualHubs", properties, located=True)

    def er_gateway(self) -> JSON:
        properties: JSON = {
            "virtualHub": {"id": self._arm.hub},
            "autoScaleConfiguration": {"bounds": {"min": 2, "max": 2}},
            "allowNonVirtualWanTraffic": False,
            "expressRouteConnections": [self.er_connection()],
        }
        return resource(self._arm.er_gateway, "expressRouteGateways", properties, located=True)

    def er_connection(self) -> JSON:
        """A gateway's connection to the circuit. The service has no status field here, so the lab has none."""
        properties: JSON = {
            "expressRouteCircuitPeering": {"id": self._arm.peering},
            "routingWeight": 0,
            "authorizationKey": self._authorization_key,
            "enableInternetSecurity": False,
            "expressRouteGatewayBypass": False,
            "routingConfiguration": self._routing(),
        }
        return resource(self._arm.er_connection, "expressRouteGateways/expressRouteConnections", properties)

    def vpn_gateway(self) -> JSON:
        paths = self._arm.vpn_paths()
        addresses = [
            {
                "ipconfigurationId": f"Instance{index}",
                "defaultBgpIpAddresses": [str(self._arm.site.session(path.session).peer)],
                "customBgpIpAddresses": [],
                "tunnelIpAddresses": [str(self._arm.site.tunnel(path.tunnel or "").outside)],
            }
            for index, path in enumerate(paths)
        ]
        bgp = {"asn": self._arm.side.vpn_asn, "peerWeight": 0, "bgpPeeringAddresses": addresses}
        properties: JSON = {
            "virtualHub": {"id": self._arm.hub},
            "vpnGatewayScaleUnit": 1,
            "isRoutingPreferenceInternet": False,
            "bgpSettings": bgp,
            "ipConfigurations": [
                {
                    "id": f"Instance{index}",
                    "publicIpAddress": str(self._arm.site.tunnel(path.tunnel or "").outside),
                    "privateIpAddress": GATEWAY_ADDRESSES[index % len(GATEWAY_ADDRESSES)],
                }
                for index, path in enumerate(paths)
            ],
            "connections": [self.vpn_connection()],
        }
        return resource(self._arm.vpn_gateway, "vpnGateways", properties, located=True)

    def vpn_connection(self) -> JSON:
        """The connection to our plant; Connected while any of its links is."""
        links = self.links()
        states = {link["properties"]["connectionStatus"] for link in links}
        properties: JSON = {
            "remoteVpnSite": {"id": self._arm.vpn_site},
            "connectionStatus": "Connected" if "Connected" in states else "NotConnected",
            "ingressBytesTransferred": sum(link["properties"]["ingressBytesTransferred"] for link in links),
            "egressBytesTransferred": sum(link["properties"]["egressBytesTransferred"] for link in links),
            "routingWeight": 0,
            "enableBgp": True,
            "vpnLinkConnections": links,
            "routingConfiguration": self._routing(),
        }
        return resource(self._arm.vpn_connection, "vpnGateways/vpnConnections", properties)

    def links(self) -> list[JSON]:
        """One per tunnel, by the tunnel's name. `connectionStatus` is IKE and IPsec, not BGP."""
        paths = self._arm.vpn_paths()
        read = self._counters.read(paths)
        return [self._link(path, *read[path.name]) for path in paths]

    def effective_routes(self) -> JSON:
        """The default route table's effective routes: VNets first, then on-prem prefixes by their winners."""
        value = [
            _route(
                str(prefix.prefix),
                "",
                "Virtual Network Connection",
                [f"{self._arm.hub}/hubVirtualNetworkConnections/vnet-{index}"],
                f"{self._arm.hub}/hubVirtualNetworkConnections/vnet-{index}",
            )
            for index, prefix in enumerate(self._arm.site.cloud(self._arm.cloud).prefixes)
        ]
        for prefix, winners in self._facts.chosen(self._arm.cloud).items():
            value += self._entries(prefix, [self._arm.site.path(name) for name in winners])
        return {"value": value}

    def _entries(self, prefix: str, winners: list[Path]) -> list[JSON]:
        over_er = [path for path in winners if path.kind == "expressroute"]
        over_vpn = [path for path in winners if path.kind == "vpn"]
        entries = []
        if over_er:
            hops = [self._arm.er_gateway if self._gateway_hops else self._arm.er_connection]
            as_path = self._as_path(prefix, over_er[0])
            entries.append(_route(prefix, as_path, "ExpressRouteGateway", hops, self._arm.er_gateway))
        if over_vpn:
            links = [self._arm.link(path.tunnel or "") for path in over_vpn]
            hops = [self._arm.vpn_gateway] if self._gateway_hops else links
            as_path = self._as_path(prefix, over_vpn[0])
            entries.append(_route(prefix, as_path, "VPN_S2S_Gateway", hops, self._arm.vpn_gateway))
        return entries

    def _as_path(self, prefix: str, path: Path) -> str:
        received = self._facts.far_session(path.name).received
        learned = next((route.as_path for route in received if route.prefix == prefix), ())
        transit = (self._arm.site.session(path.session).peer_asn,) if path.kind == "expressroute" else ()
        return "-".join(str(asn) for asn in (*transit, *learned))

    def _link(self, path: Path, into: int, out: int) -> JSON:
        tunnel = self._arm.site.tunnel(path.tunnel or "")
        properties: JSON = {
            "vpnSiteLink": {"id": f"{self._arm.vpn_site}/vpnSiteLinks/{tunnel.isp}"},
            "connectionStatus": "Connected" if self._facts.tunnel_up(tunnel.name) else "NotConnected",
            "vpnLinkConnectionMode": "Default",
            "vpnConnectionProtocolType": "IKEv2",
            "connectionBandwidth": tunnel.rate_mbps,
            "enableBgp": True,
            "sharedKey": self._shared_keys[path.name],
            "ingressBytesTransferred": into,
            "egressBytesTransferred": out,
            "routingWeight": 0,
        }
        return resource(self._arm.link(tunnel.name), "vpnGateways/vpnConnections/VpnSiteLinkConnections", properties)

    def _routing(self) -> JSON:
        table = {"id": f"{self._arm.hub}/hubRouteTables/defaultRouteTable"}
        return {"associatedRouteTable": table, "propagatedRouteTables": {"labels": ["default"], "ids": [table]}}


def _route(prefix: str, as_path: str, kind: str, hops: list[str], origin: str) -> JSON:
    return {
        "addressPrefixes": [prefix],
        "asPath": as_path,
        "nextHopType": kind,
        "nextHops": hops,
        "routeOrigin": origin,
    }
