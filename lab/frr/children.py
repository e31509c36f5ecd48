"""Small programs inside the namespaces: the STAMP reflectors on the hubs, the plant's traffic and its echoes."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from lab import stamp
from lab.frr import feed, flow
from lab.frr.errors import FrrLabError
from lab.frr.namespaces import host_address
from lab.frr.topology import ONPREM, ONPREM_ADDRESS, Topology

ANSWER_S = 20.0


class Children:
    """Started once the routes stand; ended with the namespaces."""

    def __init__(self, topology: Topology, prefix: str, log: Path, processes: list[asyncio.subprocess.Process]) -> None:
        self._topology, self._prefix, self._log, self._processes = topology, prefix, log, processes
        self._sender: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()

    async def start_answering(self) -> None:
        """Reflectors and echoes, before anything is sent to them."""
        for cloud, hub in self._topology.hubs.items():
            targets = [path.probe for path in self._topology.site.paths_of(cloud) if path.probe]
            if targets:
                await self._spawn(hub, stamp.__file__, str(targets[0].port), *(str(t.target) for t in targets))
            await self._spawn(hub, flow.__file__, "echo", host_address(self._topology, cloud))
            if any(each.cloud == cloud for each in self._topology.site.feeds):
                await self._spawn(hub, feed.__file__, "serve", host_address(self._topology, cloud), str(feed.PORT))

    async def start_sending(self) -> None:
        clouds = [f"{cloud}={host_address(self._topology, cloud)}" for cloud in self._topology.hubs]
        self._sender = await self._spawn(ONPREM, flow.__file__, "send", str(ONPREM_ADDRESS), *clouds)

    async def traffic(self, word: str) -> dict[str, Any]:
        """The counts by cloud; `word` is report or reset."""
        if self._sender is None or self._sender.stdin is None or self._sender.stdout is None:
            raise FrrLabError("the plant's traffic is not running: is the lab up?")
        async with self._lock, asyncio.timeout(ANSWER_S):
            self._sender.stdin.write(f"{word}\n".encode())
            counts: dict[str, Any] = json.loads(await self._sender.stdout.readline())
            return counts

    async def _spawn(self, node: str, script: str, *words: str) -> asyncio.subprocess.Process:
        with (self._log / f"{node}.{Path(script).stem}.log").open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                "ip", "netns", "exec", self._prefix + node, sys.executable, "-I", script, *words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process
