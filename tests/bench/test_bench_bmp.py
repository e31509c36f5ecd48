"""How soon a lost session is known: from BMP's bytes to a snapshot, and from a real router's loss to a printed line."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from statistics import median

import pytest
import yaml

from connectors.routers.bmp_decode import Decoder
from connectors.routers.bmp_message import PeerDown
from lab import bmp
from lab.client import LabClient
from network.observation import Kind
from network.snapshot import Snapshot
from tests.contract.bmp_router import accepting, begin, peer, peer_down, site, watching
from tests.e2e.embedded_lab import Cli, Observer, path

pytestmark = pytest.mark.bench

ROUNDS = 200
#: What BMP, the snapshot, the judgement and the printed line may add to the detection itself.
ADDED_MS = 150


def p95(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.95) - 1] * 1000


async def echoes(data: bytes) -> list[float]:
    """The bare socket: the same bytes to a server of this process and back."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(4096):
            writer.write(chunk)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        writer.write(data)
        await reader.readexactly(len(data))
        times.append(time.perf_counter() - began)
    writer.close()
    server.close()
    return times


async def test_a_peer_down_on_the_socket_is_a_new_snapshot() -> None:
    opens = bmp.bgp_open(65010, 30, "1.1.1.1"), bmp.bgp_open(12076, 30, "1.1.1.3")
    up = bmp.peer_up(peer(), "10.255.1.1", (179, 179), *opens)
    times = []
    async with accepting(begin()) as router, watching(site(dials={"edge-1": f"127.0.0.1:{router.port}"})) as watch:
        await watch.until_feed("the feed is up")
        for _ in range(ROUNDS):
            asked, began = datetime.now(UTC), time.perf_counter()
            router.say(peer_down())
            await watch.until("the loss", told("BMP Peer Down", asked))
            times.append(time.perf_counter() - began)
            router.say(up)
            await watch.until("its return", lambda _: (s := watch.session()) and s.established)
    bare = await echoes(peer_down())
    print(f"\nPeer Down to snapshot, p95 of {ROUNDS}: {p95(times):.2f} ms (limit 20)", end="; ")
    print(f"bare socket echo: {p95(bare):.2f} ms; ratio {p95(times) / p95(bare):.1f}")
    assert p95(times) <= 20


def told(evidence: str, since: datetime) -> Callable[[Snapshot], bool]:
    def holds(snapshot: Snapshot) -> bool:
        seen = snapshot.get(Kind.SESSION_HERE, "er-primary")
        return seen is not None and seen.at >= since and seen.evidence == evidence

    return holds


class BareStation:
    """The baseline: a thread that does nothing but read one router's BMP and note when each Peer Down came."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)))
        self.downs: dict[str, float] = {}
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        decoder = Decoder()
        with contextlib.suppress(ConnectionResetError):  # the router may end first, with its lab
            while chunk := self._socket.recv(65536):
                at = time.monotonic()
                for message in decoder.feed(chunk):
                    if isinstance(message, PeerDown):
                        self.downs.setdefault(message.peer.address, at)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    cli = Cli(tmp_path_factory.mktemp("bmp"))
    up = cli.run("lab", "up", "--routers", "frr", "--detach")
    assert up.code == 0, up.err
    try:
        yield cli
    finally:
        cli.ok("lab", "down")


#: One after the other, without mending in between: each is a session that still stands.
LOSSES = {
    "er-primary": ("azure/er-primary", "10.255.1.2", "edge-1"),
    "dx-1": ("aws/dx-1", "10.255.3.2", "edge-1"),
    "er-secondary": ("azure/er-secondary", "10.255.2.2", "edge-2"),
}


@pytest.mark.frr
@pytest.mark.vault
def test_a_lost_session_of_a_real_router_is_a_line_of_status_watch(cli: Cli) -> None:
    """From the cut of the frames; the detection (BFD, three times 100 ms) is the network's, the rest is ours."""
    routers = yaml.safe_load((cli.lab_folder / "site.yaml").read_text())["routers"]
    bare = {router["name"]: BareStation(router["bmp"]) for router in routers}
    lab, totals, added = LabClient(cli.lab_folder), list[float](), list[float]()
    with Observer(cli) as observer:
        observer.until("all up", lambda d: d["verdict"] == "healthy")
        for thing, (name, address, router) in LOSSES.items():
            observer.quiet(1.0)
            began = time.monotonic()
            lab.call("fail", thing=thing, silent=True)
            took, _ = observer.until(f"{name} down", lambda d, n=name: path(d, n)["verdict"] == "down", since=began)
            totals.append(took * 1000)
            added.append((began + took - bare[router].downs[address]) * 1000)
    for station in bare.values():
        station.close()
    limit = 300 + ADDED_MS
    ours, theirs = median(totals), median(totals) - median(added)
    print(f"\nloss to status --watch, median of {[round(t) for t in totals]}: {ours:.0f} ms (limit {limit})", end="; ")
    print(f"loss to Peer Down on a bare socket: {theirs:.0f} ms; ratio {ours / theirs:.2f}")
    assert median(added) <= ADDED_MS  # FRR's own detection is no promise of ours
