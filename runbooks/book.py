"""Reading runbooks: from the library or from a file, each fault with its file, line and column, all of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from network.inventory import Site
from network.located import Fault, Located, NotYaml, reason
from network.sitecheck import Location, nearest
from runbooks import grammar, lint
from runbooks.grammar import Finding
from runbooks.language import Book, BookError, BookStep, Script

__all__ = ["Book", "BookError", "Shelf", "faults", "found", "names", "parse", "shipped"]

SUFFIX = ".yaml"
#: How deep books may call each other. Deeper than this nobody sees what a run will do.
MAX_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Shelf:
    """Folders with runbooks, the first one first."""

    folders: tuple[Traversable, ...]

    def names(self) -> tuple[str, ...]:
        files = (file.name for folder in self.folders for file in folder.iterdir())
        return tuple(sorted({name.removesuffix(SUFFIX) for name in files if name.endswith(SUFFIX)}))

    def book(self, name: str, trail: tuple[str, ...] = ()) -> Book:
        """A book by name. Raises BookError with the nearest name."""
        if name not in self.names():
            raise BookError([Fault("runbook", name, f"is not in the library; {nearest(name, self.names())}")])
        files = (folder / f"{name}{SUFFIX}" for folder in self.folders)
        file = next(file for file in files if file.is_file())
        book = parse(file.read_text(), file.name, self, trail)
        if book.runbook != name:
            raise BookError([Fault(file.name, "runbook", f"{book.runbook!r} must have the name of its file, {name!r}")])
        return book


def _library() -> Traversable:
    return resources.files("runbooks") / "library"


def names() -> tuple[str, ...]:
    """The runbooks that come with Interlock."""
    return Shelf((_library(),)).names()


def shipped(name: str) -> Book:
    """A runbook of the library by name. Raises BookError with the nearest name."""
    return Shelf((_library(),)).book(name)


def found(name: str) -> Book:
    """A runbook of the library by name, or of a file: a name with a suffix or a folder. Raises BookError."""
    if not name.endswith((SUFFIX, ".yml")) and "/" not in name:
        return shipped(name)
    text, shelf = opened(Path(name))
    return parse(text, name, shelf)


def opened(file: Path) -> tuple[str, Shelf]:
    """A file's text, and the shelf that it may call from: what lies beside it, and the library. Raises BookError."""
    try:
        return file.read_text(), Shelf((file.parent, _library()))
    except (OSError, UnicodeDecodeError) as error:
        raise BookError([Fault("runbook", str(file), f"cannot be read: {error}")]) from error


def parse(text: str, source: str, shelf: Shelf | None = None, trail: tuple[str, ...] = ()) -> Book:
    """Read a runbook. Raises BookError."""
    try:
        return _read(text, source, shelf or Shelf((_library(),)), trail)
    except RecursionError:
        raise BookError([Fault(f"{source}:1:1", "yaml", "a part of it contains itself")]) from None


def _read(text: str, source: str, shelf: Shelf, trail: tuple[str, ...]) -> Book:
    lines, script, unknown = _script(text, source)
    called, wrong = _called(script, shelf, (*trail, script.runbook))
    book = Book.model_construct(**dict(script), text=text, called=called)
    if wrong := [*unknown, *wrong, *grammar.findings(book), *lint.laws(book)]:
        raise BookError([lines.fault(at, said) for at, said in _in_order(wrong)])
    return book


def faults(text: str, source: str, shelf: Shelf | None = None, site: Site | None = None) -> list[Fault]:
    """Everything that is wrong with a runbook, and with a site also what nothing there feeds."""
    try:
        book = parse(text, source, shelf)
    except BookError as error:
        return list(error.faults)
    lines = Located(text, source, columns=True)
    return [lines.fault(at, said) for at, said in (lint.unfed(book, site) if site else ())]


def _script(text: str, source: str) -> tuple[Located, Script, list[Finding]]:
    """What is written, and the keys that nobody knows: those hide no other fault. Raises BookError for any other."""
    try:
        lines = Located(text, source, columns=True)
        try:
            return lines, Script.model_validate(lines.document), []
        except ValidationError as error:
            wrong = [(e["loc"], reason(e, _schema).replace("Value error, ", "")) for e in error.errors()]
            for each in error.errors():
                if each["type"] != "extra_forbidden":
                    raise BookError([lines.fault(at, said) for at, said in wrong]) from None
                _remove(lines.document, each["loc"])
            return lines, Script.model_validate(lines.document), wrong
    except NotYaml as error:
        raise BookError([error.fault]) from None


def _remove(document: Any, location: Location) -> None:
    *path, last = location
    for part in path:
        document = document[part]
    document.pop(last, None)


@cache
def _schema() -> dict[str, Any]:
    return Script.model_json_schema(by_alias=True)


def _called(script: Script, shelf: Shelf, trail: tuple[str, ...]) -> tuple[dict[str, Book], list[Finding]]:
    """The books that a book calls, by name, and what is wrong with its calls."""
    called: dict[str, Book] = {}
    wrong: list[Finding] = []
    for index, step in enumerate(script.steps):
        if step.kind != "call" or not step.book:
            continue
        try:
            called[step.book] = _callee(step.book, shelf, trail)
            wrong += ((("steps", index, *at), said) for at, said in _arguments(step, called[step.book]))
        except BookError as error:
            wrong.append((("steps", index, "book"), "; ".join(str(fault) for fault in error.faults)))
    return called, wrong


def _callee(name: str, shelf: Shelf, trail: tuple[str, ...]) -> Book:
    """Raises BookError: unknown, called in a circle, too deep, or not to be called."""
    if name in trail:
        raise BookError([Fault("call", name, f"calls itself: {' → '.join([*trail, name])}")])
    if len(trail) > MAX_DEPTH:
        raise BookError([Fault("call", name, f"is called too deep ({' → '.join(trail)}); at most {MAX_DEPTH} levels")])
    book = shelf.book(name, trail)
    if book.undoes:
        raise BookError([Fault("call", name, f"undoes {book.undoes}: a run that puts back stands alone")])
    return book


def _arguments(step: BookStep, book: Book) -> Iterator[Finding]:
    for name in step.args:
        if name not in book.parameters:
            said = nearest(name, book.parameters)
            yield ("with", name), f"{name!r} is not a parameter of {book.runbook}; {said}"
    for name, parameter in book.parameters.items():
        if name not in step.args and parameter.default is None and parameter.required:
            yield ("with",) if step.args else ("book",), f"{name!r} of {book.runbook} is missing"


def _in_order(wrong: Sequence[Finding]) -> list[Finding]:
    """As they stand in the book, the book's own first; each once."""
    return sorted(
        dict.fromkeys(wrong), key=lambda finding: [part if isinstance(part, int) else -1 for part in finding[0]]
    )
