"""The guards that a book may name, and what each reads: what the language and lint need of runbooks/guards."""

from __future__ import annotations

from collections.abc import Mapping

from runbooks.declares import System
from runbooks.guards.registry import GUARDS

GUARDS_READ: Mapping[str, frozenset[System]] = {name: guard.declares.reads for name, guard in GUARDS.items()}
GUARD_NAMES: tuple[str, ...] = tuple(GUARDS)
