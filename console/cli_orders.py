"""The commands that act on a run from any terminal. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated

import typer

from console.journals import use_journal
from console.options import As, JournalAt, Json, Prompt, SiteFile, Write, Yes, how

app = typer.Typer(rich_markup_mode=None)

Run = Annotated[str, typer.Argument(metavar="RUN", help="Its id, as `interlock runs` lists it.")]


@app.command()
def follow(run_id: Run, *, as_json: Json = False, journal_at: JournalAt = None) -> None:
    """A run's entries, past and to come, until it is closed; --json: one document a line."""
    use_journal(journal_at)
    from console.commands.orders import follow as follow_it

    raise typer.Exit(follow_it(run_id, as_json=as_json))


@app.command()
def pause(run_id: Run, *, as_json: Json = False, journal_at: JournalAt = None, operator: As = None) -> None:
    """Hold a run after the atomic group under way."""
    use_journal(journal_at)
    from console.commands.orders import pause as pause_it

    raise typer.Exit(pause_it(run_id, operator=operator, as_json=as_json))


@app.command()
def resume(
    run_id: Run,
    *,
    force: Annotated[bool, typer.Option("--force", help="Take the run from a driver not proven dead.")] = False,
    write: Write = False,
    prompt: Prompt = False,
    yes: Yes = False,
    site_file: SiteFile = None,
    as_json: Json = False,
    journal_at: JournalAt = None,
    operator: As = None,
) -> None:
    """Go on after a pause, or drive on from here what nobody drives."""
    use_journal(journal_at)
    from console.commands.orders import resume as resume_it

    code = resume_it(
        run_id,
        site_file,
        force=force,
        write=write,
        how=how(prompt=prompt, yes=yes),
        operator=operator,
        as_json=as_json,
    )
    raise typer.Exit(code)


@app.command()
def handover(run_id: Run, *, as_json: Json = False, journal_at: JournalAt = None, operator: As = None) -> None:
    """Have its driver end the step under way and let the run go: then anybody may resume it."""
    use_journal(journal_at)
    from console.commands.orders import handover as hand_over

    raise typer.Exit(hand_over(run_id, operator=operator, as_json=as_json))


@app.command()
def abort(
    run_id: Run,
    *,
    write: Write = False,  # noqa: ARG001 -- undoing is never gated, not even by this; but it may be said
    yes: Yes = False,  # noqa: ARG001 -- nothing is asked
    site_file: SiteFile = None,
    as_json: Json = False,
    journal_at: JournalAt = None,
    operator: As = None,
) -> None:
    """Undo everything that a run did. Never gated; asked twice is asked once."""
    use_journal(journal_at)
    from console.commands.orders import abort as abort_it

    raise typer.Exit(abort_it(run_id, site_file, operator=operator, as_json=as_json))


@app.command()
def abandon(
    run_id: Run, *, site_file: SiteFile = None, as_json: Json = False, journal_at: JournalAt = None, operator: As = None
) -> None:
    """Give a run up as it stands; `approve RUN abandon` by a second person closes it and frees its locks."""
    use_journal(journal_at)
    from console.commands.orders import abandon as abandon_it

    raise typer.Exit(abandon_it(run_id, site_file, operator=operator, as_json=as_json))


@app.command()
def approve(
    run_id: Run,
    step: Annotated[str, typer.Argument(metavar="STEP", help="The step, or `abandon`.")],
    *,
    site_file: SiteFile = None,
    as_json: Json = False,
    journal_at: JournalAt = None,
    operator: As = None,
) -> None:
    """Approve a step as a second person; shows what is approved."""
    use_journal(journal_at)
    from console.commands.orders import approve as approve_it

    raise typer.Exit(approve_it(run_id, step, site_file, operator=operator, as_json=as_json))


@app.command()
def review(
    run_id: Run, *, site_file: SiteFile = None, as_json: Json = False, journal_at: JournalAt = None, operator: As = None
) -> None:
    """Review a restore that nothing gated, as a second person, once it is closed; shows its report."""
    use_journal(journal_at)
    from console.commands.orders import review as review_it

    raise typer.Exit(review_it(run_id, site_file, operator=operator, as_json=as_json))


@app.command()
def decide(
    run_id: Run,
    choice: Annotated[str, typer.Argument(metavar="CHOICE", help="redo, accept, skip or rollback.")],
    *,
    reply_to: Annotated[int | None, typer.Option("--reply-to", help="The entry that asks, as `show` names it.")] = None,
    write: Write = False,
    prompt: Prompt = False,
    yes: Yes = False,
    site_file: SiteFile = None,
    as_json: Json = False,
    journal_at: JournalAt = None,
    operator: As = None,
) -> None:
    """Answer a run's open question; with --write, drive it on from here when nobody does."""
    use_journal(journal_at)
    from console.commands.orders import decide as decide_it

    code = decide_it(
        run_id,
        choice,
        site_file,
        reply_to=reply_to,
        write=write,
        how=how(prompt=prompt, yes=yes),
        operator=operator,
        as_json=as_json,
    )
    raise typer.Exit(code)
