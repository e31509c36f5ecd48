"""The door of the lab's Vault: everything goes through to OpenBao, except aws/ and azure/, which it lacks.

Answers have Vault's shapes and its bare `application/json` (clients parse errors only on that exact value).
Permission is never decided here: OpenBao is asked what the presented token may do on the path.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from lab.vault.leases import CloudLease, CloudLeases
from lab.vault.setup import AZURE_RUN_ROLE, CLOUD_ROLE

# Not forwarded: what belongs to one hop, and what our own HTTP layers write anew.
_PER_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
_REQUEST_DROPS = _PER_HOP | {"host", "content-length", "accept-encoding"}
_RESPONSE_DROPS = _PER_HOP | {"content-length", "content-encoding"}
_TIMEOUT = httpx.Timeout(30.0, connect=2.0)
_UNITS = {"s": 1, "m": 60, "h": 3600}


class _Refused(Exception):
    def __init__(self, response: Response) -> None:
        self.response = response


class VaultFront:
    """`app` stands in front of the OpenBao at `upstream` (http URL, loopback)."""

    def __init__(self, upstream: str, leases: CloudLeases) -> None:
        self._bao = httpx.AsyncClient(base_url=upstream, trust_env=False, timeout=_TIMEOUT)
        self._leases = leases
        self.app = Starlette(routes=[Route("/{path:path}", _Endpoint(self))])

    async def close(self) -> None:
        await self._bao.aclose()

    async def answer(self, request: Request) -> Response:
        path = request.path_params["path"].removeprefix("v1/")
        try:
            return await self._route(request, path)
        except _Refused as refused:
            return refused.response
        except httpx.TransportError as broken:
            return _errors(502, f"the lab's OpenBao does not answer: {type(broken).__name__}")

    async def _route(self, request: Request, path: str) -> Response:
        match path.split("/"):
            case ["aws" | "azure", *_]:
                return await self._issue(request, path)
            case ["sys", "leases", "lookup" | "renew" | "revoke" as verb, *in_path]:
                body = await _body(request)
                lease_id = "/".join(in_path) or str(body.get("lease_id", ""))
                if lease_id.startswith(("aws/", "azure/")):
                    await self._authorise(request, path, "update")
                    return self._lease(verb, lease_id, body.get("increment"))
            case ["auth", "token", "revoke-self"]:
                response = await self._forward(request)
                if response.status_code in (200, 204):
                    self._leases.revoke_of(_holder(request))
                return response
        return await self._forward(request)

    async def _issue(self, request: Request, path: str) -> Response:
        if "x-vault-wrap-ttl" in request.headers:
            return _errors(400, "the lab does not wrap aws/ and azure/ answers")
        posted = request.method in ("POST", "PUT")
        await self._authorise(request, path, "update" if posted else "read")
        match path.split("/"):
            case ["azure", "creds", role] if role in {CLOUD_ROLE, AZURE_RUN_ROLE} and not posted:
                lease = self._leases.issue_azure(role, _holder(request))
                return self._issued(lease, {"client_id": lease.identity, "client_secret": lease.secret})
            case ["aws", "creds", role] if role == CLOUD_ROLE and not posted:
                lease = self._leases.issue_aws_user(role, _holder(request))
            case ["aws", "sts", role] if role == CLOUD_ROLE:
                lease = self._leases.issue_aws_session(role, _holder(request))
            case [_, "creds" | "sts", role]:
                return _errors(400, f"Role {role!r} not found")
            case _:
                return _errors(404, f'no handler for route "{path}". route entry not found.')
        keys = {"access_key": lease.identity, "secret_key": lease.secret}
        return self._issued(lease, {**keys, "security_token": lease.session_token})

    def _lease(self, verb: str, lease_id: str, increment: Any) -> Response:
        lease = self._leases.find(lease_id)
        if verb == "revoke":
            if lease:
                self._leases.revoke(lease)
            return Response(status_code=204)
        if not lease:
            return _errors(400, "invalid lease" if verb == "lookup" else "lease not found")
        return _success(data=self._described(lease)) if verb == "lookup" else self._renewed(lease, increment)

    def _renewed(self, lease: CloudLease, increment: Any) -> Response:
        if not lease.renewable:
            return _errors(400, "lease is not renewable")
        asked = timedelta(seconds=_seconds(increment)) if increment else None
        granted = self._leases.renew(lease, asked)
        capped = asked is not None and granted < asked
        text = f'TTL of "{asked}" exceeded the effective max_ttl; TTL value is capped accordingly'
        return _success(
            lease_id=lease.lease_id,
            renewable=True,
            lease_duration=self._leases.left(lease),
            warnings=[text] if capped else None,
        )

    def _issued(self, lease: CloudLease, data: dict[str, Any]) -> Response:
        left = self._leases.left(lease)
        if not lease.renewable:
            data["ttl"] = left
        return _success(lease_id=lease.lease_id, renewable=lease.renewable, lease_duration=left, data=data)

    def _described(self, lease: CloudLease) -> dict[str, Any]:
        return {
            "id": lease.lease_id,
            "issue_time": _stamp(lease.issued),
            "expire_time": _stamp(lease.expires),
            "last_renewal": _stamp(lease.renewed),
            "renewable": lease.renewable,
            "ttl": self._leases.left(lease),
        }

    async def _authorise(self, request: Request, path: str, capability: str) -> None:
        """Raises _Refused with OpenBao's own answer (403, 503 sealed …) or with a policy's 403."""
        token = _token(request)
        if not token:
            raise _Refused(_errors(403, "permission denied"))
        reply = await self._bao.post(
            "/v1/sys/capabilities-self", json={"paths": [path]}, headers={"X-Vault-Token": token}
        )
        if reply.status_code != 200:
            raise _Refused(_json(reply.status_code, reply.json()))
        if not {capability, "root"} & set(reply.json()["data"][path]):
            raise _Refused(_errors(403, "1 error occurred:\n\t* permission denied\n\n"))

    async def _forward(self, request: Request) -> Response:
        query = request.scope["query_string"]
        inbound = await self._bao.request(
            request.method,
            httpx.URL(raw_path=request.scope["raw_path"] + (b"?" + query if query else b"")),
            headers=_without(request.headers.raw, _REQUEST_DROPS),
            content=await request.body(),
        )
        response = Response(inbound.content, status_code=inbound.status_code)
        # Type and caching stay OpenBao's; the length is that of the body as it is sent on.
        length = [(name, value) for name, value in response.raw_headers if name == b"content-length"]
        response.raw_headers = _without(inbound.headers.raw, _RESPONSE_DROPS) + length
        return response


class _Endpoint:
    """Starlette asks no verb of what it can only call as ASGI: LIST and PATCH pass too."""

    def __init__(self, front: VaultFront) -> None:
        self._front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._front.answer(Request(scope, receive))
        await response(scope, receive, send)


def _without(headers: list[tuple[bytes, bytes]], drops: set[str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in headers if name.lower().decode("latin-1") not in drops]


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object sent; empty when it is none, and OpenBao then says what is wrong with it."""
    try:
        body = await request.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _token(request: Request) -> str:
    bearer = request.headers.get("authorization", "")
    return request.headers.get("x-vault-token") or bearer.removeprefix("Bearer ").strip()


def _holder(request: Request) -> str:
    return hashlib.sha256(_token(request).encode()).hexdigest()


def _seconds(increment: Any) -> int:
    text = str(increment)
    return int(text[:-1]) * _UNITS[text[-1]] if text[-1] in _UNITS else int(text)


def _stamp(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def _json(status: int, body: Any) -> Response:
    return JSONResponse(body, status_code=status, headers={"Cache-Control": "no-store"})


def _errors(status: int, text: str) -> Response:
    return _json(status, {"errors": [text]})


def _success(**fields: Any) -> Response:
    body = {
        "request_id": str(uuid4()),
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        "data": None,
        "wrap_info": None,
        "warnings": None,
        "auth": None,
    }
    return _json(200, {**body, **fields})
