"""The lab's Azure behind its fault gate, and a source that polls it: shared by the tests of the connector."""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.azure import AzureSource
from connectors.errors import Throttled
from connectors.ports import PartlySeen
from lab.announcements import Announcements
from lab.azure import AzureLab
from lab.faults import FaultGate
from lab.telemetry import Telemetry
from network.inventory import Site
from network.observation import CloudRoutes, Kind, Observation
from tests.contract.fake_world import World, reference

SITE = reference()
PRIMARY, SECONDARY = "azure/er-primary", "azure/er-secondary"
PATHS = {path.name for path in SITE.paths_of("azure")}
#: Longer than any call: what is tested is what is seen, not how soon.
PATIENT_S = 30.0


def with_azure(**over: Any) -> Site:
    """The reference site with other words in its Azure part."""
    clouds = tuple(
        cloud.model_copy(update={"azure": cloud.azure.model_copy(update=over)}) if cloud.azure else cloud
        for cloud in SITE.clouds
    )
    return SITE.model_copy(update={"clouds": clouds})


@dataclass(frozen=True)
class Secret:
    client_id: str = "app-1"
    client_secret: str = "secret-of-azure"


class Cloud:
    """`site` is what the source is told, `served` what the lab is: the same, unless a test wants them to differ."""

    def __init__(self, site: Site = SITE, served: Site | None = None, **lab: Any) -> None:
        self.site, served = site, served or site
        self.world, self.fetched, self.secret = World(served), 0, Secret()
        self.told = Announcements(served)
        self.lab = AzureLab(served, self.world, self._valid, Telemetry(served), self.told, **lab)
        self.gate = FaultGate("azure", self.lab.app, self.lab.refuse)
        self.source: AzureSource

    def _valid(self, client_id: str, client_secret: str) -> bool:
        return (client_id, client_secret) == ("app-1", "secret-of-azure")

    async def credentials(self) -> Secret:
        self.fetched += 1
        return self.secret

    async def start(self) -> None:
        await self.gate.start()
        system = {"address": self.gate.address, "token_address": self.gate.address}
        systems = self.site.systems.model_copy(update={"azure": self.site.systems.azure.model_copy(update=system)})
        site = self.site.model_copy(update={"systems": systems})
        self.source = AzureSource(site, lambda: datetime.now(UTC), self.credentials)
        self.source._api.deadline_s = self.source._login._api.deadline_s = PATIENT_S

    async def stop(self) -> None:
        await self.source.close()
        await self.gate.stop()

    async def collect(self) -> dict[tuple[Kind, str], Observation]:
        """One poll of everything; what a part of it could not say raises PartlySeen."""
        for reading in self.source._readings:
            reading.forget()
        return await self.poll()

    async def poll(self) -> dict[tuple[Kind, str], Observation]:
        """One poll of what is due, to its end however busy the machine is."""
        self.source._patience_s = PATIENT_S
        return {item.key: item for item in await self.source.collect()}

    async def collect_some(self) -> tuple[dict[tuple[Kind, str], Observation], str]:
        """One poll of which a part fails: what was seen, and all errors in words."""
        try:
            await self.collect()
        except PartlySeen as part:
            return {item.key: item for item in part.seen}, "; ".join(map(str, part.errors))
        raise AssertionError("every part was seen")

    async def whole(self, what: str, within_s: float = 30.0) -> dict[tuple[Kind, str], Observation]:
        """The first poll of which no part fails: a call that was throttled waits for its time."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            with contextlib.suppress(PartlySeen, Throttled):
                return await self.collect()
            await asyncio.sleep(0.05)
        raise AssertionError(f"not within {within_s:g} s: {what}")

    async def way_back(self, basis: str = "table") -> tuple[str, ...]:
        seen = {item.key: item for item in await self.source._gateways._way_back()}
        fact = seen[Kind.CLOUD_ROUTES, "azure"].fact
        assert isinstance(fact, CloudRoutes)
        assert fact.basis == basis
        return next(route.via for route in fact.routes if route.prefix == "10.10.0.0/16")
