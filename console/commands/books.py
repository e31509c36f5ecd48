"""`runbooks`, `lint` and `schema`: what can be run, whether a book is sound. No network is asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from console.exits import Exit
from console.fail import UsageError
from console.sites import choose
from console.status import SCHEMA
from network.inventory import Site
from network.located import Fault
from network.sitecheck import nearest
from runbooks import bookschema
from runbooks.book import faults, names, opened, shipped
from runbooks.language import Book, BookError
from runbooks.verbs import VERBS

_SCHEMAS = ("runbook", "site")


def runbooks(*, as_json: bool) -> Exit:
    """The catalogue."""
    books = [shipped(name) for name in names()]
    if as_json:
        print(json.dumps({"schema": SCHEMA, "runbooks": [_document(book) for book in books]}, indent=1))
        return Exit.OK
    for book in books:
        words = " ".join(f"{name}=" for name in book.parameters)
        print(f"{f'{book.runbook} {words}':<28} {book.risk:<15} {book.title}")
    return Exit.OK


def lint(files: Sequence[Path], site_file: Path | None) -> Exit:
    """Every fault of all files, one on a line; 2 when there is any."""
    site = choose(site_file).site if site_file else None
    for broken in VERBS.broken.values():
        print(f"interlock: {broken}", file=sys.stderr)
    wrong = [fault for file in files for fault in _faults(file, site)]
    for fault in wrong:
        print(fault)
    print(f"interlock: {len(files)} linted, {len(wrong)} faults", file=sys.stderr)
    return Exit.USAGE if wrong else Exit.OK


def schema(what: str) -> Exit:
    """Print the JSON Schema of the site file or of a runbook."""
    if what not in _SCHEMAS:
        raise UsageError(f"schema: {what!r} is not known; {nearest(what, _SCHEMAS)}")
    made = bookschema.schema() if what == "runbook" else Site.model_json_schema(by_alias=True)
    print(json.dumps(made, indent=1))
    return Exit.OK


def _faults(file: Path, site: Site | None) -> list[Fault]:
    try:
        text, shelf = opened(file)
    except BookError as error:
        return list(error.faults)
    return faults(text, str(file), shelf, site)


def _document(book: Book) -> dict[str, Any]:
    return {
        "name": book.runbook,
        "title": book.title,
        "purpose": book.purpose.strip(),
        "parameters": [
            {
                "name": name,
                "type": parameter.type,
                "required": parameter.required and parameter.default is None,
                "default": parameter.default,
                "help": parameter.help,
            }
            for name, parameter in book.parameters.items()
        ],
        "risk": book.risk,
        "undoes": book.undoes,
    }
