"""The dead-man on the box: what its words are, who may say them, and that it fires once and only unless confirmed."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.frr import deadman, guard
from tests.unit.test_frr_lab_guard import DANGEROUS, LINES

ARM = "deadman arm R-1-move-azure-a1 15"
UNDO = ["route-map IN-msee-primary permit 10", "set local-preference 200"]
SOFT = "clear bgp ipv4 unicast 10.255.1.2 soft"


def refused(request: str, account: str = "run") -> str:
    """Why the guard refuses it: it never gets as far as a router."""
    status, output = guard.answer(request, account, "nowhere")
    assert status == guard.REFUSED, output
    return bytes(output).decode()


@pytest.mark.parametrize("line", DANGEROUS)
def test_every_line_is_matched_when_it_is_armed(line: str) -> None:
    assert "refused" in refused("\t".join([ARM, *UNDO, line, SOFT]))


@pytest.mark.parametrize(
    "request_",
    [
        "deadman arm R-1 15",
        "deadman arm R-1 0\tset local-preference 200",
        "deadman arm R-1 10000\tset local-preference 200",
        "deadman arm R-1 1.5\tset local-preference 200",
        "deadman arm ../R-1 15\tset local-preference 200",
        "deadman arm .R-1 15\tset local-preference 200",
        f"deadman arm {'R' * 97} 15\tset local-preference 200",
        "deadman arm R 1 15\tset local-preference 200",
        f"{ARM}\t{SOFT}\tset local-preference 200",
        f"{ARM}\tset local-preference 200\tclear bgp *",
        f"{ARM}\tset local-preference 200\n",
        "deadman extend R-1",
        "deadman extend R-1 15\tset local-preference 200",
        "deadman confirm R-1 15",
        "deadman list all",
        "deadman  list",
        "deadman arm R-1 \u0661\u0665\tset local-preference 200",
    ],
)
def test_anything_else_is_no_word(request_: str) -> None:
    assert "refused" in refused(request_)


@pytest.mark.parametrize("request_", ["\t".join([ARM, *UNDO, SOFT]), "deadman extend R-1 15", "deadman confirm R-1"])
def test_the_read_account_may_only_list(request_: str) -> None:
    assert "account read may not" in refused(request_, "read")


def test_the_read_account_may_list() -> None:
    assert guard.deadman_word("deadman list", "read")[2] is None


@given(st.lists(st.sampled_from(LINES), min_size=1), st.lists(st.just(SOFT)), st.integers(1, 9999))
def test_what_is_armed_is_what_was_said(lines: list[str], clears: list[str], seconds: int) -> None:
    word = deadman.Word("\t".join([f"deadman arm R-1 {seconds}", *lines, *clears]))
    assert (word.verb, word.id, word.seconds, word.lines, word.clears) == ("arm", "R-1", seconds, lines, clears)


# -- a timer, as a process of its own

TIMER = """
import sys
sys.path.insert(0, sys.argv[1])
from lab.frr import deadman
folder, name, out = sys.argv[2:]
def restore(lines, command):
    with open(out, "a") as file:
        file.write(f"{command}|{'|'.join(lines)}\\n")
    return True
deadman.Spool(folder).watch(name, deadman.say_ready, restore)
"""
ROOT = str(Path(__file__).parents[2])


class Box(deadman.Spool):
    """A spool whose timers write down what they restore."""

    def __init__(self, folder: Path) -> None:
        (folder / "timers").mkdir()
        super().__init__(str(folder / "timers"))
        self.out, self.started = folder / "restored", list[int]()

    def begin(self, name: str) -> None:
        """Start a timer's process as the guard does."""
        before = children()
        deadman.detached([sys.executable, "-c", TIMER, ROOT, self.folder, name, str(self.out)])
        self.started += children() - before

    def say(self, request: str) -> str:
        return str(deadman.answered(deadman.Word(request), self, self.begin))

    @property
    def restored(self) -> list[str]:
        return self.out.read_text().splitlines() if self.out.exists() else []


