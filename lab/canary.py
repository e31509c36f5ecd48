"""Secrets that the lab's systems show where the real ones do, so that a leak of them can be found by searching.

They are the same on every run and open nothing.
"""

from __future__ import annotations

import hashlib
from uuid import NAMESPACE_OID, uuid5


def canary(kind: str, name: str) -> str:
    """A secret-looking value of 32 characters for one field of one thing."""
    return f"canary-{hashlib.sha256(f'{kind} {name}'.encode()).hexdigest()[:25]}"


def canary_guid(kind: str, name: str) -> str:
    """The same where the field is a GUID, such as an ExpressRoute service key."""
    return str(uuid5(NAMESPACE_OID, f"interlock canary {kind} {name}"))
