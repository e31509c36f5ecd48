"""`site check`."""

from __future__ import annotations

import sys
from pathlib import Path

from console.exits import Exit
from console.fail import UsageError
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
