"""Commands that FRR answers in text: version, route-maps."""

from __future__ import annotations

from lab.embedded.shows.view import EdgeView


def version(view: EdgeView) -> str:
    return f"FRRouting 8.4.4 ({view.router}) on Embedded(1).\nCopyright 1996-2005 Kunihiro Ishiguro, et al.\n"


def route_maps(view: EdgeView, only: str | None = None) -> str:
    """One document per daemon, zebra's without the BGP clauses' set lines (FRR's own habit)."""
    return f"ZEBRA:\n{_maps(view, only, bgp=False)}BGP:\n{_maps(view, only, bgp=True)}"


def _maps(view: EdgeView, only: str | None, *, bgp: bool) -> str:
    lines = []
    for name, clauses in view.speaker.config.route_maps.items():
        if only in (None, name):
            lines.append(f"route-map: {name} Invoked: 0 Optimization: enabled Processed Change: false")
            for sequence, (action, body) in sorted(clauses.items()):
                texts = [text for _, text in sorted(body.items())]
                lines += _clause(sequence, action, texts, bgp=bgp)
    return "".join(f"{line}\n" for line in lines)


def _clause(sequence: int, action: str, texts: list[str], *, bgp: bool) -> list[str]:
    matches = [t.removeprefix("match ") for t in texts if t.startswith("match ")]
    sets = [t.removeprefix("set ") for t in texts if t.startswith("set ")]
    return [
        f" {action}, sequence {sequence} Invoked 0",
        "  Match clauses:",
        *(f"    {match}" for match in matches if bgp or match.startswith("ip ")),
        "  Set clauses:",
        *(f"    {text}" for text in sets if bgp),
        "  Call clause:",
        "  Action:",
        "    Exit routemap",
    ]
