"""A run of ten steps beside `ansible-playbook`: the same commands to the same FRR, under the same certificate.

A step sends a soft clear and then proves it by a show. Configuration is left out for Ansible's sake: a router's forced
command takes it over the line protocol only, which Ansible does not speak; its `raw` module sends one command a
connection as it stands, and needs nothing on the router. Both sides pay for the login.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncssh
import pytest

from connectors.routers.session import RouterSession
from connectors.routers.ssh import Login
from console.session import OperatorSession
from network.inventory import Site
from network.sitefile import load
from runbooks.effects import Finding, Ports, Seen
from runbooks.engine import Engine
from runbooks.journal import Identity, Journal, NewRun
from runbooks.model import Phase, StepDef
from tests.e2e.embedded_lab import Cli
from tests.engine.little_device import World

pytestmark = [pytest.mark.bench, pytest.mark.frr, pytest.mark.vault, pytest.mark.timeout(300)]

STEPS, ROUTER = 10, "edge-1"
CLEAR, SHOW = "clear bgp ipv4 unicast 10.255.1.2 soft", "show bgp neighbors 10.255.1.2 json"


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    cli = Cli(tmp_path / "frr")
    up = cli.run("lab", "up", "--routers", "frr", "--detach")
    assert up.code == 0, up.err
    try:
        yield cli
    finally:
        cli.ok("lab", "down")


class OnRouter(World):
    """Acts and proofs on one real router; counts the seconds that the router took."""

    def __init__(self, router: RouterSession) -> None:
        super().__init__()
        self.router, self.outside_s = router, 0.0

    async def act(
        self, _step: StepDef, _phase: Phase, token: str, send_allowed: Callable[[], None]
    ) -> Mapping[str, Any]:
        send_allowed()
        began = time.perf_counter()
        await self.router.exec(CLEAR)
        self.outside_s += time.perf_counter() - began
        return {"token": token}

    async def verify(self, _step: StepDef, _phase: Phase) -> Finding:
        began = time.perf_counter()
        reply = await self.router.show(SHOW)
        self.outside_s += time.perf_counter() - began
        return Finding("Established" in reply.text)

    async def observe(self, _step: StepDef, _phase: Phase) -> Seen:
        return Seen("unknown")


def run_session(site: Site, lab: Path) -> tuple[OperatorSession, RouterSession]:
    """The operator's session, and the router under the run's login."""
    session, vault = OperatorSession(site, lab, "alice"), site.systems.vault
    role, principal = vault.run_role, vault.run_principal
    login = Login(principal, vault.host_ca, lambda key: session.sign(role, principal, key))
    return session, RouterSession(site.router(ROUTER), login)


async def established(site: Site, lab: Path) -> None:
    """Wait until the neighbour that is cleared and shown is up."""
    session, router = run_session(site, lab)
    try:
        async with asyncio.timeout(120):
            while "Established" not in (await router.show(SHOW)).text:  # noqa: ASYNC110 - a router has no event
                await asyncio.sleep(0.2)
    finally:
        await router.close()
        await session.close()


async def interlock(site: Site, lab: Path, journal_at: Path) -> tuple[float, float]:
    """Seconds of a whole run, and those of them that the router took."""
    session, router = run_session(site, lab)
    journal = await Journal.open(journal_at, identity=Identity.here("alice", "LAB"), now=utc, new_id=new_id)
    world = OnRouter(router)
    engine = Engine(journal, Ports(world, world, world, world), now=utc, boottime=time.monotonic, new_id=new_id)
    steps = [{"id": f"step-{n}", "kind": "act", "commands": [CLEAR], "undo": [CLEAR]} for n in range(STEPS)]
    try:
        began = time.perf_counter()
        row = await journal.create_run(NewRun("bench", "1", {"steps": steps}))
        assert (await engine.drive(row.run_id, row.fence)).state == "COMPLETED"
        return time.perf_counter() - began, world.outside_s
    finally:
        await router.close()
        await session.close()
        await journal.close()


async def signed(site: Site, lab: Path) -> tuple[bytes, str]:
    """A new private key and the run's certificate for it."""
    session, vault = OperatorSession(site, lab, "alice"), site.systems.vault
    key = asyncssh.generate_private_key("ssh-ed25519")
    try:
        line = key.export_public_key().decode()
        certificate = await session.sign(vault.run_role, vault.run_principal, line)
    finally:
        await session.close()
    return key.export_private_key(), certificate.text


def ansible(site: Site, folder: Path, key: bytes, certificate: str) -> float:
    """Seconds of ansible-playbook, from its start to its end."""
    router, vault = site.router(ROUTER), site.systems.vault
    folder.mkdir()
    (folder / "key").touch(mode=0o600)
    (folder / "key").write_bytes(key)
    (folder / "key-cert.pub").write_text(certificate)
    host_ca = vault.host_ca.strip().removeprefix("@cert-authority *").strip()
    (folder / "known_hosts").write_text(f"@cert-authority * {host_ca}\n")
    host = {
        "ansible_host": router.address,
        "ansible_port": router.ssh_port,
        "ansible_user": vault.run_principal,
        "ansible_ssh_use_tty": False,  # a reply larger than a terminal's buffer does not fit through one
        "ansible_ssh_private_key_file": str(folder / "key"),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={folder}/known_hosts -o HostKeyAlias={ROUTER}",
    }
    proof = {"raw": SHOW, "register": "shown", "failed_when": "'Established' not in shown.stdout"}
    play = [{"hosts": "all", "gather_facts": False, "tasks": [{"raw": CLEAR}, proof] * STEPS}]
    (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": {ROUTER: host}}}))
    (folder / "play.json").write_text(json.dumps(play))
    binary = str(Path(sys.executable).with_name("ansible-playbook"))
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="cp-") as short:  # ssh's control socket needs a short path
        env["ANSIBLE_SSH_CONTROL_PATH_DIR"] = short
        command = [binary, "-i", "inventory.json", "play.json"]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
        took = time.perf_counter() - began
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"ok={2 * STEPS} " in done.stdout, done.stdout
    return took


async def test_ten_steps_beside_ansible(cli: Cli, tmp_path: Path) -> None:
    site = load((cli.lab_folder / "site.yaml").read_text(), "site.yaml").site
    await established(site, cli.lab_folder)
    whole_s, outside_s = await interlock(site, cli.lab_folder, tmp_path / "journal.db")
    key, certificate = await signed(site, cli.lab_folder)
    ansible_s = await asyncio.to_thread(ansible, site, tmp_path / "ansible", key, certificate)
    engine_ms = 1000 * (whole_s - outside_s)
    print(
        f"\n{STEPS} steps, a clear and a show each: Interlock {whole_s:.2f} s, of them its engine {engine_ms:.0f} ms;"
    )
    print(f"ansible-playbook, the same commands on the same router: {ansible_s:.2f} s")
    assert whole_s < ansible_s


def utc() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    return uuid4().hex
