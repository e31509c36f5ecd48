"""Runbooks: the catalogue, what each is for, and its parameters with the names of this site to complete them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from console import books_view
from console.ui.screens.form import Field, Form
from console.ui.screens.page import Page
from console.ui.widgets.lines import Lines
from console.ui.widgets.row_table import Column, RowTable
from console.ui.widgets.scroll import Scroll
from console.ui.words import Command
from runbooks.book import names, shipped

if TYPE_CHECKING:
    from console.ui.sight import Sight

_COLUMNS = (Column("book", "runbook", 14), Column("risk", "risk", 14), Column("title", "title", 46))
CHANGE = "change"


class BooksScreen(Page):
    """Key 3. Enter asks for the parameters and shows the plan; with a change, or for an undo, it may then be run."""

    AUTO_FOCUS = "RowTable"
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self) -> None:
        super().__init__()
        self._books = {name: shipped(name) for name in names()}

    def body(self) -> Iterable[Widget]:
        table = RowTable(_COLUMNS, id="books")
        table.border_title = f"runbooks {len(self._books)} · enter plans one"
        yield table
        yield Scroll(Lines(id="book"), id="book-box", classes="box")

    def draw(self, sight: Sight) -> None:  # noqa: ARG002 -- the catalogue is the same whatever the network does
        table = self.query_one(RowTable)
        table.show([(name, books_view.book_cells(book)) for name, book in self._books.items()])
        if table.chosen:
            book = self._books[table.chosen]
            self.query_one("#book-box").border_title = book.runbook
            self.query_one("#book", Lines).show(books_view.book_lines(book, self.console.site))

    def on_data_table_row_highlighted(self, event: RowTable.RowHighlighted) -> None:
        event.stop()
        self.refresh_sight()

    def on_data_table_row_selected(self, event: RowTable.RowSelected) -> None:
        event.stop()
        self._fill_in(str(event.row_key.value))

    def _fill_in(self, name: str) -> None:
        book = self._books[name]
        fields = [
            Field(key, hint, choices, value, required)
            for key, hint, choices, value, required in books_view.fields(book, self.console.site)
        ]
        if book.undoes is None:
            fields.append(Field(CHANGE, "to run it; without one the plan is only shown", required=False))
        lines = books_view.form_lines(book)
        self.app.push_screen(
            Form(f"plan {name}", lines, fields, does="plans it"),
            lambda given: self._plan(name, given) if given else None,
        )

    def _plan(self, name: str, given: Mapping[str, str]) -> None:
        """What may be run is asked for once its plan is in view; until then nothing changes."""
        values = {key: value for key, value in given.items() if key != CHANGE}
        change = given.get(CHANGE, "")
        runs = self.console.write and bool(change or self._books[name].undoes)
        self.console.errands.plan(Command("run" if runs else "plan", name, values, change))
