"""The command line. Imports nothing heavy: each command imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.exits import Exit

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
lab = typer.Typer(help="The reference site, alive on loopback.", no_args_is_help=True, rich_markup_mode=None)
change = typer.Typer(help="Changes in the lab's ServiceNow.", no_args_is_help=True, rich_markup_mode=None)
site = typer.Typer(help="The site file.", no_args_is_help=True, rich_markup_mode=None)
journal = typer.Typer(help="The run journal.", no_args_is_help=True, rich_markup_mode=None)
lab.add_typer(change, name="change")
app.add_typer(lab, name="lab")
app.add_typer(site, name="site")
app.add_typer(journal, name="journal")

SiteFile = Annotated[Path | None, typer.Option("--site", help="Site file; else INTERLOCK_SITE, config, the lab.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
Plain = Annotated[bool, typer.Option("--plain", help="Text without escape codes.")]
As = Annotated[str | None, typer.Option("--as", help="The lab's operator: alice, bob or carol. Lab only.")]
Routers = Annotated[str, typer.Option("--routers", help="embedded or frr (Linux, root, FRR installed).")]
Write = Annotated[bool, typer.Option("--write", help="Allow changes. Without it everything is read-only.")]
Change = Annotated[str | None, typer.Option("--change", help="The ServiceNow change this run belongs to.")]
Prompt = Annotated[bool, typer.Option("--prompt", help="Ask line by line.")]
Yes = Annotated[bool, typer.Option("--yes", help="Confirm what one operator may confirm.")]
Words = Annotated[list[str] | None, typer.Argument(help="key=value …")]


@app.callback()
def root(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    site_file: SiteFile = None,
    write: Write = False,
    operator: As = None,
) -> None:
    """Without a command: the console, read-only unless --write."""
    if version:
        from importlib.metadata import version as installed

        print(f"interlock {installed('interlock')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        from console.commands.screen import console

        raise typer.Exit(console(site_file, write=write, operator=operator))


@app.command()
def status(
    *, site_file: SiteFile = None, as_json: Json = False, plain: Plain = False, watch: bool = False, operator: As = None
) -> None:
    """Verdict per cloud and path."""
    from console.commands.status import status as run

    raise typer.Exit(run(site_file, as_json=as_json, plain=plain, watch=watch, operator=operator))


@app.command()
def paths(
    name: Annotated[str | None, typer.Argument()] = None,
    *,
    site_file: SiteFile = None,
    as_json: Json = False,
    operator: As = None,
) -> None:
    """The path table, or one path with its layers, evidence and ages."""
    from console.commands.status import paths as run

    raise typer.Exit(run(site_file, name, as_json=as_json, operator=operator))


@app.command()
def sessions(
    name: Annotated[str | None, typer.Argument()] = None,
    *,
    site_file: SiteFile = None,
    as_json: Json = False,
    operator: As = None,
) -> None:
    """The BGP sessions as our routers see them."""
    from console.commands.status import sessions as run

    raise typer.Exit(run(site_file, name, as_json=as_json, operator=operator))


@site.command("check")
def site_check(file: Path) -> None:
    """Validate a site file: every fault with its line, value and the nearest valid name."""
    from console.commands.site import check

    raise typer.Exit(check(file))


@app.command()
def schema(what: Annotated[str, typer.Argument(help="site")]) -> None:
    """The JSON Schema for an editor."""
    from console.commands.site import schema as run

    raise typer.Exit(run(what))


@app.command()
def demo(*, routers: Routers = "embedded", write: Write = False, operator: As = None) -> None:
    """Lab and console in one, nothing to configure, cleaned up on exit."""
    from console.commands.screen import demo as run

    raise typer.Exit(run(routers=routers, write=write, operator=operator))


@app.command()
def plan(
    book: str, words: Words = None, *, site_file: SiteFile = None, as_json: Json = False, operator: As = None
) -> None:
    """The compiled plan: exact commands, expected results, undo, hash. Changes nothing."""
    from console.commands.runs import plan as run_it

    raise typer.Exit(run_it(book, words or [], site_file, as_json=as_json, operator=operator))


@app.command()
def run(
    book: str,
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
) -> None:
    """Run a runbook under a change."""
    from console.commands.runs import run as run_it

    code = run_it(
        book,
        words or [],
        site_file,
        change=change_number,
        write=write,
        how=_how(prompt=prompt, yes=yes),
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
) -> None:
    """Put back exactly what a run changed. Never gated."""
    from console.commands.runs import rollback as run_it

    how = _how(prompt=prompt, yes=yes)
    code = run_it(run_id, site_file, change=change_number, write=write, how=how, as_json=as_json, operator=operator)
    raise typer.Exit(code)


def _how(*, prompt: bool, yes: bool) -> str | None:
    if prompt and yes:
        raise typer.BadParameter("--prompt and --yes exclude each other")
    return "prompt" if prompt else "yes" if yes else None


@app.command()
def runs(*, as_json: Json = False) -> None:
    """Past and open runs, newest first."""
    from console.commands.runs import runs as list_them

    raise typer.Exit(list_them(as_json=as_json))


@app.command()
def show(run_id: str, *, as_json: Json = False) -> None:
    """One run: state, steps, evidence."""
    from console.commands.runs import show as show_it

    raise typer.Exit(show_it(run_id, as_json=as_json))


@app.command()
def report(run_id: str) -> None:
    """One run as Markdown."""
    from console.commands.runs import report as print_it

    raise typer.Exit(print_it(run_id))


@journal.command("verify")
def journal_verify(run_id: Annotated[str | None, typer.Argument()] = None, *, as_json: Json = False) -> None:
    """Check the hash chain of one run or all; names the first bad entry."""
    from console.commands.runs import verify

    raise typer.Exit(verify(run_id, as_json=as_json))


@app.command()
def screenshots(*, folder: Annotated[Path, typer.Option("--folder")] = Path("screenshots")) -> None:
    """Regenerate the pictures in screenshots/ from the lab."""
    from console.commands.screenshots import screenshots as make_them

    raise typer.Exit(make_them(folder))


@lab.command("up")
def lab_up(*, routers: Routers = "embedded", detach: Annotated[bool, typer.Option("--detach")] = False) -> None:
    """Start the reference site; returns (or goes on in the foreground) when every session is Established."""
    from console.commands.lab import up

    raise typer.Exit(up(routers=routers, detach=detach))


@lab.command("down")
def lab_down() -> None:
    """Stop the lab; nothing is left behind."""
    from console.commands.lab import down

    raise typer.Exit(down())


@lab.command("status")
def lab_status(*, as_json: Json = False) -> None:
    """What runs, where, and what is broken on purpose."""
    from console.commands.lab import lab_status as run

    raise typer.Exit(run(as_json=as_json))


@lab.command("fail")
def lab_fail(
    thing: str,
    *,
    silent: Annotated[bool, typer.Option("--silent", help="Layer 1 stays up, frames vanish.")] = False,
    oneway: Annotated[bool, typer.Option("--oneway", help="Only towards us.")] = False,
    supernet: Annotated[bool, typer.Option("--supernet", help="ot-leak: 10.0.0.0/8.")] = False,
    fault: Annotated[str | None, typer.Option("--fault", help="down, hang, slow, 429, 500, garbage, sealed.")] = None,
) -> None:
    """Break a thing of the network, or a system with --fault."""
    from console.commands.lab import fail

    raise typer.Exit(fail(thing, silent=silent, oneway=oneway, supernet=supernet, fault=fault))


@lab.command("heal")
def lab_heal(thing: Annotated[str | None, typer.Argument()] = None) -> None:
    """Mend one thing, or everything."""
    from console.commands.lab import heal

    raise typer.Exit(heal(thing))


@lab.command("ledger")
def lab_ledger(*, as_json: Json = False) -> None:
    """What the lab's systems saw written: the outside truth."""
    from console.commands.lab import ledger

    raise typer.Exit(ledger(as_json=as_json))


