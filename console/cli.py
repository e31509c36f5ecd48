"""The command line. Imports nothing heavy: each command imports what it needs when it runs."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated

import typer

from console.cli_lab import lab
from console.cli_orders import app as orders
from console.exits import Exit
from console.journals import use_journal
from console.options import (
    As,
    Book,
    Change,
    JournalAt,
    Json,
    Plain,
    Prompt,
    Routers,
    SiteFile,
    Within,
    Words,
    Write,
    Yes,
    how,
)

#: Python looks for garbage each 700 objects: that was a tenth of a cold `status`, while imports make what stays.
RARELY = (100_000, 50, 100)

app = typer.Typer(
    name="interlock",
    help="A console for failover operations: live paths, gated runbooks, proof.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=True,
    invoke_without_command=True,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
site = typer.Typer(help="The site file.", no_args_is_help=True, rich_markup_mode=None)
journal = typer.Typer(help="The run journal.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(lab, name="lab")
app.add_typer(site, name="site")
app.add_typer(journal, name="journal")
app.add_typer(orders)


@app.callback()
def root(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    site_file: SiteFile = None,
    write: Write = False,
    operator: As = None,
    journal_at: JournalAt = None,
) -> None:
    """Without a command: the console, read-only unless --write."""
    use_journal(journal_at)
    if version:
        from importlib.metadata import version as installed

        print(f"interlock {installed('interlock')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        from console.commands.screen import console

        raise typer.Exit(console(site_file, write=write, operator=operator))


@app.command()
def status(
    *,
    site_file: SiteFile = None,
    as_json: Json = False,
    plain: Plain = False,
    watch: bool = False,
    operator: As = None,
    within: Within = None,
) -> None:
    """Verdict per cloud and path."""
    from console.commands.status import status as run

    raise typer.Exit(run(site_file, as_json=as_json, plain=plain, watch=watch, operator=operator, within=within))


@app.command()
def paths(
    name: Annotated[str | None, typer.Argument()] = None,
    *,
    site_file: SiteFile = None,
    as_json: Json = False,
    operator: As = None,
    trace: Annotated[bool, typer.Option("--trace", help="Ask the path's router for its hops now.")] = False,
    within: Within = None,
) -> None:
    """The path table, or one path with its layers, evidence and ages."""
    from console.commands.status import paths as run

    raise typer.Exit(run(site_file, name, as_json=as_json, operator=operator, trace=trace, within=within))


@app.command()
def sessions(
    name: Annotated[str | None, typer.Argument()] = None,
    *,
    site_file: SiteFile = None,
    as_json: Json = False,
    operator: As = None,
    within: Within = None,
) -> None:
    """The BGP sessions as our routers see them."""
    from console.commands.status import sessions as run

    raise typer.Exit(run(site_file, name, as_json=as_json, operator=operator, within=within))


@app.command()
def routes(
    name: Annotated[str | None, typer.Argument(help="A destination, path or session.")] = None,
    *,
    site_file: SiteFile = None,
    as_json: Json = False,
    operator: As = None,
    within: Within = None,
) -> None:
    """By destination: the chosen path, its candidates and why, and the cloud's way back."""
    from console.commands.routes import routes as run

    raise typer.Exit(run(site_file, name, as_json=as_json, operator=operator, within=within))


@app.command()
def forecast(
    action: Annotated[str, typer.Argument(help="fail or drain")],
    things: Annotated[list[str], typer.Argument(help="THING …, or A+B: all at once.")],
    *,
    site_file: SiteFile = None,
    as_json: Json = False,
    operator: As = None,
    within: Within = None,
) -> None:
    """What would carry what, which address space moves or is lost, load on the survivors."""
    from console.commands.forecast import foretell

    raise typer.Exit(foretell(site_file, action, things, as_json=as_json, operator=operator, within=within))


@app.command()
def calendar(*, site_file: SiteFile = None, as_json: Json = False, operator: As = None, within: Within = None) -> None:
    """What providers and we ourselves plan, and what overlaps to harm."""
    from console.commands.calendar import calendar as run

    raise typer.Exit(run(site_file, as_json=as_json, operator=operator, within=within))


@app.command()
def leftovers(
    *, site_file: SiteFile = None, as_json: Json = False, operator: As = None, journal_at: JournalAt = None
) -> None:
    """What is still in place that should not be: which run made it, and the lines that put it back."""
    use_journal(journal_at)
    from console.commands.leftovers import leftovers as run

    raise typer.Exit(run(site_file, as_json=as_json, operator=operator))


@site.command("check")
def site_check(file: Path) -> None:
    """Validate a site file: every fault with its line, value and the nearest valid name."""
    from console.commands.site import check

    raise typer.Exit(check(file))


