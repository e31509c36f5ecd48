"""What a verb declares about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel

VerbKind = Literal["check", "wait_until", "measure", "act"]
#: What a verb reads or writes: a family of systems, as the status sources name their kinds.
System = Literal["routers", "megaport", "azure", "aws", "probes", "servicenow", "vault"]


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a verb says of itself, so that lint, plan and journal need not trust its code.

    `args` is the model of what a book may give it. `undoes`: an act's effect has a scoped inverse; without one every
    step that uses it must be `irreversible`. `idempotent`: sent twice it leaves what it leaves sent once.
    `version` is the major version: a console that lacks it may follow a run and not drive it.
    """

    name: str
    kind: VerbKind
    args: type[BaseModel]
    reads: frozenset[System] = field(default_factory=frozenset)
    writes: frozenset[System] = field(default_factory=frozenset)
    undoes: bool = False
    idempotent: bool = True
    version: int = 1
