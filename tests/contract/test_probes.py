"""Probes on loopback: real UDP to a reflector of our own, from a thread here and from a script over SSH."""

from __future__ import annotations

import ast
import asyncio
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import stamp_figures, stamp_script
from connectors.errors import BadReply, Unreachable
from connectors.probes import ProbeSource, script
from network.inventory import Path as SitePath
from network.inventory import Site
from network.measured import MtuResult, ProbeResult
from network.observation import Kind, Observation
from network.sitefile import load
from network.surroundings import ProbeHost, ProbePoint, Probes
from tests.contract.line_router import Answer, Authority, LineRouter, listening, until_async
from tests.sample import REFERENCE

SITE = load(REFERENCE.read_text()).site
ER, DX = "azure/er-primary", "aws/dx-1"


@dataclass
class Reflector(asyncio.DatagramProtocol):
    """RFC 8762 session-reflector from the packet layout of the RFC; deaf or late when told.

    `counts`: stateful, it numbers its replies. `drops` tells of the nth packet whether it is lost out or back.
    """

    deaf: bool = False
    late_s: float = 0.0
    dwell_s: float = 0.0
    twist: Callable[[bytes], bytes] = bytes
    counts: bool = False
    drops: Callable[[int], str] = lambda _: ""
    largest: int = 65535
    came: Counter[Any] = field(default_factory=Counter)
    counted: Counter[Any] = field(default_factory=Counter)
    senders: set[str] = field(default_factory=set)
    transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.senders.add(addr[0])
        self.came[addr] += 1
        fate = self.drops(self.came[addr])
        if fate == "out" or len(data) + 28 > self.largest:
            return
        number = self.counted[addr].to_bytes(4, "big") if self.counts else data[0:4]
        self.counted[addr] += 1
        assert data[14:44] == bytes(30)
        came = int.from_bytes(data[4:12], "big")
        left = came + int(self.dwell_s * 2**32)
        reply = number + left.to_bytes(8, "big") + b"\x00\x01" + b"\x00\x00" + came.to_bytes(8, "big")
        reply += data[0:4] + data[4:12] + data[12:14] + b"\x00\x00" + b"\x40" + b"\x00\x00\x00" + data[44:]
        if not self.deaf and fate != "back":
            asyncio.get_running_loop().call_later(self.late_s, self.transport.sendto, self.twist(reply), addr)


@asynccontextmanager
async def reflecting() -> AsyncIterator[tuple[Reflector, int]]:
    loop = asyncio.get_running_loop()
    transport, reflector = await loop.create_datagram_endpoint(Reflector, local_addr=("127.0.0.1", 0))
    try:
        yield reflector, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


def site(sources: dict[str, str], port: int, *, interval_s: float = 0.05, timeout_s: float = 0.3, **host: Any) -> Site:
    def pointed(path: SitePath) -> SitePath:
        source = sources.get(path.name)
        point = ProbePoint(source=source, target="127.0.0.1", port=port) if source else None
        return path.model_copy(update={"probe": point})

    probes = Probes(interval_s=interval_s, timeout_s=timeout_s, **host)
    return SITE.model_copy(update={"paths": tuple(map(pointed, SITE.paths)), "probes": probes})


def fact(seen: dict[str, Observation], path: str = ER) -> ProbeResult:
    found = seen[path].fact
    assert isinstance(found, ProbeResult)
    return found


async def seen_when(
    source: ProbeSource, met: Callable[[dict[str, Observation]], bool], what: str
) -> dict[str, Observation]:
    """Collect until the condition holds; fails with its description after 60 s."""
    seen: dict[str, Observation] = {}
    deadline = asyncio.get_running_loop().time() + 60
    while not met(seen):
        assert asyncio.get_running_loop().time() < deadline, f"not in time: {what}; last seen {seen}"
        seen = {item.name: item for item in await source.collect() if item.kind is Kind.PROBE}
        await asyncio.sleep(0.01)
    return seen


def answered(seen: dict[str, Observation]) -> bool:
    return bool(seen) and all(fact(seen, name).received >= 3 for name in seen)


@pytest.fixture
async def closing() -> AsyncIterator[list[ProbeSource]]:
    sources: list[ProbeSource] = []
    yield sources
    for source in sources:
        await source.close()


