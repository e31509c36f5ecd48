"""Pulse and Paths on one screen: a box a cloud, the path table, the alerts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget

from console import view
from console.topology_view import LEGEND, topology_lines
from console.ui.screens.drill import DrillScreen
from console.ui.screens.page import Page
from console.ui.widgets.cloud_box import CloudBox
from console.ui.widgets.command_line import CommandLine
from console.ui.widgets.lines import Lines
from console.ui.widgets.path_table import PathTable
from console.ui.widgets.row_table import RowTable
from console.ui.widgets.scroll import Scroll
from console.view import BadFilter, Cell, FeedFacts, PathRow
from network.health import SiteHealth
from network.measured import FeedResult
from network.observation import Kind
from runbooks.book import names

if TYPE_CHECKING:
    from console.ui.sight import Sight


class PulseScreen(Page):
    """Keys 1 and 2."""

    AUTO_FOCUS = "PathTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", id="paths.filter", key_display="/"),
        Binding("exclamation_mark", "faults", "faults", id="paths.faults", key_display="!"),
        Binding("e", "evidence", "evidence", id="paths.evidence"),
        Binding("f", "forecast", "what if", id="paths.forecast"),
        Binding("c", "calendar", "calendar", id="view.calendar"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._filter, self._faults_only = "", False
        self._books = names()

    def body(self) -> Iterable[Widget]:
        yield Horizontal(*(CloudBox(cloud.name) for cloud in self.console.site.clouds), id="clouds")
        yield Lines(id="topology", classes="box", title="topology")
        yield PathTable([path.name for path in self.console.site.paths])
        yield Scroll(Lines(id="alerts"), id="alerts-box", classes="box")

    def draw(self, sight: Sight) -> None:
        if sight.health is None:
            return
        for box, cloud in zip(self.query(CloudBox), sight.health.clouds, strict=True):
            box.show_cloud(cloud, self._feeds(sight, cloud.name))
        topology = self.query_one("#topology", Lines)
        topology.show(topology_lines(sight.site, sight.health))
        topology.border_subtitle = LEGEND
        self._draw_paths(sight.health)
        self._draw_alerts(sight.health, sight.judged_at)

    def _feeds(self, sight: Sight, cloud: str) -> list[FeedFacts]:
        known = sight.picture.snapshot
        feeds = [feed for feed in sight.site.feeds if feed.cloud == cloud]
        seen = (known.fresh(Kind.FEED, feed.name, FeedResult, sight.judged_at) if known else None for feed in feeds)
        return [view.feed_facts(feed, fact) for feed, fact in zip(feeds, seen, strict=True)]

    def _draw_alerts(self, health: SiteHealth, now: datetime) -> None:
        box, count = self.query_one("#alerts-box"), len(health.alerts)
        box.border_title = f"alerts {count}" if count else "alerts"
        self.call_after_refresh(self._count_hidden, count)
        rows = [view.alert_line(alert, now, self._books) for alert in health.alerts]
        self.query_one("#alerts", Lines).show(rows or [[Cell("= ", "up"), Cell("none", "dim")]])

    def _count_hidden(self, alerts: int) -> None:
        """Once the box has its size."""
        box = self.query_one("#alerts-box")
        below = alerts - box.content_size.height
        box.border_subtitle = f"{below} more" if 0 < below < alerts else None

    def _draw_paths(self, health: SiteHealth) -> None:
        rows, why = self._rows(health)
        table = self.query_one(PathTable)
        table.show_paths(rows)
        down = view.down_count(health)
        table.border_title = f"paths {len(health.paths)}" + (f" · {down} down" if down else "")
        hidden = len(health.paths) - len(rows)
        words = [f"/{self._filter}" if self._filter else "", "faults only" if self._faults_only else ""]
        table.border_subtitle = why or (f"{' · '.join(filter(None, words))} · {hidden} hidden" if any(words) else None)

    def _rows(self, health: SiteHealth) -> tuple[list[PathRow], str]:
        rows = view.path_rows(health, faults_only=self._faults_only)
        try:
            return (view.filtered(rows, self._filter) if self._filter else rows), ""
        except BadFilter as error:
            return rows, str(error)

    def copied(self) -> str:
        from console.plain import status_text

        sight = self.console.sight
        if sight.health is None or sight.picture.snapshot is None:
            return ""
        return status_text(sight.site, sight.picture.snapshot, sight.health, sight.judged_at, colour=False)

    def action_filter(self) -> None:
        self.query_one(CommandLine).open("/", self._filter)

    def action_faults(self) -> None:
        self._faults_only = not self._faults_only
        self.refresh_sight()

    def action_evidence(self) -> None:
        if chosen := self.query_one(PathTable).chosen:
            self.app.push_screen(DrillScreen(chosen))

    def action_forecast(self) -> None:
        from console.ui.screens.forecast import ForecastScreen

        if chosen := self.query_one(PathTable).chosen:
            self.app.push_screen(ForecastScreen(chosen))

    def action_calendar(self) -> None:
        from console.ui.screens.calendar import CalendarScreen

        self.app.push_screen(CalendarScreen())

    def on_command_line_typed(self, event: CommandLine.Typed) -> None:
        self._filter = event.text.strip()
        self.refresh_sight()

    def on_data_table_row_selected(self, event: RowTable.RowSelected) -> None:
        event.stop()
        self.action_evidence()
