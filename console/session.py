"""The operator's session: one Vault login, made when first needed, from which every credential comes."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal, TypeVar

from connectors.errors import Denied, Sealed
from connectors.redact import redactor
from connectors.vault import AwsKeys, AzureSecret, Certificate, Operator, Vault
from console.fail import UsageError
from network.inventory import Site

T = TypeVar("T")

#: A certificate outlives the longest poll pause and a step's worst duration; routers see a new one per connection.
SSH_TTL_S = 900
OPERATORS = ("alice", "bob", "carol")


class OperatorSession:
    """Who works here. In a lab: `--as` picks the operator; elsewhere VAULT_TOKEN is taken once and forgotten."""

    def __init__(self, site: Site, lab_folder: Path | None, operator: str | None, token: str = "") -> None:
        if operator is not None and lab_folder is None:
            raise UsageError("--as is for a lab only: elsewhere the operator is who Vault says")
        if operator is not None and operator not in OPERATORS:
            raise UsageError(f"--as {operator!r} is not known; allowed: {', '.join(OPERATORS)}")
        self._systems = site.systems
        self._lab_folder = lab_folder
        self._operator = operator or OPERATORS[0]
        self._vault = Vault(site.systems.vault.address)
        self._logged_in = False
        self._who: Operator | None = None
        self._turn = asyncio.Lock()
        # Taken out of the environment at once: no child process may inherit it.
        self._token = redactor.add(os.environ.pop("VAULT_TOKEN", "") or token)

    def handed_on(self) -> dict[str, str | None]:
        """What a watchdog logs in with. It holds a credential: over a pipe only, never argv, environment or disk."""
        return {"operator": self._operator if self._lab_folder else None, "token": self._token}

    async def operator(self) -> Operator:
        """Who this is, as Vault says; asked once."""
        if self._who is None:
            self._who = await self._with(lambda vault: vault.whoami())
        return self._who

    async def sign(self, role: str, principal: str, public_line: str) -> Certificate:
        """A short-lived SSH certificate for a key that stays in memory; its key id names the operator on the router."""
        name = (await self.operator()).name
        key_id = f"interlock-{name}-{uuid.uuid4().hex[:8]}"
        return await self._with(lambda vault: vault.sign_ssh(role, public_line, [principal], SSH_TTL_S, key_id=key_id))

    async def kv(self, credential: str) -> dict[str, str]:
        """A static credential; `credential` is `mount/path` as in the site file."""
        mount, _, path = credential.partition("/")
        return await self._with(lambda vault: vault.kv(path, mount))

    async def azure(self, credential: str = "") -> AzureSecret:
        """A service principal by `credential`, which is `engine/creds/role` as in the site file: the one that reads."""
        role = (credential or self._systems.azure.credential).rsplit("/", 1)[-1]
        return (await self._with(lambda vault: vault.azure(role))).secret

    async def aws(self) -> AwsKeys:
        _, endpoint, role = self._systems.aws.credential.split("/")
        kind: Literal["creds", "sts"] = "sts" if endpoint == "sts" else "creds"
        return (await self._with(lambda vault: vault.aws(role, endpoint=kind))).secret

    async def pulse(self) -> None:
        """Raises Sealed when Vault is sealed, Unreachable when it is not there."""
        if (await self._vault.health()).sealed:
            raise Sealed("it is sealed", where=self._vault.address, do_next="Ask its keepers to unseal it")

    async def close(self) -> None:
        """Give the token back: its leases end with it."""
        if self._logged_in:
            await self._vault.revoke_self()
            self._logged_in = False

    async def _with(self, call: Callable[[Vault], Awaitable[T]]) -> T:
        await self._login(again=False)
        try:
            return await call(self._vault)
        except Denied as denied:
            if not denied.login_again:
                raise
            await self._login(again=True)
            return await call(self._vault)

    async def _login(self, *, again: bool) -> None:
        async with self._turn:
            if self._logged_in and not again:
                return
            if self._lab_folder is not None:
                wrapped = await asyncio.to_thread(self._wrapped_secret_id)
                await self._vault.login_wrapped_approle(wrapped["role_id"], wrapped["wrapping_token"])
            elif self._token:
                await self._vault.login_token(self._token)
            else:
                raise Denied(
                    "nobody is logged in",
                    where=self._vault.address,
                    do_next="Set VAULT_TOKEN for this command",
                    login_again=False,
                )
            self._logged_in = True

    def _wrapped_secret_id(self) -> dict[str, str]:
        from lab.client import LabClient

        assert self._lab_folder is not None
        answer: dict[str, str] = LabClient(self._lab_folder).call("secret-id", operator=self._operator)
        return answer