async def test_every_path_is_probed_from_its_own_address(closing: list[ProbeSource]) -> None:
    async with reflecting() as (reflector, port):
        source = ProbeSource(site({ER: "127.0.1.1", DX: "127.0.1.5"}, port))
        closing.append(source)

        def well(seen: dict[str, Observation]) -> bool:
            result = fact(seen) if answered(seen) else None
            return result is not None and result.loss_pct == 0 and 0 < (result.rtt_ms or 0) < 250

        seen = await seen_when(source, well, "both paths answered, one at least without a loss")
        assert set(seen) == {ER, DX}
        assert reflector.senders == {"127.0.1.1", "127.0.1.5"}
        result, item = fact(seen), seen[ER]
        assert (result.pinned, result.why) == (True, "")
        assert (item.kind, item.source, item.fresh_s) == (Kind.PROBE, "probes", 2 * 0.05 + 0.3)


async def test_a_dead_path_shows_none_received_and_no_rtt_and_comes_back(closing: list[ProbeSource]) -> None:
    async with reflecting() as (reflector, port):
        source = ProbeSource(site({ER: "127.0.1.1"}, port))
        closing.append(source)
        await seen_when(source, answered, "the path answered")
        reflector.deaf = True
        dead = await seen_when(source, lambda seen: fact(seen).received == 0 if seen else False, "the path is dead")
        assert fact(dead).sent >= 2
        assert fact(dead).rtt_ms is None
        assert fact(dead).pinned
        reflector.deaf = False
        back = await seen_when(source, lambda seen: bool(seen) and fact(seen).rtt_ms is not None, "the path is back")
        assert 0 < fact(back).received < fact(back).sent


@pytest.mark.alone
async def test_an_outage_is_seen_in_a_second_and_a_half_at_one_probe_a_second(closing: list[ProbeSource]) -> None:
    async with reflecting() as (reflector, port):
        source = ProbeSource(site({ER: "127.0.1.1"}, port, interval_s=1.0, timeout_s=1.0))
        closing.append(source)
        await seen_when(source, lambda seen: bool(seen) and fact(seen).received == 1, "the path answered")
        reflector.deaf = True
        loop = asyncio.get_running_loop()
        cut_at = loop.time()
        await seen_when(source, lambda seen: bool(seen) and fact(seen).rtt_ms is None, "the newest probe is lost")
        assert loop.time() - cut_at + source.cadence_s < 1.6  # 1.5, and a slow machine's 0.1


@pytest.mark.parametrize("way", ["out", "back"])
async def test_a_reflector_that_counts_tells_which_way_loses(closing: list[ProbeSource], way: str) -> None:
    async with reflecting() as (reflector, port):
        reflector.counts, reflector.drops = True, lambda nth: way if nth % 4 == 0 else ""
        source = ProbeSource(site({ER: "127.0.1.1"}, port))
        closing.append(source)

        def divided(seen: dict[str, Observation]) -> bool:
            """All of them this way: an answer that was late counts as lost back, until it is out of the window."""
            result = fact(seen) if seen else None
            if result is None or result.long is None:
                return False
            lost = {"out": result.lost_out, "back": result.lost_back}
            within = lost.pop(way) in range(5, result.sent - result.received + 1)
            long = {"out": result.long.out, "back": result.long.back}
            most = long[way] == max(result.long.out or 0, result.long.back or 0)
            return within and list(lost.values()) == [0] and result.long.times >= 5 and most

        await seen_when(source, divided, "five lost ones are divided")


async def test_a_reflector_that_repeats_our_numbers_cannot_tell_which_way_loses(closing: list[ProbeSource]) -> None:
    async with reflecting() as (reflector, port):
        reflector.drops = lambda nth: "back" if nth % 4 == 0 else ""
        source = ProbeSource(site({ER: "127.0.1.1"}, port))
        closing.append(source)
        lossy = await seen_when(source, lambda s: bool(s) and fact(s).sent - fact(s).received >= 3, "three are lost")
        assert (fact(lossy).lost_out, fact(lossy).lost_back) == (None, None)


async def test_the_largest_packet_that_comes_back_whole_is_found_to_the_byte(closing: list[ProbeSource]) -> None:
    async with reflecting() as (reflector, port):
        source = ProbeSource(site({ER: "127.0.1.1", DX: "127.0.1.5"}, port, mtu_every_s=0.5))
        closing.append(source)

        async def passes(wanted: int | None) -> None:
            async def found() -> bool:
                sizes = {i.name: i.fact for i in await source.collect() if i.kind is Kind.MTU}
                return sizes == {ER: MtuResult(1500, wanted), DX: MtuResult(1500, wanted)}

            await until_async(found, f"{wanted} bytes pass")

        await passes(1500)
        reflector.largest = 1372
        await passes(1372)
        reflector.largest = 200
        await passes(None)


