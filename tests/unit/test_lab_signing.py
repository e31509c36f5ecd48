"""The lab's keeper of keys: each operator's signature proves itself by that operator's key, and nobody else has one."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lab.errors import UnknownThing
from lab.signing import Keys

SAID = b"bob approves step 2 of R-1"


async def test_each_has_a_key_that_stays_and_proves_what_was_said() -> None:
    keys, said = Keys(), base64.b64encode(SAID).decode()
    bobs, again, alices = [await keys.sign(who, said) for who in ("bob", "bob", "alice")]
    assert bobs == again
    assert bobs["key"] != alices["key"]
    Ed25519PublicKey.from_public_bytes(base64.b64decode(bobs["key"])).verify(base64.b64decode(bobs["sig"]), SAID)


async def test_nobody_else_has_one() -> None:
    with pytest.raises(UnknownThing, match=r"no key of 'mallory'; allowed: alice, bob, carol"):
        await Keys().sign("mallory", "")