def children() -> set[int]:
    found = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(word) for each in found for word in each.read_text().split()}


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path)
    yield made
    for row in made.listed():
        made.confirm(deadman.Word(f"deadman confirm {row['id']}"))


def until(what: str, holds: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


def arm(name: str = "R-1", seconds: int = 1) -> str:
    return "\t".join([f"deadman arm {name} {seconds}", *UNDO, SOFT])


RESTORED = [f"configure terminal|{'|'.join(UNDO)}", f"{SOFT}|{SOFT}"]


def test_silence_puts_the_lines_back_once_and_then_the_clears(box: Box) -> None:
    assert box.say(arm()) == "armed"
    until("it fires", lambda: box.restored == RESTORED)
    assert box.listed() == []
    assert box.say("deadman extend R-1 15") == box.say("deadman confirm R-1") == "fired"
    with pytest.raises(deadman.Refused, match="has fired"):
        box.say(arm())
    assert box.restored == RESTORED


def test_confirmed_in_time_it_never_fires_and_its_process_ends(box: Box) -> None:
    box.say(arm(seconds=60))
    (pid,) = box.started
    assert box.say("deadman confirm R-1") == "armed"
    assert box.say("deadman confirm R-1") == box.say("deadman extend R-1 15") == "absent"
    assert os.waitpid(pid, 0)[1] == 0
    assert (box.restored, box.listed()) == ([], [])


def test_extended_it_lives_past_its_first_moment(box: Box) -> None:
    box.say(arm(seconds=60))
    (pid,) = box.started
    os.kill(pid, signal.SIGSTOP)  # it sleeps over its first moment, however late the extension is said
    try:
        box.say("deadman extend R-1 1")
        first = deadman.now_s() + 1
        until("its first moment is over", lambda: deadman.now_s() > first)
        begun = time.monotonic()
        assert box.say("deadman extend R-1 1") == "armed"
    finally:
        os.kill(pid, signal.SIGCONT)
    until("it fires after the extension", lambda: box.restored == RESTORED)
    assert time.monotonic() - begun >= 1.0


def test_it_stands_in_a_session_of_its_own(box: Box) -> None:
    box.say(arm(seconds=60))
    (pid,) = box.started
    assert os.getsid(pid) == pid != os.getsid(0), "a hangup of the connection does not reach it"


def test_a_timer_that_died_is_no_protection_and_is_told(box: Box) -> None:
    box.say(arm(seconds=60))
    (pid,) = box.started
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert box.listed()[0]["alive"] is False
    assert box.say("deadman extend R-1 15") == "absent"
    assert box.say("deadman confirm R-1") == "absent"
    assert box.listed() == []


def test_arming_again_extends_and_never_changes_what_was_armed(box: Box) -> None:
    box.say(arm(seconds=30))
    assert box.say(arm(seconds=60)) == "armed"
    assert len(box.started) == 1
    (row,) = box.listed()
    left = row["left_s"]
    assert row["id"] == "R-1"
    assert isinstance(left, float)
    assert left > 50
    with pytest.raises(deadman.Refused, match="other lines"):
        box.say("deadman arm R-1 15\tset local-preference 100")


def test_a_timer_that_does_not_start_is_not_armed(box: Box) -> None:
    with pytest.raises(deadman.Refused, match="did not start"):
        deadman.answered(deadman.Word(arm()), box, lambda _name: deadman.detached(["/bin/true"]))
    assert box.listed() == []


def test_what_the_router_does_not_take_at_once_is_tried_again() -> None:
    said: list[str] = []

    def busy_once(_lines: list[str], command: str) -> bool:
        said.append(command)
        return len(said) > 1

    deadman.put_back({"lines": UNDO, "clears": [SOFT]}, busy_once)
    assert said == ["configure terminal", "configure terminal", SOFT]
