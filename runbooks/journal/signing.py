"""Signatures over entries: an approval says by its key who gave it, where a login alone would not.

The public key stands in the entry that it signs, under the hash. Whose key it is, the keeper of the keys says.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ALGORITHM = "ed25519"
SIGNED = frozenset({"cmd.approve"})


class Signer(Protocol):
    """Holds one person's key. It is asked within a transaction, so it answers at once."""

    @property
    def public_key(self) -> str:
        """Base64 of the 32 bytes."""
        ...

    def sign(self, digest: bytes) -> str:
        """Return base64 of the signature."""
        ...


class KeySigner:
    """A key in this process's memory: the lab's, and the tests'."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @property
    def public_key(self) -> str:
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, digest: bytes) -> str:
        return base64.b64encode(self._key.sign(digest)).decode()


def signer_data(signer: Signer) -> Mapping[str, str]:
    """What an entry says of who signs it."""
    return {"algorithm": ALGORITHM, "key": signer.public_key}


def bad_signature(data: Mapping[str, Any], digest: str, sig: str | None) -> str:
    """Say what is wrong with an entry's signature; empty: it holds, or the entry claims none."""
    claimed = data.get("signer")
    if claimed is None:
        return "" if sig is None else "it is signed by nobody whom it names"
    if sig is None:
        return "its signature is missing"
    return "" if _holds(claimed, digest, sig) else "its signature is not by the key that it names"


def _holds(claimed: Any, digest: str, sig: str) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(claimed["key"], validate=True))
        key.verify(base64.b64decode(sig, validate=True), digest.encode())
    except (InvalidSignature, ValueError, KeyError, TypeError):
        return False
    return True
