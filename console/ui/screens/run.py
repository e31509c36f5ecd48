"""Run: the steps, the current one with its exact commands and expected beside now, what runs out, the journal.

Without a run: past runs, newest first, and an interrupted one before them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from console import run_view
from console.ui.bridge import RunPicture
from console.ui.screens.page import Page
from console.ui.widgets.lines import Lines
from console.ui.widgets.row_table import Column, RowTable
from console.ui.widgets.scroll import Scroll
from console.view import Cell

if TYPE_CHECKING:
    from console.ui.sight import Sight

_RUNS = (
    *(Column("run", "run", 13), Column("book", "book", 10), Column("target", "target", 7)),
    *(Column("state", "state", 16), Column("change", "change", 10), Column("by", "by", 5), Column("ago", "ago", 6)),
)


class RunScreen(Page):
    """Key 4."""

    AUTO_FOCUS = "Scroll, RowTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "answer", "confirm", id="run.confirm", key_display="⏎"),
        Binding("b", "rollback", "roll back", id="run.rollback"),
        Binding("escape", "leave", "runs", id="run.list", key_display="esc"),
    ]

    def body(self) -> Iterable[Widget]:
        runs = RowTable(_RUNS, id="runs")
        runs.border_title = "runs"
        yield Vertical(Lines(id="interrupted"), runs, Lines(id="none"), id="past")
        yield Vertical(
            Lines(id="title"),
            Lines(id="counts"),
            Horizontal(
                Scroll(Lines(id="steps"), id="steps-box", classes="box"),
                Scroll(Lines(id="detail"), id="detail-box", classes="box"),
                Lines(id="live", classes="box", title="live"),
                id="middle",
            ),
            Lines(id="live-line"),
            Scroll(Lines(id="journal"), id="journal-box", classes="box"),
            id="now",
        )

    def draw(self, sight: Sight) -> None:
        run = sight.picture.run
        self._turn_to(now=run is not None)
        if run is None:
            self._draw_past(sight)
        else:
            self._draw_now(sight, run)

    def _turn_to(self, *, now: bool) -> None:
        """The run, or the past ones. A pane that is not shown must not keep the keys: enter is the run's answer."""
        if self.query_one("#now").display == now != self.query_one("#past").display:
            return
        self.query_one("#now").display, self.query_one("#past").display = now, not now
        self.set_focus(self.query_one("#detail-box") if now else self.query_one("#runs"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 -- textual's own
        """Keys show what makes sense now; whether it is allowed is the engine's to say."""
        run = self.console.sight.picture.run
        if action == "answer":
            return run is not None and self.console.bridge.operator.asked(run.row.run_id)
        if action == "leave":
            return run is not None
        if action == "rollback":
            return run is None or run.view.closed or not run.row.driver_alive or run.view.question is not None
        return True

    def commands(self) -> str:
        run = self.console.sight.picture.run
        step = run_view.current(run.view) if run else None
        if run is None or step is None:
            return ""
        return "\n".join(run_view.command_lines(step, undo=run.view.direction == "rollback"))

    def _draw_past(self, sight: Sight) -> None:
        rows = run_view.in_order(sight.picture.runs)
        interrupted = self.query_one("#interrupted", Lines)
        interrupted.show(run_view.interrupted_lines(rows))
        interrupted.display = any(row.orphaned for row in rows)
        table = self.query_one("#runs", RowTable)
        table.display = bool(rows)
        table.border_title = f"runs {len(rows)}"
        table.show([(row.run_id, run_view.run_cells(row, sight.judged_at)) for row in rows])
        none = self.query_one("#none", Lines)
        none.display = not rows
        none.show(
            [
                [Cell("no run yet")],
                [
                    Cell(":plan drain-port port=…", "current"),
                    Cell("  shows what would be sent; changes nothing", "dim"),
                ],
            ]
        )

    def _draw_now(self, sight: Sight, run: RunPicture) -> None:
        view, width = run.view, self.app.size.width
        self.query_one("#title", Lines).show([run_view.title_line(run.row, view)])
        counts = run_view.countdown_line(view, run.window_left_s, run.lease_left_s, width)
        self.query_one("#counts", Lines).show([counts])
        self.query_one("#steps-box").border_title = "steps"
        self.query_one("#live", Lines).show(run_view.live_lines(sight.health))
        self.query_one("#live-line", Lines).show([run_view.live_line(sight.health)])
        self._draw_journal(run)
        self._draw_fitted(sight, run)

    def on_scroll_fitted(self) -> None:
        """A box got its size after it was drawn: at the start, and when the terminal changes."""
        sight = self.console.sight
        if run := sight.picture.run:
            self._draw_fitted(sight, run)

    def _draw_fitted(self, sight: Sight, run: RunPicture) -> None:
        width = max(self.query_one("#steps-box").content_size.width, 22)
        self.query_one("#steps", Lines).show(run_view.step_lines(run.view, sight.judged_at, width))
        self._draw_detail(sight, run)

    def _draw_detail(self, sight: Sight, run: RunPicture) -> None:
        step = run_view.current(run.view)
        box = self.query_one("#detail-box")
        box.border_title = run_view.step_title(run.view, step) if step else "step"
        box.set_class(bool(run.view.question or run.view.waiting), "-asks")
        width, height = max(box.content_size.width, 40), box.content_size.height
        lines = (
            run_view.detail_lines(run.view, step, width, height, sight.health)
            if step
            else run_view.waiting_lines(run.view)
        )
        self.query_one("#detail", Lines).show(lines)

    def _draw_journal(self, run: RunPicture) -> None:
        box = self.query_one("#journal-box", Scroll)
        box.border_title = f"journal {run.view.seq}"
        self.query_one("#journal", Lines).show(run_view.journal_lines(run.events))
        if not box.has_focus:  # whoever reads in it is left in peace
            self.call_after_refresh(box.scroll_end, animate=False)

    def action_answer(self) -> None:
        self.console.errands.ask_confirmation()

    def action_leave(self) -> None:
        self.console.bridge.close_run()

    def action_rollback(self) -> None:
        run = self.console.sight.picture.run
        chosen = run.row.run_id if run else self.query_one("#runs", RowTable).chosen
        if chosen:
            self.console.errands.ask_rollback(chosen)

    def on_data_table_row_selected(self, event: RowTable.RowSelected) -> None:
        event.stop()
        self.console.bridge.open_run(str(event.row_key.value))
