"""A system of which the status only asks whether it is there: Vault."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from connectors.ports import deadline_for
from network.observation import Observation


class PulseSource:
    """Asks a system for its health at its cadence; sees no facts. `ask` raises InterlockError when it is not well."""

    def __init__(self, name: str, kind: str, cadence_s: float, ask: Callable[[], Awaitable[object]]) -> None:
        self.name, self.kind, self.cadence_s = name, kind, cadence_s
        self.deadline_s = deadline_for(cadence_s)
        self._ask = ask

    async def collect(self) -> Sequence[Observation]:
        await self._ask()
        return ()

    async def close(self) -> None:
        """Nothing is held open."""
