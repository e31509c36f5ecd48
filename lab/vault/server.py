"""LabVault: starts OpenBao, initialises and unseals it, and sets the reference site's secrets up in it.

Root token and unseal key live in this object only: never in an argument, an environment or a file.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from lab.signing import OPERATORS
from lab.vault import process, setup
from lab.vault.front import VaultFront
from lab.vault.leases import CloudLeases
from lab.vault.process import BaoProcess, LabVaultError

WRAP_TTL = "60s"


def _now() -> datetime:
    return datetime.now(UTC)


class LabVault:
    """A running Vault of the lab. `app` is its front; the caller serves it on loopback.

    `address`: OpenBao itself, without aws/ and azure/. `user_ca_line`, `host_ca_line`: the two CAs' public
    keys in OpenSSH form, for the routers' trust and the console's known hosts.
    """

    def __init__(self, bao: BaoProcess, clock: Callable[[], datetime]) -> None:
        self._bao = bao
        self._leases = CloudLeases(clock)
        self._front = VaultFront(bao.address, self._leases)
        self._http = httpx.AsyncClient(base_url=f"{bao.address}/v1/", trust_env=False, timeout=30.0)
        self._unseal_key = ""
        self._principals: frozenset[str] = frozenset()
        self.user_ca_line = ""
        self.host_ca_line = ""

    def __repr__(self) -> str:
        return f"LabVault({self.address}, pid {self.pid})"

    @classmethod
    async def start(
        cls,
        run_dir: Path,
        *,
        kv: Mapping[str, Mapping[str, str]],
        operators: Sequence[str] = OPERATORS,
        clock: Callable[[], datetime] = _now,
    ) -> "LabVault":
        """Up, unsealed and set up in about a second.

        `kv`: path under the `secret` mount -> fields, e.g. {"interlock/megaport": {"client_id": …}}.
        `run_dir` gets bao.json and bao.log. Raises LabVaultMissing, LabVaultError.
        """
        vault = cls(await process.start(run_dir), clock)
        try:
            await vault._initialise()
            await vault._set_up(tuple(operators), kv)
        except BaseException:
            await vault.stop()
            raise
        return vault

    @property
    def address(self) -> str:
        return self._bao.address

    @property
    def pid(self) -> int:
        return self._bao.pid

    @property
    def app(self) -> Starlette:
        return self._front.app

    async def wrapped_secret_id(self, operator: str) -> dict[str, str]:
        """{"role_id", "wrapping_token"}: a login for one use, to be unwrapped within 60 s."""
        if operator not in self._principals:
            known = ", ".join(sorted(self._principals))
            raise LabVaultError(f"the lab has no operator {operator!r}; it has {known}")
        role = f"auth/{setup.APPROLE}/role/{operator}"
        role_id = await self._call("GET", f"{role}/role-id")
        # Vault's metadata field is a JSON text; the token carries it as `meta`.
        body = {"metadata": f'{{"operator": "{operator}"}}'}
        wrapped = await self._call("POST", f"{role}/secret-id", body, headers={"X-Vault-Wrap-TTL": WRAP_TTL})
        return {"role_id": role_id["data"]["role_id"], "wrapping_token": wrapped["wrap_info"]["token"]}

    async def sign_host_key(self, public_line: str, principals: Sequence[str]) -> str:
        """An OpenSSH host certificate line for the names and addresses a client may call this host."""
        body = {"public_key": public_line, "cert_type": "host", "valid_principals": ",".join(principals)}
        signed = await self._call("POST", f"{setup.HOST_CA}/sign/host", body)
        return str(signed["data"]["signed_key"]).strip()

    def valid_azure(self, client_id: str, client_secret: str) -> bool:
        """Whether this pair belongs to a live lease."""
        lease = self._leases.valid(client_id)
        return lease is not None and lease.lease_id.startswith("azure/") and lease.secret == client_secret

    def role_of(self, client_id: str) -> str:
        """The role of the azure/ engine that a live client id came by; "" for an unknown one."""
        lease = self._leases.valid(client_id)
        _, _, role = (lease.lease_id if lease else "").partition("azure/creds/")
        return role.partition("/")[0]

    def aws_secret(self, access_key: str) -> str | None:
        """The secret key of a live access key, to check a request's signature with."""
        lease = self._leases.valid(access_key)
        return lease.secret if lease and lease.lease_id.startswith("aws/") else None

    def aws_session_token(self, access_key: str) -> str | None:
        """The session token that must come with this access key; None for a long-term or unknown key."""
        lease = self._leases.valid(access_key)
        return lease.session_token if lease else None

    async def seal(self) -> None:
        await self._call("PUT", "sys/seal")

    async def unseal(self) -> None:
        await self._call("PUT", "sys/unseal", {"key": self._unseal_key})

    async def stop(self) -> None:
        """Everything issued and stored is gone with the process's memory."""
        await self._front.close()
        await self._http.aclose()
        await self._bao.stop()

    async def _initialise(self) -> None:
        keys = await self._call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self._unseal_key = keys["keys_base64"][0]
        await self.unseal()
        self._http.headers["X-Vault-Token"] = keys["root_token"]

    async def _set_up(self, operators: tuple[str, ...], kv: Mapping[str, Mapping[str, str]]) -> None:
        await asyncio.gather(*(self._call("POST", path, body) for path, body in setup.MOUNTS))
        self.user_ca_line, self.host_ca_line, *_ = await asyncio.gather(
            self._new_ca(setup.USER_CA),
            self._new_ca(setup.HOST_CA),
            *(self._call("POST", path, body) for path, body in setup.writes(operators, kv)),
        )
        self._principals = frozenset((setup.SERVICE, *operators))

    async def _new_ca(self, mount: str) -> str:
        body = {"generate_signing_key": True, "key_type": "ssh-ed25519"}
        made = await self._call("POST", f"{mount}/config/ca", body)
        return str(made["data"]["public_key"]).strip()

    async def _call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        try:
            reply = await self._http.request(method, path, json=body, headers=headers)
        except httpx.TransportError as broken:
            raise LabVaultError(
                f"{self.address}: {method} {path}: {type(broken).__name__}; see {self._bao.log}"
            ) from broken
        if reply.is_error:
            raise LabVaultError(f"{self.address}: {method} {path}: {reply.status_code} {reply.text.strip()}")
        return reply.json() if reply.content else {}
