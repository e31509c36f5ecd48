"""Pure selectors: what is known, turned into the words, marks and tones that every screen and text shows.

A `Cell` is text with a tone; a tone is a word (up, degraded, down, stale, unknown, dim, strong, plain; on screens also
accent, current, brand, brand-write, frozen, alarm) that a theme or a terminal maps to colour. Status is mark + word +
colour, never colour alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from network.alerts import Alert
from network.health import CloudHealth, PathHealth, SiteHealth
from network.measured import FeedResult
from network.observation import Observation
from network.slo import slo
from network.snapshot import SourceState
from network.surroundings import Feed
from network.verdict import Layer, Overall, Verdict


class Cell(NamedTuple):
    """Text and its tone."""

    text: str
    tone: str = "plain"


MARKS = {
    Verdict.UP: "=",
    Verdict.DEGRADED: "!",
    Verdict.DOWN: "X",
    Verdict.STALE: "?",
    Verdict.UNKNOWN: ".",
    Verdict.NONE: "n/a",
}
_OVERALL = {
    Overall.HEALTHY: Verdict.UP,
    Overall.DEGRADED: Verdict.DEGRADED,
    Overall.DOWN: Verdict.DOWN,
    Overall.UNKNOWN: Verdict.UNKNOWN,
}
_SEVERITY = {"critical": Verdict.DOWN, "warning": Verdict.DEGRADED, "info": Verdict.NONE}
#: An error budget that is nearly spent is worth a colour.
LOW_BUDGET_PCT = 20.0
#: Columns of the path table: key, heading, width at 120 columns, shown at 80 columns.
COLUMNS: tuple[tuple[str, str, int, bool], ...] = (
    ("mark", "", 1, True),
    ("path", "path", 18, True),
    ("role", "role", 7, True),
    ("l1", "L1", 3, True),
    ("l2", "L2", 3, True),
    ("here", "BGP here", 9, True),
    ("there", "BGP there", 9, False),
    ("bfd", "BFD", 3, True),
    ("prefixes", "in/out/max", 10, False),
    ("rtt", "rtt", 7, True),
    ("loss", "loss", 5, True),
    ("load", "load", 9, False),
    ("age", "age", 6, True),
)


@dataclass(frozen=True, slots=True)
class PathRow:
    """One line of the path table; `cells` by column key."""

    name: str
    cells: dict[str, Cell]


def tone(verdict: Verdict) -> str:
    return "dim" if verdict is Verdict.NONE else verdict.value


def mark(verdict: Verdict) -> Cell:
    return Cell(MARKS[verdict], tone(verdict))


def overall(verdict: Overall) -> Cell:
    """`= HEALTHY` and the like: the mark and the word together."""
    as_path = _OVERALL[verdict]
    return Cell(f"{MARKS[as_path]} {verdict.value.upper()}", tone(as_path))


def span(seconds: float | None) -> str:
    """A duration in at most six characters: 0.4 s, 41 s, 3m12s, 1h12m, 12d04h; -- when unknown."""
    if seconds is None:
        return "--"
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f} s"
    total = int(seconds)
    if total >= 100 * 86400:
        return f"{total // 86400}d"
    for unit, size, below, small in (("m", 60, "s", 1), ("h", 3600, "m", 60), ("d", 86400, "h", 3600)):
        if total < size:
            return f"{total} s"
        if total < size * 60 or unit == "d" or (unit == "h" and total < 86400):
            return f"{total // size}{unit}{total % size // small:02d}{below}"
    return f"{total} s"


def whole(seconds: float) -> str:
    """The same for what is counted in front of a person: tenths of a second would only flicker."""
    return f"{max(int(seconds), 0)} s" if seconds < 60 else span(seconds)


def short(path: str) -> str:
    """A path without its cloud: `er-primary`."""
    return path.split("/", 1)[-1]


def path_rows(health: SiteHealth, *, faults_only: bool = False) -> list[PathRow]:
    """Every path in site-file order."""
    return [row for row in map(_row, health.paths) if not (faults_only and row.cells["mark"].tone == "up")]


class BadFilter(ValueError):
    """A filter that cannot be used; the message says why. Nothing is hidden by it."""


def filtered(rows: Sequence[PathRow], text: str) -> list[PathRow]:
    """The rows that a filter leaves: a regex over all cells, `field=regex` over one, `!` in front to invert.

    Raises BadFilter.
    """
    inverse, text = text.startswith("!"), text.removeprefix("!")
    field, equals, value = text.partition("=")
    keys = [key for key, *_ in COLUMNS if key != "mark"]
    chosen = field.strip().lower() if equals and field.strip().lower() in keys else None
    try:
        pattern = re.compile(value.strip() if chosen else text, re.IGNORECASE)
    except re.error as error:
        raise BadFilter(f"/{text}: {error}; fields: {', '.join(keys)}") from error
    return [row for row in rows if bool(pattern.search(_searched(row, chosen))) is not inverse]


def _searched(row: PathRow, field: str | None) -> str:
    return row.cells[field].text if field else "  ".join(cell.text for cell in row.cells.values())


def _row(path: PathHealth) -> PathRow:
    layers, counts = path.layers, path.prefixes
    old = "stale" if path.stale else "plain"
    limits = f"{_count(counts.received)}/{_count(counts.advertised)}/{_count(counts.limit_here)}"
    load = f"{path.load_mbps:.0f}" if path.load_mbps is not None else "--"
    cells = {
        "mark": mark(path.verdict),
        "path": Cell(path.name, "strong" if path.role == "active" else "plain"),
        "role": Cell(path.role, "down" if path.role == "down" else "plain"),
        "l1": mark(layers["port"].verdict),
        "l2": mark(_second_layer(layers["vxc"], layers["circuit"])),
        "here": _session(layers["bgp_here"]),
        "there": _session(layers["bgp_there"]),
        "bfd": mark(layers["bfd"].verdict),
        "prefixes": Cell(limits, old),
        "rtt": Cell(_rtt(path.rtt_ms), old),
        "loss": _loss(path),
        "load": Cell(f"{load:>4}/{path.rate_mbps}", old),
        "age": Cell(span(path.age_s), "stale" if path.stale else "dim"),
    }
    return PathRow(path.name, cells)


def _second_layer(vxc: Layer, circuit: Layer) -> Verdict:
    order = (Verdict.NONE, Verdict.UP, Verdict.DEGRADED, Verdict.STALE, Verdict.UNKNOWN, Verdict.DOWN)
    return max(vxc.verdict, circuit.verdict, key=order.index)


def _session(layer: Layer) -> Cell:
    words = {Verdict.UP: "up", Verdict.DEGRADED: "!", Verdict.DOWN: "down", Verdict.STALE: "?", Verdict.UNKNOWN: "."}
    if layer.verdict is Verdict.STALE:
        return Cell(f"? {span(layer.age_s)}", "stale")
    word = words[layer.verdict]
    if layer.since_s is not None:
        word = f"{word} {_brief(layer.since_s)}"
    return Cell(word, tone(layer.verdict))


def _brief(seconds: float) -> str:
    """One unit only, for narrow columns: 41s, 3m, 5h, 12d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(max(seconds, 0))}s"


