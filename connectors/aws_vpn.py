"""Site-to-Site VPN's replies, read: the telemetry of each tunnel, and the maintenance that AWS holds ready for it.

Pre-shared keys stand in a connection's XML and in its tunnel options: no shape here names them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from connectors.aws_shapes import Ec2, Moment, only, side_of, vpn_paths
from connectors.reply import Finding, Rows, Text, read
from network.events import ProviderEvent
from network.inventory import Cloud, Path, Site
from network.observation import Circuit, Kind, SessionThere

#: PendingMaintenance is a free text; these words of it mean that there is none.
NOTHING_PENDING = frozenset({"", "none", "no", "false", "notavailable", "not available", "unavailable"})


class _Telemetry(Ec2):
    outside_ip_address: Text = ""
    status: Text = ""
    status_message: Text = ""
    accepted_route_count: int | None = None


class _VpnConnection(Ec2):
    vpn_connection_id: str
    state: Text = ""
    vgw_telemetry: Rows[_Telemetry] = ()


class _VpnConnections(Ec2):
    vpn_connections: tuple[_VpnConnection, ...]


class _Maintenance(Ec2):
    pending_maintenance: Text = ""
    maintenance_auto_applied_after: Moment | None = None


class _Replacement(Ec2):
    vpn_connection_id: Text = ""
    maintenance_details: _Maintenance


def parse_vpn(data: Any, site: Site, cloud: Cloud) -> list[Finding]:
    """Circuit (IPsec) and SessionThere of each VPN path, from the telemetry of its tunnel's outside address.

    Status DOWN with "IPSEC IS UP" is a tunnel without BGP; UP with no accepted route is a session that brings
    nothing, and not up: the count decides, and without a count nothing is known. Raises BadReply.
    """
    where, ids = "aws DescribeVpnConnections", side_of(cloud).vpn_connection_ids
    ours = only(data, "VpnConnections", ids.values(), "VpnConnectionId", where)
    known = {each.vpn_connection_id: each for each in read(_VpnConnections, ours, where).vpn_connections}
    found: list[Finding] = []
    for path in vpn_paths(site, cloud):
        tunnel = site.tunnel(path.tunnel or "")
        vpn = known.get(ids.get(tunnel.name, ""))
        rows = vpn.vgw_telemetry if vpn else ()
        row = next((each for each in rows if each.outside_ip_address == str(tunnel.outside)), None)
        found += _tunnel(path.name, row, _missing(vpn))
    return found


def _missing(vpn: _VpnConnection | None) -> str:
    """How a tunnel without telemetry is told: its connection is gone, or AWS says nothing of it."""
    if vpn is None:
        return "absent"
    return f"VPN connection {vpn.state}" if vpn.state in {"deleting", "deleted"} else "no telemetry"


def _tunnel(path: str, row: _Telemetry | None, missing: str) -> list[Finding]:
    if row is None:
        known = missing != "no telemetry"
        return [
            Finding(Kind.CIRCUIT, path, Circuit(up=False, state=missing, known=known)),
            Finding(Kind.SESSION_THERE, path, SessionThere(up=False, state=missing, known=known)),
        ]
    message, count, raw = row.status_message.upper(), row.accepted_route_count, row.model_dump()
    ipsec = "IPSEC IS UP" in message or (row.status == "UP" and "IPSEC IS DOWN" not in message)
    state = f"{row.status or 'unknown'} {row.status_message}".strip()
    said = row.status in {"UP", "DOWN"}
    session = SessionThere(
        up=row.status == "UP" and (count or 0) > 0,
        state=state,
        received=count,
        known=said and (row.status == "DOWN" or count is not None),
    )
    return [
        Finding(Kind.CIRCUIT, path, Circuit(ipsec, state, known=said or ipsec), raw),
        Finding(Kind.SESSION_THERE, path, session, raw),
    ]


def parse_replacement(data: Any, path: Path, site: Site, now: datetime) -> ProviderEvent | None:
    """The maintenance that waits for a tunnel's endpoint at AWS, if there is any. Raises BadReply.

    It may come at any time and will come after its date; without a date it is as good as announced for now.
    """
    details = read(_Replacement, data, f"aws GetVpnTunnelReplacementStatus of {path.name}").maintenance_details
    if details.pending_maintenance.lower() in NOTHING_PENDING:
        return None
    tunnel = site.tunnel(path.tunnel or "")
    return ProviderEvent(
        id=f"tunnel endpoint {tunnel.outside}",
        system="aws",
        kind="maintenance",
        state="announced",
        title=f"tunnel endpoint replacement, applied by AWS {'at its date' if _dated(details) else 'without a date'}",
        starts=details.maintenance_auto_applied_after or now,
        ends=None,
        touches=(tunnel.name,),
    )


def _dated(details: _Maintenance) -> bool:
    return details.maintenance_auto_applied_after is not None
