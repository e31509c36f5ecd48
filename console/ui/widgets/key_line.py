"""The footer: the keys that do something here and now, most wanted first."""

from __future__ import annotations

from console.ui.widgets.lines import Lines
from console.view import Cell


class KeyLine(Lines):
    """Shows the active bindings that ask to be shown, as many as fit."""

    def refresh_keys(self) -> None:
        room, cells, seen = self.app.size.width - 2, list[Cell](), set[str]()
        active = sorted(self.screen.active_bindings.values(), key=lambda each: each.binding.action != "abort")
        for _, binding, enabled, _ in active:
            if not binding.show or not enabled or binding.action in seen:
                continue
            seen.add(binding.action)
            key = binding.key_display or self.app.get_key_display(binding)
            needed = len(key) + len(binding.description) + 3
            if needed > room:
                continue
            room -= needed
            cells += [Cell(key, "down" if binding.action == "abort" else "key"), Cell(f" {binding.description}  ")]
        self.show([cells])
