"""The lab's commands: start, stop, break, mend, and look at what its systems saw."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from console.durations import seconds
from console.exits import Exit
from console.fail import UsageError
from console.folders import state_dir
from lab.client import LabClient
from lab.errors import LabError, LabRuns
from lab.state import LabState, lab_folder, read

#: Real routers need up to 20 s to establish every session; the rest is starting processes on a busy machine.
UP_DEADLINE_S = 60.0
_FAULTS = ("down", "hang", "slow", "429", "500", "garbage", "lost-answer", "storm", "sealed")


def up(*, routers: str, detach: bool) -> Exit:
    """Start the lab. Detached: wait until it is ready and print its site file."""
    if routers not in {"embedded", "frr"}:
        raise UsageError(f"--routers {routers!r} is not known; allowed: embedded, frr")
    folder = lab_folder(state_dir())
    running = read(folder)
    if running:
        raise LabRuns(f"a lab runs already (pid {running.pid}, {running.routers}): {running.site}")
    if detach:
        print(start_detached(folder, routers).site)
        return Exit.OK
    from lab.supervisor import run_foreground

    return Exit(run_foreground(folder, routers))


def start_detached(folder: Path, routers: str) -> LabState:
    """Start the lab as a session of its own and wait until it is ready. Raises LabError with its log's end."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = folder / "lab.log"
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "lab", str(folder), routers],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    deadline = time.monotonic() + UP_DEADLINE_S
    while time.monotonic() < deadline:
        state = read(folder)
        if state:
            return state
        if child.poll() is not None:
            break
        time.sleep(0.02)
    child.terminate()
    raise LabError(_last_words(log) or f"the lab did not start; see {log}")


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].removeprefix("lab: ") if lines else ""


def down() -> Exit:
    """Stop the lab and wait until its process is gone."""
    client = LabClient(lab_folder(state_dir()))
    client.call("down")
    deadline = time.monotonic() + UP_DEADLINE_S
    while client.state.alive():
        if time.monotonic() > deadline:
            raise LabError(f"the lab (pid {client.state.pid}) did not end")
        time.sleep(0.02)
    print("the lab is down")
    return Exit.OK


def lab_status(*, as_json: bool) -> Exit:
    """What runs, where, and what is broken on purpose."""
    answer = _client().call("status")
    if as_json:
        _print_json(answer)
    else:
        print(f"lab up: pid {answer['pid']}, routers {answer['routers']}, site {answer['site']}")
        for thing in answer["failed"]:
            print(f"broken on purpose: {thing}")
        for system, fault in answer["faults"].items():
            print(f"{system}: {fault}")
    return Exit.OK


def fail(
    thing: str,
    *,
    silent: bool,
    oneway: bool,
    supernet: bool,
    fault: str | None,
    **grey: float | None,
) -> Exit:
    """Break a thing; with `fault`, a system. `grey`: loss in percent, delay_ms, mtu in bytes."""
    asked = [name.removesuffix("_ms") for name, value in grey.items() if value is not None]
    other = [name for name, value in (("silent", silent), ("supernet", supernet), ("fault", fault)) if value]
    if asked and other:
        raise UsageError(f"--{asked[0]} and --{other[0]} exclude each other: grey trouble goes with --oneway alone")
    if fault is not None and fault not in _FAULTS:
        raise UsageError(f"--fault {fault!r} is not known; allowed: {', '.join(_FAULTS)}")
    _client().call("fail", thing=thing, silent=silent, oneway=oneway, supernet=supernet, fault=fault, **grey)
    return Exit.OK


def heal(thing: str | None) -> Exit:
    """Mend one thing, or everything."""
    _client().call("heal", thing=thing)
    return Exit.OK


def ledger(*, as_json: bool) -> Exit:
    """What was written, when, where and by whom."""
    answer = _client().call("ledger")
    if as_json:
        _print_json(answer)
    else:
        for write in answer["writes"]:
            print(f"{write['at']}  {write['where']:<12} {write['by']:<40} {write['what']}")
    return Exit.OK


def traffic(*, reset: bool, as_json: bool) -> Exit:
    """Packets sent, lost each way, and the longest gap, by cloud, since the last reset."""
    answer = _client().call("traffic", reset=reset)
    if as_json:
        _print_json(answer)
    else:
        for cloud, counts in answer["clouds"].items():
            print(f"{cloud:<6} " + "  ".join(f"{name} {value:g}" for name, value in counts.items()))
    return Exit.OK


def event_new(system: str, things: list[str], *, kind: str, starts_in: str, lasts: str, emergency: bool) -> Exit:
    """Announce an event and print its number."""
    when = {"in_s": seconds(starts_in, "--in"), "lasts_s": seconds(lasts, "--lasts"), "emergency": emergency}
    print(_client().call("event-new", system=system, kind=kind, things=things, **when)["number"])
    return Exit.OK


def event_end(number: int) -> Exit:
    """End or cancel an event."""
    _client().call("event-end", number=number)
    return Exit.OK


def change_new(ci: list[str], window: int, state: str) -> Exit:
    """Make a change and print its number."""
    print(_client().call("change-new", ci=ci, window=window, state=state)["number"])
    return Exit.OK


def change_set(number: str, fields: list[str]) -> Exit:
    """Force fields of a change."""
    values = dict(_pair(field) for field in fields)
    _client().call("change-set", number=number, fields=values)
    return Exit.OK


def change_show(number: str, *, as_json: bool) -> Exit:
    """Print a change."""
    answer = _client().call("change-show", number=number)
    if as_json:
        _print_json({"schema": 1, **answer})
    else:
        print(f"{answer['number']}  {answer['state']}")
        for note in answer["notes"]:
            print(note if isinstance(note, str) else f"  {note['at']}  {note['text']}")
    return Exit.OK


def _pair(field: str) -> tuple[str, str]:
    key, equals, value = field.partition("=")
    if not equals or not key:
        raise UsageError(f"{field!r}: write field=value")
    return key, value


def _client() -> LabClient:
    return LabClient(lab_folder(state_dir()))


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=1))
