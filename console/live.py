"""The watched site as a run works on it: routers and fabric under the run's own credentials, opened on first use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from connectors.routers.session import RouterSession
from connectors.routers.ssh import Login, SignedKey
from console.circuit import LiveCircuit
from console.fabric import LiveFabric
from console.wiring import Watch, utc_now
from network.inventory import Site
from network.snapshot import Snapshot
from runbooks.scene import RouterPort

RUNNING_CONFIG = "show running-config"


class LiveRouter:
    """A router under the run's own login; `anew` makes a session of its own for what must prove that one can."""

    def __init__(self, session: RouterSession, anew: Callable[[], RouterSession]) -> None:
        self._session, self._anew = session, anew

    async def running_config(self) -> str:
        return (await self._session.show(RUNNING_CONFIG)).text

    async def configure(self, lines: tuple[str, ...]) -> None:
        await self._session.configure(lines)

    async def execute(self, command: str) -> None:
        await self._session.exec(command)

    async def arm(self, timer: str, seconds: float, lines: tuple[str, ...], clears: tuple[str, ...]) -> None:
        await self._session.arm(timer, seconds, lines, clears)

    async def extend(self, timer: str, seconds: float) -> str:
        return await self._session.extend(timer, seconds)

    async def armed(self) -> tuple[str, ...]:
        return tuple(each.id for each in await self._session.armed())

    async def confirm(self, timer: str) -> str:
        session = self._anew()
        try:
            return await session.confirm(timer)
        finally:
            await session.close()


class LiveScene:
    """The watched site, with the routers opened for change on first use."""

    def __init__(self, watch: Watch) -> None:
        self.site: Site = watch.site
        self._watch = watch
        self._routers: dict[str, RouterSession] = {}
        self._fabric: LiveFabric | None = None
        self._circuit: LiveCircuit | None = None
        self.lease_ends: datetime | None = None
        vault = watch.site.systems.vault
        self._login = Login(vault.run_principal, vault.host_ca, self._sign)

    def now(self) -> datetime:
        return utc_now()

    @property
    def snapshot(self) -> Snapshot:
        return self._watch.collector.snapshot

    async def newer(self, revision: int, timeout_s: float) -> Snapshot:
        return await self._watch.collector.wait(revision, timeout_s)

    def look_again(self) -> None:
        self._watch.look_again()

    def router(self, name: str) -> RouterPort:
        if name not in self._routers:
            self._routers[name] = RouterSession(self.site.router(name), self._login)
        return LiveRouter(self._routers[name], lambda: RouterSession(self.site.router(name), self._login))

    def fabric(self) -> LiveFabric:
        if self._fabric is None:
            self._fabric = LiveFabric(self.site, self._watch.session)
        return self._fabric

    def circuit(self) -> LiveCircuit:
        if self._circuit is None:
            self._circuit = LiveCircuit(self.site, self._watch.session)
        return self._circuit

    async def log_in(self, system: str) -> None:
        """Prove that the run's credential for a system other than the routers works. Raises an InterlockError."""
        await (self.circuit() if system == "azure" else self.fabric()).login()

    async def close(self) -> None:
        closing = [session.close() for session in self._routers.values()]
        closing += [each.close() for each in (self._fabric, self._circuit) if each]
        await asyncio.gather(*closing)

    async def _sign(self, public_line: str) -> SignedKey:
        vault = self.site.systems.vault
        certificate = await self._watch.session.sign(vault.run_role, vault.run_principal, public_line)
        self.lease_ends = certificate.expires_at
        return certificate
