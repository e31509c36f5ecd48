"""AWS's operations by name: boto3 in a small pool of threads, shut off from the ambient environment.

This is the only module that imports boto3 and botocore, and it does so in the pool: with the clients it takes
a third of a second.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from connectors.errors import BadReply, Denied, NotFound, Throttled, TimedOut, Unreachable
from connectors.http import CHECK_LINK, loopback
from connectors.ports import AwsSecret, Credentials
from connectors.redact import redactor
from connectors.reply import CHECK_VERSION

THREADS = 16  # boto3 waits before it repeats a call, and a waiting thread must not hold up the other calls
MOST_PAGES = 50
HEALTH = "health"
ENDPOINTS = {"cloudwatch": "monitoring"}  # where the address is not called as boto3 calls the service
EXPIRED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "AuthFailure",
    }
)
TOO_OFTEN = frozenset({"RequestLimitExceeded", "TooManyRequestsException", "SlowDown", "BandwidthLimitExceeded"})
REFUSED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})
UNKNOWN_THING = ("does not exist", "could not be found", "was deleted")


class NoSupportPlan(Denied):
    """AWS Health's API is not part of this account's support plan: asking again changes nothing."""


class _CredentialEnded(Exception):
    """The service no longer takes the clients' credential."""


class _Login:
    """One credential and the clients that were made with it."""

    def __init__(self, session: Any) -> None:
        self.session, self.clients = session, dict[str, Any]()


class AwsCalls:
    """AWS operations by name, in the pool. Clients are made one at a time, anew when their credential ends.

    `address` may hold {service} and {region}. Health has one endpoint for all regions, in `health_region`.
    Every call ends within `deadline_s` seconds.
    """

    def __init__(
        self, address: str, region: str, health_region: str, deadline_s: float, credentials: Credentials[AwsSecret]
    ) -> None:
        self._address, self._region, self._health_region = address, region, health_region
        self._deadline_s, self._credentials = deadline_s, credentials
        self._login: _Login | None = None
        self._lock = asyncio.Lock()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="aws")

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def rows(self, service: str, operation: str, key: str, **parameters: Any) -> Any:
        """The reply of `operation` (its Python name) with the rows of all pages under `key`.

        Raises an InterlockError. A reply without `key` comes as it is: its parser says what is wrong.
        """
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._asked(service, operation, key, parameters)
        except TimeoutError as error:
            raise TimedOut(
                f"no answer within {self._deadline_s:g} s", where=f"aws {operation}", do_next=CHECK_LINK
            ) from error

    async def _asked(self, service: str, operation: str, key: str, parameters: Mapping[str, Any]) -> Any:
        login, client = await self._client(service, None)
        try:
            return await self._run(_rows, client, operation, key, parameters)
        except _CredentialEnded:
            _, client = await self._client(service, login)
        try:
            return await self._run(_rows, client, operation, key, parameters)
        except _CredentialEnded as ended:
            raise Denied(
                f"a fresh credential was refused too ({ended})",
                where=f"aws {operation}",
                do_next="Check the clock of this machine and the role that Vault issues for.",
            ) from None

    async def _client(self, service: str, refused: _Login | None) -> tuple[_Login, Any]:
        """The service's client, of a new login when there is none or when that is the `refused` one."""
        login = self._login
        if login is not None and login is not refused and service in login.clients:
            return login, login.clients[service]
        async with self._lock:  # boto3 makes one client at a time
            if self._login is None or self._login is refused:
                self._login = _Login(await self._run(self._session, await self._credentials()))
            login = self._login
            if service not in login.clients:
                login.clients[service] = await self._run(self._connect, login.session, service)
            return login, login.clients[service]

    def _session(self, secret: AwsSecret) -> Any:
        """Explicit keys: no variable, profile or file of AWS's own tools counts."""
        import boto3.session
        import botocore.session

        known = botocore.session.Session().session_var_map.items()
        unread = {name: (None, None, default, convert) for name, (_, _, default, convert) in known}
        unread |= dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
        core = botocore.session.Session(session_vars=unread)
        core.register_component("data_loader", _models())
        redactor.add(secret.secret_key)
        redactor.add(secret.session_token or "")
        core.set_credentials(secret.access_key, secret.secret_key, secret.session_token)
        return boto3.session.Session(botocore_session=core)

    def _connect(self, session: Any, service: str) -> Any:
        """A client whose endpoint, region and (on loopback) proxy the environment cannot change."""
        import botocore.config

        region = self._health_region if service == HEALTH else self._region
        config = botocore.config.Config(
            region_name=region,
            connect_timeout=min(3.0, self._deadline_s),
            read_timeout=self._deadline_s,
            retries={"mode": "standard", "total_max_attempts": 2},
            max_pool_connections=THREADS,
            ignore_configured_endpoint_urls=True,
            proxies={} if loopback(self._address) else None,
        )
        address = self._address.format(service=ENDPOINTS.get(service, service), region=region)
        return session.client(service, config=config, endpoint_url=address)

    async def _run(self, work: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)


