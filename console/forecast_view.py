"""A forecast as a document and as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from textwrap import wrap
from typing import Any

from console.status import SCHEMA, stamp
from console.view import Cell, overall, short
from network.demand import PathLoad
from network.forecast import Carriage, CloudForecast, Forecast
from network.inventory import Site

#: Said with every answer in text: what it is not about.
SCOPE = (
    "Where traffic goes once everything has come to rest, from what is known now. Not said: what is lost on the "
    "way there (a silent loss between our own routers lasts until its hold timer), and the LAN side of a lost router."
)


def document(site: Site, forecast: Forecast, now: datetime) -> dict[str, Any]:
    """The contract's fields, and: things, known, per cloud changes[] and why[]."""
    return {
        "schema": SCHEMA,
        "site": site.name,
        "at": stamp(now),
        "thing": "+".join(forecast.things),
        "things": list(forecast.things),
        "action": forecast.action,
        "known": forecast.known,
        "clouds": [_cloud(cloud) for cloud in forecast.clouds],
        "no_effect": [{"knob": knob, "why": why} for knob, why in forecast.no_effect],
    }


def _cloud(cloud: CloudForecast) -> dict[str, Any]:
    return {
        "name": cloud.name,
        "before": _carriage(cloud.before),
        "after": _carriage(cloud.after),
        "moved": list(cloud.moved),
        "lost": list(cloud.lost),
        "unaffected": list(cloud.unaffected),
        "load": [_load(load) for load in cloud.load],
        "one_loss_from": list(cloud.one_loss_from),
        "changes": [
            {"prefix": s.prefix, "way": s.way, "where": s.where, "before": list(s.before), "after": list(s.after)}
            for s in cloud.shifts
        ],
        "why": list(cloud.why),
    }


def _carriage(carriage: Carriage) -> dict[str, Any]:
    return {
        "carried_by": list(carriage.carried_by),
        "return_by": list(carriage.return_by),
        "verdict": carriage.verdict.value,
    }


def _load(load: PathLoad) -> dict[str, Any]:
    known = load.mbps is not None and load.pct is not None
    return {
        "path": load.path,
        "mbps": round(load.mbps, 1) if known and load.mbps is not None else None,
        "rate_mbps": load.rate_mbps,
        "pct": round(load.pct, 1) if known and load.pct is not None else None,
    }


def heading(forecast: Forecast) -> str:
    """IF port-a FAILS."""
    return f"IF {' and '.join(forecast.things)} {'FAILS' if forecast.action == 'fail' else 'IS DRAINED'}"


def text(forecast: Forecast, width: int = 80) -> str:
    """The forecast as lines of at most `width` characters."""
    return "\n".join([heading(forecast), "", *_lines(forecast, width)])


def cells(forecast: Forecast, width: int) -> list[list[Cell]]:
    """The same lines for a screen, each with the tone of what it says."""
    return [[Cell(line, _tone(line))] for line in _lines(forecast, width)]


def _tone(line: str) -> str:
    label, _, rest = line.strip().partition(" ")
    if line[:1].isupper() and "->" in line:
        after = line.rsplit("-> ", 1)[-1]
        return {"=": "up", "!": "degraded", "X": "down"}.get(after[:1], "unknown")
    if label in _TONES and rest.strip() != "-":
        return _TONES[label]
    return "dim" if label in {"unaffected", *_TONES} else "plain"


_TONES = {"lost": "down", "then": "degraded", "unknown": "unknown", "no": "dim"}


def _lines(forecast: Forecast, width: int) -> list[str]:
    lines: list[str] = []
    for cloud in forecast.clouds:
        lines += [*_cloud_lines(cloud, width), ""]
    for knob, why in forecast.no_effect:
        lines += _hanging(f"no effect  {knob}: ", why, width)
    return [*lines, *([""] if forecast.no_effect else []), *wrap(SCOPE, width)]


def _cloud_lines(cloud: CloudForecast, width: int) -> Iterator[str]:
    before, after = cloud.before, cloud.after
    yield f"{cloud.name.upper():<6} {overall(before.verdict).text} -> {overall(after.verdict).text}"
    unknown = "unknown" if cloud.why else "nothing"
    for way, was, now in (("out", before.carried_by, after.carried_by), ("back", before.return_by, after.return_by)):
        yield from _hanging(f"  {way:<11}", f"{_paths(was, 'unknown')} -> {_paths(now, unknown)}", width)
    for label, prefixes in (("moved", cloud.moved), ("lost", cloud.lost), ("unaffected", cloud.unaffected)):
        yield from _hanging(f"  {label:<11}", " ".join(prefixes) or "-", width)
    for load in cloud.load:
        yield f"  {'load':<11}{_load_text(load)}"
    if cloud.one_loss_from:
        yield from _hanging(f"  {'then dark':<11}", f"if {' or '.join(cloud.one_loss_from)} is lost too", width)
    for why in cloud.why:
        yield from _hanging(f"  {'unknown':<11}", why, width)


def _paths(names: Sequence[str], nothing: str) -> str:
    return ", ".join(map(short, names)) or nothing


def _load_text(load: PathLoad) -> str:
    if load.mbps is None:
        return f"{short(load.path)}: unknown of {load.rate_mbps} Mbps (no load history)"
    return f"{short(load.path)}: at most {load.mbps:.0f} of {load.rate_mbps} Mbps ({load.pct:.0f} %)"


def _hanging(head: str, words: str, width: int) -> list[str]:
    return wrap(words, width, initial_indent=head, subsequent_indent=" " * min(len(head), 13), break_on_hyphens=False)
