"""A called book is inlined: ids, groups and targets of its own, no circle, no depth that nobody can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbooks.book import found, opened, parse
from runbooks.language import Book, BookError
from runbooks.parameters import bound
from runbooks.unfold import unfolded
from tests.sample import reference
from tests.unit.test_lint import SOUND, marked

SITE = reference()
CALL = "  - id: first\n    kind: call\n    book: child\n    with: {port: port-b}\n"
CHILD = SOUND.replace("runbook: try", "runbook: child").replace(
    "risk: traffic-moving", "risk: last-spare\n    group: both"
)
PARENT = SOUND.replace("steps:\n", "guards: [symmetry]\nsteps:\n" + CALL)


def library(folder: Path, **books: str) -> None:
    for name, text in books.items():
        (folder / f"{name}.yaml").write_text(text)


def read(folder: Path, text: str = PARENT) -> Book:
    (folder / "try.yaml").write_text(text)
    return found(str(folder / "try.yaml"))


def test_its_steps_stand_where_it_is_called(tmp_path: Path) -> None:
    library(tmp_path, child=CHILD)
    book = read(tmp_path)
    steps = list(unfolded(book, bound(book, {"port": "port-a"}, SITE), SITE))
    assert [each.step.id for each in steps] == ["first/ready", "first/move", "first/empty", "ready", "move", "empty"]
    assert steps[1].step.group == "first/both"
    assert steps[1].args["port"] == "port-b"
    assert steps[1].target == ("port", "port-b")
    assert [[guard.name for guard in each.guards] for each in steps[:3]] == [[], ["symmetry"], ["symmetry"]]
    assert book.risk == "last-spare"
    assert len(book.texts) == 2


def refused(folder: Path, text: str, said: str) -> None:
    text, place = marked(text)
    (folder / "try.yaml").write_text(text)
    _, shelf = opened(folder / "try.yaml")
    with pytest.raises(BookError) as caught:
        parse(text, "try.yaml", shelf)
    assert [fault.where for fault in caught.value.faults if said in fault.text] == [f"try.yaml:{place}"], caught.value


def test_what_a_call_may_not_be(tmp_path: Path) -> None:
    library(tmp_path, child=CHILD)
    at_book = PARENT.replace("book: child", "‸book: child")
    refused(tmp_path, at_book.replace("book: child", "book: chld"), "did you mean 'child'?")
    refused(tmp_path, at_book.replace("book: child", "book: undrain-port"), "a run that puts back stands alone")
    refused(tmp_path, at_book.replace("book: child", "book: try"), "calls itself: try → try")
    refused(
        tmp_path, PARENT.replace("{port: port-b}", "{‸prt: port-b, port: port-b}"), "'prt' is not a parameter of child"
    )
    refused(tmp_path, at_book.replace("    with: {port: port-b}\n", ""), "'port' of child is missing")


def test_a_circle_over_two_books_is_refused(tmp_path: Path) -> None:
    library(tmp_path, child=CHILD.replace("steps:\n", "steps:\n" + CALL.replace("book: child", "book: try")))
    refused(tmp_path, PARENT.replace("book: child", "‸book: child"), "calls itself: try → child → try")


def test_a_tower_of_books_is_refused(tmp_path: Path) -> None:
    def level(name: str, below: str) -> str:
        call = CALL.replace("book: child", f"book: {below}")
        return CHILD.replace("runbook: child", f"runbook: {name}").replace("steps:\n", "steps:\n" + call)

    library(
        tmp_path, child=level("child", "b"), b=level("b", "c"), c=level("c", "d"), d=CHILD.replace(": child", ": d")
    )
    refused(tmp_path, PARENT.replace("book: child", "‸book: child"), "is called too deep (try → child → b → c)")


def test_a_fault_of_the_called_book_is_told_where_it_is_called(tmp_path: Path) -> None:
    library(tmp_path, child=CHILD.replace("verb: port-empty", "verb: port-empt"))
    refused(tmp_path, PARENT.replace("book: child", "‸book: child"), "child.yaml:18:5: steps.2.verb: 'port-empt' is no")


def test_a_book_has_the_name_of_its_file(tmp_path: Path) -> None:
    library(tmp_path, child=SOUND)
    refused(tmp_path, PARENT.replace("book: child", "‸book: child"), "'try' must have the name of its file, 'child'")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BookError, match="cannot be read"):
        found(str(tmp_path / "none.yaml"))