async def test_the_usual_round_trip_stands_still_while_the_path_is_slow(closing: list[ProbeSource]) -> None:
    async with reflecting() as (reflector, port):
        source = ProbeSource(site({ER: "127.0.1.1"}, port, window_s=0.3))
        closing.append(source)

        def usual(seen: dict[str, Observation]) -> bool:
            known = bool(seen) and fact(seen).usual_ms is not None
            return known and fact(seen).usual_ms == pytest.approx(fact(seen).median_ms, abs=30)

        def stepped(seen: dict[str, Observation]) -> bool:
            known = bool(seen) and fact(seen).step_since is not None
            return known and (fact(seen).usual_ms or 0) + 60 < (fact(seen).median_ms or 0)

        await seen_when(source, usual, "the usual is known")
        reflector.late_s = 0.12
        await seen_when(source, stepped, "the step is seen")
        reflector.late_s = 0.0
        await seen_when(source, lambda s: bool(s) and fact(s).step_since is None, "the step is over")


async def test_an_address_that_is_not_here_is_unpinned_and_sends_nothing(closing: list[ProbeSource]) -> None:
    async with reflecting() as (reflector, port):
        source = ProbeSource(site({ER: "192.0.2.1", DX: "127.0.1.5"}, port))
        closing.append(source)
        seen = await seen_when(
            source, lambda seen: bool(seen) and fact(seen, DX).received >= 3, "the other path answered"
        )
        result = fact(seen)
        assert (result.pinned, result.sent, result.received, result.rtt_ms) == (False, 0, 0, None)
        assert result.why == "192.0.2.1: Cannot assign requested address"
        assert reflector.senders == {"127.0.1.5"}


async def test_a_closed_target_port_is_loss_and_not_an_error(closing: list[ProbeSource]) -> None:
    async with reflecting() as (_, port):
        pass
    source = ProbeSource(site({ER: "127.0.1.1"}, port))
    closing.append(source)
    seen = await seen_when(source, lambda seen: bool(seen) and fact(seen).sent >= 3, "three probes are lost")
    assert (fact(seen).received, fact(seen).rtt_ms) == (0, None)


@pytest.mark.parametrize(
    "twist",
    [
        lambda reply: reply[:40],
        lambda reply: reply[:24] + bytes(4) + bytes([reply[28] ^ 1]) + reply[29:],
        lambda reply: bytes(len(reply)),
    ],
)
async def test_a_reply_to_nothing_that_was_sent_does_not_count(
    closing: list[ProbeSource], twist: Callable[[bytes], bytes]
) -> None:
    async with reflecting() as (reflector, port):
        reflector.twist = twist
        source = ProbeSource(site({ER: "127.0.1.1"}, port))
        closing.append(source)
        seen = await seen_when(source, lambda seen: bool(seen) and fact(seen).sent >= 3, "three probes are lost")
        assert fact(seen).received == 0


@pytest.mark.alone
async def test_the_reflectors_own_time_is_not_the_paths(closing: list[ProbeSource]) -> None:
    async with reflecting() as (reflector, port):
        reflector.late_s, reflector.dwell_s = 0.1, 0.1
        source = ProbeSource(site({ER: "127.0.1.1"}, port))
        closing.append(source)
        rtt = fact(await seen_when(source, answered, "the path answered")).rtt_ms
        assert rtt is not None
        assert rtt < 90


async def test_closing_ends_the_thread_and_collecting_again_starts_it() -> None:
    async with reflecting() as (_, port):
        source, others = ProbeSource(site({ER: "127.0.1.1"}, port)), set(threading.enumerate())
        for _ in range(2):
            await seen_when(source, answered, "the path answered")
            await source.close()
            assert "probes" not in {thread.name for thread in set(threading.enumerate()) - others}
        await source.close()


async def no_answer(_: str) -> Answer | None:
    return None


@asynccontextmanager
async def probe_host(**changed: Any) -> AsyncIterator[tuple[LineRouter, ProbeHost]]:
    async with listening(LineRouter(no_answer, name="probe-host", **changed)) as host:
        yield host, ProbeHost(name="probe-host", address="127.0.0.1", ssh_port=host.port)


async def test_a_host_behind_the_edges_probes_with_nothing_installed() -> None:
    async with reflecting() as (reflector, port), probe_host() as (host, declared):
        there = site({ER: "127.0.1.1", DX: "192.0.2.1"}, port, sender="host", host=declared)
        source = ProbeSource(there, host.authority.login())
        seen = await seen_when(source, lambda seen: bool(seen) and fact(seen).received >= 3, "the host's path answered")
        assert reflector.senders == {"127.0.1.1"}
        assert not fact(seen, DX).pinned
        assert "192.0.2.1" in fact(seen, DX).why
        assert len(host.connections) == 1
        await source.close()


