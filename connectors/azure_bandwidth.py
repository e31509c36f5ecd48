"""The circuit's bandwidth: read, and raised by a PUT of the whole circuit with that one field changed.

A PATCH changes tags only, so what was read is sent back: it holds keys, is kept in memory and shown nowhere. The ETag
goes with it: somebody else's change in between is a clear no. The answer says that it was accepted; whether it is done
says only the circuit when it is read back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from connectors.azure_arm import API_VERSION
from connectors.azure_site import network_of
from connectors.errors import BadReply, Denied, InterlockError, NotFound, NotSent, OutcomeUnknown, Throttled
from connectors.http import JsonApi
from connectors.reply import Shape, Text, mapping, read
from network.inventory import AzureSide

SUCCEEDED = "Succeeded"
READ_BACK = "Read the circuit back before anything else: the change may come yet."


class Refusal(BadReply):
    """A 4xx: the service has understood, and did not take it."""


REFUSALS = (Throttled, Denied, NotFound, Refusal)
#: The connection never came to be, so nothing was on the wire.
NOT_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class ArmWriter(JsonApi):
    """Azure Resource Manager, whose refusals are told apart from its failures."""

    def _error(self, reply: httpx.Response) -> InterlockError:
        error = super()._error(reply)
        if type(error) is BadReply and reply.is_client_error:
            return Refusal(error.what, where=error.where, do_next="See the message: the call is refused as it is.")
        return error


class _Provider(Shape):
    bandwidth_in_mbps: int | None = None


class _Properties(Shape):
    provisioning_state: Text = ""
    service_provider_properties: _Provider | None = None


class _Circuit(Shape):
    etag: Text = ""
    properties: _Properties


@dataclass(frozen=True, slots=True)
class CircuitDetails:
    """The circuit as recorded now. `bandwidth_mbps` is None on ExpressRoute Direct, whose circuits are not raised here.

    `whole` is all of the reply, keys and all: for sending back, never for showing.
    """

    bandwidth_mbps: int | None
    provisioning_state: str
    etag: str = ""
    whole: Mapping[str, Any] = field(default_factory=dict, repr=False)


class CircuitWrites:
    """Reads and raises one circuit, under the run's credential."""

    def __init__(self, api: ArmWriter, side: AzureSide) -> None:
        self._api = api
        self.path = f"{network_of(side)}/expressRouteCircuits/{side.circuit}"

    async def circuit(self) -> CircuitDetails:
        """Raises an InterlockError."""
        whole = mapping(await self._api.get(self.path, params={"api-version": API_VERSION}), self._where)
        circuit = read(_Circuit, whole, self._where)
        provider = circuit.properties.service_provider_properties
        bandwidth = provider.bandwidth_in_mbps if provider else None
        return CircuitDetails(bandwidth, circuit.properties.provisioning_state, circuit.etag, whole)

    async def set_bandwidth(self, seen: CircuitDetails, mbps: int, send_allowed: Callable[[], None]) -> None:
        """Ask for the circuit as it was `seen`, with another bandwidth, once; `send_allowed` is called just before.

        Raises NotSent when nothing left or the service clearly did not take it, else OutcomeUnknown.
        """
        await self._ready()
        send_allowed()
        match = {"If-Match": seen.etag} if seen.etag else {}
        params = {"api-version": API_VERSION}
        try:
            await self._api.send("PUT", self.path, params=params, json=_raised(seen.whole, mbps), headers=match)
        except InterlockError as error:
            if isinstance(error, REFUSALS) or isinstance(error.__cause__, NOT_CONNECTED):
                raise NotSent(error.what, where=error.where, do_next=error.do_next) from error
            raise OutcomeUnknown(error.what, where=self._where, do_next=READ_BACK) from error

    @property
    def _where(self) -> str:
        return self._api.where(self.path)

    async def _ready(self) -> None:
        """The token is fetched before the send is allowed: it must not take the send's time."""
        try:
            await self._api.login()
        except InterlockError as error:
            raise NotSent(f"no token: {error.what}", where=self._where, do_next=error.do_next) from error


def _raised(whole: Mapping[str, Any], mbps: int) -> dict[str, Any]:
    properties = whole["properties"]
    provider = {**(properties.get("serviceProviderProperties") or {}), "bandwidthInMbps": mbps}
    return {**whole, "properties": {**properties, "serviceProviderProperties": provider}}
