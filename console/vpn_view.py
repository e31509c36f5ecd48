"""A VPN path's proof, as a document and as text: what `paths NAME` adds for a path of kind vpn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from console import view
from network.coverage import Direction
from network.inventory import Site
from network.layers import View
from network.verdict import Layer
from network.vpn import VpnProof, proof


def documents(rows: Sequence[dict[str, Any]], seen: View) -> list[dict[str, Any]]:
    """The rows of `paths --json`, those of VPN paths with the object `vpn`."""
    return [row | _vpn(seen.site, seen, row["name"]) for row in rows]


def _vpn(site: Site, seen: View, name: str) -> dict[str, Any]:
    path = site.path(name)
    return {"vpn": document(proof(seen, path))} if path.kind == "vpn" else {}


def document(found: VpnProof) -> dict[str, Any]:
    """`proven`, each mark with verdict, why, age in seconds and source, and the coverage both ways as prefixes."""
    return {
        "proven": found.proven,
        "verdict": found.decisive.verdict.value,
        "marks": {name: _mark(mark) for name, mark in found.marks.items()},
        "coverage": {"out": _direction(found.covered.out), "back": _direction(found.covered.back)},
    }


def _mark(mark: Layer) -> dict[str, Any]:
    age = None if mark.age_s is None else round(mark.age_s, 1)
    return {"verdict": mark.verdict.value, "why": mark.why, "age_s": age, "source": mark.source}


def _direction(way: Direction) -> dict[str, Any]:
    return {
        "complete": way.complete,
        "missing": [str(network) for network in way.missing],
        "taken": [str(network) for network in way.taken],
        "basis": way.basis,
        "unknown": way.unknown,
    }


def lines(found: VpnProof) -> list[str]:
    """The proof as lines: the sum first, then the five marks."""
    shown = [f"  proof: {'proven' if found.proven else 'not proven'}"]
    for name, mark in found.marks.items():
        age = view.span(mark.age_s) if mark.age_s is not None else ""
        letter = view.MARKS[mark.verdict]
        shown.append(f"  {letter:<3} {name:<10} {mark.verdict.value:<9} {mark.why:<48} {age} {mark.source}".rstrip())
    return shown


def cells(found: VpnProof) -> list[list[view.Cell]]:
    """The same for a screen: mark, name, word, age with its source, then why, as the layers above it."""
    return [
        [
            view.Cell(f"{view.MARKS[mark.verdict]} ", view.tone(mark.verdict)),
            view.Cell(f"{name:<11}"),
            view.Cell(f"{mark.verdict.value:<9}", view.tone(mark.verdict)),
            view.Cell(
                f"{view.span(mark.age_s) if mark.age_s is not None else ''} {mark.source}".strip().ljust(17), "dim"
            ),
            view.Cell(mark.why),
        ]
        for name, mark in found.marks.items()
    ]