def _loss(path: PathHealth) -> Cell:
    if path.loss_pct is None:
        return Cell("--", "unknown")
    verdict = path.layers["probe"].verdict
    return Cell(f"{path.loss_pct:.0f} %", tone(verdict) if verdict is not Verdict.UP else "plain")


def _rtt(milliseconds: float | None) -> str:
    """At most seven characters: 4.1 ms, 241 ms; -- when unknown."""
    if milliseconds is None:
        return "--"
    return f"{milliseconds:.1f} ms" if milliseconds < 100 else f"{milliseconds:.0f} ms"


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)


class FeedFacts(NamedTuple):
    """What a feed says of itself in a cloud's box: in a line of its own, and as one word of the title."""

    whole: Cell
    brief: Cell


def feed_facts(feed: Feed, seen: FeedResult | None) -> FeedFacts:
    """Whether it arrives, its availability, and the error budget that is left."""
    if seen is None:
        return FeedFacts(Cell(f"{feed.name}: unknown", "unknown"), Cell("  . feed", "unknown"))
    if not seen.ok:
        return FeedFacts(Cell(f"{feed.name} FAILS: {seen.why}", "down"), Cell("  X feed FAILS", "down"))
    account = slo(feed, seen)
    if account.availability_pct is None or account.budget_left_pct is None:
        return FeedFacts(Cell(f"{feed.name} arrives", "up"), Cell("  = feed", "up"))
    tone = "up" if account.budget_left_pct > LOW_BUDGET_PCT else "degraded"
    good = f"{account.availability_pct:.2f} %"
    whole = Cell(f"{feed.name} {good}  budget {account.budget_left_pct:.0f} %", tone)
    return FeedFacts(whole, Cell(f"  {'=' if tone == 'up' else '!'} feed {good}", tone))


