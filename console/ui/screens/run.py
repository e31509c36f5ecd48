"""Run: the steps, the current one with its exact commands and expected beside now, what runs out, the journal.

Without a run: past runs, newest first, and an interrupted one before them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Input

from console import deadman_view, driver_view, hold_view, journal_view, run_view, run_words, step_view
from console.run_keys import sensible
from console.ui.bridge import RunPicture
from console.ui.screens.page import Page
from console.ui.widgets.key_line import KeyLine
from console.ui.widgets.lines import Lines
from console.ui.widgets.row_table import Column, RowTable
from console.ui.widgets.scroll import Scroll
from console.view import Cell

if TYPE_CHECKING:
    from console.ui.sight import Sight
    from runbooks.journal import RunRow
    from runbooks.view import RunView

_RUNS = (
    *(Column("run", "run", 13), Column("book", "book", 10), Column("target", "target", 7)),
    *(Column("state", "state", 16), Column("change", "change", 10), Column("by", "by", 5), Column("ago", "ago", 6)),
)


_ORDERS = frozenset({"pause", "take_over", "hand_over", "decide", "approve", "abandon", "rollback"})
GUARDS_WIDTH = 26  # columns of the box's text


class RunScreen(Page):
    """Key 4."""

    AUTO_FOCUS = "Scroll, RowTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "answer", "confirm", id="run.confirm", key_display="⏎"),
        Binding("d", "decide", "decide", id="run.decide"),
        Binding("a", "approve", "approve", id="run.approve"),
        Binding("p", "pause", "pause/resume", id="run.pause"),
        Binding("t", "take_over", "take over", id="run.take-over"),
        Binding("b", "break_glass", "break the glass", id="run.break-glass"),  # only while it can be,
        Binding("b", "rollback", "roll back", id="run.rollback"),  # and then this cannot
        Binding("h", "hand_over", "hand over", id="run.hand-over"),
        Binding("A", "abandon", "abandon", id="run.abandon", key_display="A"),
        Binding("escape", "leave", "runs", id="run.list", key_display="esc"),
    ]

    def body(self) -> Iterable[Widget]:
        runs = RowTable(_RUNS, id="runs")
        runs.border_title = "runs"
        yield Vertical(Lines(id="interrupted"), runs, Lines(id="none"), id="past")
        yield Vertical(
            Lines(id="title"),
            Lines(id="nobody"),
            Lines(id="counts"),
            Lines(id="hold", classes="box"),
            Horizontal(
                Scroll(Lines(id="steps"), id="steps-box", classes="box"),
                Scroll(Lines(id="detail"), id="detail-box", classes="box"),
                Vertical(
                    Lines(id="guards", classes="box", title="guards"),
                    Lines(id="live", classes="box", title="live"),
                    id="beside",
                ),
                id="middle",
            ),
            Lines(id="guard-line"),
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

    def says_itself(self, sight: Sight) -> bool:
        return sight.picture.run is not None and sight.picture.run.away is not None

    def _turn_to(self, *, now: bool) -> None:
        """The run, or the past ones. A pane that is not shown must not keep the keys: enter is the run's answer."""
        if self.query_one("#now").display == now != self.query_one("#past").display:
            return
        self.query_one("#now").display, self.query_one("#past").display = now, not now
        if not isinstance(self.focused, Input):  # else the rest of a command would be keys of the run
            self.set_focus(self.query_one("#detail-box") if now else self.query_one("#runs"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 -- textual's own
        """Keys show what makes sense now; whether it is allowed is the engine's to say."""
        run, bridge = self.console.sight.picture.run, self.console.bridge
        if action == "answer":
            return run is not None and bool(bridge.operator.asked(run.row.run_id))
        if action == "leave":
            return run is not None
        breaks = run is not None and bridge.operator.may_break(run.row.run_id)
        if action == "break_glass" or (action == "rollback" and breaks):  # one key: never both
            return action == "break_glass" and breaks
        if action not in _ORDERS:
            return True
        row, console = self._meant(), bridge.desk.journal.console if bridge.desk else ""
        return row is not None and sensible(action, row, run.view if run else None, console)

    def _meant(self) -> RunRow | None:
        """The run that a key is about: the one in view, or the chosen one of the list."""
        picture = self.console.sight.picture
        if picture.run:
            return picture.run.row
        chosen = self.query_one("#runs", RowTable).chosen
        return next((row for row in picture.runs if row.run_id == chosen), None)

    def commands(self) -> str:
        run = self.console.sight.picture.run
        step = step_view.current(run.view) if run else None
        if run is None or step is None:
            return ""
        return "\n".join(step_view.command_lines(step, undo=run.view.direction == "rollback"))

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
        view, width, away = run.view, self.app.size.width, run.away
        held = hold_view.hold_state(away) if away else None
        self.query_one("#title", Lines).show([run_view.title_line(run.row, view, run.events, held)])
        self._draw_nobody(sight, run)
        self._draw_hold(sight, run)
        armed = deadman_view.deadman_cell(view, run.events, run.fuses)
        counts = run_view.countdown_line(view, run.window_left_s, run.lease_left_s, width, armed)
        self.query_one("#counts", Lines).show([counts])
        self.query_one("#steps-box").border_title = "steps"
        self._draw_guards(view)
        self.query_one("#live", Lines).show(run_view.live_lines(sight.health))
        self.query_one("#live-line", Lines).show([run_view.live_line(sight.health)])
        self._draw_journal(run)
        self._draw_fitted(sight, run)

    def _draw_nobody(self, sight: Sight, run: RunPicture) -> None:
        """Only while nobody drives it."""
        line = self.query_one("#nobody", Lines)
        line.display = driver_view.nobody_drives(run.row, run.view, run.events)
        if line.display:
            width = self.app.size.width - 2
            line.show([driver_view.nobody_line(run.row, run.view, run.events, sight.judged_at, width)])

    def _draw_hold(self, sight: Sight, run: RunPicture) -> None:
        """Only while the journal is away; on a low screen in the place of the log, which stands still then."""
        box, away = self.query_one("#hold", Lines), run.away
        box.display = away is not None
        self.query_one("#journal-box").display = away is None or self.has_class("-tall")
        if away:
            box.border_title = hold_view.hold_title(away)
            asked = self.console.bridge.operator.may_break(run.row.run_id)
            writing = self.console.write
            box.show(hold_view.hold_lines(run.view, away, sight.judged_at, asked=asked, writing=writing))

    def _draw_guards(self, view: RunView) -> None:
        """A box beside the step where there is room, else a line."""
        box, line = self.query_one("#guards", Lines), self.query_one("#guard-line", Lines)
        wide = self.has_class("-wide")
        box.display, line.display = wide and bool(view.guards), bool(view.guards) and not wide
        box.show(run_view.guard_lines(view, GUARDS_WIDTH))
        line.show([run_view.guard_line(view)])

    def on_scroll_fitted(self) -> None:
        """A box got its size after it was drawn: at the start, and when the terminal changes."""
        sight = self.console.sight
        if run := sight.picture.run:
            self._draw_fitted(sight, run)

    def _draw_fitted(self, sight: Sight, run: RunPicture) -> None:
        width = max(self.query_one("#steps-box").content_size.width, 22)
        self.query_one("#steps", Lines).show(step_view.step_lines(run.view, sight.judged_at, width))
        self._draw_detail(sight, run)

    def _draw_detail(self, sight: Sight, run: RunPicture) -> None:
        step = step_view.current(run.view)
        box = self.query_one("#detail-box")
        box.border_title = step_view.step_title(run.view, step) if step else "step"
        box.set_class(bool(run.view.question or run.view.waiting), "-asks")
        width, height = max(box.content_size.width, 40), box.content_size.height
        lines = run_words.left_lines(run.events) if run.view.unmanned else []
        lines += run_words.paused_lines(run.events) if run.view.paused else []
        if step:
            deadmen = deadman_view.deadman_lines(run.row, run.view, step, run.events, run.fuses, sight.judged_at, width)
            lines += run_view.detail_lines(run.view, step, width, height, sight.health, deadmen=deadmen)
        else:
            lines += run_view.waiting_lines(run.view)
        self.query_one("#detail", Lines).show(lines)

    def _draw_journal(self, run: RunPicture) -> None:
        box = self.query_one("#journal-box", Scroll)
        box.border_title = f"journal {run.view.seq}"
        self.query_one("#journal", Lines).show(journal_view.journal_lines(run.events))
        if not box.has_focus:  # whoever reads in it is left in peace
            self.call_after_refresh(box.scroll_end, animate=False)

    def action_answer(self) -> None:
        self.console.orders.answer()

    def action_leave(self) -> None:
        self.console.bridge.close_run()

    def action_pause(self) -> None:
        self.console.orders.pause_or_go_on()

    def action_hand_over(self) -> None:
        self.console.orders.hand_over()

    def action_decide(self) -> None:
        self.console.orders.decide()

    def action_approve(self) -> None:
        self.console.orders.approve()

    def action_take_over(self) -> None:
        if row := self._meant():
            self.console.orders.take_over(row)

    def action_abandon(self) -> None:
        if row := self._meant():
            self.console.orders.abandon(row)

    def action_break_glass(self) -> None:
        self.console.orders.break_glass()

    def action_rollback(self) -> None:
        if row := self._meant():
            self.console.orders.roll_back(row.run_id)

    def on_data_table_row_highlighted(self, event: RowTable.RowHighlighted) -> None:
        """The keys are about the chosen run."""
        event.stop()
        self.query_one(KeyLine).refresh_keys()

    def on_data_table_row_selected(self, event: RowTable.RowSelected) -> None:
        event.stop()
        self.console.bridge.open_run(str(event.row_key.value))
