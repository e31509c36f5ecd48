"""`site check` and `schema site`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from console.exits import Exit
from console.fail import UsageError
from network.inventory import Site
from network.sitefile import load


def check(file: Path) -> Exit:
    """Print what is wrong or unwise; 2 when the file cannot be used."""
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot be read: {error}") from error
    found = load(text, str(file))
    for warning in found.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    site = found.site
    counts = f"{len(site.paths)} paths to {len(site.clouds)} clouds, {len(found.warnings)} warnings"
    print(f"{file}: site {site.name}, {counts}")
    return Exit.OK


def schema(what: str) -> Exit:
    """Print the JSON Schema of the site file."""
    if what != "site":
        raise UsageError(f"schema: {what!r} is not known; allowed: site")
    print(json.dumps(Site.model_json_schema(by_alias=True), indent=1))
    return Exit.OK
