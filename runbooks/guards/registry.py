"""Every guard that a runbook may name, and a guard as written made exact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from network.sitecheck import nearest
from runbooks.guards.boundaries import NO_OT_OVERLAP, SYMMETRY
from runbooks.guards.domains import USABLE_DOMAINS
from runbooks.guards.facts import Guard
from runbooks.guards.survivors import NO_FRESH_FLAP, NO_MAINTENANCE, SURVIVOR_LOAD, SURVIVOR_LOSS
from runbooks.model import GuardDef

SHIPPED: tuple[Guard, ...] = (
    USABLE_DOMAINS,
    SURVIVOR_LOAD,
    SURVIVOR_LOSS,
    NO_OT_OVERLAP,
    SYMMETRY,
    NO_FRESH_FLAP,
    NO_MAINTENANCE,
)
GUARDS: Mapping[str, Guard] = {guard.declares.name: guard for guard in SHIPPED}


class UnfitGuard(ValueError):
    """A guard cannot be used as written; the message names it, its argument, and what is allowed."""


def exact(written: Mapping[str, Any]) -> GuardDef:
    """A guard as a book writes it, with what the book leaves out from its declaration. Raises UnfitGuard.

    The keys are `name`, and if wanted `with`, `policy`, `k`, `n`.
    """
    name = str(written.get("name", ""))
    guard = GUARDS.get(name)
    if guard is None:
        raise UnfitGuard(f"{name!r} is no guard; {nearest(name, GUARDS)}")
    said = guard.declares
    try:
        made = GuardDef.model_validate({"policy": said.policy, "k": said.k, "n": said.n, **written})
        said.args.model_validate(made.args)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UnfitGuard(f"guard {name}: {faults}; it takes {_allowed(guard)}") from error
    if made.k > made.n:
        raise UnfitGuard(f"guard {name}: {made.k} of {made.n} samples can never be; give k of at most n")
    return made


def _allowed(guard: Guard) -> str:
    return ", ".join(guard.declares.args.model_fields) or "no arguments"
