"""The ExpressRoute circuit as runs work on it, under the run's own credential."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from connectors.errors import NotSent
from connectors.ports import AzureSecret
from console.session import OperatorSession
from network.inventory import Site

if TYPE_CHECKING:
    from connectors.azure_bandwidth import CircuitDetails

CALL_S = 15.0


class LiveCircuit:
    """Implements `runbooks.scene.CircuitPort`; connected to on first use."""

    def __init__(self, site: Site, session: OperatorSession) -> None:
        from connectors.azure_bandwidth import ArmWriter, CircuitWrites
        from connectors.azure_login import Login
        from connectors.azure_site import azure_of, network_of
        from connectors.http import Bearer

        self._system, self._session = site.systems.azure, session
        _, side = azure_of(site)
        self._login = Login(side.tenant, self._system.token_address, CALL_S, self._secret)
        bearer = Bearer(self._login.token)
        self._api = ArmWriter("azure", self._system.address, CALL_S, bearer, common=network_of(side))
        self._writes = CircuitWrites(self._api, side)

    async def circuit(self) -> CircuitDetails:
        return await self._writes.circuit()

    async def set_bandwidth(self, seen: CircuitDetails, mbps: int, send_allowed: Callable[[], None]) -> None:
        await self._writes.set_bandwidth(seen, mbps, send_allowed)

    async def login(self) -> None:
        """Prove that the run's credential works. Raises an InterlockError."""
        await self._api.login()

    async def close(self) -> None:
        await asyncio.gather(self._login.close(), self._api.close())

    async def _secret(self) -> AzureSecret:
        if not self._system.run_credential:
            raise NotSent(
                "no credential for it",
                where="systems.azure",
                do_next="Name it in the site file: `credential` for reading, `run_credential` for runs that write.",
            )
        return await self._session.azure(self._system.run_credential)
