"""Bindings: every one has an id, help lists exactly those that do something, and runs what it lists."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from console.ui.app import InterlockApp
from console.ui.clipboard import LIMIT_BYTES, osc52
from console.ui.screens.help import HelpScreen
from console.ui.screens.run import RunScreen
from console.ui.words import BadCommand, Command, parse
from network.observation import Kind
from tests.sample import healthy
from tests.ui.world import World, judged, press, raw, shows, wait_for

TAKEN = {f"ctrl+{letter}" for letter in "basqjoz"}  # by tmux, screen, zellij


def said(app: InterlockApp) -> str:
    """The answer above the footer; empty once it has gone."""
    return app.notice[0][0].text if app.notice else ""


@pytest.mark.parametrize("keys", [[], ["4"], ["enter"], ["question_mark"], ["R"]])
async def test_every_active_binding_has_an_id(world: World, keys: list[str]) -> None:
    app = world.app(desk=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await judged(app)
        await press(pilot, *keys)
        focused = app.focused
        for key, active in app.screen.active_bindings.items():
            if active.node is focused and type(focused).__module__.startswith("textual."):
                continue  # a text field's own editing keys
            assert active.binding.id, key
            assert key not in TAKEN


async def test_help_lists_exactly_the_active_bindings_and_runs_one(world: World) -> None:
    app = world.app(desk=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await judged(app)
        active = {active.binding.id for active in app.screen.active_bindings.values()}
        await press(pilot, "question_mark")
        await shows(app, HelpScreen)
        assert isinstance(app.screen, HelpScreen)
        assert set(app.screen.listed) == active
        assert "run.abort" not in active  # there is no run
        listing = app.screen
        await press(pilot, "slash", *"view.run", "enter")
        await wait_for(lambda: listing.listed == ["view.run"], "the one that was looked for")
        await press(pilot, "enter")
        await wait_for(lambda: isinstance(app.screen, RunScreen), "the chosen key was run")


def test_clipboard_goes_through_tmux_and_has_a_limit() -> None:
    plain = osc52("azure/er-primary", {})
    assert plain == f"\x1b]52;c;{base64.b64encode(b'azure/er-primary').decode()}\x07"
    wrapped = osc52("azure/er-primary", {"TMUX": "/tmp/tmux-0/default,1,0"})
    assert wrapped == "\x1bPtmux;" + plain.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    assert osc52("x" * LIMIT_BYTES, {}) is None


async def test_copy_goes_to_the_terminal_and_says_so(world: World) -> None:
    app = world.app(desk=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await judged(app)
        await press(pilot, "y")
        await wait_for(lambda: said(app).startswith("copied "), "it is said")
        await press(pilot, "Y")
        await wait_for(lambda: said(app) == "nothing to copy here", "it is said")


async def test_copy_that_is_too_long_names_its_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(world.folder))
    dump = replace(raw(healthy(world.site)).observations[Kind.SESSION_HERE, "dx-1"], evidence="x" * LIMIT_BYTES)
    world.snapshot = raw(healthy(world.site)).with_observations([dump])
    app = world.app(desk=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await judged(app)
        await press(pilot, *["j"] * 4, "enter")
        await wait_for(lambda: app.screen.commands() != "", "its evidence is shown")  # type: ignore[attr-defined]
        await press(pilot, "Y")
        file = world.folder / "interlock" / "copied.txt"
        await wait_for(lambda: str(file) in said(app), "the file is named")
        assert file.read_text() == "x" * LIMIT_BYTES
        assert file.stat().st_mode & 0o077 == 0


def test_words() -> None:
    assert parse("plan drain-port port=port-a") == Command("plan", "drain-port", {"port": "port-a"})
    assert parse("run drain-port port=port-a change=CHG1") == Command("run", "drain-port", {"port": "port-a"}, "CHG1")
    assert parse("break-glass both ports dark") == Command("break-glass", "both ports dark")
    assert parse("rollback R-20261123-01") == Command("rollback", "R-20261123-01")
    for bad in ("plan", "rn x", "run drain-port port=port-a", "plan drain-port port"):
        with pytest.raises(BadCommand):
            parse(bad)
