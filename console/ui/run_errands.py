"""Orders to a run from the screens, as from the command line: each says first what it would do, and asks.

Every one is given by the desk, whose refusal is shown as it stands. A run is ordered about only by who sees it:
a question is answered by the entry that was shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from console.ui.asking import Asking
from console.view import Cell

if TYPE_CHECKING:
    from console.ui.bridge import RunPicture
    from console.ui.words import Command
    from runbooks.journal import RunRow

TEXT_WIDTH = 68  # columns of a dialog's text


class RunErrands(Asking):
    """One for the app. `row` is the run that is meant: the one in view, or the chosen one of the list."""

    def obey(self, command: Command) -> None:
        """An order from the `:` line, to the run that it names or the one in view."""
        run = self._app.picture.run
        if command.verb == "rollback":
            self.roll_back(command.about)
        elif command.about and (run is None or run.row.run_id != command.about):
            self._app.say(f"{command.about} is not in view: `:follow {command.about}` first", "degraded")
        elif run is None:
            self._app.say(f"{command.verb}: no run is in view; `:follow RUN` shows one", "degraded")
        else:
            orders: dict[str, Callable[[], None]] = {
                "abort": self.abort,
                "pause": self.pause,
                "resume": lambda: self._go_on(run),
                "handover": self.hand_over,
                "decide": self.decide,
                "approve": self.approve,
                "abandon": lambda: self.abandon(run.row),
            }
            orders[command.verb]()

    def pause_or_go_on(self) -> None:
        """One key for both."""
        if run := self._app.picture.run:
            self._go_on(run) if run.view.paused else self.pause()

    def pause(self) -> None:
        """At once: it moves nothing."""
        if (run := self._app.picture.run) and (desk := self._desk):
            self._order(desk.pause(run.row.run_id), run.row.run_id, "{}: no further step, once its group has ended")

    def _go_on(self, run: RunPicture) -> None:
        """After a pause it is the driver that goes on; where nobody drives, this console does."""
        if not (run.view.paused and run.row.driver_alive):
            self.take_over(run.row)
            return
        run_id, reason = run.row.run_id, [[Cell("It goes on where it was paused, with its next step.")]]
        self._confirmed(f"resume {run_id}?", reason, "resumes it", lambda: self._resumed(run_id))

    def _resumed(self, run_id: str) -> None:
        if desk := self._desk:
            self._order(desk.resume(run_id), run_id, "{} goes on")

    def hand_over(self) -> None:
        """Its driver ends its group and lets it go."""
        if run := self._app.picture.run:
            run_id = run.row.run_id
            lines = [
                [Cell(f"{run.row.driver_user or 'nobody'} ends the group under way and lets the run go.")],
                [Cell("It keeps its locks and stands still until somebody resumes it.")],
            ]
            self._confirmed(f"hand {run_id} over?", lines, "hands it over", lambda: self._handed_over(run_id))

    def _handed_over(self, run_id: str) -> None:
        if desk := self._desk:
            self._order(desk.hand_over(run_id), run_id, "{} is let go once its group has ended")

    def take_over(self, row: RunRow) -> None:
        """Drive on from here. A run whose driver may live is taken only by typing its id."""
        from console import run_words

        if not self._may_write():
            return
        run = self._seen(row)
        lines = run_words.takeover_lines(
            row, run.view if run else None, run.events if run else (), self._app.sight.judged_at
        )
        forced, run_id = row.driver_alive, row.run_id
        title, does = ("take {} from its driver?", "to take it") if forced else ("resume {}?", "drives it from here")
        words = [run_id] if forced else []
        self._confirmed(title.format(run_id), lines, does, lambda: self._taken(run_id, force=forced), words)

    def _taken(self, run_id: str, *, force: bool) -> None:
        if desk := self._desk:
            self._order(desk.resume(run_id, force=force), run_id, "{} is driven from here")

    def decide(self) -> None:
        """Answer the open question: the one that was shown, and no other."""
        from console import run_words
        from console.ui.screens.dialog import Dialog
        from runbooks.tables import CHOICES

        run = self._app.picture.run
        if run is None or run.view.question is None:
            self._app.say("nothing is asked", "degraded")
            return
        run_id, asked = run.row.run_id, run.view.question
        lines = run_words.question_lines(run.view, asked, TEXT_WIDTH)
        dialog = Dialog(f"{asked.step}: decide", lines, does="", words=CHOICES)
        self._app.push_screen(dialog, lambda choice: self._decided(run_id, choice, asked.seq) if choice else None)

    def _decided(self, run_id: str, choice: str, reply_to: int) -> None:
        if desk := self._desk:
            goes = "" if self._app.write else "; READ-ONLY here: it goes on where it is driven"
            self._order(desk.decide(run_id, choice, reply_to), run_id, f"{{}}: {choice}{goes}")

    def approve(self) -> None:
        """A second person's yes, to exactly what is shown; whether this is a second person, the journal knows."""
        from console import run_view, run_words

        run = self._app.picture.run
        if run is None or not (step := run_view.open_approval(run.view)):
            self._app.say("no approval is asked for", "degraded")
            return
        row = run.row
        word = row.run_id if run.view.abandon else str(row.definition.get("target") or row.run_id)
        lines = run_words.approval_lines(row, run.view, step)
        approves, does = lambda: self._approved(row.run_id, step), f"to approve {step}"
        self._confirmed(f"approve {step} of {row.run_id}?", lines, does, approves, [word])

    def _approved(self, run_id: str, step: str) -> None:
        if desk := self._desk:
            self._order(desk.approve(run_id, step), run_id, f"{{}}: {step} is approved")

    def abandon(self, row: RunRow) -> None:
        """Ask that it be given up as it stands; a second person's approval closes it."""
        from console import run_words

        run, run_id = self._seen(row), row.run_id
        lines = run_words.abandon_lines(row, run.view if run else None)
        asks = lambda: self._abandoned(run_id)  # noqa: E731 -- one of five alike
        self._confirmed(f"abandon {run_id}?", lines, "to ask for it", asks, [run_id])

    def _abandoned(self, run_id: str) -> None:
        if desk := self._desk:
            self._order(desk.abandon(run_id), run_id, "{}: a second person's approval (a) abandons it")

    def roll_back(self, run_id: str) -> None:
        """Say what will be put back; its target's name confirms."""
        from console import run_words

        run, listed = self._app.picture.run, self._app.picture.runs
        seen = run if run and run.row.run_id == run_id else None
        row = seen.row if seen else next((row for row in listed if row.run_id == run_id), None)
        if row is None:
            self._app.say(f"run {run_id} is not in this journal", "degraded")
        elif self._may_write():
            word = str(row.definition.get("target") or run_id)
            now = seen.view.state if seen else row.state  # the list is read once a second
            lines, puts = run_words.rollback_lines(row, now), lambda: self._rolled_back(run_id)
            self._confirmed(f"roll back {run_id}?", lines, "to put it back", puts, [word])

    def _rolled_back(self, run_id: str) -> None:
        if desk := self._desk:
            self._ask(desk.rollback(run_id), "rolling back: {}")

    def break_glass(self) -> None:
        """Ask for the reason to act without the journal. Nobody else sees what is done then."""
        from console import hold_view
        from console.ui.screens.form import Field, Form

        run = self._app.picture.run
        if run is None or run.away is None or not self._may_write():
            return
        run_id, now = run.row.run_id, self._app.sight.judged_at
        lines = hold_view.hold_lines(run.view, run.away, now, asked=True, writing=True)
        fields = [Field("reason", "why this cannot wait; it is written down with your name")]
        form = Form(f"break the glass for {run_id}?", lines, fields, does="acts without the journal")
        self._app.push_screen(form, lambda given: self._broken(run_id, given["reason"]) if given else None)

    def _broken(self, run_id: str, reason: str) -> None:
        if self._app.bridge.operator.break_it(reason, run_id):
            self._app.say(f"{run_id} acts without the journal: {reason}", "degraded")
        else:
            self._app.say("too late, or the journal is back: no glass was broken", "degraded")

    def answer(self) -> None:
        """A confirm or manual step waits for the person here."""
        from console import run_view
        from console.ui.screens.form import Field, Form

        run, operator = self._app.picture.run, self._app.bridge.operator
        step = run.view.step(operator.asked(run.row.run_id)) if run else None
        if run is None or step is None:
            return
        run_id, step_id = run.row.run_id, step.id
        lines = [[Cell(step.title, "strong")], *([[Cell(step.spec.text)]] if step.spec.text else [])]
        if step.spec.evidence:
            form = Form(step_id, lines, [Field(name) for name in step.spec.evidence], does="hands it in")
            self._app.push_screen(form, lambda given: operator.answer(run_id, step_id, given) if given else None)
        else:
            lines = [*lines, *run_view.waiting_lines(run.view)]
            self._confirmed(step.kind, lines, "confirms; the run goes on", lambda: operator.answer(run_id, step_id))

    def abort(self) -> None:
        """Never gated, and the same however often it is asked."""
        from console import run_words

        run = self._app.picture.run
        if run is None or run.view.closed:
            self._app.say("no run is open: nothing to abort")
            return
        run_id = run.row.run_id
        lines = run_words.abort_lines(run.view)
        self._confirmed(f"ABORT {run_id}?", lines, "aborts and undoes", lambda: self._aborted(run_id))

    def _aborted(self, run_id: str) -> None:
        if desk := self._desk:
            self._order(desk.abort(run_id), run_id, "aborting {}")

    def _seen(self, row: RunRow) -> RunPicture | None:
        """The run as it is in view, if it is."""
        run = self._app.picture.run
        return run if run and run.row.run_id == row.run_id else None

    def _confirmed(
        self,
        title: str,
        lines: Sequence[Sequence[Cell]],
        does: str,
        then: Callable[[], None],
        words: Sequence[str] = (),
    ) -> None:
        from console.ui.screens.dialog import Dialog

        self._app.push_screen(Dialog(title, lines, does=does, words=words), lambda sure: then() if sure else None)
