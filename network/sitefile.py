"""Reading a site file: YAML to `Site`, with file:line, the value and the nearest valid name for each fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath

from pydantic import ValidationError

from network.inventory import Site
from network.located import Fault, Located, NotYaml, reason
from network.sitecheck import references, values, warnings


class SiteError(Exception):
    """The site file cannot be used. `faults` lists everything that is wrong, each with its line."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in faults))


@dataclass(frozen=True)
class SiteFile:
    """A valid site, what is unwise in it (warnings), and the text it came from."""

    site: Site
    warnings: tuple[Fault, ...]
    text: str


def load(text: str, source: PurePath | str = "site file") -> SiteFile:
    """Parse and check a site file. Raises SiteError with every fault found."""
    try:
        lines = Located(text, str(source))
        site = Site.model_validate(lines.document)
    except NotYaml as error:
        raise SiteError([error.fault]) from None
    except ValidationError as error:
        raise SiteError([lines.fault(e["loc"], reason(e, _schema)) for e in error.errors()]) from None
    faults = [lines.fault(at, what) for at, what in [*references(site), *values(site)]]
    if faults:
        raise SiteError(faults)
    return SiteFile(site, tuple(lines.fault(at, what) for at, what in warnings(site)), text)


@cache
def _schema() -> dict[str, object]:
    return Site.model_json_schema(by_alias=True)
