"""Every verb that a runbook may use, by kind and name."""

from __future__ import annotations

from typing import Any

from runbooks.actions.prefer_standby import PreferStandby
from runbooks.checks.port_empty import PortEmpty
from runbooks.checks.restored import Restored
from runbooks.checks.standby_carries import StandbyCarries
from runbooks.checks.survivors_ready import SurvivorsReady

VERBS: dict[str, dict[str, Any]] = {
    "act": {"prefer-standby": PreferStandby()},
    "check": {"survivors-ready": SurvivorsReady(), "standby-carries": StandbyCarries(), "restored": Restored()},
    "wait": {"port-empty": PortEmpty()},
}

#: Major version of each action: a console that lacks one may follow a run and not drive it.
ACTIONS = {"prefer-standby": 1}
