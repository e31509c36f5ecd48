"""Configuration mode: where a line stands, which command it is, and FRR 8.4.4's own error texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from lab.embedded.commands import RULES, Rule
from lab.embedded.config import Config, Slot
from lab.embedded.grammar import Fit, Values, VtyError, fit

_PARENT = {"unicast": "router", "bfd-profile": "bfd"}


class Editor:
    """One pass through configuration mode. `touched` names the kinds of thing that changed."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.touched: set[str] = set()
        self._context = "config"
        self._at: tuple[str, str, int] = ("", "", 0)

    def line(self, text: str) -> None:
        """Apply one line. Raises VtyError with vtysh's text; earlier lines stay applied."""
        words = text.split()
        if not words or words[0] == "!":
            return
        context: str | None = self._context
        incomplete = False
        while context is not None:
            for rule, no, values, kind in _fits(context, words):
                if kind is Fit.FULL:
                    self._context = context
                    rule.act(self, values, no)
                    return
                incomplete = incomplete or kind is Fit.INCOMPLETE
            context = None if context == "config" else _PARENT.get(context, "config")
        raise VtyError(f"% {'Command incomplete' if incomplete else 'Unknown command'}: {text.strip()}")

    def enter(self, context: str, *at: str, number: int = 0) -> None:
        self._context = context
        self._at = (at[0] if at else "", at[1] if len(at) > 1 else "", number)

    def leave(self) -> None:
        self._context = _PARENT.get(self._context, "config")

    @property
    def clause(self) -> dict[Slot, str]:
        """The route-map clause that the editor stands in."""
        name, _, sequence = self._at
        return self.config.route_maps[name][sequence][1]

    @property
    def here(self) -> str:
        return self._at[0]

    def neighbor(self, address: str) -> int:
        """The neighbor's sort key; it must have been given a remote-as."""
        number = int(IPv4Address(address))
        if (1, number, 0, "") not in self.config.bgp:
            raise VtyError("% Specify remote-as or peer-group commands first")
        return number


def apply(config: Config, lines: Iterable[str]) -> set[str]:
    """Apply lines from the top of configuration mode; returns the kinds of thing touched."""
    editor = Editor(config)
    for line in lines:
        editor.line(line)
    return editor.touched


def _fits(context: str, words: list[str]) -> Iterator[tuple[Rule, bool, Values, Fit]]:
    no = words[0] == "no"
    for rule in RULES:
        if rule.context != context:
            continue
        if rule.no in (None, False) and not (no and rule.no is None):
            kind, values = fit(rule.pattern, words)
            yield rule, False, values, kind
        if no and rule.no in (None, True):
            kind, values = fit(rule.pattern, words[1:])
            yield rule, True, values, kind
