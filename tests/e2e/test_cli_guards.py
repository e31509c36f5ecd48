"""Guards beside a real run: what is unknown holds, what is seen to harm undoes, unless the way back is no better."""

from __future__ import annotations

import contextlib
import re
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Self

import pytest

from connectors.reply import fresh_for
from tests.e2e.embedded_lab import Cli, Document, Observer, brisk, lab_up, path, until
from tests.e2e.killing import entries, frozen
from tests.e2e.router_login import silence

pytestmark = [pytest.mark.vault, pytest.mark.timeout(300)]

CLOUD_EVERY_S = 2
#: As long as an answer of Azure's is believed.
AZURE_FRESH = timedelta(seconds=fresh_for(CLOUD_EVERY_S))


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with lab_up(tmp_path_factory.mktemp("guards")) as cli:
        brisk(cli, CLOUD_EVERY_S)
        silence(cli, 600)  # what a console does that was frozen is looked at here at leisure
        yield cli


@pytest.fixture(scope="module")
def watch(cli: Cli) -> Iterator[Observer]:
    with Observer(cli) as observer:
        yield observer


@pytest.fixture
def change(cli: Cli, watch: Observer) -> Iterator[str]:
    """A change for one test, on a whole site; afterwards nothing is broken and what was moved is put back."""
    watch.until("whole before", whole, 90)
    known = {run["run"] for run in cli.runs()}
    yield cli.change("--ci", "port-a")
    cli.heal()
    for run in cli.runs():
        if run["run"] not in known:
            cli.run("rollback", run["run"], "--write", "--yes")


def whole(document: Document) -> bool:
    return document["verdict"] == "healthy" and all(each["ok"] for each in document["sources"])


def layer(document: Document, name: str, of: str) -> str:
    return str(path(document, f"azure/{name}")["layers"][of])


def said_at(document: Document) -> datetime:
    return datetime.fromisoformat(document["at"])


def azure_is_stale(document: Document) -> bool:
    return layer(document, "er-primary", "bgp_there") == "stale"


def lossy(document: Document) -> bool:
    return bool((path(document, "azure/er-primary")["grey"] or {}).get("kind") == "loss")


class Drain:
    """A drain of port-a under way, heard line by line."""

    def __init__(self, cli: Cli, change: str) -> None:
        self.cli, self.change, self._before = cli, change, len(cli.router_writes())
        self._start()

    def _start(self) -> None:
        self.process = self.cli.start("run", "drain-port", "port=port-a", "--change", self.change, "--write", "--yes")
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        """Until it has begun: on a busy machine the first look of a console can be too late for a plan."""
        until("a run has begun", self._begun, 120)
        return self

    def _begun(self) -> bool:
        if self.process.poll() is not None and "run R-" not in self.said():
            self._start()
        return "run R-" in self.said()

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=60)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    @property
    def run(self) -> str:
        return str(until("the run has a name", lambda: re.findall(r"run (R-\S+)", "\n".join(self.lines)))[0])

    def heard(self, words: str, within_s: float = 60.0) -> str:
        """Wait for a line of the run's output, such as `verify.ok  move-aws`."""
        try:
            return str(until(words, lambda: next((line for line in self.lines if words in line), None), within_s))
        except pytest.fail.Exception as late:
            raise AssertionError(f"{late}\n{self.said()}") from None

    @contextlib.contextmanager
    def frozen(self, words: str) -> Iterator[None]:
        """Stop the console as soon as it has said this; what it could do it does afterwards."""
        self.heard(words)
        frozen(self.cli, self.process)
        try:
            yield
        finally:
            self.thaw()

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def moved(self) -> list[str]:
        """The lines that set a preference, since before it began."""
        return [line for line in self.cli.router_writes()[self._before :] if "local-preference" in line]

    def ended(self, within_s: float = 120.0) -> int:
        code = self.process.wait(timeout=within_s)
        self._reader.join(timeout=5)
        return code

    def said(self) -> str:
        return "\n".join(self.lines)