@app.command()
def schema(what: Annotated[str, typer.Argument(help="runbook or site")]) -> None:
    """The JSON Schema for an editor."""
    from console.commands.books import schema as run

    raise typer.Exit(run(what))


@app.command()
def runbooks(*, as_json: Json = False) -> None:
    """The runbooks that can be planned and run, with their parameters."""
    from console.commands.books import runbooks as run_it

    raise typer.Exit(run_it(as_json=as_json))


@app.command()
def lint(
    files: Annotated[list[Path], typer.Argument(help="Runbooks: YAML files.")], *, site_file: SiteFile = None
) -> None:
    """Check runbooks without running them: every fault with its file, line and column. With a site, its sources too."""
    from console.commands.books import lint as run_it

    raise typer.Exit(run_it(files, site_file))


@app.command()
def demo(
    *, routers: Routers = "embedded", write: Write = False, operator: As = None, journal_at: JournalAt = None
) -> None:
    """Lab and console in one, nothing to configure, cleaned up on exit."""
    use_journal(journal_at)
    from console.commands.screen import demo as run

    raise typer.Exit(run(routers=routers, write=write, operator=operator))


@app.command()
def plan(
    book: Book, words: Words = None, *, site_file: SiteFile = None, as_json: Json = False, operator: As = None
) -> None:
    """The compiled plan: exact commands, expected results, undo, hash. Changes nothing."""
    from console.commands.runs import plan as run_it

    raise typer.Exit(run_it(book, words or [], site_file, as_json=as_json, operator=operator))


@app.command()
def run(
    book: Book,
    words: Words = None,
    *,
    change_number: Change = None,
    write: Write = False,
    prompt: Prompt = False,
    yes: Yes = False,
    plan_hash: Annotated[str | None, typer.Option("--plan-hash", help="Run only this very plan.")] = None,
    site_file: SiteFile = None,
    as_json: Json = False,
    operator: As = None,
    journal_at: JournalAt = None,
) -> None:
    """Run a runbook under a change."""
    use_journal(journal_at)
    from console.commands.runs import run as run_it

    code = run_it(
        book,
        words or [],
        site_file,
        change=change_number,
        write=write,
        how=how(prompt=prompt, yes=yes),
        plan_hash=plan_hash,
        as_json=as_json,
        operator=operator,
    )
    raise typer.Exit(code)


@app.command()
def rollback(
    run_id: str,
    *,
    change_number: Change = None,
    write: Write = False,
    prompt: Prompt = False,
    yes: Yes = False,
    site_file: SiteFile = None,
    as_json: Json = False,
    operator: As = None,
    journal_at: JournalAt = None,
) -> None:
    """Put back exactly what a run changed. Never gated."""
    use_journal(journal_at)
    from console.commands.runs import rollback as run_it

    code = run_it(
        run_id,
        site_file,
        change=change_number,
        write=write,
        how=how(prompt=prompt, yes=yes),
        as_json=as_json,
        operator=operator,
    )
    raise typer.Exit(code)


@app.command()
def runs(*, as_json: Json = False, journal_at: JournalAt = None) -> None:
    """Past and open runs, newest first."""
    use_journal(journal_at)
    from console.commands.past import runs as list_them

    raise typer.Exit(list_them(as_json=as_json))


@app.command()
def show(run_id: str, *, as_json: Json = False, journal_at: JournalAt = None) -> None:
    """One run: state, steps, evidence."""
    use_journal(journal_at)
    from console.commands.past import show as show_it

    raise typer.Exit(show_it(run_id, as_json=as_json))


@app.command()
def report(run_id: str, *, journal_at: JournalAt = None) -> None:
    """One run as Markdown."""
    use_journal(journal_at)
    from console.commands.past import report as print_it

    raise typer.Exit(print_it(run_id))


@journal.command("verify")
def journal_verify(
    run_id: Annotated[str | None, typer.Argument()] = None,
    *,
    head: Annotated[str | None, typer.Option("--head", help="The run's head as its ticket or report has it.")] = None,
    as_json: Json = False,
    journal_at: JournalAt = None,
) -> None:
    """Check the hash chain of one run or all; names the first bad entry."""
    use_journal(journal_at)
    from console.commands.past import verify

    raise typer.Exit(verify(run_id, head, as_json=as_json))


@app.command()
def screenshots(*, folder: Annotated[Path, typer.Option("--folder")] = Path("screenshots")) -> None:
    """Regenerate the pictures in screenshots/ from the lab."""
    from console.commands.screenshots import screenshots as make_them

    raise typer.Exit(make_them(folder))


def main() -> None:
    """Entry point: usage errors and named errors end with their exit code and one clear message."""
    from console.fail import guarded, leave

    gc.set_threshold(*RARELY)
    leave(guarded(app))


__all__ = ["Exit", "app", "main"]