@lab.command("traffic")
def lab_traffic(
    *,
    reset: Annotated[bool, typer.Option("--reset", help="Count anew.")] = False,
    as_json: Json = False,
) -> None:
    """What became of the plant's own packets, 200 a second to each cloud (real routers only)."""
    from console.commands.lab import traffic

    raise typer.Exit(traffic(reset=reset, as_json=as_json))


@change.command("new")
def change_new(
    *,
    ci: Annotated[list[str] | None, typer.Option("--ci")] = None,
    window: Annotated[int, typer.Option("--window", help="Minutes from now.")] = 120,
    state: Annotated[str, typer.Option("--state")] = "implement",
) -> None:
    """Make a change; prints its number."""
    from console.commands.lab import change_new as run

    raise typer.Exit(run(ci or [], window, state))


@change.command("set")
def change_set(number: str, fields: Annotated[list[str], typer.Argument(help="field=value …")]) -> None:
    """Force fields of a change."""
    from console.commands.lab import change_set as run

    raise typer.Exit(run(number, fields))


@change.command("show")
def change_show(number: str, *, as_json: Json = False) -> None:
    """A change with its notes, tasks and attachments."""
    from console.commands.lab import change_show as run

    raise typer.Exit(run(number, as_json=as_json))


def main() -> None:
    """Entry point: usage errors and named errors end with their exit code and one clear message."""
    from console.fail import guarded, leave

    leave(guarded(app))


__all__ = ["Exit", "app", "main"]
