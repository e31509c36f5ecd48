"""Verbs of other packages: a real distribution on the path, found by its entry points."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from runbooks.verbs import SHIPPED, BrokenVerb, Registry
from tests.unit.test_lint import SOUND

ROOT = Path(__file__).parents[2]
MODULE = """
from pydantic import BaseModel
from runbooks.declares import Declaration
from runbooks.scene import Compiled

class Args(BaseModel):
    model_config = {"extra": "forbid"}
    site: str
    floors: int = 1

class LightIsGreen:
    declares = Declaration("light-is-green", "check", Args, reads=frozenset({"routers"}))
    def compile(self, moment, args):
        return Compiled(expect=({"what": "light", "want": "green"},))
    async def check(self, scene, step):
        raise NotImplementedError

class PullPlug:
    declares = Declaration("pull-plug", "act", Args, undoes=False)
    def compile(self, moment, args): return Compiled()
    async def act(self, scene, step, phase, send_allowed): return {}
    async def observe(self, scene, step): raise NotImplementedError
    async def verify(self, scene, step, phase): raise NotImplementedError

class Toothless:
    declares = Declaration("toothless", "act", Args)
    def compile(self, moment, args): return Compiled()

mute = object()
"""
POINTS = """[interlock.verbs]
light-is-green = floor_verbs:LightIsGreen
pull-plug = floor_verbs:PullPlug
toothless = floor_verbs:Toothless
mute = floor_verbs:mute
renamed = floor_verbs:LightIsGreen
gone = no_such_module:Verb
port-empty = floor_verbs:LightIsGreen
"""


@pytest.fixture
def site_packages(tmp_path: Path) -> Path:
    info = tmp_path / "floor_verbs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: floor-verbs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    (tmp_path / "floor_verbs.py").write_text(MODULE)
    return tmp_path


@pytest.fixture
def registry(site_packages: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.syspath_prepend(str(site_packages))
    return Registry(SHIPPED)


def test_a_verb_of_another_package_stands_among_ours(registry: Registry) -> None:
    assert registry["check"]["light-is-green"].declares.name == "light-is-green"
    assert {"light-is-green", "survivors-ready"} <= set(registry["check"])
    assert "light-is-green" not in registry["act"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("toothless", "verb 'toothless' of floor-verbs is of kind act and has no act, observe, verify"),
        ("mute", "has no `declares`"),
        ("renamed", "declares itself as 'light-is-green'"),
        ("gone", "verb 'gone' of floor-verbs cannot be loaded: ModuleNotFoundError"),
    ],
)
def test_a_broken_one_is_named_and_stops_nobody(registry: Registry, name: str, said: str) -> None:
    with pytest.raises(BrokenVerb, match=said):
        registry["check"][name]
    assert name in registry.broken
    assert name not in registry["check"]
    assert "light-is-green" in registry["check"]


def test_ours_is_not_replaced(registry: Registry) -> None:
    assert registry["wait_until"]["port-empty"] is next(v for v in SHIPPED if v.declares.name == "port-empty")
    assert "another verb has that name already" in str(registry.broken["port-empty"])


def test_nothing_is_loaded_for_a_verb_of_ours() -> None:
    def never() -> list[EntryPoint]:
        raise AssertionError("entry points were asked for")

    assert Registry(SHIPPED, never)["act"]["prefer-standby"].declares.kind == "act"


def lint(book: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "book.yaml").write_text(book)
    words = ["interlock", "lint", str(folder / "book.yaml")]
    code = f"import sys; sys.argv = {words!r}; from console.cli import main; main()"
    path = f"{folder}:{ROOT}"
    env = {"PYTHONPATH": path, "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=folder, check=False
    )


def test_lint_knows_its_arguments_and_says_what_is_broken(site_packages: Path) -> None:
    check = "verb: light-is-green, with: {flors: 2, site: plant}"
    done = lint(SOUND.replace('verb: survivors-ready, with: {port: "${port}"}', check), site_packages)
    assert done.returncode == 2, done.stderr
    assert "unknown argument 'flors'; did you mean 'floors'?" in done.stdout
    assert "interlock: verb 'gone' of floor-verbs cannot be loaded" in done.stderr
    assert lint(SOUND, site_packages).returncode == 0


def test_an_act_without_an_undo_must_say_that_it_is_irreversible(site_packages: Path) -> None:
    pull = SOUND.replace("verb: prefer-standby", "verb: pull-plug").replace(
        'with: {port: "${port}", cloud: azure}', "with: {site: plant}"
    )
    done = lint(pull, site_packages)
    assert done.returncode == 2
    assert "book.yaml:12:5: steps.1.verb: 'pull-plug' has no undo: write `risk: irreversible`" in done.stdout
    assert lint(pull.replace("risk: traffic-moving", "risk: irreversible"), site_packages).returncode == 0
