"""What every part of the site file is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)]
Asn = Annotated[int, Field(ge=1, le=4294967295)]
Mbps = Annotated[int, Field(gt=0)]


class Record(BaseModel):
    """A frozen part of the site file; unknown keys are refused so that a typing error is never silent."""

    model_config = ConfigDict(frozen=True, extra="forbid")
