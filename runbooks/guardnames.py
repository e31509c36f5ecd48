"""The guards that a book may name, and what feeds each."""

from __future__ import annotations

from collections.abc import Mapping

from runbooks.declares import System

GUARDS_READ: Mapping[str, frozenset[System]] = {
    "usable-domains": frozenset({"routers", "megaport", "azure", "aws"}),
    "survivor-load": frozenset({"routers", "megaport"}),
    "survivor-loss": frozenset({"routers", "probes"}),
    "no-ot-overlap": frozenset({"routers", "azure", "aws"}),
    "symmetry": frozenset({"routers", "azure", "aws"}),
    "no-fresh-flap": frozenset({"routers"}),
    "no-maintenance": frozenset({"megaport", "azure", "aws"}),
}
GUARD_NAMES: tuple[str, ...] = tuple(GUARDS_READ)