@contextlib.contextmanager
def frozen_between_its_moves(cli: Cli, change: str) -> Iterator[Drain]:
    """A drain that has sent its first move and not begun another, frozen; one that had gone on is put back first."""
    for _ in range(5):
        with Drain(cli, change) as drain:
            drain.heard("act.result  move-azure")
            frozen(cli, drain.process)
            if [kind for kind, _ in entries(cli, drain.run)].count("act.intent") == 1:
                yield drain
                return
        cli.ok("rollback", drain.run, "--write", "--yes")
    pytest.fail("never frozen between its two moves")


def test_what_is_unknown_in_mid_run_holds_the_next_act_and_undoes_nothing(
    cli: Cli, watch: Observer, change: str
) -> None:
    """Azure answers 429 and nothing else: no traffic moves, forward or back, until it can be seen again."""
    with frozen_between_its_moves(cli, change) as drain:
        blind = datetime.now(UTC) + AZURE_FRESH  # what the console had read before it was stopped is stale too by then
        cli.ask_lab("fail", thing="azure", fault="429")
        watch.until("azure is stale", lambda seen: azure_is_stale(seen) and said_at(seen) > blind, 60)
        drain.thaw()
        drain.heard("guard.unknown  usable-domains")
        drain.heard("verify.ok  move-azure")
        held = cli.show(drain.run)
        assert held["state"] == "WAITING"
        seen = {guard["name"]: guard for guard in held["guards"]}["usable-domains"]
        assert (seen["state"], seen["policy"]) == ("unknown", "hold")
        assert "azure" in seen["reason"]
        assert len(drain.moved()) == 1, f"azure was moved, aws is not, and nothing was put back\n{drain.said()}"
        cli.ask_lab("heal", thing="azure")
        assert drain.ended() == 0, drain.said()
    assert cli.show(drain.run)["state"] == "COMPLETED"


def test_a_survivor_that_dies_after_the_move_is_left_again(cli: Cli, watch: Observer, change: str) -> None:
    with Drain(cli, change) as drain:
        with drain.frozen("verify.ok  move-aws"):
            cli.ask_lab("fail", thing="er-secondary")
            watch.until("it is dead", lambda seen: layer(seen, "er-secondary", "bgp_here") == "down", 60)
        assert drain.ended() == 5, drain.said()
    told = cli.show(drain.run)
    assert told["state"] == "ROLLED_BACK"
    assert "azure/er-secondary is down" in told["reason"]
    kinds = [entry.kind for entry in cli.log(drain.run)]
    assert kinds.index("guard.tripped") < kinds.index("rollback.begin")


def test_no_undo_by_itself_onto_a_baseline_that_has_become_lossy(cli: Cli, watch: Observer, change: str) -> None:
    with Drain(cli, change) as drain:
        with drain.frozen("verify.ok  move-azure"):
            cli.ok("pause", drain.run)
            cli.ask_lab("fail", thing="er-primary", loss=40.0)
        drain.heard("cmd.pause")
        watch.until("the baseline is lossy", lossy, 90)  # paused, the console has measured as long as the observer
        cli.ok("resume", drain.run)
        with drain.frozen("verify.ok  move-aws"):
            cli.ask_lab("fail", thing="er-secondary")
            watch.until("it is dead", lambda seen: layer(seen, "er-secondary", "bgp_here") == "down", 60)
        assert drain.ended() == 6, drain.said()
        held = cli.show(drain.run)
        assert held["state"] == "NEEDS_DECISION"
        assert held["question"]["kind"] == "undo.held"
        for words in ("azure/er-secondary is down", "the baseline is not proven better", "azure/er-primary"):
            assert words in held["question"]["text"]
        assert not any(entry.kind == "rollback.begin" for entry in cli.log(drain.run))
    # a person's word is not gated
    cli.heal()
    assert cli.run("rollback", drain.run, "--write", "--yes").code == 0
