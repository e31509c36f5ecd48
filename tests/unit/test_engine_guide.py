"""docs/engine.md leads a newcomer through modules and proofs: each that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACES = (ROOT, ROOT / "runbooks", ROOT / "runbooks" / "journal", ROOT / "tests", *(ROOT / "tests").glob("*"))
NAMED = re.compile(r"`([a-z_/]+\.py|[a-z0-9/]*test_[a-z_]+)`")


def test_what_the_guide_names_is_there() -> None:
    named = set(NAMED.findall((ROOT / "docs" / "engine.md").read_text()))
    assert len(named) > 50, "it names modules and proofs"
    files = {name if name.endswith(".py") else f"{name}.py" for name in named}
    assert sorted(file for file in files if not any((place / file).exists() for place in PLACES)) == []
