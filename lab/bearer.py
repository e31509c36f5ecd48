"""Bearer tokens as the lab's token endpoints issue them and its APIs check them."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

Verdict = Literal["valid", "missing", "unknown", "expired"]


class Bearers:
    """Tokens in the shape of a JWT (three base64url parts), each good for `life_s` seconds."""

    def __init__(self, now: Callable[[], datetime], life_s: int) -> None:
        self.life_s = life_s
        self._now = now
        self._issued: dict[str, datetime] = {}
        self._holders: dict[str, str] = {}

    def issue(self, claims: dict[str, object], holder: str = "") -> str:
        """A new token; `holder` is whose credential it was issued for."""
        ends = self._now() + timedelta(seconds=self.life_s)
        parts = [_part({"alg": "RS256", "typ": "JWT"}), _part({**claims, "exp": int(ends.timestamp())})]
        token = ".".join([*parts, secrets.token_urlsafe(32)])
        self._issued[token], self._holders[token] = ends, holder
        return token

    def check(self, authorization: str | None) -> Verdict:
        """What an Authorization header is worth now."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return "missing"
        ends = self._issued.get(token)
        if ends is None:
            return "unknown"
        return "valid" if self._now() < ends else "expired"

    def holder(self, authorization: str | None) -> str:
        """Whose token a header carries; "" for one that was never issued."""
        return self._holders.get((authorization or "").partition(" ")[2], "")

    def revoke_all(self) -> None:
        """Forget every token, as a restart of the issuer would."""
        self._issued.clear()


def _part(content: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
