"""The fabric as runs work on it: read with the credential that reads, written with the run's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from connectors.errors import InterlockError, NotSent
from console.session import OperatorSession
from network.inventory import Site, Vxc
from runbooks.book import Book
from runbooks.parameters import bound

if TYPE_CHECKING:
    from connectors.megaport_client import MegaportClient
    from connectors.megaport_price import Resize
    from connectors.megaport_vxc import Sent, VxcDetails

CALL_S = 15.0


class LiveFabric:
    """Implements `runbooks.scene.Fabric`; connected to on first use."""

    def __init__(self, site: Site, session: OperatorSession) -> None:
        from connectors.megaport_price import Prices
        from connectors.megaport_vxc import VxcWrites

        self._system, self._session = site.systems.megaport, session
        self._reads = self._client(self._system.credential)
        self._writes = self._client(self._system.run_credential)
        self._prices = Prices(self._reads.asked, site)
        self._reader, self._writer = VxcWrites(self._reads.asked), VxcWrites(self._writes.asked)

    async def vxc(self, uid: str) -> VxcDetails:
        return await self._reader.vxc(uid)

    async def price(self, vxc: Vxc, mbps: int) -> Resize:
        return await self._prices.resize(vxc, mbps)

    def sent(self, uid: str) -> Sent | None:
        return self._writer.sent(uid)

    async def set_rate(self, uid: str, mbps: int, send_allowed: Callable[[], None]) -> None:
        await self._writer.set_rate(uid, mbps, send_allowed)

    async def login(self) -> None:
        """Prove that the run's credential works. Raises an InterlockError."""
        await self._writes.asked.login()

    async def close(self) -> None:
        await asyncio.gather(self._reads.close(), self._writes.close())

    def _client(self, credential: str) -> MegaportClient:
        from connectors.megaport_client import MegaportClient

        async def secret() -> Mapping[str, str]:
            if not credential:
                raise NotSent(
                    "no credential for it",
                    where="systems.megaport",
                    do_next="Name it in the site file: `credential` for reading, `run_credential` for runs that write.",
                )
            return await self._session.kv(credential)

        return MegaportClient(self._system, secret, CALL_S)


async def quotes(book: Book, given: Mapping[str, str], site: Site, fabric: LiveFabric) -> dict[tuple[str, int], Resize]:
    """What the fabric asks for the change of rate that a book's parameters name; nothing where it cannot be asked."""
    values = bound(book, given, site)
    by_type = {parameter.type: values[name] for name, parameter in book.parameters.items()}
    name, mbps = by_type.get("vxc"), by_type.get("mbps")
    if not name or not mbps:
        return {}
    try:
        return {(name, int(mbps)): await fabric.price(site.vxc(name), int(mbps))}
    except InterlockError:
        return {}
