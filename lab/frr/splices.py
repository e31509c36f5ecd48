"""Wires with a program of ours spliced in while they are grey: it loses, delays and refuses what it is told to."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.frr import wire
from lab.frr.errors import FrrLabError
from lab.frr.fabric import Fabric
from lab.frr.shell import run
from lab.frr.topology import FABRIC, Topology, Wire
from lab.grey import Grey, Way, way

ANSWER_S = 20.0


@dataclass(frozen=True)
class _Splice:
    """A wire's program, its interfaces towards either end, and the second bridge that the far end hangs on."""

    process: asyncio.subprocess.Process
    taps: tuple[str, str]
    bridge: str


class Splices:
    """Which wires run through a program; a wire that is well does not."""

    def __init__(
        self, topology: Topology, prefix: str, fabric: Fabric, log: Path, processes: list[asyncio.subprocess.Process]
    ) -> None:
        self._wires, self._namespace, self._fabric = topology.wires, prefix + FABRIC, fabric
        self._log, self._processes = log, processes
        self._splices: dict[str, _Splice] = {}

    async def set(self, failures: Iterable[Mapping[str, Grey]]) -> None:
        """Bring every wire to what all active failures ask of it together."""
        wanted: dict[str, list[Grey]] = {}
        for greys in failures:
            for name, grey in greys.items():
                wanted.setdefault(name, []).append(grey)
        for name in [name for name in self._splices if name not in wanted]:
            await self._remove(self._wires[name])
        for name, together in wanted.items():
            fresh = name not in self._splices
            if fresh:
                self._splices[name] = await self._start(self._wires[name])
            await self._tell(self._splices[name], together)
            if fresh:
                await self._insert(self._wires[name], self._splices[name])

    async def _start(self, of: Wire) -> _Splice:
        taps = (f"{of.bridge}ta", f"{of.bridge}tb")
        with (self._log / "wire.log").open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                "ip", "netns", "exec", self._namespace, sys.executable, "-I", "-S", wire.__file__, *taps,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        await _hears(process, "ready")
        return _Splice(process, taps, f"{of.bridge}g")

    async def _tell(self, splice: _Splice, greys: list[Grey]) -> None:
        """`to_a` is towards us: the wire's near end is ours."""
        ways = {"to_a": way(greys), "to_b": way(grey for grey in greys if not grey.oneway)}
        assert splice.process.stdin is not None
        line = json.dumps({name: _figures(each) for name, each in ways.items()})
        splice.process.stdin.write(f"{line}\n".encode())
        await _hears(splice.process, "ok")

    async def _insert(self, of: Wire, splice: _Splice) -> None:
        """The far end moves to a bridge of its own; it takes milliseconds, so BFD at 100 ms does not notice."""
        near, far = splice.taps
        lines = [
            f"link add {splice.bridge} type bridge stp_state 0 mcast_snooping 0",
            f"link set {splice.bridge} up",
            f"link set {near} master {of.bridge} up",
            f"link set {far} master {splice.bridge} up",
            *self._fabric.moved(of.b.switch_port, splice.bridge),
        ]
        await run("ip", "-n", self._namespace, "-batch", "-", stdin="\n".join(lines) + "\n")

    async def _remove(self, of: Wire) -> None:
        splice = self._splices.pop(of.name)
        lines = [*self._fabric.moved(of.b.switch_port, of.bridge), f"link del {splice.bridge}"]
        await run("ip", "-n", self._namespace, "-batch", "-", stdin="\n".join(lines) + "\n")
        assert splice.process.stdin is not None
        splice.process.stdin.close()
        async with asyncio.timeout(ANSWER_S):
            await splice.process.wait()
        self._processes.remove(splice.process)


def _figures(each: Way) -> list[float | int | None]:
    return [each.loss, each.delay_s, each.mtu]


async def _hears(process: asyncio.subprocess.Process, word: str) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(ANSWER_S):
        said = (await process.stdout.readline()).decode().strip()
    if said != word:
        raise FrrLabError(f"the grey wire's program said {said!r} in place of {word!r}: see wire.log in the lab's log")
