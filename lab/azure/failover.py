"""Azure's own failover tests, as the lab has them: begun and ended by a test of ours, told by the service's calls.

Nothing moves in the lab's world while one runs: they are here to be seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from lab.azure.ids import Arm

FROM_VERSION = "2025-07-01"  # the circuit's and the virtual WAN's; virtual network gateways answer since 2024-05-01


@dataclass
class _Test:
    link: str  # "" for a test of the whole location
    category: str
    began: datetime
    ended: datetime | None = None


class FailoverTests:
    """Every test so far, oldest first. One that is not stopped runs for ever."""

    def __init__(self, arm: Arm, now: Callable[[], datetime]) -> None:
        self._arm, self._now = arm, now
        self._tests: list[_Test] = []

    def begin(self, link: str = "", category: str = "BgpDisconnect") -> None:
        """Start one of `primary`, of `secondary`, or of the location."""
        self._tests.append(_Test(link, category, self._now()))

    def stop(self) -> None:
        """Stop whatever runs."""
        for test in self._tests:
            test.ended = test.ended or self._now()

    def of_links(self) -> list[Any]:
        return [
            self._common(index, test)
            | {
                "testType": "SingleSiteFailover",
                "circuitTestCategory": test.category,
                "linkType": test.link.capitalize(),
                "bgpStatus": [],
            }
            for index, test in enumerate(self._tests)
            if test.link
        ]

    def of_location(self) -> list[Any]:
        circuit = {"nrpResourceUri": self._arm.circuit, "name": self._arm.side.circuit, "connectionName": "er"}
        return [
            self._common(index, test)
            | {
                "testType": "SingleSiteFailover",
                "peeringLocation": self._arm.side.peering_location.title(),
                "circuits": [circuit],
                "connections": [],
            }
            for index, test in enumerate(self._tests)
            if not test.link
        ]

    def _common(self, index: int, test: _Test) -> dict[str, Any]:
        """Times are plain strings without an offset."""
        return {
            "status": "Completed" if test.ended else "Running",
            "startTime": _plain(test.began),
            "endTime": _plain(test.ended) if test.ended else None,
            "testGuid": str(UUID(int=index)),
            "issues": None,
        }


def _plain(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
