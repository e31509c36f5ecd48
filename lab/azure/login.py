"""The login endpoint: client credentials for a bearer, or an AADSTS error."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lab.bearer import Bearers


class Login:
    """Serves `POST /{tenant}/oauth2/v2.0/token` for one tenant."""

    def __init__(
        self, tenant: str, valid: Callable[[str, str], bool], bearers: Bearers, now: Callable[[], datetime]
    ) -> None:
        self._tenant, self._valid, self._bearers, self._now = tenant, valid, bearers, now

    async def token(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        missing = [name for name in ("grant_type", "client_id", "client_secret", "scope") if not form.get(name)]
        if request.path_params["tenant"].lower() != self._tenant:
            return self._error("invalid_request", 90002, "Tenant not found.")
        if missing:
            text = f"The request body must contain the following parameter: '{missing[0]}'."
            return self._error("invalid_request", 900144, text)
        if form["grant_type"] != "client_credentials":
            return self._error("unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        if not self._valid(form["client_id"], form["client_secret"]):
            text = "Invalid client secret provided. Ensure the secret being sent is the client secret value."
            return self._error("invalid_client", 7000215, text)
        claims: dict[str, object] = {"aud": "https://management.azure.com", "appid": form["client_id"]}
        life = {"expires_in": self._bearers.life_s, "ext_expires_in": self._bearers.life_s}
        return JSONResponse(
            {"token_type": "Bearer", **life, "access_token": self._bearers.issue(claims, form["client_id"])}
        )

    def _error(self, error: str, code: int, text: str) -> Response:
        body = {
            "error": error,
            "error_description": f"AADSTS{code}: {text}",
            "error_codes": [code],
            "timestamp": f"{self._now():%Y-%m-%d %H:%M:%SZ}",
            "trace_id": str(uuid4()),
            "correlation_id": str(uuid4()),
        }
        return JSONResponse(body, 401 if error == "invalid_client" else 400)
