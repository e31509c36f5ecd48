"""Options that several commands take, each with its one meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console import completion

SiteFile = Annotated[Path | None, typer.Option("--site", help="Site file; else INTERLOCK_SITE, config, the lab.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
Plain = Annotated[bool, typer.Option("--plain", help="Text without escape codes.")]
As = Annotated[str | None, typer.Option("--as", help="The lab's operator: alice, bob or carol. Lab only.")]
Within = Annotated[
    str | None, typer.Option("--within", help="Wait until every source has answered well, at most so long: 30s.")
]
Routers = Annotated[str, typer.Option("--routers", help="embedded or frr (Linux, root, FRR installed).")]
Write = Annotated[bool, typer.Option("--write", help="Allow changes. Without it everything is read-only.")]
Change = Annotated[str | None, typer.Option("--change", help="The ServiceNow change this run belongs to.")]
Prompt = Annotated[bool, typer.Option("--prompt", help="Ask line by line.")]
Yes = Annotated[bool, typer.Option("--yes", help="Confirm what one operator may confirm.")]
Words = Annotated[list[str] | None, typer.Argument(help="key=value …", autocompletion=completion.words)]
Book = Annotated[str, typer.Argument(help="A runbook by name, or its file.", autocompletion=completion.books)]
JournalAt = Annotated[
    str | None, typer.Option("--journal", help="postgresql://… or a file; else INTERLOCK_JOURNAL, config, our own.")
]


def how(*, prompt: bool, yes: bool) -> str | None:
    """Who answers: "prompt", "yes", or whoever sits at the terminal."""
    if prompt and yes:
        raise typer.BadParameter("--prompt and --yes exclude each other")
    return "prompt" if prompt else "yes" if yes else None
