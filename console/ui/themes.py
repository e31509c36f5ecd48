"""The six themes: calm, one accent, colour only for state. Marks and words say everything without them."""

from __future__ import annotations

from textual.theme import BUILTIN_THEMES, Theme

#: The order of a palette's colours.
_NAMES = ("back", "bar", "cursor", "text", "dim", "line", "accent", "up", "degraded", "down", "stale", "unknown")
_PALETTES: dict[str, tuple[str, ...]] = {
    "dark": (
        *("#0f141b", "#18202c", "#22304a", "#dbe1ea", "#7b8798", "#2b3647", "#82aaff"),
        *("#7fd1a6", "#f0c05a", "#ff7a7a", "#c3a6e8", "#9fb3c8"),
    ),
    "light": (
        *("#fbfbf9", "#e9ecf0", "#d5e2f7", "#1f2530", "#667080", "#c4cad3", "#1f5fc4"),
        *("#17724a", "#8f5b00", "#b3202a", "#6b3fa0", "#42566b"),
    ),
    "high-contrast": (
        *("#000000", "#000000", "#003a8c", "#ffffff", "#d0d0d0", "#ffffff", "#7fc4ff"),
        *("#5cff9d", "#ffe14d", "#ff8080", "#e6b3ff", "#cfe6ff"),
    ),
    # Blue against orange: told apart under every common colour blindness.
    "colour-blind": (
        *("#0f141b", "#18202c", "#2a3242", "#dbe1ea", "#8390a2", "#2b3647", "#c9d4e5"),
        *("#5aa9ff", "#ffe08a", "#ff8f1f", "#c9a6dd", "#a9b8c8"),
    ),
    "mono": (
        *("#101010", "#202020", "#383838", "#d8d8d8", "#8c8c8c", "#444444", "#ffffff"),
        *("#d8d8d8", "#ffffff", "#ffffff", "#b0b0b0", "#b0b0b0"),
    ),
    "ansi": (
        *("ansi_default", "ansi_default", "ansi_blue", "ansi_default", "ansi_bright_black", "ansi_bright_black"),
        *("ansi_bright_blue", "ansi_green", "ansi_yellow", "ansi_bright_red", "ansi_magenta", "ansi_cyan"),
    ),
}


def _theme(name: str, colours: tuple[str, ...]) -> Theme:
    named = dict(zip(_NAMES, colours, strict=True))
    return Theme(
        name=name,
        primary=named["accent"],
        accent=named["accent"],
        success=named["up"],
        warning=named["degraded"],
        error=named["down"],
        foreground=named["text"],
        background=named["back"],
        surface=named["back"],
        panel=named["bar"],
        dark=name != "light",
        ansi=name == "ansi",
        variables=(BUILTIN_THEMES["ansi-dark"].variables if name == "ansi" else {})
        | {f"tone-{key}": value for key, value in named.items()},
    )


THEMES = tuple(_theme(name, colours) for name, colours in _PALETTES.items())
#: What a stylesheet finds when another theme than ours is active.
DEFAULTS = dict(THEMES[0].variables)
