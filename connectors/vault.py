"""Vault or OpenBao: logins, SSH certificates, static and dynamic credentials. The only importer of hvac.

hvac is synchronous: each call runs in a thread under this file's own deadline. Every answer passes through one
funnel that maps status codes to connectors.errors, so no hvac or requests exception leaves this file.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from connectors import vault_answers as answers
from connectors.errors import BadReply, Denied, TimedOut, Unreachable
from connectors.redact import Redactor, redactor
from connectors.vault_answers import (
    AwsKeys,
    AzureSecret,
    Certificate,
    Lease,
    Operator,
    Renewal,
    Reply,
    SecretT,
    TokenInfo,
    VaultHealth,
)

__all__ = [
    "AwsKeys",
    "AzureSecret",
    "Certificate",
    "Lease",
    "Operator",
    "Renewal",
    "TokenInfo",
    "Vault",
    "VaultHealth",
]

Json = dict[str, Any]
WRAPPED_BY = "auth/approle/role/"
# Fields of a KV secret that name an account: masking them would mask ordinary words on every screen.
_PUBLIC_FIELDS = frozenset({"user", "username", "client_id", "tenant_id", "subscription_id", "url", "instance"})

_log = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


class Vault:
    """One operator's session. `timeout_s` bounds each request, in seconds; ambient VAULT_* settings are not read.

    Every call may raise Unreachable, TimedOut, Throttled, Sealed, Denied, NotFound or BadReply.
    """

    def __init__(
        self,
        address: str,
        *,
        namespace: str | None = None,
        ca_cert: str | None = None,
        timeout_s: float = 5.0,
        redactor: Redactor = redactor,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self.address = address.rstrip("/")
        self._timeout_s = timeout_s
        self._redactor = redactor
        self._clock = clock
        self._session = _client(self.address, namespace, ca_cert, timeout_s)
        # Never holds a token: a login or a health report must not fail because an old token is refused.
        self._door = _client(self.address, namespace, ca_cert, timeout_s)
        self._login = asyncio.Lock()

    def __repr__(self) -> str:
        return f"Vault({self.address}, {'logged in' if self._session.token else 'not logged in'})"

    async def login_wrapped_approle(
        self, role_id: str, wrapping_token: str, expected_creation_path: str = WRAPPED_BY
    ) -> TokenInfo:
        """Unwrap a secret_id and log in with it. Raises Denied, unopened, when it was wrapped elsewhere.

        A wrapping token opens once: Denied can also mean that somebody else opened it first.
        """
        self._redactor.add(wrapping_token)
        async with self._login:
            wrapped = await self._knock("sys/wrapping/lookup", {"token": wrapping_token})
            created_by = str(answers.data_of(wrapped).get("creation_path", ""))
            if not created_by.startswith(expected_creation_path):
                raise Denied(
                    f"the wrapped login was made by {created_by!r}, not under {expected_creation_path!r}",
                    where=self._where("sys/wrapping/lookup"),
                    do_next="Do not use it; tell the Vault keepers, it may have been swapped",
                )
            path = "sys/wrapping/unwrap"
            # The wrapping token is its own permission to unwrap: in the header, and nowhere else.
            opened = answers.data_of(await self._knock(path, token=wrapping_token))
            secret_id = self._redactor.add(answers.text_of(opened, "secret_id", self._where(path)))
            path = "auth/approle/login"
            reply = await self._knock(path, {"role_id": role_id, "secret_id": secret_id})
            auth = answers.object_of(reply, "auth")
            return await self._adopt(answers.text_of(auth, "client_token", self._where(path)))

    async def login_token(self, token: str) -> TokenInfo:
        """Use a token that the operator already holds."""
        async with self._login:
            return await self._adopt(token)

    async def whoami(self) -> Operator:
        return (await self._lookup_self()).operator

    async def renew_self(self, increment_s: int) -> TokenInfo:
        """Prolong the token; the increment counts from now and may be capped: look at the answer's ttl_s."""
        await self._call("POST", "auth/token/renew-self", {"increment": f"{increment_s}s"})
        return await self._lookup_self()

    async def revoke_self(self) -> None:
        """End the session. Vault ends every lease taken with it too."""
        async with self._login:
            await self._call("POST", "auth/token/revoke-self")
            self._session.token = ""

    async def sign_ssh(
        self,
        role: str,
        public_key_line: str,
        principals: Sequence[str],
        ttl_s: int,
        *,
        key_id: str | None = None,
        mount: str = "ssh",
    ) -> Certificate:
        """Sign a user key. `key_id` is sent only when given: many roles forbid choosing it.

        Only wanted fields are sent: an empty ttl would mean the server's default, not the role's.
        Raises BadReply when the certificate is not for this key or carries other principals.
        """
        path = f"{mount}/sign/{role}"
        body = {
            "public_key": public_key_line,
            "valid_principals": ",".join(principals),
            "ttl": f"{ttl_s}s",
            "cert_type": "user",
        }
        data = answers.data_of(await self._call("POST", path, body | ({"key_id": key_id} if key_id else {})))
        text = answers.text_of(data, "signed_key", self._where(path)).strip()
        certificate = answers.certificate(text, public_key_line, str(data.get("serial_number", "")))
        if certificate is None or set(certificate.principals) != set(principals):
            raise BadReply(
                "the signed certificate is not for this key and these principals",
                where=self._where(path),
                do_next="Do not use it; show the Vault keepers this role",
                evidence=text,
            )
        return certificate

    async def kv(self, path: str, mount: str = "secret") -> dict[str, str]:
        """The newest version of a KV v2 secret; every value but account names is registered for redaction."""
        full = f"{mount}/data/{path}"
        fields = answers.data_of(await self._call("GET", full)).get("data")
        if not isinstance(fields, dict):
            raise answers.bad_shape("no field data.data", self._where(full))
        secret = {str(name): str(value) for name, value in fields.items()}
        for name, value in secret.items():
            if name not in _PUBLIC_FIELDS:
                self._redactor.add(value)
        return secret

    async def aws(
        self, role: str, *, endpoint: Literal["creds", "sts"] = "creds", mount: str = "aws"
    ) -> Lease[AwsKeys]:
        """`creds`: an IAM user's keys, usable some seconds later. `sts`: a session that ends only by itself."""
        path = f"{mount}/{endpoint}/{role}"
        asked, where = self._clock(), self._where(path)
        reply = await self._call("GET" if endpoint == "creds" else "POST", path)
        data = answers.data_of(reply)
        session = data.get("security_token") or data.get("session_token")
        keys = AwsKeys(
            access_key=answers.text_of(data, "access_key", where),
            secret_key=self._redactor.add(answers.text_of(data, "secret_key", where)),
            session_token=self._redactor.add(str(session)) if session else None,
        )
        return self._lease(reply, keys, asked, where)

    async def azure(self, role: str, *, mount: str = "azure") -> Lease[AzureSecret]:
        """A service principal's secret; Azure may refuse a new one for a minute or two."""
        path = f"{mount}/creds/{role}"
        asked, where = self._clock(), self._where(path)
        reply = await self._call("GET", path)
        data = answers.data_of(reply)
        secret = AzureSecret(
            client_id=answers.text_of(data, "client_id", where),
            client_secret=self._redactor.add(answers.text_of(data, "client_secret", where)),
        )
        return self._lease(reply, secret, asked, where)

    async def renew(self, lease_id: str, increment_s: int) -> Renewal:
        """Prolong a lease; the increment counts from now. Raises Denied when the lease is fixed."""
        asked, path = self._clock(), "sys/leases/renew"
        reply = await self._call("POST", path, {"lease_id": lease_id, "increment": increment_s})
        granted = answers.seconds_of(reply, "lease_duration", self._where(path))
        ends = asked + timedelta(seconds=granted)
        return Renewal(lease_id, bool(reply.get("renewable")), ends, capped=granted < increment_s)

    async def revoke(self, lease_id: str) -> None:
        """End a lease now (sync): when this returns, Vault has done it. Revoking twice is fine."""
        await self._call("POST", "sys/leases/revoke", {"lease_id": lease_id, "sync": True})

    async def health(self) -> VaultHealth:
        """The node's own word; needs no token. A sealed or standby node is an answer here, not an error."""
        where = self._where("sys/health")
        reply = await self._send(self._door, "GET", "sys/health")
        if reply.body is None or not {"sealed", "initialized", "server_time_utc"} <= reply.body.keys():
            reply.checked(where)
            raise answers.bad_shape("not a health report", where, reply.excerpt)
        return answers.health(reply.body, where)

    async def _adopt(self, token: str) -> TokenInfo:
        """Take the token into use, or keep the former one when Vault does not know it."""
        former, self._session.token = self._session.token, self._redactor.add(token)
        try:
            return await self._lookup_self()
        except BaseException:
            self._session.token = former
            raise

    async def _lookup_self(self) -> TokenInfo:
        path = "auth/token/lookup-self"
        where = self._where(path)
        reply = await self._send(self._session, "GET", path)
        if reply.status == 403:
            what = "the Vault token is expired, revoked or missing"
            raise Denied(what, where=where, do_next="Log in again: interlock login", login_again=True)
        return answers.token_info(answers.data_of(reply.checked(where)), where)

    async def _knock(self, path: str, body: Json | None = None, token: str = "") -> Json:
        """A login step. Vault says 400 to a wrong, used or expired login: for the operator that is Denied."""
        reply = await self._send(self._door, "POST", path, body, token)
        if reply.status in (400, 403):
            raise Denied(
                f"the login was refused ({reply.status}): {reply.reasons or 'no reason given'}",
                where=self._where(path),
                do_next="Ask for a fresh login; if nobody used this one, tell the Vault keepers",
                login_again=True,
            )
        return reply.checked(self._where(path))

    async def _call(self, method: str, path: str, body: Json | None = None) -> Json:
        reply = await self._send(self._session, method, path, body)
        if reply.status == 403:
            await self._lookup_self()  # raises Denied(login_again) when it is the token that is gone
            raise Denied(
                f"{method} is forbidden by policy",
                where=self._where(path),
                do_next=f"Ask the Vault keepers for {'read' if method == 'GET' else 'update'} on {path}",
            )
        return reply.checked(self._where(path))

    async def _send(self, client: Any, method: str, path: str, body: Json | None = None, token: str = "") -> Reply:
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await asyncio.to_thread(self._exchange, client, method, path, body, token)
        except TimeoutError:
            raise self._late(path) from None
        warnings = (reply.body or {}).get("warnings")
        for warning in warnings if isinstance(warnings, list) else ():
            _log.warning("Vault %s: %s", path, self._redactor.text(str(warning)))
        return reply

    def _exchange(self, client: Any, method: str, path: str, body: Json | None, token: str) -> Reply:
        """In a thread. hvac gives a dict for a 200 with JSON, else the requests.Response.

        requests' errors are not chained: their texts repeat URLs and whole requests.
        """
        import requests

        where = self._where(path)
        headers = {"X-Vault-Token": token} if token else {}
        try:
            answer = client.adapter.request(method, f"/v1/{path}", headers=headers, json=body, raise_exception=False)
        except requests.exceptions.ReadTimeout:
            raise self._late(path) from None
        except requests.exceptions.ConnectionError as broken:
            do_next = "Check the address, the way to it and its certificate; what is already held stays usable"
            what = f"no connection ({_root_cause(broken)})"
            raise Unreachable(what, where=where, do_next=do_next) from None
        except requests.exceptions.RequestException as broken:
            raise answers.bad_shape(f"not a usable answer ({type(broken).__name__})", where) from None
        return self._reply(answer)

    def _reply(self, answer: Any) -> Reply:
        if isinstance(answer, dict):
            return Reply(200, answer, "")
        if not hasattr(answer, "status_code"):  # a 200 whose JSON is a list, a number …
            return Reply(200, None, "", excerpt=self._redactor.text(str(answer)))
        try:
            parsed = answer.json()
        except ValueError:
            parsed = None
        body = parsed if isinstance(parsed, dict) else None
        return Reply(
            status=answer.status_code,
            body=body,
            reasons=self._redactor.text(answers.reasons(body)),
            excerpt=self._redactor.text(answer.text),
            retry_after=answer.headers.get("Retry-After", ""),
        )

    def _lease(self, reply: Json, secret: SecretT, asked: datetime, where: str) -> Lease[SecretT]:
        # A credential without a lease carries its own ttl. Counting from before the call errs to the safe side.
        duration = reply.get("lease_duration") or answers.data_of(reply).get("ttl")
        seconds = answers.seconds_of({"lease_duration": duration}, "lease_duration", where)
        expires = asked + timedelta(seconds=seconds)
        return Lease(str(reply.get("lease_id", "")), bool(reply.get("renewable")), expires, secret)

    def _where(self, path: str) -> str:
        return f"Vault {self.address} {path}"

    def _late(self, path: str) -> TimedOut:
        what = f"no answer within {self._timeout_s:g} s"
        return TimedOut(what, where=self._where(path), do_next="Check Vault's health, then try again")


def _client(address: str, namespace: str | None, ca_cert: str | None, timeout_s: float) -> Any:
    """A client that reads no VAULT_* variable, no ~/.vault-token, no proxy variable and no .netrc."""
    import hvac
    import requests

    session = requests.Session()
    session.trust_env = False
    session.verify = ca_cert or True
    return hvac.Client(
        url=address,
        token="",  # not None, or hvac reads the ambient token
        cert=(),  # not None, or hvac reads the ambient client certificate
        verify=session.verify,
        timeout=timeout_s * 1.1,  # our own deadline speaks first; the thread ends soon after
        session=session,
        namespace=namespace,
    )


def _root_cause(error: BaseException) -> str:
    """The innermost reason by its class alone."""
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    reason = getattr(error, "reason", None)
    return type(reason if isinstance(reason, BaseException) else error).__name__
