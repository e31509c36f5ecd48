"""At a router of a running lab, under somebody's own login: what a test does and sees without the product."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from connectors.routers.session import RouterSession
from connectors.routers.ssh import Login
from console.session import OperatorSession
from network.sitefile import load
from tests.e2e.embedded_lab import Cli

T = TypeVar("T")


def at_router(
    cli: Cli, work: Callable[[RouterSession], Awaitable[T]], router: str = "edge-1", *, reads: bool = False
) -> T:
    """What the work returns, on a session of bob's with the run account, or the read account."""

    async def do() -> T:
        site = load((cli.lab_folder / "site.yaml").read_text(), "site.yaml").site
        vault = site.systems.vault
        role, principal = (vault.read_role, vault.read_principal) if reads else (vault.run_role, vault.run_principal)
        operator = OperatorSession(site, cli.lab_folder, "bob")
        session = RouterSession(
            site.router(router), Login(principal, vault.host_ca, lambda line: operator.sign(role, principal, line))
        )
        try:
            return await work(session)
        finally:
            await session.close()
            await operator.close()

    return asyncio.run(do())


def as_bob(cli: Cli, *lines: str) -> None:
    """Somebody else with a right to it configures edge-1 by hand."""
    at_router(cli, lambda session: session.configure(lines))


def armed(cli: Cli, router: str = "edge-1") -> list[dict[str, Any]]:
    """The dead-men that a router has armed, as its read account sees them."""
    listed: list[dict[str, Any]] = json.loads(
        at_router(cli, lambda session: session.show("deadman list"), router, reads=True).text
    )
    return listed


def silence(cli: Cli, seconds: int) -> None:
    """From now on the lab's site says so of the dead-man: a test that kills consoles wants its own pace."""
    file = cli.lab_folder / "site.yaml"
    lines = [f"  deadman_s: {seconds}" if "deadman_s:" in line else line for line in file.read_text().splitlines()]
    file.write_text("\n".join([*lines, ""]))
