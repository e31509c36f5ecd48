"""The FRR lab: start, break, mend, read, stop."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lab.facts import FarSession
from lab.frr import config, daemons, doors, namespaces, owner, sweep, things
from lab.frr.bmp_door import BmpDoor
from lab.frr.children import Children
from lab.frr.doors import Door, FeedDoor, SignHostKey
from lab.frr.errors import CommandFailed, FrrLabError, LeftBehind, NotReady, UnknownThing
from lab.frr.fabric import Fabric
from lab.frr.far import FarFacts
from lab.frr.shell import require, run, together
from lab.frr.splices import Splices
from lab.frr.things import Failure, Options, Order
from lab.frr.topology import ONPREM, build
from lab.frr.vty import Vty
from lab.grey import asked
from lab.ledger import Ledger
from network.inventory import Site

READY_S = 60.0
LOOK_EVERY_S = 0.1
SWEEP_S = 40.0
EXPECTED_PREFIXES = 2  # each cloud announces two, and so do we


class FrrLab:
    """One per machine: a site that lives. `ledger` gets every configuration or clear that the routers accepted."""

    def __init__(self, site: Site, ledger: Ledger | None = None) -> None:
        self.site = site
        self._topology = build(site)
        self._ledger = ledger or Ledger()
        self._doors: dict[str, Door] = {}
        self._bmp: dict[str, BmpDoor] = {}
        self._feeds: dict[str, FeedDoor] = {}
        self._processes: list[asyncio.subprocess.Process] = []
        self._vtys: dict[str, Vty] = {}
        self._active: dict[str, Failure] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._change = asyncio.Lock()
        self._writes: doors.Writes | None = None
        self._reaper: asyncio.subprocess.Process | None = None

    async def start(
        self, folder: Path, user_ca_line: str, sign_host_key: SignHostKey, *, root: Path | None = None
    ) -> None:
        """Build it all; return when every session is Established, BFD up and every route has arrived.

        `folder` is the owner's state folder, named to whoever tries to start a second lab; nothing is written there.
        Files go to `root` (default: one below /run), readable by the routers' accounts, removed by `stop`.
        `sign_host_key` gets the public key line and the principals (node name, 127.0.0.1); returns the certificate.
        Raises FrrMissing, AnotherLab, NotReady, CommandFailed; whatever was begun is removed first.
        """
        require()
        claim = await asyncio.to_thread(owner.claim, folder, root)
        self._reaper = await _reaper(claim)
        try:
            self._prefix = sweep.prefix(claim["id"])
            self._fabric = Fabric(self._topology, self._prefix)
            await self._build(_made(Path(claim["root"])), user_ca_line, sign_host_key)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Remove everything, and say so (LeftBehind) when something would not go. Twice is harmless."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await asyncio.gather(*(door.shut() for door in self._ways_in()))
        for vty in self._vtys.values():
            vty.close()
        if self._writes:
            self._writes.close()
            self._writes = None
        reaper, self._reaper = self._reaper, None
        if reaper is None:
            return
        async with asyncio.timeout(SWEEP_S):
            out, _ = await reaper.communicate(b"")  # closes its stdin: that is what it waits for
            await asyncio.gather(*(process.wait() for process in self._processes))
        if reaper.returncode:
            raise LeftBehind(f"lab down left these behind: {out.decode().strip() or 'see its log'}")

    @property
    def endpoints(self) -> dict[str, tuple[str, int]]:
        """SSH address and port of each edge and of the probe host `onprem`."""
        return {node: ("127.0.0.1", door.port) for node, door in self._doors.items()}

    @property
    def bmp_endpoints(self) -> dict[str, tuple[str, int]]:
        """Where each edge's BMP is reached."""
        return {node: ("127.0.0.1", door.port) for node, door in self._bmp.items()}

    @property
    def feeds(self) -> dict[str, str]:
        """Where each feed is asked for, by name."""
        return {name: f"http://127.0.0.1:{door.port}/" for name, door in self._feeds.items()}

    @property
    def things(self) -> tuple[str, ...]:
        """Every name that `fail` takes."""
        return things.names(self._topology)

    @property
    def failed(self) -> tuple[str, ...]:
        """What is broken now, in the order it was broken."""
        return tuple(self._active)

    async def fail(
        self,
        thing: str,
        *,
        silent: bool = False,
        oneway: bool = False,
        supernet: bool = False,
        loss: float | None = None,
        delay_ms: float | None = None,
        mtu: int | None = None,
    ) -> None:
        """Break it. Raises UnknownThing with the nearest name, WrongOption when an option would do nothing."""
        grey = asked(loss, delay_ms, mtu, oneway=oneway)
        wanted = things.failure(self._topology, thing, Options(silent, oneway, supernet, grey))
        async with self._change:
            if thing in self._active:
                await self._mend(thing)
            self._active[thing] = wanted
            await self._cut()
            for order in wanted.breaks:
                await self._tell(order)
            if wanted.repeats:
                self._tasks[thing] = asyncio.create_task(self._repeat(wanted.repeats))
            if wanted.blackholes:
                self._tasks[thing] = asyncio.create_task(self._blackhole_later(wanted.blackholes))

    async def heal(self, thing: str | None = None) -> None:
        """Mend one thing, or everything. A thing that is not broken is fine as it is."""
        if thing is not None and thing not in self.things:
            raise UnknownThing(thing, self.things)
        async with self._change:
            for name in [thing] if thing else list(self._active):
                if name in self._active:
                    await self._mend(name)
            await self._cut()

    async def node_show(self, node: str, command: str) -> str:
        """What vtysh says on a node: for tests and for `lab status`."""
        return (await run("vtysh", "-N", self._prefix + self._node(node), "-c", command))[1]

    async def node_run(self, node: str, *argv: str) -> tuple[int, str]:
        """A Linux command inside a node's namespace."""
        return await run("ip", "netns", "exec", self._prefix + self._node(node), *argv, check=False)

    async def traffic(self, *, reset: bool = False) -> dict[str, dict[str, float]]:
        """The plant's own traffic by cloud since the last reset; a datagram under way counts as lost.

        Keys: sent, arrived (at the cloud), received (back), lost_in (into the cloud), lost_out (out of it),
        longest_gap_in_ms, longest_gap_out_ms.
        """
        return await self._children.traffic("reset" if reset else "report")

    def port_up(self, port: str) -> bool:
        return self._facts.port_up(port)

    def vxc_up(self, vxc: str) -> bool:
        return self._facts.vxc_up(vxc)

    def connection_up(self, connection: str) -> bool:
        return self._facts.connection_up(connection)

    def tunnel_up(self, tunnel: str) -> bool:
        return self._facts.tunnel_up(tunnel)

    def far_session(self, path: str) -> FarSession:
        return self._facts.far_session(path)

    def chosen(self, cloud: str) -> Mapping[str, tuple[str, ...]]:
        return self._facts.chosen(cloud)

    def mbps(self, path: str) -> tuple[float, float]:
        return self._facts.mbps(path)

    def _node(self, node: str) -> str:
        if node not in self._topology.nodes:
            raise UnknownThing(node, self._topology.nodes)
        return node

    async def _build(self, root: Path, user_ca_line: str, sign: SignHostKey) -> None:
        topology, prefix = self._topology, self._prefix
        log = root / "log"
        log.mkdir()
        self._splices = Splices(topology, prefix, self._fabric, log, self._processes)
        self._writes = doors.Writes(root / "writes", prefix, self._ledger)
        await namespaces.build(topology, prefix)
        files = config.render(topology)
        accounts = self._accounts(root)
        for node in topology.routers:
            daemons.write(prefix + node, files[node])
        for node, commands in accounts.items():
            doors.write_accounts(prefix + node, list(commands))
            if node in topology.edges:
                doors.make_timers(root, prefix + node, list(commands), self.site.systems.vault.run_principal)
        self._children = Children(topology, prefix, log, self._processes)
        routers, *_ = await together(
            self._start_routers(files, log),
            self._prepare_doors(root, accounts, user_ca_line, sign),
            self._children.start_answering(),
        )
        self._vtys = {node: Vty(daemons.SOCKETS / (prefix + node) / "bgpd.vty") for node in topology.routers}
        self._facts = FarFacts(topology, self._vtys, routers, self._fabric.cuts)
        await self._ready()
        await self._children.start_sending()
        self._tasks["refresh"] = asyncio.create_task(self._facts.refresh_forever())
        self._bmp = {edge: BmpDoor(prefix + edge, config.BMP_ADDRESS, config.BMP_PORT) for edge in topology.edges}
        for each in self.site.feeds:
            address = namespaces.host_address(topology, each.cloud)
            self._feeds[each.name] = FeedDoor(prefix + ONPREM, root, address)
        for door in self._ways_in():
            await door.open()

    def _ways_in(self) -> list[Door | BmpDoor | FeedDoor]:
        return [*self._doors.values(), *self._bmp.values(), *self._feeds.values()]

    async def _start_routers(self, files: dict[str, dict[str, str]], log: Path) -> dict[str, int]:
        """Start every router's daemons; zebra's process id by node."""
        pids = await together(*(daemons.start(self._prefix + n, list(files[n]), log, self._processes) for n in files))
        return dict(zip(files, pids, strict=True))

    def _accounts(self, root: Path) -> dict[str, dict[str, str]]:
        guard = doors.install_guard(root)
        site = self._topology.site
        nodes = (*self._topology.edges, ONPREM)
        return {node: doors.commands(site, node, self._prefix + node, guard) for node in nodes}

    async def _prepare_doors(
        self, root: Path, accounts: dict[str, dict[str, str]], ca_line: str, sign: SignHostKey
    ) -> None:
        self._doors = {node: Door(node, self._prefix + node, root / "ssh" / node) for node in accounts}
        await asyncio.gather(
            *(door.prepare(ca_line, accounts[node], sign, [node, "127.0.0.1"]) for node, door in self._doors.items())
        )

    async def _ready(self) -> None:
        deadline = time.monotonic() + READY_S
        while missing := await self._missing():
            if time.monotonic() > deadline:
                raise NotReady(f"not up after {READY_S:.0f} s: {', '.join(missing)}")
            await asyncio.sleep(LOOK_EVERY_S)

    async def _missing(self) -> list[str]:
        """Sessions that are not Established, BFD that is not up, routes that have not arrived on edges and hubs."""
        missing = []
        for node in (*self._topology.edges, *self._topology.hubs.values()):
            try:
                peers = await self._vtys[node].json("show bgp neighbors json")
            except (OSError, TimeoutError, ValueError):
                missing.append(f"bgpd of {node}")
                continue
            missing += [f"{node} to {p['nbrDesc']}" for p in peers.values() if not _healthy(p)]
        if not missing:
            await self._facts.refresh()
            missing = [path.name for path in self.site.paths if not self._probe_known(path.name)]
        return missing

    def _probe_known(self, path: str) -> bool:
        """Our probe source has arrived at the far end: the session has carried its routes, not only opened."""
        probe = self.site.path(path).probe
        received = {route.prefix for route in self.far_session(path).received}
        return probe is None or f"{probe.source}/32" in received

    async def _mend(self, thing: str) -> None:
        mended = self._active.pop(thing)
        if task := self._tasks.pop(thing, None):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if mended.blackholes:
            await self._forward(mended.blackholes, on=True)
        for order in mended.mends:
            await self._tell(order)

    async def _cut(self) -> None:
        """Bring switch ports, doors and the LAN's gateway to what the active failures add up to."""
        await self._fabric.cut(active.cuts for active in self._active.values())
        await self._splices.set(active.grey for active in self._active.values())
        await self._darken({active.dark for active in self._active.values() if active.dark})

    async def _darken(self, dark: set[str]) -> None:
        """A dead router's SSH refuses, and the LAN's default gateway is the first edge that lives (in VRRP's place)."""
        for edge in self._topology.edges:
            ways: tuple[Door | BmpDoor, ...] = (self._doors[edge], self._bmp[edge])
            for way in ways:
                await (way.shut(keep_port=True) if edge in dark else way.open())
        alive = [edge for edge in self._topology.edges if edge not in dark] or list(self._topology.edges)
        gateway = str(self._topology.lan[alive[0]])
        await run("ip", "-n", self._prefix + ONPREM, "route", "replace", "default", "via", gateway)

    async def _tell(self, order: Order) -> None:
        base = ["vtysh", "-N", self._prefix + order.node]
        words = ["configure terminal", *order.lines] if order.lines else []
        if words:
            await run(*base, *(arg for word in words for arg in ("-c", word)))
        for command in order.then:
            await run(*base, "-c", command)

    async def _repeat(self, order: Order) -> None:
        while True:
            with suppress(CommandFailed):  # a router that is just restarting is flapping all the better
                await self._tell(order)
            await asyncio.sleep(things.FLAP_EVERY_S)

    async def _blackhole_later(self, node: str) -> None:
        await asyncio.sleep(things.BLACKHOLE_AFTER_S)
        await self._forward(node, on=False)

    async def _forward(self, node: str, *, on: bool) -> None:
        await self.node_run(node, "sysctl", "-qw", f"net.ipv4.ip_forward={int(on)}")


def _healthy(peer: dict[str, Any]) -> bool:
    """Established, BFD up where there is BFD, and the prefixes of the other side are here."""
    bfd = peer.get("peerBfdInfo")
    accepted = peer.get("addressFamilyInfo", {}).get("ipv4Unicast", {}).get("acceptedPrefixCounter", 0)
    up = bfd is None or bfd.get("status") == "Up"
    return peer.get("bgpState") == "Established" and up and accepted >= EXPECTED_PREFIXES


def _made(root: Path) -> Path:
    """The lab's folder, which sshd's accounts and FRR must be able to reach."""
    if root.exists():
        raise FrrLabError(f"{root} exists: the FRR lab wants a folder of its own, which it removes at the end")
    root.mkdir(mode=0o755, parents=True)
    for folder in (root, *root.absolute().parents):
        if not folder.stat().st_mode & 0o001:
            raise FrrLabError(f"{folder} is closed to other users, and the routers' accounts must reach {root}")
    return root


async def _reaper(claim: sweep.Owner) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", sweep.__file__, json.dumps(claim),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
