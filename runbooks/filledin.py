"""A filled-in step in the hands of its verb: its arguments with their types, and what the verb makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from network.located import Fault
from runbooks.language import BookError
from runbooks.scene import Compiled, Moment
from runbooks.unfold import Filled
from runbooks.verbs import VERBS


def arguments(filled: Filled) -> Mapping[str, Any]:
    """A verb's arguments with their types and defaults. Raises BookError."""
    if not filled.step.verb:
        return filled.args
    model = VERBS[filled.step.kind][filled.step.verb].declares.args
    try:
        made: Mapping[str, Any] = model.model_validate(dict(filled.args)).model_dump(mode="json", by_alias=True)
    except ValidationError as error:
        where = f"{filled.step.id}.with"
        raise BookError(
            [
                Fault("plan", ".".join([where, *map(str, e["loc"])]), f"{e['input']!r}: {e['msg']}")
                for e in error.errors()
            ]
        ) from error
    return made


def compiled(filled: Filled, moment: Moment) -> Compiled:
    """What its verb makes of it now; nothing, of a step without one. Raises BookError, CannotPlan, reading errors."""
    if not filled.step.verb:
        return Compiled()
    made: Compiled = VERBS[filled.step.kind][filled.step.verb].compile(moment, arguments(filled))
    return made
