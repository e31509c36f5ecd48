"""The lab's keeper of keys: one of each operator, made anew with the lab, which never leaves it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lab.errors import UnknownThing

OPERATORS = ("alice", "bob", "carol")


class Keys:
    """As a transit secrets engine would keep them: asked for a signature, never for a key."""

    def __init__(self, operators: Sequence[str] = OPERATORS) -> None:
        self._keys = {name: Ed25519PrivateKey.generate() for name in operators}

    async def sign(self, who: str, statement: str) -> dict[str, Any]:
        """The signature over `statement` (base64), and the public key that proves it, both base64."""
        if who not in self._keys:
            raise UnknownThing(f"the lab keeps no key of {who!r}; allowed: {', '.join(self._keys)}")
        key, said = self._keys[who], base64.b64decode(statement, validate=True)
        public = key.public_key().public_bytes_raw()
        return {"key": base64.b64encode(public).decode(), "sig": base64.b64encode(key.sign(said)).decode()}
