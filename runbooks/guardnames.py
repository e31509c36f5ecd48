"""The guards that a book may name."""

from __future__ import annotations

from runbooks.guards.registry import GUARDS

GUARD_NAMES: tuple[str, ...] = tuple(GUARDS)
