"""Every verb that a runbook may use, by kind and name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runbooks.actions.prefer_standby import PreferStandby
from runbooks.checks.port_empty import PortEmpty
from runbooks.checks.restored import Restored
from runbooks.checks.standby_carries import StandbyCarries
from runbooks.checks.survivors_ready import SurvivorsReady

SHIPPED: tuple[Any, ...] = (PreferStandby(), PortEmpty(), Restored(), StandbyCarries(), SurvivorsReady())


def _by_kind() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {"check": {}, "wait_until": {}, "measure": {}, "act": {}}
    for verb in SHIPPED:
        found[verb.declares.kind][verb.declares.name] = verb
    return found


VERBS: Mapping[str, Mapping[str, Any]] = _by_kind()

#: Major version of each action: a console that lacks one may follow a run and not drive it.
ACTIONS = {name: verb.declares.version for name, verb in VERBS["act"].items()}
