"""The lab as a process: one supervisor owns the routers, the secrets and every system, and takes them down with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from lab.errors import LabError, LabRuns
from lab.state import LabState, last, pid_start, read, socket_path
from network.sitefile import load

REFERENCE = resources.files("lab") / "reference.yaml"


def run_foreground(folder: Path, routers: str) -> int:
    """Run a lab until it is told to stop (control socket, SIGTERM, Ctrl-C). The last line on stderr says why not."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        asyncio.run(_serve(folder, routers))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 3
    return 0


async def _serve(folder: Path, routers: str) -> None:
    if running := read(folder):
        raise LabRuns(f"a lab runs already (pid {running.pid}): {running.site}")
    _sweep(folder)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running_lab(folder, routers, stop) as state:
        print(f"{state.routers} lab up; its site file:", file=sys.stderr)
        print(state.site, flush=True)
        await stop.wait()


@contextlib.asynccontextmanager
async def running_lab(folder: Path, routers: str, stop: asyncio.Event) -> AsyncIterator[LabState]:
    """A whole lab, up and ready; everything it started or wrote is gone afterwards."""
    from lab.control import control_app
    from lab.systems import Systems

    socket_file = socket_path(folder)
    async with AsyncExitStack() as stack:
        site = load(REFERENCE.read_text(), str(REFERENCE)).site
        systems = await Systems.start(stack, site, routers, folder)
        verbs = systems.verbs()

        async def down() -> dict[str, Any]:
            stop.set()
            return {}

        state = LabState(
            os.getpid(), pid_start(os.getpid()), routers, str(socket_file), str(folder / "site.yaml"), str(folder)
        )

        async def status() -> dict[str, Any]:
            return {"schema": 1, "pid": state.pid, "routers": routers, "site": state.site, **systems.status()}

        await stack.enter_async_context(_control(socket_file, control_app({**verbs, "down": down, "status": status})))
        stack.callback(_remove, folder, socket_file)
        _write_site(Path(state.site), systems.addresses())
        state.save()
        yield state


def _remove(folder: Path, socket_file: Path) -> None:
    for file in (folder / "lab.json", folder / "site.yaml", socket_file):
        file.unlink(missing_ok=True)
    shutil.rmtree(folder / "vault", ignore_errors=True)
    if socket_file.parent != folder:
        socket_file.parent.rmdir()


def _sweep(folder: Path) -> None:
    """What a killed lab could not remove itself: its socket may lie in a short folder that only it named."""
    stale = last(folder)
    if stale and Path(stale.socket).parent.exists():
        _remove(folder, Path(stale.socket))


@contextlib.asynccontextmanager
async def _control(path: Path, app: Any) -> AsyncIterator[None]:
    from lab.serve import quiet_server

    server = quiet_server(app)
    task = asyncio.create_task(server.serve([_owners_socket(path)]), name="control")
    await server.ready.wait()
    try:
        yield
    finally:
        server.leave()
        await task


def _owners_socket(path: Path) -> socket.socket:
    """A unix socket that its owner alone may open."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    return listener


def _write_site(target: Path, addresses: dict[str, Any]) -> None:
    """The reference site with the addresses that this lab really has."""
    document = yaml.safe_load(REFERENCE.read_text())
    for router in document["routers"]:
        router["address"], router["ssh_port"] = addresses["ssh"][router["name"]]
        router["bmp"] = addresses["bmp"][router["name"]]
    for name, address in addresses["systems"].items():
        system = document["systems"][name]
        system["address"] = address
        if "token_address" in system:
            system["token_address"] = addresses["tokens"][name]
    document["systems"]["vault"]["host_ca"] = addresses["host_ca"]
    for path in document["paths"]:
        port = addresses["probe_ports"].get(path["name"])
        if port:
            path["probe"].update(bind="127.0.0.1", target="127.0.0.1", port=port)
    for feed in document["feeds"]:
        feed["address"] = addresses["feeds"][feed["name"]]
    if host := addresses["ssh"].get("onprem"):
        document["probes"].update(sender="host", host={"name": "onprem", "address": host[0], "ssh_port": host[1]})
    text = "# Written by the lab; it is gone when the lab is.\n" + yaml.safe_dump(document, sort_keys=False)
    load(text, str(target))
    target.write_text(text)
