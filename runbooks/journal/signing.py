"""Signatures over entries: an approval says by its key who gave it, where a login alone would not.

Signed is what the person says, before it has a place in the log: whoever keeps the key may be a network away, and no
lock is held meanwhile. Its place is the chain's. The public key stands in the entry; whose it is, the keeper of the
keys says.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from runbooks.journal.records import canonical

ALGORITHM = "ed25519"
SIGNED = frozenset({"cmd.approve"})


@dataclass(frozen=True, slots=True)
class Signature:
    """Both base64: the public key's 32 bytes and the signature's 64."""

    key: str
    sig: str


class Signer(Protocol):
    """Has one person's key, or asks whoever keeps it."""

    async def sign(self, statement: bytes) -> Signature:
        """Raises what asking may raise: then nothing is written."""
        ...


def statement(run_id: str, uid: str, kind: str, actor: str, step: str | None, data: Mapping[str, Any]) -> bytes:
    """What is signed of an entry: who says what, of which run and step, in which one entry."""
    said = {name: value for name, value in data.items() if name != "signer"}
    return canonical([run_id, uid, kind, actor, step, said]).encode()


def signer_data(signed: Signature) -> Mapping[str, str]:
    """What an entry says of who signed it."""
    return {"algorithm": ALGORITHM, "key": signed.key}


def bad_signature(data: Mapping[str, Any], said: bytes, sig: str | None) -> str:
    """Say what is wrong with an entry's signature; empty: it holds, or the entry claims none."""
    claimed = data.get("signer")
    if claimed is None:
        return "" if sig is None else "it is signed by nobody whom it names"
    if sig is None:
        return "its signature is missing"
    return "" if _holds(claimed, said, sig) else "its signature is not by the key that it names"


def _holds(claimed: Any, said: bytes, sig: str) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(claimed["key"], validate=True))
        key.verify(base64.b64decode(sig, validate=True), said)
    except (InvalidSignature, ValueError, KeyError, TypeError):
        return False
    return True
