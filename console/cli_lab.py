"""The lab's part of the command line: start, stop, break, mend, announce, and look at what its systems saw."""

from __future__ import annotations

from typing import Annotated

import typer

from console.options import Json, Routers

lab = typer.Typer(help="The reference site, alive on loopback.", no_args_is_help=True, rich_markup_mode=None)
change = typer.Typer(help="Changes in the lab's ServiceNow.", no_args_is_help=True, rich_markup_mode=None)
event = typer.Typer(help="What the lab's providers announce.", no_args_is_help=True, rich_markup_mode=None)
lab.add_typer(change, name="change")
lab.add_typer(event, name="event")


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
    loss: Annotated[float | None, typer.Option("--loss", help="Grey: percent of the packets lost.")] = None,
    delay: Annotated[float | None, typer.Option("--delay", help="Grey: milliseconds more, each way.")] = None,
    mtu: Annotated[int | None, typer.Option("--mtu", help="Grey: larger packets vanish (bytes).")] = None,
    fault: Annotated[
        str | None, typer.Option("--fault", help="down, hang, slow, 429, 500, garbage, lost-answer, storm, sealed.")
    ] = None,
) -> None:
    """Break a thing of the network, or a system with --fault. Grey words leave every session up."""
    from console.commands.lab import fail

    raise typer.Exit(
        fail(
            thing,
            silent=silent,
            oneway=oneway,
            supernet=supernet,
            fault=fault,
            loss=loss,
            delay_ms=delay,
            mtu=mtu,
        )
    )


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


@event.command("new")
def event_new(
    system: Annotated[str, typer.Argument(help="megaport, azure or aws")],
    things: Annotated[list[str], typer.Argument(help="What it touches: ports, VXCs, connections, tunnels, clouds.")],
    *,
    kind: Annotated[str, typer.Option("--kind", help="maintenance or outage")] = "maintenance",
    starts_in: Annotated[str, typer.Option("--in", help="When it begins: 0s, 90s, 2h, 14d.")] = "0s",
    lasts: Annotated[str, typer.Option("--lasts", help="How long: 5m, 4h.")] = "4h",
    emergency: Annotated[bool, typer.Option("--emergency", help="Announced too late to plan for.")] = False,
) -> None:
    """Have a provider announce an event; prints its number."""
    from console.commands.lab import event_new as run

    raise typer.Exit(run(system, things, kind=kind, starts_in=starts_in, lasts=lasts, emergency=emergency))


@event.command("end")
def event_end(number: int) -> None:
    """End a running event now; cancel one that has not begun."""
    from console.commands.lab import event_end as run

    raise typer.Exit(run(number))


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