async def test_a_lost_host_is_unreachable_and_the_next_poll_starts_over() -> None:
    async with reflecting() as (_, port), probe_host() as (host, declared):
        source = ProbeSource(site({ER: "127.0.1.1"}, port, sender="host", host=declared), host.authority.login())
        await seen_when(source, answered, "the path answered")
        host.drop()
        with pytest.raises(Unreachable):
            await seen_when(source, lambda _: False, "the loss is noticed")
        await seen_when(source, answered, "the path answered again")
        await source.close()


async def test_a_console_that_stood_still_reads_what_its_host_has_said_meanwhile() -> None:
    async with reflecting() as (_, port), probe_host() as (host, declared):
        source = ProbeSource(site({ER: "127.0.1.1"}, port, sender="host", host=declared), host.authority.login())
        seen = await seen_when(source, answered, "the path answered")
        threading.Event().wait(seen[ER].fresh_s + 0.1)  # the whole event loop stands still
        await source.collect()
        assert len(host.connections) == 1, "it has not begun anew"
        await source.close()


async def test_a_host_that_prints_something_else_is_a_bad_reply() -> None:
    class Chatty(LineRouter):
        async def _python(self, process: Any) -> None:
            await process.stdin.read()
            process.stdout.write(b"bash: python3: command not found\n")
            process.exit(127)

    async with listening(Chatty(no_answer, name="probe-host")) as host:
        declared = ProbeHost(name="probe-host", address="127.0.0.1", ssh_port=host.port)
        source = ProbeSource(site({ER: "127.0.1.1"}, 862, sender="host", host=declared), host.authority.login())
        with pytest.raises(BadReply, match="command not found"):
            await source.collect()


def test_a_host_sender_needs_its_host_and_login() -> None:
    with pytest.raises(ValueError, match=r"probes\.host"):
        ProbeSource(site({ER: "127.0.1.1"}, 862, sender="host"), Authority().login())


def test_the_script_ends_when_nobody_reads_it_any_more() -> None:
    config = {"interval_s": 1.0, "timeout_s": 1.0, "report_s": 0.01, "paths": []}
    with subprocess.Popen([sys.executable, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(script(config))
        child.stdin.close()
        assert child.stdout.readline() == b"[]\n"
        child.stdout.close()
        assert child.wait(30) == 0


def test_the_script_runs_on_an_old_python() -> None:
    for module in (stamp_script, stamp_figures):
        ast.parse(Path(module.__file__).read_text(), feature_version=(3, 8))


@given(st.integers(0, 2**32 - 1), st.floats(0, 4e9))
def test_packets_have_the_layout_of_the_rfc(sequence: int, seconds: float) -> None:
    stamp = stamp_script.ntp(seconds)
    packet = stamp_script.pack(sequence, stamp)
    assert len(packet) == 44
    assert struct.unpack("!IQH", packet[:14]) == (sequence, stamp, 1)
    assert not any(packet[14:])


@given(st.binary(max_size=60))
def test_any_datagram_is_a_reply_or_nothing(data: bytes) -> None:
    answer = stamp_script.unpack(data)
    assert (answer is None) == (len(data) < 44)


def test_a_known_reply_gives_its_sequence_stamp_and_time_there() -> None:
    reply = bytes.fromhex(
        "00000009 ee4e0f0080000000 0001 0000 ee4e0f0040000000 00000007 ee4e0f0000000000 0001 0000 40 000000"
    )
    assert stamp_script.unpack(reply) == (7, 0xEE4E0F0000000000, 0.25, 9, 0.25)


async def test_a_cancelled_poll_ends_even_when_its_answer_is_there_already(closing: list[ProbeSource]) -> None:
    """A poll that is cancelled in the very moment of its answer must not go on: a console could never be left."""

    async def forever() -> None:
        while True:
            await source.collect()
            await asyncio.sleep(0)

    async with reflecting() as (_, port):
        source = ProbeSource(site({ER: "127.0.1.1"}, port))
        closing.append(source)
        await seen_when(source, answered, "the path answered")
        for turns in range(60):
            poll = asyncio.create_task(forever())
            for _ in range(turns % 6):
                await asyncio.sleep(0)
            poll.cancel()
            done, _ = await asyncio.wait({poll}, timeout=30)
            assert poll in done, f"a poll cancelled after {turns % 6} turns of the loop went on"
