"""Watches many fake routers in a process of its own, as the console does: sources, collector, a judgement a second.

Reads one line of JSON from stdin (`routers`, `sessions`, `seconds`, `ports`, CA keys), prints one line of figures.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import time
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path as FilePath
from typing import Any

import asyncssh

from connectors.collector import Collector
from connectors.redact import redactor
from connectors.routers.ends import ends, interfaces_of
from connectors.routers.session import RouterSession
from connectors.routers.source import RouterSource
from console.cli import RARELY
from network.health import judge
from network.inventory import Bfd, Connection, Isp, Path, Port, Router, Session, Site, Tunnel, Vxc
from network.observation import (
    Attachment,
    Circuit,
    FabricPort,
    FabricVxc,
    Kind,
    Observation,
    SessionThere,
)
from tests.contract.line_router import Authority
from tests.sample import reference

FIRST_PEER = IPv4Address("10.100.0.0")
SECRETS = 10  # a console has met some by then: they are looked for in everything that is kept


def site_of(routers: int, sessions: int) -> Site:
    """A site of edges with `sessions` each, half of them private, half over tunnels, alternating between the clouds."""
    parts: dict[str, list[Any]] = {
        name: [] for name in ("routers", "ports", "vxcs", "isps", "tunnels", "connections", "sessions", "paths")
    }
    for router in range(routers):
        _add_router(parts, router, sessions)
    return reference().model_copy(update={name: tuple(found) for name, found in parts.items()})


def _add_router(parts: dict[str, list[Any]], number: int, sessions: int) -> None:
    edge = f"edge-{number}"
    parts["routers"].append(Router(name=edge, address="127.0.0.1"))
    port = Port(name=f"port-{number}", uid=edge, router=edge, interface="port0", pop=f"pop-{number}",
                carrier=f"carrier-{number % 4}", speed_mbps=10_000)  # fmt: skip
    parts["ports"].append(port)
    parts["isps"].append(Isp(name=f"isp-{number}", router=edge))
    for index in range(sessions):
        _add_path(parts, edge, f"{number}-{index}", number * sessions + index, private=index < sessions // 2)


def _add_path(parts: dict[str, list[Any]], edge: str, label: str, serial: int, *, private: bool) -> None:
    cloud, number = ("azure", "aws")[serial % 2], edge.removeprefix("edge-")
    peer = FIRST_PEER + 4 * serial + 2
    session = Session(name=f"bgp-{label}", router=edge, local=peer - 1, peer=peer, peer_asn=64512, there=f"far-{label}",
                      bfd=Bfd(tx_ms=300, rx_ms=300) if private else None)  # fmt: skip
    parts["sessions"].append(session)
    names: dict[str, str] = {"vxc": f"vxc-{label}", "connection": f"con-{label}"}
    if private:
        parts["vxcs"].append(Vxc(name=names["vxc"], uid=label, port=f"port-{number}", interface=f"vxc-{label}",
                                 b_end="azure-key", rate_mbps=1000))  # fmt: skip
        parts["connections"].append(Connection(name=names["connection"], cloud=cloud, device=f"dev-{label}",
                                               location=f"loc-{serial % 8}"))  # fmt: skip
    else:
        names = {"tunnel": f"tun-{label}"}
        parts["tunnels"].append(Tunnel(name=names["tunnel"], cloud=cloud, isp=f"isp-{number}", interface=f"tun-{label}",
                                       rate_mbps=500, outside=IPv4Address("192.0.2.1")))  # fmt: skip
    kind = {"azure": "expressroute", "aws": "directconnect"}[cloud] if private else "vpn"
    parts["paths"].append(Path(name=f"{cloud}/p-{label}", cloud=cloud, kind=kind, session=session.name, **names))


class Elsewhere:
    """What the fabric and the clouds say of every path, so that a judgement has all that it judges by."""

    name, kind, cadence_s, deadline_s = "elsewhere", "cloud", 30.0, 5.0

    def __init__(self, site: Site) -> None:
        self._site = site

    async def collect(self) -> list[Observation]:
        told: list[tuple[Kind, str, object]] = []
        for path in self._site.paths:
            told += [
                (Kind.CIRCUIT, path.name, Circuit(up=True, state="Provisioned")),
                (Kind.SESSION_THERE, path.name, SessionThere(up=True, state="up", received=3)),
                (Kind.ATTACHMENT, path.name, Attachment(up=True, state="attached")),
            ]
        told += [(Kind.PORT, port.name, FabricPort(up=True, status="LIVE")) for port in self._site.ports]
        told += [
            (Kind.VXC, vxc.name, FabricVxc(up=True, shutdown=False, status="LIVE", rate_mbps=1000))
            for vxc in self._site.vxcs
        ]
        now = datetime.now(UTC)
        return [Observation(kind, name, fact, self.name, now, 60.0) for kind, name, fact in told]

    async def close(self) -> None:
        pass


def edges_of(site: Site) -> list[dict[str, Any]]:
    """What each fake router needs to know of itself."""
    found = []
    for router in site.routers:
        here = ends(site, router.name)
        tunnels = {end.peer: end.interface for end in here if end.tunnel}
        found.append({"peers": [end.peer for end in here], "tunnels": tunnels,
                      "interfaces": list(interfaces_of(site, router.name))})  # fmt: skip
    return found


#: Polls of each router after which none is a first one any more.
SETTLED = 3


def memory_mb() -> float:
    status = FilePath("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


async def watch(site: Site, ports: list[int], authority: Authority, seconds: float) -> dict[str, float]:
    login = authority.login()
    sources = []
    for router, port in zip(site.routers, ports, strict=True):
        declared = router.model_copy(update={"ssh_port": port})
        sources.append(RouterSource(site, declared, RouterSession(declared, login)))
    collector = Collector([*sources, Elsewhere(site)], lambda: datetime.now(UTC), random.Random(7))
    began = time.perf_counter()
    await collector.start()
    async with asyncio.timeout(60):
        while not all(state.ok for state in collector.snapshot.sources.values()):  # noqa: ASYNC110 -- many events
            await asyncio.sleep(0.1)
    connected = time.perf_counter() - began
    async with asyncio.timeout(60):
        while min(source.polls for source in sources) < SETTLED:  # noqa: ASYNC110 -- the first polls ask everything
            await asyncio.sleep(0.1)
    polls, start = sum(source.polls for source in sources), time.perf_counter()
    figures = await measure(site, collector, seconds)
    figures["polls_s"] = (sum(source.polls for source in sources) - polls) / (time.perf_counter() - start)
    await collector.stop()
    return figures | {"connected_s": connected}


async def measure(site: Site, collector: Collector, seconds: float) -> dict[str, float]:
    """Shares of one core with and without judging, memory, the oldest figure that anybody could have seen."""
    sessions = [site.session(path.session).name for path in site.paths]
    began, cpu, judging, oldest, looks = time.perf_counter(), time.process_time(), 0.0, 0.0, 0
    while (now := time.perf_counter()) - began < seconds:
        snapshot, moment = collector.snapshot, datetime.now(UTC)
        for name in sessions:
            seen = snapshot.get(Kind.SESSION_HERE, name)
            oldest = max(oldest, seen.age_s(moment) if seen else 999.0)
        if now - began >= looks:
            looks, start = looks + 1, time.process_time()
            judge(site, snapshot, moment)
            judging += time.process_time() - start
        await asyncio.sleep(0.25)
    took = time.perf_counter() - began
    return {
        "core_pct": 100 * (time.process_time() - cpu) / took,
        "judge_pct": 100 * judging / took,
        "judge_ms": 1000 * judging / looks,
        "rss_mb": memory_mb(),
        "oldest_s": oldest,
        "failing": float(sum(not state.ok for state in collector.snapshot.sources.values())),
    }


async def main() -> None:
    wanted = json.loads(sys.stdin.readline())
    host_ca, user_ca = (asyncssh.import_private_key(wanted[name]) for name in ("host_ca", "user_ca"))
    for number in range(SECRETS):
        redactor.add(f"a-secret-that-was-met-{number}")
    gc.set_threshold(*RARELY)  # as the console does
    site = site_of(wanted["routers"], wanted["sessions"])
    figures = await watch(site, wanted["ports"], Authority(host_ca=host_ca, user_ca=user_ca), wanted["seconds"])
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
