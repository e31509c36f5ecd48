"""Twenty routers, one command after the other: the shell channel beside asyncssh alone, scrapli, netmiko and NAPALM.

All talk to the same server process, which answers with a real 40-peer summary (21.5 kB). Figures are for one run;
ratios are what matters. The server is the bottleneck of the two fastest, so theirs are lower bounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from connectors.routers.session import RouterSession
from network.inventory import Router
from tests.bench.fake_routers import PROMPT, SUMMARY
from tests.contract.line_router import Authority

pytestmark = pytest.mark.bench

NAMES = [f"router-{number}" for number in range(20)]
ROUNDS, NETMIKO_ROUNDS, NAPALM_ROUNDS = 50, 10, 2
SHOW = "show bgp summary json"
TAIL = '"multiPathRelax":"false"'


@dataclass(frozen=True)
class Rate:
    commands_s: float
    cpu_ms: float


@contextlib.asynccontextmanager
async def routers(authority: Authority) -> AsyncIterator[list[int]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("fake_routers.py")), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    keys = {
        name: key.export_private_key().decode()
        for name, key in (("host_ca", authority.host_ca), ("user_ca", authority.user_ca))
    }
    process.stdin.write(json.dumps({"mode": "shell", "names": NAMES, **keys}).encode() + b"\n")
    yield json.loads(await process.stdout.readline())
    process.stdin.close()
    await process.wait()


async def measured(commands: int, work: Callable[[], Awaitable[None]]) -> Rate:
    began, cpu = time.perf_counter(), time.process_time()
    await work()
    took, used = time.perf_counter() - began, time.process_time() - cpu
    return Rate(commands / took, 1000 * used / commands)


async def each(rounds: int, ask: Callable[[int], Awaitable[str]]) -> Rate:
    """Every router `rounds` times, the routers side by side."""

    async def one(number: int) -> None:
        for _ in range(rounds):
            assert TAIL in (await ask(number))[-100:]

    async def work() -> None:
        await asyncio.gather(*(one(number) for number in range(len(NAMES))))

    return await measured(rounds * len(NAMES), work)


async def threaded(rounds: int, ask: Callable[[int], str]) -> Rate:
    with ThreadPoolExecutor(len(NAMES)) as pool:
        loop = asyncio.get_running_loop()
        return await each(rounds, lambda number: loop.run_in_executor(pool, ask, number))


async def interlock(ports: list[int], authority: Authority) -> Rate:
    login = authority.login()
    declared = [
        Router(name=name, address="127.0.0.1", ssh_port=port, channel="shell")
        for name, port in zip(NAMES, ports, strict=True)
    ]
    sessions = [RouterSession(router, login, show_s=30) for router in declared]
    await asyncio.gather(*(session.show(SHOW) for session in sessions))

    async def ask(number: int) -> str:
        return (await sessions[number].show(SHOW)).text

    found = await each(ROUNDS, ask)
    await asyncio.gather(*(session.close() for session in sessions))
    return found


async def plain_asyncssh(ports: list[int]) -> Rate:
    """The least that a shell over this library costs: write the command, read to the prompt, check nothing."""
    options = {"username": "x", "password": "x", "known_hosts": None, "config": None, "agent_path": None}
    connections = [await asyncssh.connect("127.0.0.1", port, client_keys=None, **options) for port in ports]
    shells = [await made.create_process(term_type="dumb", encoding=None) for made in connections]
    for shell in shells:
        await shell.stdout.readuntil(PROMPT)

    async def ask(number: int) -> str:
        shells[number].stdin.write(f"{SHOW}\n".encode())
        return (await shells[number].stdout.readuntil(b"}\r\n" + PROMPT)).decode()

    found = await each(ROUNDS, ask)
    for made in connections:
        made.close()
    return found


async def scrapli(ports: list[int], *, platform: bool) -> Rate:
    """Its driver for the platform, as its documentation has it, or the bare generic one that checks least."""
    from scrapli.driver.core import AsyncIOSXEDriver
    from scrapli.driver.generic import AsyncGenericDriver

    login = {"host": "127.0.0.1", "auth_username": "x", "auth_password": "x", "auth_strict_key": False}
    driver = AsyncIOSXEDriver if platform else AsyncGenericDriver
    drivers = [driver(port=port, transport="asyncssh", **login) for port in ports]
    for made in drivers:
        await made.open()

    async def ask(number: int) -> str:
        return str((await drivers[number].send_command(SHOW)).result)

    found = await each(ROUNDS, ask)
    for made in drivers:
        await made.close()
    return found


async def netmiko(ports: list[int]) -> Rate:
    from netmiko import ConnectHandler

    made = [
        ConnectHandler(device_type="cisco_ios", host="127.0.0.1", port=port, username="x", password="x")
        for port in ports
    ]
    found = await threaded(NETMIKO_ROUNDS, lambda number: str(made[number].send_command(SHOW)))
    for each_one in made:
        each_one.disconnect()
    return found


async def napalm(ports: list[int]) -> Rate:
    from napalm import get_network_driver

    ios = get_network_driver("ios")

    def ask(number: int) -> str:
        device = ios("127.0.0.1", "x", "x", optional_args={"port": ports[number]})
        device.open()
        text = str(device.cli([SHOW])[SHOW])
        device.close()
        return text

    return await threaded(NAPALM_ROUNDS, ask)


SCRAPLI, GENERIC, NAPALM = "scrapli 2025.1.30, IOS-XE driver", "scrapli, generic driver", "NAPALM 5.2.0, open/cli/close"


async def test_the_shell_channel_is_several_times_faster_than_the_usual_libraries() -> None:
    authority = Authority()
    async with routers(authority) as ports:
        found = {
            "Interlock, shell channel": await interlock(ports, authority),
            "asyncssh alone, a shell": await plain_asyncssh(ports),
            SCRAPLI: await scrapli(ports, platform=True),
            GENERIC: await scrapli(ports, platform=False),
            "netmiko 4.8.0, 20 threads": await netmiko(ports),
            NAPALM: await napalm(ports),
        }
    ours = found["Interlock, shell channel"]
    print()
    for name, rate in found.items():
        ratio = ours.commands_s / rate.commands_s
        print(f"{name:34s} {rate.commands_s:7.0f} commands/s  {rate.cpu_ms:5.2f} ms client CPU each  1 : {ratio:.1f}")
    print(f"reply {len(SUMMARY)} bytes; {len(NAMES)} routers; one server process for all")
    # Loose: a shared machine. The figures above are the claim.
    assert ours.commands_s > 1.5 * found[SCRAPLI].commands_s
    assert ours.commands_s > 6 * found[NAPALM].commands_s
    assert ours.cpu_ms < 0.6 * found[SCRAPLI].cpu_ms
