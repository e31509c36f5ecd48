"""A journal that is not there yet, and a world beside it in which nothing has been said or done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.little_device import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"
