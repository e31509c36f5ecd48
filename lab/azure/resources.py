"""What is at which address of Azure Resource Manager: the lab's reads, and its long-running actions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from lab.azure.circuit import TABLES, Circuit
from lab.azure.classic import Classic
from lab.azure.failover import FROM_VERSION, FailoverTests
from lab.azure.hub import Hub
from lab.azure.ids import JSON, Arm

Reads = dict[str, Callable[[], JSON]]
Query = Mapping[str, str]
Action = Callable[[Query], Callable[[], Any]]
"""Looks at the question, raises Refused or gives what computes the answer later."""


class Refused(Exception):
    """A question that an action refuses; `code` is ARM's."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def by_address(table: Mapping[str, Any]) -> dict[str, Any]:
    """ARM ids do not depend on case."""
    return {resource.lower(): answer for resource, answer in table.items()}


def circuit_reads(arm: Arm, circuit: Circuit) -> Reads:
    return {
        arm.network + "/expressRouteCircuits": lambda: {"value": [circuit.object()]},
        arm.circuit: circuit.object,
        arm.circuit + "/stats": circuit.circuit_stats,
        arm.circuit + "/peerings": lambda: {"value": [circuit.peering()]},
        arm.peering: circuit.peering,
        arm.peering + "/stats": circuit.peering_stats,
    }


def hub_reads(arm: Arm, hub: Hub) -> Reads:
    return {
        arm.er_gateway: hub.er_gateway,
        arm.er_gateway + "/expressRouteConnections": lambda: {"value": [hub.er_connection()]},
        arm.er_connection: hub.er_connection,
        arm.hub: hub.hub,
        arm.vpn_gateway: hub.vpn_gateway,
        arm.vpn_gateway + "/vpnConnections": lambda: {"value": [hub.vpn_connection()]},
        arm.vpn_connection: hub.vpn_connection,
        arm.vpn_connection + "/vpnLinkConnections": lambda: {"value": hub.links()},
    }


def classic_reads(arm: Arm, classic: Classic) -> Reads:
    return {
        arm.network + "/virtualNetworkGateways": lambda: {"value": [classic.er_gateway(), classic.vpn_gateway()]},
        arm.er_gateway: classic.er_gateway,
        arm.vpn_gateway: classic.vpn_gateway,
        arm.network + "/connections": classic.connections,
        arm.er_connection: classic.er_connection,
        **{arm.connection(path.tunnel or ""): partial(classic.vpn_connection, path) for path in arm.vpn_paths()},
    }


def circuit_actions(arm: Arm, circuit: Circuit, tests: FailoverTests) -> dict[str, Action]:
    tables: dict[str, Action] = {
        f"{arm.peering}/{name}/{device}": _plain(partial(circuit.table, name, device))
        for name in TABLES
        for device in arm.legs()
    }
    return tables | {f"{arm.circuit}/getCircuitLinkFailoverAllTestsDetails": _since(FROM_VERSION, tests.of_links)}


def hub_actions(arm: Arm, hub: Hub, tests: FailoverTests) -> dict[str, Action]:
    return {
        f"{arm.hub}/effectiveRoutes": _plain(hub.effective_routes),
        f"{arm.er_gateway}/getFailoverAllTestsDetails": _since(FROM_VERSION, tests.of_location),
    }


def classic_actions(arm: Arm, classic: Classic, tests: FailoverTests) -> dict[str, Action]:
    def advertised(query: Query) -> Callable[[], Any]:
        return partial(classic.advertised, _needed(query, "peer"))

    def of_location(query: Query) -> Callable[[], Any]:
        _needed(query, "type")
        _needed(query, "fetchLatest")
        return tests.of_location

    return {
        f"{arm.er_gateway}/getBgpPeerStatus": _plain(classic.er_peers),
        f"{arm.vpn_gateway}/getBgpPeerStatus": _plain(classic.vpn_peers),
        f"{arm.er_gateway}/getLearnedRoutes": _plain(classic.er_learned),
        f"{arm.vpn_gateway}/getLearnedRoutes": _plain(classic.vpn_learned),
        f"{arm.vpn_gateway}/getAdvertisedRoutes": advertised,
        f"{arm.er_gateway}/getFailoverAllTestsDetails": of_location,
    }


def _plain(answer: Callable[[], Any]) -> Action:
    return lambda query: answer  # noqa: ARG005 - an action's signature


def _since(version: str, answer: Callable[[], Any]) -> Action:
    def act(query: Query) -> Callable[[], Any]:
        if query["api-version"] < version:
            raise Refused(
                "InvalidResourceType", f"The action is not known to the api-version '{query['api-version']}'."
            )
        return answer

    return act


def _needed(query: Query, name: str) -> str:
    if not query.get(name):
        raise Refused("MissingParameter", f"The required query parameter '{name}' is missing.")
    return query[name]
