"""How many commands a second the line channel carries, beside one exec channel per command to the same server."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from connectors.routers.session import RouterSession
from network.inventory import Router
from tests.contract.line_router import Answer, LineRouter, listening

SUMMARY = (Path(__file__).parents[1] / "data/frr/20-forty-peers/edge__show_bgp_summary_json.json").read_text()
BATCHES, BATCH = 40, 10


async def summary(_: str) -> Answer:
    return 0, SUMMARY


async def rate(channel: str) -> tuple[float, float]:
    """Commands a second and the slowest batch in ms."""
    async with listening(LineRouter(summary)) as router:
        declared = Router(name=router.name, address="127.0.0.1", ssh_port=router.port, channel=channel)
        session = RouterSession(declared, router.authority.login(), show_s=30)
        await session.show("show bgp summary json")
        slowest, start = 0.0, time.perf_counter()
        for _ in range(BATCHES):
            began = time.perf_counter()
            replies = await session.shows(["show bgp summary json"] * BATCH)
            slowest = max(slowest, time.perf_counter() - began)
            assert all(reply.text == SUMMARY for reply in replies)
        took = time.perf_counter() - start
        await session.close()
    return BATCHES * BATCH / took, 1000 * slowest


@pytest.mark.bench
async def test_the_line_channel_is_faster_than_an_exec_per_command() -> None:
    line, line_slowest = await rate("line")
    single, single_slowest = await rate("exec")
    print(f"\nline: {line:.0f} commands/s, slowest batch of {BATCH} {line_slowest:.1f} ms")
    print(f"exec: {single:.0f} commands/s, slowest batch of {BATCH} {single_slowest:.1f} ms")
    print(f"reply {len(SUMMARY)} bytes; client and server share this process")
    assert line > single
