"""What the shell offers for TAB."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from console.completion import offers
from runbooks.book import shipped
from runbooks.language import Parameter
from tests.sample import REFERENCE, reference

BOOK = shipped("drain-port")
SITE = reference()


@pytest.mark.parametrize(
    ("before", "incomplete", "offered"),
    [
        ([], "", ["port="]),
        ([], "po", ["port="]),
        ([], "port=", ["port=port-a", "port=port-b"]),
        ([], "port=port-b", ["port=port-b"]),
        (["port=port-a"], "", []),
        (["port"], "=", ["port-a", "port-b"]),
        (["port", "="], "port-b", ["port-b"]),
        ([], "prt=", []),
    ],
)
def test_names_then_values_of_the_site(before: list[str], incomplete: str, offered: list[str]) -> None:
    assert offers(BOOK, SITE, before, incomplete) == offered


def test_what_names_no_thing_has_no_values_and_without_a_site_nothing_has() -> None:
    rate = BOOK.model_copy(update={"parameters": {"mbps": Parameter(type="mbps")}})
    assert offers(rate, SITE, [], "mbps=") == []
    assert offers(BOOK, None, [], "port=") == []


def test_all_is_offered_where_it_may_be_given() -> None:
    book = BOOK.model_copy(update={"parameters": {"cloud": Parameter(type="cloud", all=True)}})
    assert offers(book, SITE, [], "cloud=a") == ["cloud=azure", "cloud=aws", "cloud=all"]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("plan drain", {"drain-port"}),
        ("run drain-port po", {"port="}),
        ("run drain-port port=", {"port=port-a", "port=port-b"}),
    ],
)
def test_the_shell_is_given_them(line: str, offered: set[str], tmp_path: Path) -> None:
    asked = {"_INTERLOCK_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    asked |= {"_TYPER_COMPLETE_ARGS": f"interlock {line}", "INTERLOCK_SITE": str(REFERENCE), "HOME": str(tmp_path)}
    code = "import sys; sys.argv = ['interlock']; from console.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | asked, check=False
    )
    assert {row.split("\t")[0] for row in done.stdout.split()} == offered, done.stderr
