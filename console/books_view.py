"""Pure selectors: the catalogue of runbooks, and what each wants to be told."""

from __future__ import annotations

from typing import NamedTuple

from console.view import Cell
from network.inventory import Site
from runbooks.language import Book
from runbooks.parameters import expected, things

Line = list[Cell]


class FieldFacts(NamedTuple):
    """A parameter as a form asks for it: what may be given in words, and the names that complete it."""

    name: str
    hint: str
    choices: tuple[str, ...]
    value: str
    required: bool


def book_cells(book: Book) -> dict[str, Cell]:
    """A runbook as a table row."""
    return {
        "book": Cell(book.runbook, "strong"),
        "risk": Cell(book.risk, "dim" if book.risk in {"reading", "restore"} else "degraded"),
        "title": Cell(book.title),
    }


def book_lines(book: Book, site: Site) -> list[Line]:
    """What a runbook is for, what it wants to be told, and its steps."""
    lines: list[Line] = [[Cell(" ".join(book.purpose.split()))], []]
    lines += [[Cell(f"{fact.name}=  ", "accent"), Cell(fact.hint, "dim")] for fact in fields(book, site)]
    steps = enumerate(book.steps, start=1)
    return [*lines, [], *([Cell(f"{n} {step.kind:<11}", "dim"), Cell(step.title or step.id)] for n, step in steps)]


def form_lines(book: Book) -> list[Line]:
    """What stands above the fields."""
    undo = [[Cell(f"Puts back the newest {book.undoes}; it needs no change.", "dim")]] if book.undoes else []
    return [[Cell(book.title, "strong"), Cell(f"  {book.risk}", "dim")], *undo]


def fields(book: Book, site: Site) -> list[FieldFacts]:
    """Its parameters, in the book's order."""
    return [
        FieldFacts(
            name,
            "; ".join(filter(None, (parameter.help, expected(parameter, site)))),
            tuple(things(parameter, site)),
            parameter.default or "",
            parameter.required and parameter.default is None,
        )
        for name, parameter in book.parameters.items()
    ]
