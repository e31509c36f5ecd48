"""The real routers' own programs, which need nothing: loaded by their files, for their package needs Linux."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType


def _program(name: str) -> ModuleType:
    file = Path(__file__).parents[1] / "frr" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"lab_routers_{name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


guard = _program("guard")
deadman = _program("deadman")