def cloud_facts(cloud: CloudHealth) -> list[tuple[str, Cell]]:
    """What Pulse says of a cloud, as label and value. What cannot be known is not called nothing, and is not green."""
    unknown = cloud.verdict is Overall.UNKNOWN
    nothing = Cell("unknown", "unknown") if unknown else Cell("nothing", "down")
    none = Cell("unknown", "unknown") if unknown else Cell("none", "down")
    back = ", ".join(map(short, cloud.way_back.paths)) or "unknown"
    basis = f" ({cloud.way_back.basis})" if cloud.way_back.basis else ""
    return [
        ("out", Cell(", ".join(map(short, cloud.carried_by)), "strong") if cloud.carried_by else nothing),
        ("back", Cell(back + basis, "strong" if cloud.symmetric else "plain" if cloud.way_back.paths else "unknown")),
        ("spare", Cell(", ".join(map(short, cloud.spares))) if cloud.spares else none),
        ("dark after", _dark_after(cloud, none)),
    ]


def _dark_after(cloud: CloudHealth, none: Cell) -> Cell:
    if cloud.one_loss_from:
        return Cell(", ".join(cloud.one_loss_from), "degraded")
    if not cloud.carried_by:
        return none if cloud.verdict is Overall.UNKNOWN else Cell("it is dark", "down")
    return Cell("no single loss", "up") if cloud.one_loss_known else Cell("unknown", "unknown")


def alert_cells(alert: Alert, now: datetime) -> tuple[Cell, Cell, Cell, Cell]:
    """Mark, age, where, text."""
    verdict = _SEVERITY[alert.severity]
    letter = Cell("i", "dim") if verdict is Verdict.NONE else mark(verdict)
    age = span((now - alert.since).total_seconds()) if alert.since else ""
    return letter, Cell(age, "dim"), Cell(alert.path, "strong"), Cell(alert.text)


def layer_rows(path: PathHealth) -> list[tuple[Cell, Cell, Cell, Cell, Cell]]:
    """A path's layers: mark, name, verdict word, why, age with its source."""
    return [
        (
            mark(layer.verdict),
            Cell(name),
            Cell("n/a" if layer.verdict is Verdict.NONE else layer.verdict.value, tone(layer.verdict)),
            Cell(layer.why or (f"for {span(layer.since_s)}" if layer.since_s is not None else "")),
            Cell(f"{span(layer.age_s)} {layer.source}" if layer.source else "", "dim"),
        )
        for name, layer in path.layers.items()
    ]


def worst_age(paths: Iterable[PathHealth]) -> float | None:
    """The oldest figure of our own routers on the screen, in seconds."""
    return max((path.age_s for path in paths if path.age_s is not None), default=None)


def down_count(health: SiteHealth | None) -> int:
    """Paths that are down; 0 when nothing is known yet."""
    return sum(path.verdict is Verdict.DOWN for path in health.paths) if health else 0


