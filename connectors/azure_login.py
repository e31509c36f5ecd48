"""The login endpoint: a client secret for a token of Azure Resource Manager."""

from __future__ import annotations

import asyncio

from pydantic import Field, FiniteFloat

from connectors.http import JsonApi, Token
from connectors.ports import AzureSecret, Credentials
from connectors.redact import redactor
from connectors.reply import Shape, read

SCOPE = "https://management.azure.com/.default"
LOGIN = "https://login.microsoftonline.com"
EARLY_S = 300.0  # a token is renewed this long before its end, as azure-identity does


class _TokenReply(Shape):
    access_token: str = Field(alias="access_token", min_length=1)
    expires_in: FiniteFloat = Field(alias="expires_in", default=3599.0)


class Login:
    """`token` is what a Bearer fetches with."""

    def __init__(
        self, tenant: str, address: str | None, deadline_s: float, credentials: Credentials[AzureSecret]
    ) -> None:
        self._api = JsonApi("azure", address or LOGIN, deadline_s)
        self._tenant, self._credentials = tenant, credentials

    async def close(self) -> None:
        await self._api.close()

    async def token(self) -> Token:
        """Logs in with a fresh secret. Raises what the secret store or the endpoint said."""
        secret = await self._credentials()
        form = {
            "grant_type": "client_credentials",
            "client_id": secret.client_id,
            "client_secret": redactor.add(secret.client_secret),
            "scope": SCOPE,
        }
        reply = await self._api.send("POST", f"/{self._tenant}/oauth2/v2.0/token", data=form)
        token = read(_TokenReply, self._api.json(reply), "azure token")
        redactor.add(token.access_token)
        lasts = max(token.expires_in - EARLY_S, token.expires_in / 2)
        return Token(token.access_token, asyncio.get_running_loop().time() + lasts)