@functools.cache
def _models() -> Any:
    """Botocore's descriptions of the services: EC2's takes a tenth of a second to read, so all logins share them."""
    from botocore.loaders import Loader

    return Loader()


def _rows(client: Any, operation: str, key: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Blocking: every page of an operation. Several of these operations have no paginator in botocore."""
    call = getattr(client, operation, None)
    if call is None:
        raise NotFound(f"this botocore has no {operation}", where="aws", do_next="Upgrade boto3 to 1.44 or later.")
    rows: list[Any] = []
    following: dict[str, Any] = {}
    for _ in range(MOST_PAGES):
        reply = _answer(call, operation, {**parameters, **following})
        if not isinstance(reply.get(key), list):
            return reply
        rows += reply[key]
        following = {name: reply[name] for name in ("nextToken", "NextToken") if reply.get(name)}
        if not following:
            return {**reply, key: rows}
    raise BadReply(f"more than {MOST_PAGES} pages", where=f"aws {operation}", do_next="Narrow the account's view.")


def _answer(call: Any, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Blocking: one call, its reply without transport metadata, botocore's errors under our names."""
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    unreadable = (ResponseParserError, ValueError, TypeError, AttributeError, LookupError)  # what its parsers raise
    where = f"aws {operation}"
    try:
        reply = dict(call(**parameters))
    except exceptions.ClientError as error:
        raise _refusal(error.response, where) from None
    except (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError) as error:
        raise TimedOut(str(error), where=where, do_next=CHECK_LINK) from error
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
        raise Unreachable(str(error), where=where, do_next=CHECK_LINK) from error
    except unreadable as error:
        raise BadReply(
            "not an AWS reply",
            where=where,
            do_next="A proxy or login page may stand in between.",
            evidence=str(error),
        ) from None
    reply.pop("ResponseMetadata", None)
    return reply


def _refusal(response: Mapping[str, Any], where: str) -> Exception:
    error = response.get("Error", {})
    code, status = str(error.get("Code", "")), response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in EXPIRED:
        return _CredentialEnded(code)
    said = f"HTTP {status} {code}: {str(error.get('Message', ''))[:200]}"
    if code == "SubscriptionRequiredException":
        fix = "AWS Health needs a Business support plan or better; without one say `health: false` in the site file."
        return NoSupportPlan(said, where=where, do_next=fix)
    if status == 429 or "Throttl" in code or code in TOO_OFTEN:
        return Throttled(said, where=where, do_next="It is asked less often.")
    if status in {401, 403} or code in REFUSED:
        return Denied(said, where=where, do_next="Check the rights of the role that Vault issues for.")
    if "NotFound" in code or any(words in said for words in UNKNOWN_THING):
        return NotFound(said, where=where, do_next="Check the id in the site file and its region.")
    if status in {502, 503, 504}:
        return Unreachable(said, where=where, do_next="Its front answers, the service does not: wait.")
    return BadReply(said, where=where, do_next=CHECK_VERSION)
