"""Where results wait while the journal's disk is full: on another one, if the user has one."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.journals import spool_place


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return tmp_path


def test_each_journal_file_has_its_own(home: Path) -> None:
    """Run ids are a journal's own: entries of one must never be delivered to another's run of the same id."""
    places = {spool_place(home / name) for name in ("a.db", "b.db")} | {spool_place("postgresql:///interlock")}
    assert len(places) == 3
    assert {place.parent for place in places} == {home / "state" / "interlock"}
    assert spool_place(home / "x" / ".." / "a.db") == spool_place(home / "a.db")


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no second file system at hand")
def test_it_is_on_another_file_system_than_the_journal(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared_memory = Path("/dev/shm")
    assert shared_memory.stat().st_dev != home.stat().st_dev
    assert spool_place(shared_memory / "journal.db").parent == home / "state" / "interlock"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(shared_memory))
    made = shared_memory / "interlock"
    try:
        assert spool_place(home / "state" / "interlock" / "journal.db").parent == made
    finally:
        made.rmdir()


def test_of_a_shared_journal_it_is_not_on_the_network_with_the_home(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, mounts, run = "postgresql:///interlock", home / "mountinfo", home / "run"
    run.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(run))
    lines = ("1 1 0:1 / / rw - ext4 /dev/sda rw", f"2 1 0:2 / {home}/state rw - nfs4 filer:/home rw")
    mounts.write_text("\n".join(lines))
    assert spool_place(shared, mounts).parent == run / "interlock"
    assert spool_place(shared).parent == home / "state" / "interlock"
