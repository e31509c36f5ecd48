"""No secret leaves: every credential that crossed a wire of the lab is looked for wherever the console writes.

The lab runs inside this process, so that its side of each wire can be read: what was presented and what was issued.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import json
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl

import pytest

from lab.supervisor import running_lab
from lab.systems import Systems
from tests.e2e.embedded_lab import COMMAND_S, DEADLINE_S, Cli, Result, descendants, until

pytestmark = [pytest.mark.vault, pytest.mark.timeout(600)]

#: Fields that hold a credential, in a request or an answer of any of the systems.
SECRET_FIELDS = {
    "client_token", "secret_id", "client_secret", "access_token", "secret_key", "security_token", "password", "token",
}  # fmt: skip
SECRET_HEADERS = {"x-vault-token", "x-amz-security-token"}
SAMPLE_S = 0.05


@dataclass
class Wires:
    """Every credential seen, by where it stood."""

    secrets: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, kind: str, value: object) -> None:
        if isinstance(value, str) and len(value) >= 8:
            self.secrets[kind].add(value)

    def tap(self, app: Any) -> Any:
        """The same app, with what it is asked and what it answers read along."""

        async def tapped(scope: Any, receive: Any, send: Any) -> None:
            asked, answered = bytearray(), bytearray()

            async def heard() -> Any:
                message = await receive()
                asked.extend(message.get("body", b""))
                return message

            async def said(message: Any) -> None:
                answered.extend(message.get("body", b""))
                await send(message)

            self._headers(scope.get("headers", ()))
            await app(scope, heard, said)
            for body in (bytes(asked), bytes(answered)):
                self._body(body)

        return tapped

    def _headers(self, headers: Any) -> None:
        for name, value in ((n.decode().lower(), v.decode("latin-1")) for n, v in headers):
            if name in SECRET_HEADERS:
                self.add(name, value)
            if name == "authorization":
                scheme, _, rest = value.partition(" ")
                if scheme in {"Bearer", "Basic"}:
                    self.add(scheme, rest)
                if scheme == "Basic":
                    self.add("password", base64.b64decode(rest).decode().partition(":")[2])

    def _body(self, body: bytes) -> None:
        with contextlib.suppress(ValueError):  # neither JSON nor a form: an API's own text holds no credential
            text = body.decode()
            self._fields(json.loads(text) if text[:1] in "{[" else dict(parse_qsl(text)))

    def _fields(self, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in SECRET_FIELDS:
                    self.add(key, inner)
                self._fields(inner)
        elif isinstance(value, list):
            for inner in value:
                self._fields(inner)


class LabHere:
    """A lab in a thread of this process. Its loop and its Vault end with the thread."""

    def __init__(self, folder: Path, wires: Wires) -> None:
        self._folder, self._wires = folder, wires
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self.vault_pid = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="lab")

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        self._thread.start()
        assert self._ready.wait(DEADLINE_S), "the lab did not come up"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE_S)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with running_lab(self._folder, "embedded", self._stop):
            (systems,) = (each for each in gc.get_objects() if isinstance(each, Systems))
            self._listen_in(systems)
            self._ready.set()
            await self._stop.wait()

    def _listen_in(self, systems: Systems) -> None:
        for name, gate in systems._gates.items():
            gate._app = self._wires.tap(gate._app)
            for canary in getattr(getattr(gate._refuse, "__self__", None), "secrets", ()):
                self._wires.add(f"canary of {name}", canary)
        vault = systems._vault
        self.vault_pid = vault.pid
        self._wires.add("root token", vault._http.headers["X-Vault-Token"])
        self._wires.add("unseal key", vault._unseal_key)


class Sampler:
    """Reads along while commands run: files as they are written, and what each process shows of itself."""

    def __init__(self, root: Path, pids: set[int]) -> None:
        self._root, self._pids = root, pids
        self.seen: dict[str, set[bytes]] = defaultdict(set)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._look()

    def watch(self, pid: int) -> None:
        self._pids.add(pid)

    def _run(self) -> None:
        while not self._done.wait(SAMPLE_S):
            self._look()

    def _look(self) -> None:
        for file in self._root.rglob("*"):
            with contextlib.suppress(OSError):  # gone, or a socket
                if file.is_file():
                    self.seen[f"file {file.relative_to(self._root)}"].add(file.read_bytes())
        for pid in {each for parent in set(self._pids) for each in (parent, *descendants(parent))}:
            for what in ("cmdline", "environ"):
                with contextlib.suppress(OSError):  # it has ended
                    self.seen[what].add(Path(f"/proc/{pid}/{what}").read_bytes())


@pytest.fixture(scope="module")
def wires() -> Wires:
    return Wires()


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, wires: Wires) -> dict[str, set[bytes]]:
    """Everything that was written, printed or shown while the console did its whole work, also when systems fail."""
    cli = Cli(tmp_path_factory.mktemp("canary"))
    with LabHere(cli.lab_folder, wires) as lab, Sampler(cli.root, {lab.vault_pid}) as sampler:

        def run(*args: str) -> Result:
            process = cli.start(*args)
            sampler.watch(process.pid)
            out, err = process.communicate(timeout=COMMAND_S)
            sampler.seen[f"output of {args[0]}"].add((out + err).encode())
            return Result(process.returncode, out, err)

        change = cli.change("--ci", "port-a")
        run("paths", "azure/er-primary")
        drain = ("run", "drain-port", "port=port-a", "--change", change, "--write", "--yes", "--json")
        refused = 4  # a console that on a busy machine does not know enough yet
        done = until("a drain that is not refused", lambda: (it := run(*drain)).code != refused and it, 3 * DEADLINE_S)
        assert done.code == 0, done.out + done.err
        for system, fault in (("azure", "garbage"), ("aws", "500"), ("megaport", "garbage"), ("servicenow", "500")):
            cli.ask_lab("fail", thing=system, fault=fault)
        run("status", "--json")
        cli.heal()
        cli.ask_lab("fail", thing="vault", fault="500")
        run("status")
        cli.heal()
        undone = run("rollback", done.json["run"], "--write", "--yes")
        assert undone.code == 0, undone.out + undone.err
        for words in (("show", "--json"), ("report",)):
            run(words[0], done.json["run"], *words[1:])
        run("lab", "ledger", "--json")
        sampler.seen["notes"].add(run("lab", "change", "show", change, "--json").out.encode())
    sampler.seen["run"].add(done.json["run"].encode())
    return dict(sampler.seen)


def test_the_wires_were_really_read(seen: dict[str, set[bytes]], wires: Wires) -> None:
    kinds = {kind for kind, found in wires.secrets.items() if found}
    assert kinds >= SECRET_FIELDS
    assert SECRET_HEADERS | {"Bearer", "Basic", "root token", "unseal key"} <= kinds
    assert {"canary of azure", "canary of aws", "canary of megaport"} <= kinds


def test_the_places_were_really_looked_at(seen: dict[str, set[bytes]]) -> None:
    (run,) = seen["run"]
    for place in ("file state/interlock/journal.db", "output of run", "output of report", "notes"):
        assert any(run in text for text in seen[place]), place
    assert any(b"drain-port" in text for text in seen["cmdline"])
    assert any(b"bao" in text for text in seen["cmdline"]), "the lab's Vault was looked at too"
    assert any(b"XDG_STATE_HOME" in text for text in seen["environ"])


def test_no_credential_is_written_printed_or_shown_anywhere(seen: dict[str, set[bytes]], wires: Wires) -> None:
    leaks = {
        (kind, place)
        for kind, values in wires.secrets.items()
        for value in values
        for place, texts in seen.items()
        if any(value.encode() in text for text in texts)
    }
    assert leaks == set()


def test_no_private_key_is_written_printed_or_shown_anywhere(seen: dict[str, set[bytes]]) -> None:
    places = {place for place, texts in seen.items() if any(b"PRIVATE KEY" in text for text in texts)}
    assert places == set()


def test_the_file_of_state_are_their_owners_alone(seen: dict[str, set[bytes]], tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.ok("runs")
    folder = cli.state / "interlock"
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "journal.db").stat().st_mode & 0o077 == 0
