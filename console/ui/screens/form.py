"""Some values asked for at once: a manual step's evidence, a runbook's parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input

from console.ui.widgets.lines import Lines
from console.ui.widgets.scroll import Scroll
from console.view import Cell


@dataclass(frozen=True, slots=True)
class Field:
    """One value: its name, what may be given in words, and the names that complete what is typed."""

    name: str
    hint: str = ""
    choices: tuple[str, ...] = ()
    value: str = ""
    required: bool = True


class Form(ModalScreen[Mapping[str, str]], inherit_bindings=False):
    """Answers with the values by name, without those left empty; with none at all when it is left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # Before the field hears it: what is typed or pasted right after belongs to the next one.
        Binding("enter", "next", "next", id="form.enter", show=False, priority=True),
        Binding("escape", "leave", "leave", id="form.leave", show=False),
        Binding("tab", "app.focus_next", "next", id="form.next", show=False),
        Binding("shift+tab", "app.focus_previous", "previous", id="form.previous", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[Sequence[Cell]], fields: Sequence[Field], *, does: str) -> None:
        super().__init__()
        self._title, self._lines, self._fields, self._does = title, lines, fields, does

    def compose(self) -> ComposeResult:
        with Vertical(id="form", classes="box") as box:
            box.border_title = self._title
            with Scroll(id="said"):
                yield Lines(id="what")
                yield from self._inputs()
            yield Lines(id="hint")

    def _inputs(self) -> Iterable[Lines | Input]:
        for number, field in enumerate(self._fields):
            yield Lines(id=f"name-{number}", classes="name")
            suggests = SuggestFromList(field.choices) if field.choices else None
            yield Input(field.value, compact=True, id=f"field-{number}", suggester=suggests)

    def on_mount(self) -> None:
        self.query_one("#what", Lines).show(self._lines)
        for number, field in enumerate(self._fields):
            said = [Cell(field.name, "strong"), Cell(f"  {field.hint}", "dim")]
            self.query_one(f"#name-{number}", Lines).show([said])
        self.set_focus(self.query(Input).first())  # at once: the next key typed belongs to it
        self._hint("")

    def _hint(self, said: str) -> None:
        keys = (("enter", f"next, then {self._does}"), ("→", "completes"), ("esc", "back"))
        cells = [cell for key, does in keys for cell in (Cell(key, "key"), Cell(f" {does}   "))]
        self.query_one("#hint", Lines).show([[Cell(said, "degraded")], cells])

    def action_leave(self) -> None:
        self.dismiss({})

    def action_next(self) -> None:
        """Completed where only one name fits; then on to the next field, from the last to the first still missing."""
        inputs = list(self.query(Input))
        if not inputs:
            return  # it is not there yet
        at = next((number for number, each in enumerate(inputs) if each.has_focus), 0)
        inputs[at].value = _completed(self._fields[at], inputs[at].value.strip())
        if at + 1 < len(inputs):
            self.set_focus(inputs[at + 1])
            return
        given = {field.name: each.value.strip() for field, each in zip(self._fields, inputs, strict=True)}
        missing = [number for number, field in enumerate(self._fields) if field.required and not given[field.name]]
        if missing:
            self.set_focus(inputs[missing[0]])
            self._hint(f"{self._fields[missing[0]].name} is missing: nothing was done")
        else:
            self.dismiss({name: value for name, value in given.items() if value})


def _completed(field: Field, typed: str) -> str:
    fitting = [choice for choice in field.choices if choice.startswith(typed)]
    return fitting[0] if typed and len(fitting) == 1 else typed
