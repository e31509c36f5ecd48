"""Ports, MCRs and VXCs in the shape of the fabric's product objects."""

from __future__ import annotations

import hashlib

from lab.canary import canary, canary_guid
from lab.megaport.answers import JSON
from lab.megaport.sampled import Keyed, Links, Sited
from network.inventory import Mcr, Port, Vxc

HOSTED_RATES = (50, 100, 200, 300, 400, 500, 1000, 2000, 5000, 10000)
_CREATED_MS = 1735689600000  # 2025-01-01
_NO_APPROVAL = {"status": None, "message": None, "uid": None, "type": None, "newSpeed": None}


def port_object(facts: Links, port: Port) -> JSON:
    """A port of productType MEGAPORT with its VXCs inside; `resources.interface.up` follows the light on it."""
    up = int(facts.port_up(port.name))
    vxcs = [vxc for vxc in facts.site.vxcs if vxc.port == port.name]
    return _common(port.uid, port.name) | {
        "productType": "MEGAPORT",
        "portSpeed": port.speed_mbps,
        "market": "DE",
        "locationId": number(port.pop),
        "locationDetail": {"name": port.pop, "city": "Frankfurt", "metro": "Frankfurt", "country": "Germany"},
        "usageAlgorithm": "POST_PAID_HOURLY_SPEED_LONG_HAUL_VXC",
        "marketplaceVisibility": False,
        "vxcPermitted": True,
        "vxcAutoApproval": False,
        "secondaryName": None,
        "lagPrimary": False,
        "lagId": None,
        "aggregationId": None,
        "virtual": False,
        "buyoutPort": False,
        "terminateDate": None,
        "diversityZone": "red" if number(port.pop) % 2 else "blue",
        "associatedVxcs": [vxc_object(facts, vxc) for vxc in vxcs],
        "associatedIxs": [],
        "resources": {"interface": _interface(port, up)},
    }


def mcr_object(facts: Links, mcr: Mcr) -> JSON:
    """A router of the fabric. It lists the cloud's VXCs too: what has both ends with us stands in the reply twice."""
    vxcs = [vxc for vxc in facts.site.vxcs if vxc.b_end == "azure-key"]
    router = {"id": number(mcr.uid), "mcrAsn": 133937, "name": mcr.name, "speed": 5000}
    return _common(mcr.uid, mcr.name) | {
        "productType": "MCR2",
        "portSpeed": 5000,
        "maxVxcSpeed": 5000,
        "up": True,
        "market": "DE",
        "associatedVxcs": [vxc_object(facts, vxc) for vxc in vxcs],
        "associatedIxs": [],
        "resources": {
            "virtual_router": router | {"resource_name": "virtual_router", "resource_type": "virtual_router"}
        },
    }


def vxc_object(facts: Links, vxc: Vxc) -> JSON:
    """A VXC; `up` (bool) and `resources.vll.up` (0/1) are what was last seen of its link."""
    site, up = facts.site, facts.vxc_up(vxc.name)
    port = site.port(vxc.port)
    a_vlan, b_vlan = 100 + number(vxc.uid) % 900, 1000 + number(vxc.uid) % 900
    b_name = {"azure-key": "Azure ExpressRoute"}.get(vxc.b_end, "AWS Direct Connect")
    return _common(vxc.uid, vxc.name) | {
        "productType": "VXC",
        "rateLimit": facts.rates.recorded(vxc),
        "maximumRate": maximum_rate(facts, vxc),
        "distanceBand": "METRO",
        "up": up,
        "shutdown": False,
        "secondaryName": None,
        "vxcApproval": dict(_NO_APPROVAL),
        "autoRenewTerm": False,
        "dealUid": None,
        "usageAlgorithm": "POST_PAID_HOURLY_SPEED_LONG_HAUL_VXC",
        "aEnd": _end(port.uid, port.name, port.pop, a_vlan),
        "bEnd": _end(canary_guid("b-end", vxc.uid), b_name, port.pop, b_vlan),
        "resources": {
            "interface": [_interface(port, int(facts.port_up(port.name)))],
            "vll": {
                "a_vlan": a_vlan,
                "b_vlan": b_vlan,
                "id": number(vxc.uid),
                "name": vxc.name,
                "description": vxc.name,
                "rate_limit_mbps": facts.rates.effective(vxc),
                "resource_name": "vll",
                "resource_type": "vll",
                "up": int(up),
                "shutdown": False,
            },
            "csp_connection": _csp_connection(facts, vxc),
        },
    }


