"""An outage on a terminal: who is asked, and what an empty line means."""

from __future__ import annotations

import pytest

from console.line_outage import LineOutage


def answering(line: str, asked: list[str]) -> LineOutage:
    async def ask(question: str) -> str:
        asked.append(question)
        return line

    return LineOutage(ask)


async def test_typed_reason_breaks_the_glass_and_an_empty_line_does_not() -> None:
    asked: list[str] = []
    assert await answering(" both ports dark \n", asked).break_glass("R-1", 12) == "both ports dark"
    assert await answering("\n", asked).break_glass("R-1", 12) is None
    assert await answering("", asked).break_glass("R-1", 12) is None  # the input has ended
    assert all("R-1" in question for question in asked)


async def test_yes_on_the_command_line_breaks_no_glass(capsys: pytest.CaptureFixture[str]) -> None:
    nobody = LineOutage(None)
    assert await nobody.break_glass("R-1", 12) is None
    assert await nobody.write_again("R-1", 3) is False
    assert "has lost 3 entries of R-1" in capsys.readouterr().err


async def test_entries_are_written_again_on_a_plain_yes_only() -> None:
    asked: list[str] = []
    assert await answering("y\n", asked).write_again("R-1", 3) is True
    assert await answering("\n", asked).write_again("R-1", 3) is False
    assert "lost 3 entries" in asked[0]
