"""The one write of the lab's Azure: a PUT of the whole circuit that raises its bandwidth and changes nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lab.azure.circuit import Circuit
from lab.azure.ids import JSON, Arm
from lab.azure.operations import Operations
from lab.circuit_bandwidth import CircuitBandwidth, NotTaken
from lab.ledger import Ledger

WRITER = "operator"
#: What a PUT may bring besides what is there: the service passes over its own read-only words.
_READ_ONLY = frozenset({"provisioningState"})

Refuse = Callable[[int, str, str], Response]


class CircuitWrites:
    """`role_of` says by which role of the secret store a client id came; only the writer's may write."""

    def __init__(
        self,
        arm: Arm,
        circuit: Circuit,
        bandwidth: CircuitBandwidth,
        operations: Operations,
        ledger: Ledger,
        role_of: Callable[[str], str],
    ) -> None:
        self._arm, self._circuit, self._bandwidth = arm, circuit, bandwidth
        self._operations, self._ledger, self._role_of = operations, ledger, role_of

    def put(self, request: Request, body: bytes, client_id: str, refuse: Refuse) -> Response:
        """Answer a PUT of the circuit: accepted, which is not yet done."""
        role = self._role_of(client_id)
        if role != WRITER:
            text = f"The client '{client_id}' does not have authorization to perform action 'write' on this circuit."
            return refuse(403, "AuthorizationFailed", text)
        shown = self._circuit.object()
        if request.headers.get("if-match", shown["etag"]) != shown["etag"]:
            return refuse(412, "PreconditionFailed", "The resource has changed since it was read.")
        try:
            mbps = _only_bandwidth(json.loads(body), shown)
            self._bandwidth.raise_to(mbps)
        except ValueError as error:
            return refuse(400, "InvalidRequestFormat", str(error))
        except NotTaken as refused:
            return refuse(400, refused.code, str(refused))
        what = f'PUT {self._arm.circuit} {{"bandwidthInMbps": {mbps}}}'
        self._ledger.record("azure", what, f"azure/creds/{role}")
        accepted = self._operations.accept(request, self._arm.side.subscription, self._circuit.object)
        headers = {"Azure-AsyncOperation": accepted.headers["Azure-AsyncOperation"], "Retry-After": "0"}
        return JSONResponse(self._circuit.object(), headers=headers)


def _only_bandwidth(body: Any, shown: JSON) -> int:
    """The bandwidth asked for. Raises ValueError for a circuit that is not the same in everything else."""
    try:
        provider = body["properties"]["serviceProviderProperties"]
        mbps = provider["bandwidthInMbps"]
    except (KeyError, TypeError):
        raise ValueError("properties.serviceProviderProperties.bandwidthInMbps is missing") from None
    if type(mbps) is not int:
        raise ValueError("bandwidthInMbps must be an integer")
    asked, there = _flat(body), _flat(shown)
    del asked["properties.serviceProviderProperties.bandwidthInMbps"]
    changed = sorted(name for name, value in there.items() if name in asked and asked[name] != value)
    lost = sorted(name for name in there if name not in asked and not name.endswith("bandwidthInMbps"))
    if changed or lost or asked.keys() - there.keys():
        names = ", ".join([*changed, *lost, *sorted(asked.keys() - there.keys())])
        raise ValueError(f"the lab changes the bandwidth of a circuit and nothing else; also given or lost: {names}")
    return mbps


def _flat(value: Any, at: str = "") -> dict[str, Any]:
    """Every leaf by its place, without what the service says of itself."""
    if isinstance(value, Mapping):
        parts = [_flat(part, f"{at}.{key}" if at else key) for key, part in value.items() if key not in _READ_ONLY]
    elif isinstance(value, list):
        parts = [_flat(part, f"{at}[{index}]") for index, part in enumerate(value)]
    else:
        return {at: value}
    return {name: leaf for part in parts for name, leaf in part.items()}
