"""What a command imports: the fast ones nothing heavy, and every SDK by one module only."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("network", "connectors", "runbooks", "console", "lab")
SDKS = {"asyncssh", "boto3", "botocore", "hvac", "pysnow"}
HEAVY = SDKS | {"textual", "pydantic", "httpx"}


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after some code."""
    told = f"{code}\nimport sys; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.splitlines()[-1].split())


def command(*words: str) -> str:
    """Code that runs the command line to its end, in the interpreter that is asked afterwards."""
    lines = [f"import sys; sys.argv = ['interlock', *{words!r}]", "from console.cli import main"]
    return "\n".join([*lines, "try: main()", "except SystemExit: pass"])


def test_the_command_line_itself_imports_nothing_heavy() -> None:
    loaded = loaded_by("import console.cli, console.fail")
    assert "typer" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("run", "--help"), ("lab", "fail", "--help")])
def test_help_and_version_import_nothing_heavy(words: tuple[str, ...]) -> None:
    """pydantic aside: typer takes it itself to read an option."""
    assert loaded_by(command(*words)) & (HEAVY - {"pydantic"}) == set()


def test_reading_past_runs_imports_no_screen_and_no_sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert loaded_by(command("runs", "--json")) & (SDKS | {"textual"}) == set()


@pytest.mark.parametrize(
    "module", ["console.wiring", "console.desk", "console.commands.status", "console.commands.runs"]
)
def test_wiring_imports_no_sdk_before_it_is_used(module: str) -> None:
    loaded = loaded_by(f"import {module}")
    assert "pydantic" in loaded
    assert loaded & (SDKS | {"textual", "rich"}) == set()


def test_the_lab_knows_the_network_alone() -> None:
    assert loaded_by("import lab.supervisor, lab.systems") & {"connectors", "runbooks", "console"} == set()


def test_every_sdk_has_one_importer() -> None:
    """The lab's own servers aside: they stand on the other side of the wire."""
    importers: dict[str, set[str]] = {sdk: set() for sdk in SDKS}
    for room in ROOMS[:-1]:
        for file in (ROOT / room).rglob("*.py"):
            for name in imported(file) & SDKS:
                importers[name].add(str(file.relative_to(ROOT)))
    assert importers == {
        "asyncssh": {"connectors/routers/ssh.py"},
        "boto3": {"connectors/aws_calls.py"},
        "botocore": {"connectors/aws_calls.py"},
        "hvac": {"connectors/vault.py"},
        "pysnow": {"connectors/servicenow.py"},
    }


def test_the_screen_library_is_the_consoles_alone() -> None:
    elsewhere = [room for room in ROOMS if room != "console"]
    guilty = [f for room in elsewhere for f in (ROOT / room).rglob("*.py") if imported(f) & {"textual", "rich"}]
    assert guilty == []
    users = [
        f for f in (ROOT / "console").rglob("*.py") if "ui" not in f.parts and "textual" in imported(f, lazy=False)
    ]
    assert users == [], "outside ui/ it is imported when a screen is opened, not before"


def test_nothing_of_the_network_room_does_io() -> None:
    doors = {"asyncio", "socket", "subprocess", "httpx", "threading", "time", "os"}
    found = {str(f.relative_to(ROOT)): imported(f) & doors for f in (ROOT / "network").rglob("*.py")}
    assert {file: names for file, names in found.items() if names} == {}


def imported(file: Path, *, lazy: bool = True) -> set[str]:
    """Top-level names that a file imports; with `lazy` also inside functions, and never for type checking alone."""
    tree = ast.parse(file.read_text())
    for block in [node for node in ast.walk(tree) if isinstance(node, ast.If)]:
        if ast.unparse(block.test) == "TYPE_CHECKING":
            block.body = [ast.Pass()]
    nodes = ast.walk(tree) if lazy else iter(tree.body)
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names