def header(site: str, mode: str, operator: str, *, write: bool) -> list[Cell]:
    """The left of the one-line header: product, live mode, permission, site, operator."""
    gap = Cell("  ")
    return [
        Cell(" INTERLOCK ", "brand-write" if write else "brand"),
        gap,
        Cell(mode, {"LIVE": "down", "DRILL": "degraded"}.get(mode, "accent")),
        gap,
        Cell("WRITE" if write else "READ-ONLY", "degraded" if write else "strong"),
        gap,
        Cell(site),
        gap,
        Cell(operator, "dim"),
    ]


def freshness(health: SiteHealth | None, frozen_s: float | None) -> list[Cell]:
    """The right of the header: the oldest age, or how long the screen has been frozen."""
    if frozen_s is not None:
        return [Cell(f" FROZEN {span(frozen_s)} ", "frozen")]
    if health is None:
        return [Cell("connecting …", "unknown")]
    stale = any(path.stale for path in health.paths)
    oldest = Cell(span(worst_age(health.paths)), "stale" if stale else "plain")
    return [Cell("? " if stale else "", "stale"), Cell("oldest ", "dim"), oldest]


def source_line(sources: Iterable[SourceState], now: datetime) -> list[Cell]:
    """Which source is failing and why; when none is, how many answer and who has not spoken yet."""
    known = list(sources)
    failing = [source for source in known if source.error]
    silent = [source.name for source in known if source.last_ok is None and not source.error]
    cells: list[Cell] = []
    for source in failing:
        since = f", last answer {span((now - source.last_ok).total_seconds())} ago" if source.last_ok else ""
        cells += [Cell("? ", "stale"), Cell(source.name, "strong"), Cell(f" {source.error}{since}   ", "stale")]
    if silent:
        cells.append(Cell(f". waiting for {', '.join(silent)}", "unknown"))
    return cells or [Cell("= ", "up"), Cell(f"{len(known)} sources answer", "dim")]


def alert_line(alert: Alert, now: datetime, books: Collection[str] = ()) -> list[Cell]:
    """An alert as one aligned line, with the first of the runbooks that fits it."""
    letter, age, where, text = alert_cells(alert, now)
    fits = fitting(alert, books)[:1]
    hints = [Cell(f"  > {book}", "accent") for book in fits]
    return [letter, Cell(f" {age.text:<6} ", age.tone), Cell(f"{where.text:<18} ", where.tone), text, *hints]


def fitting(alert: Alert, books: Collection[str]) -> list[str]:
    """The runbooks of the library that fit an alert, as the command line takes them, the mildest first."""
    known = (remedy for remedy in alert.runbooks if remedy.book in books)
    return [" ".join((each.book, *(f"{key}={value}" for key, value in each.parameters))) for each in known]


def layer_lines(path: PathHealth) -> list[list[Cell]]:
    """A path's layers as aligned lines: mark, name, word, age and source, then why."""
    lines = []
    for letter, name, word, why, said in layer_rows(path):
        known = letter.text if letter.text != MARKS[Verdict.NONE] else " "
        lines.append(
            [
                Cell(f"{known} ", letter.tone),
                Cell(f"{name.text:<11}"),
                Cell(f"{word.text:<9}", word.tone),
                Cell(f"{said.text:<17}", said.tone),
                why,
            ]
        )
    return lines


def evidence_lines(item: Observation, now: datetime) -> list[list[Cell]]:
    """One observation as evidence: what and from whom, how old, the command, the reply as it came."""
    old = item.stale(now)
    age = Cell(f"{'? ' if old else ''}{span(item.age_s(now))} ago", "stale" if old else "dim")
    head = [Cell(f"{item.kind.value} {item.name}", "strong"), Cell(f"  {item.source}, ", "dim"), age]
    command = [[Cell("  $ ", "dim"), Cell(item.evidence, "accent")]] if item.evidence else []
    return [head, *command, *([Cell(f"    {line}", "plain")] for line in item.raw.splitlines()), [Cell("")]]
