"""The guards that a book may name."""

from __future__ import annotations

GUARD_NAMES: tuple[str, ...] = (
    "usable-domains",
    "survivor-load",
    "survivor-loss",
    "no-ot-overlap",
    "symmetry",
    "no-fresh-flap",
    "no-maintenance",
)
