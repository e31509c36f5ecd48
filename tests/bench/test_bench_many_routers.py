"""200 routers with 8 sessions each, once a second: what watching them costs a process, and that it grows evenly."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.many_routers import edges_of, site_of
from tests.contract.line_router import Authority

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SESSIONS = 8


async def start(module: str, wanted: dict[str, object]) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"tests.bench.{module}", stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(wanted).encode() + b"\n")
    return process


async def watched(routers: int, seconds: float) -> dict[str, float]:
    """The figures of one watch."""
    authority, site = Authority(), site_of(routers, SESSIONS)
    keys = {
        name: key.export_private_key().decode()
        for name, key in (("host_ca", authority.host_ca), ("user_ca", authority.user_ca))
    }
    names = [router.name for router in site.routers]
    server = await start("fake_routers", {"mode": "line", "names": names, "edges": edges_of(site), **keys})
    assert server.stdin is not None
    assert server.stdout is not None
    ports = json.loads(await server.stdout.readline())
    wanted = {"routers": routers, "sessions": SESSIONS, "seconds": seconds, "ports": ports, **keys}
    watcher = await start("many_routers", wanted)
    assert watcher.stdout is not None
    figures: dict[str, float] = json.loads(await watcher.stdout.readline())
    await watcher.wait()
    server.stdin.close()
    await server.wait()
    return figures


@pytest.mark.bench
async def test_two_hundred_routers_are_watched_by_a_part_of_one_core() -> None:
    few, many = await watched(20, 4), await watched(200, 10)
    print()
    for count, figures in ((20, few), (200, many)):
        polls = figures["core_pct"] - figures["judge_pct"]
        print(
            f"{count} routers x {SESSIONS} sessions at 1 Hz: {figures['core_pct']:.1f} % of one core "
            f"({polls:.1f} % polls, {figures['judge_pct']:.1f} % judge of {figures['judge_ms']:.0f} ms), "
            f"{figures['rss_mb']:.0f} MB, oldest figure {figures['oldest_s']:.2f} s, "
            f"all connected after {figures['connected_s']:.1f} s; "
            f"{1000 * 10 * polls / (count * SESSIONS):.0f} us CPU a session and second without the judge"
        )
        assert figures["failing"] == 0
    # Loose: a shared machine. The figures above are the claim.
    assert many["core_pct"] < 90
    assert many["rss_mb"] < 250
    assert many["oldest_s"] < 4