def secrets_of(facts: Sited) -> frozenset[str]:
    """Every secret that the product objects show."""
    found = set()
    for vxc in facts.site.vxcs:
        if vxc.b_end == "azure-key":
            found |= {service_key(facts), canary("shared_key", vxc.name)}
        elif vxc.b_end == "aws-hosted-vif":
            found.add(canary("authKey", vxc.name))
    return frozenset(found)


def number(text: str) -> int:
    """A product number that is the same on every run."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:6], 16) % 90000 + 10000


def _common(uid: str, name: str) -> JSON:
    return {
        "productId": number(uid),
        "productUid": uid,
        "nServiceId": number("service " + uid),
        "productName": name,
        "provisioningStatus": "LIVE",
        "createDate": _CREATED_MS,
        "createdBy": canary_guid("person", "network team"),
        "liveDate": _CREATED_MS + 300000,
        "contractStartDate": _CREATED_MS,
        "contractEndDate": _CREATED_MS + 365 * 86400000,
        "contractTermMonths": 12,
        "companyUid": canary_guid("company", "plants"),
        "companyName": "Reference plants",
        "costCentre": "network",
        "attributeTags": {},
        "locked": False,
        "adminLocked": False,
        "cancelable": True,
    }


def _interface(port: Port, up: int) -> JSON:
    return {
        "demarcation": "",
        "description": port.name,
        "id": number(port.uid),
        "loa_template": "megaport",
        "media": "LR4" if port.speed_mbps > 10000 else "LR",
        "name": port.interface,
        "port_speed": port.speed_mbps,
        "resource_name": "interface",
        "resource_type": "interface",
        "up": up,
    }


def _end(uid: str, name: str, pop: str, vlan: int) -> JSON:
    return {
        "ownerUid": canary_guid("company", "plants"),
        "productUid": uid,
        "productName": name,
        "locationId": number(pop),
        "location": pop,
        "vlan": vlan,
        "innerVlan": None,
        "vNicIndex": None,
        "secondaryName": None,
        "connectType": None,
        "diversityZone": None,
    }


def maximum_rate(facts: Keyed, vxc: Vxc) -> int:
    """What the B end could take: the circuit's bandwidth, or the hosted connection's fixed tier."""
    return facts.circuit.mbps or vxc.rate_mbps if vxc.b_end == "azure-key" else vxc.rate_mbps


def service_key(facts: Sited) -> str:
    side = next((cloud.azure for cloud in facts.site.clouds if cloud.azure), None)
    return canary_guid("service_key", side.circuit if side else "")


def _csp_connection(facts: Links, vxc: Vxc) -> JSON | list[JSON]:
    """An object for Azure and a list for AWS: the fabric answers either, and clients must take both."""
    site = facts.site
    path = next(path for path in site.paths if path.vxc == vxc.name)
    session, connection = site.session(path.session), site.connection(path.connection or "")
    common = {"resource_name": "csp_connection", "resource_type": "csp_connection"}
    if vxc.b_end == "azure-key":
        link = connection.link or "primary"
        megaport = {"port": number(connection.device), "type": link, "vxc": number("service " + vxc.uid)}
        ports = {"service_id": megaport["port"], "type": link, "vxc_service_ids": [megaport["vxc"]]}
        peer = {
            "type": "private",
            "peer_asn": str(site.on_prem.asn),
            "primary_subnet": f"{session.local}/30",
            "secondary_subnet": f"{session.local}/30",
            "shared_key": canary("shared_key", vxc.name),
            "vlan": 100,
        }
        return common | {
            "connectType": "AZURE",
            "bandwidth": maximum_rate(facts, vxc),
            "managed": False,
            "service_key": service_key(facts),
            "vlan": 100,
            "megaports": [megaport],
            "ports": [ports],
            "peers": [peer],
        }
    owner = next((cloud.aws.account for cloud in site.clouds if cloud.aws), "")
    if vxc.b_end == "aws-hosted-connection":
        hosted = {"bandwidth": vxc.rate_mbps, "bandwidths": list(HOSTED_RATES)}
        named = {"name": connection.name, "ownerAccount": owner, "connectionId": connection.connection_id}
        return [common | {"connectType": "AWSHC"} | hosted | named]
    vif = {
        "connectType": "AWS",
        "type": "transit",
        "name": connection.name,
        "ownerAccount": owner,
        "vif_id": connection.vif_id,
        "asn": site.on_prem.asn,
        "amazonAsn": session.peer_asn,
        "amazon_address": f"{session.peer}/30",
        "customer_address": f"{session.local}/30",
        "authKey": canary("authKey", vxc.name),
    }
    return [common | vif]
