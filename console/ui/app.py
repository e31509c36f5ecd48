"""The console: what every screen shares. Keys, the picture, and the way to the desk. It decides nothing itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen
from textual.widgets import Input

from console import view
from console.ui import themes
from console.ui.asking import Said
from console.ui.bridge import Bridge, Changed, Picture
from console.ui.clipboard import osc52
from console.ui.desk_port import Connect
from console.ui.errands import Errands
from console.ui.keyboard import Keyboard
from console.ui.run_errands import RunErrands
from console.ui.screens.page import Page
from console.ui.screens.pulse import PulseScreen
from console.ui.sight import Sight
from console.ui.widgets.command_line import CommandLine
from console.view import Cell
from network.health import SiteHealth, judge
from network.inventory import Site

if TYPE_CHECKING:
    from console.ui.screens.books import BooksScreen
    from console.ui.screens.run import RunScreen

NEWS_S = 6.0
_HERE = Path(__file__).parent


def _run_screen() -> RunScreen:
    """Imported when first wanted: the first paint comes before it."""
    from console.ui.screens.run import RunScreen

    return RunScreen()


def _books_screen() -> BooksScreen:
    from console.ui.screens.books import BooksScreen

    return BooksScreen()


class InterlockApp(App[None], inherit_bindings=False):
    """`connect` is awaited after the first paint; until then everything is "connecting …"."""

    TITLE = "Interlock"
    ENABLE_COMMAND_PALETTE = False
    CSS_PATH: ClassVar[list[str | Path]] = sorted(_HERE.rglob("*.tcss"))  # type: ignore[assignment]  # textual reads any
    MODES: ClassVar[dict[str, str | Callable[[], Screen[object]]]] = {
        "pulse": PulseScreen,  # type: ignore[dict-item]  # its own union is invariant
        "books": _books_screen,  # type: ignore[dict-item]  # same
        "run": _run_screen,  # type: ignore[dict-item]  # same
    }
    DEFAULT_MODE = "pulse"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("X", "abort", "ABORT and undo", id="run.abort", key_display="X"),
        Binding("question_mark", "help", "help", id="app.help", key_display="?"),
        Binding("1", "view('pulse')", "Pulse", id="view.pulse"),
        Binding("2", "view('pulse')", "Paths", id="view.paths", show=False),
        Binding("3", "view('books')", "Runbooks", id="view.books"),
        Binding("4", "view('run')", "Run", id="view.run"),
        Binding("colon", "command", "command", id="app.command", key_display=":"),
        Binding("space", "freeze", "freeze", id="app.freeze", key_display="space"),
        Binding("q", "quit", "quit", id="app.quit"),
        Binding("R", "write", "read-only or write", id="app.write", show=False),
        Binding("T", "theme", "next theme", id="app.theme", show=False),
        Binding("y", "copy(False)", "copy this screen", id="app.copy", show=False),
        Binding("Y", "copy(True)", "copy the exact commands", id="app.copy-commands", show=False),
        Binding("minus", "last_view", "last view", id="view.last", key_display="-", show=False),
    ]

    def __init__(
        self,
        site: Site,
        connect: Connect,
        *,
        mode: str,
        operator: str,
        write: bool,
        clock: Callable[[], datetime],
        theme: str | None = None,
    ) -> None:
        super().__init__()
        self.site, self.live_mode, self.operator, self.write = site, mode, operator, write
        self._clock = clock
        self.bridge = Bridge(connect, self.post_message, clock)
        self.errands = Errands(self)
        self.orders = RunErrands(self)
        self._keyboard = Keyboard(self, super().on_event)
        self.picture = Picture(clock())
        self._health: SiteHealth | None = None
        self._frozen_at: datetime | None = None
        self._last_view = "run"
        self._listed = False  # the runs of the journal have been seen once
        self.notice: list[list[Cell]] = []
        for each in themes.THEMES:
            self.register_theme(each)
        self.theme = theme or ("mono" if self.no_color else "dark")

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return themes.DEFAULTS

    def on_mount(self) -> None:
        # After the first frame: whatever connecting imports must not stand between start and paint.
        self.call_after_refresh(self.bridge.start)

    async def on_event(self, event: events.Event) -> None:
        """A key waits its turn; everything else, and a key that a widget hands up, is Textual's."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            await self._keyboard.typed(event)
        else:
            await super().on_event(event)

    async def on_unmount(self) -> None:
        self._keyboard.stop()
        await self.bridge.stop()

    # -- what the screens see

    @property
    def sight(self) -> Sight:
        now = self._clock()
        desk = self.bridge.desk
        who = (
            desk.journal.identity.user if desk else self.operator
        )  # as the secrets system says, once it has been asked
        header = view.header(self.site.name, self.live_mode, who, write=self.write)
        frozen = (now - self._frozen_at).total_seconds() if self._frozen_at else None
        return Sight(self.site, self.picture, self._health, self.picture.now, now, header, frozen)

    def on_changed(self, event: Changed) -> None:
        """The newest picture; while frozen only the age of the old one moves."""
        if self._frozen_at is None:
            self.picture = event.picture
            known = event.picture.snapshot
            self._health = judge(self.site, known, event.picture.now) if known else None
        self._redraw()
        if event.picture.runs and not self._listed:
            self._listed = True
            self.call_later(self._open_on_interrupted)

    async def _open_on_interrupted(self) -> None:
        """After a crash the first thing to see is what it left; whoever is busy elsewhere already is not taken away."""
        busy = len(self.screen_stack) > 1 or self._typing or self.current_mode != self.DEFAULT_MODE
        if any(row.orphaned for row in self.picture.runs) and not busy:
            await self.action_view("run")

    def _redraw(self) -> None:
        if self.screen_stack and isinstance(self.screen, Page):  # a last picture may come when the screens are gone
            self.screen.refresh_sight()

    def say(self, text: str, tone: str = "plain") -> None:
        """One answer, shown above the footer; good news goes by itself, the rest stays until the next."""
        said = [[Cell(line, tone)] for line in text.splitlines()]
        self.notice = said
        self._redraw()
        if tone == "plain":
            self.set_timer(NEWS_S, lambda: self._unsay(said))

    def _unsay(self, said: list[list[Cell]]) -> None:
        if self.notice is said:
            self.notice = []
            self._redraw()

    # -- moving about

    async def action_view(self, name: str) -> None:
        if name != self.current_mode:
            self._last_view = self.current_mode
            await self.switch_mode(name)
        while len(self.screen_stack) > 1:
            await self.pop_screen()

    async def action_last_view(self) -> None:
        await self.action_view(self._last_view)

    async def action_back(self) -> None:
        self.notice = []
        if len(self.screen_stack) > 1:
            await self.pop_screen()

    def action_help(self) -> None:
        from console.ui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen.active_bindings))

    def action_freeze(self) -> None:
        self._frozen_at = None if self._frozen_at else self._clock()
        if self._frozen_at is None:
            self.on_changed(Changed(self.bridge.picture()))
        self._redraw()

    def action_theme(self) -> None:
        names = [each.name for each in themes.THEMES]
        self.theme = names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else names[0]
        self.say(f"theme {self.theme}")

    def action_copy(self, commands: bool) -> None:
        if not isinstance(self.screen, Page):
            return
        text = self.screen.commands() if commands else self.screen.copied()
        if not text:
            self.say("nothing to copy here")
            return
        sequence = osc52(text, os.environ)
        if sequence is None or self._driver is None:
            self.say(f"too long for the terminal's clipboard: written to {_kept(text)}")
            return
        self._driver.write(sequence)
        self.say(f"copied {len(text.splitlines())} lines")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 -- textual's own
        return action != "abort" or self.sight.run_open

    # -- asking for something: errands.py

    def action_write(self) -> None:
        self.errands.switch_writing()

    def action_command(self) -> None:
        if isinstance(self.screen, Page):
            self.notice = []
            self.screen.query_one(CommandLine).open(":")

    async def on_command_line_entered(self, event: CommandLine.Entered) -> None:
        if event.mode == ":" and event.text:
            await self.errands.obey(event.text)

    def action_abort(self) -> None:
        self.orders.abort()

    @property
    def _typing(self) -> bool:
        """A line is being typed, or a dialog asks: taken away, what is typed next would be keys of another screen."""
        return isinstance(self.focused, Input) or isinstance(self.screen, ModalScreen)

    async def on_said(self, event: Said) -> None:
        if event.run_id:
            self.bridge.open_run(event.run_id)
            if not self._typing:
                await self.action_view("run")
        self.say(event.text, event.tone)

    async def action_quit(self) -> None:
        self.errands.leave()


def _kept(text: str) -> Path:
    from console.folders import state_dir

    file = state_dir() / "copied.txt"
    file.touch(mode=0o600)
    file.write_text(text)
    return file
