"""The words of judgement, and which of two is worse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """Of a path or a layer. NONE: the layer does not exist on this path and never counts."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    STALE = "stale"
    UNKNOWN = "unknown"
    NONE = "none"


class Overall(StrEnum):
    """Of a cloud or a site."""

    HEALTHY = "healthy"
    UNKNOWN = "unknown"
    DEGRADED = "degraded"
    DOWN = "down"


#: Worst last. A layer that is seen to be down decides; what is not known outweighs what is merely impaired.
_ORDER = (Verdict.NONE, Verdict.UP, Verdict.DEGRADED, Verdict.STALE, Verdict.UNKNOWN, Verdict.DOWN)
_RANK = {verdict: place for place, verdict in enumerate(_ORDER)}


class Layer(NamedTuple):
    """One layer's verdict, why it is not up, how old the figure is (seconds), and who said so."""

    verdict: Verdict
    why: str = ""
    age_s: float | None = None
    source: str = ""
    since_s: float | None = None


NO_LAYER = Layer(Verdict.NONE)
UP = Layer(Verdict.UP)


def rank(verdict: Verdict) -> int:
    """How bad: 0 is best."""
    return _RANK[verdict]


def worst(layers: Iterable[Layer]) -> Layer:
    """The layer that decides; UNKNOWN when there is none to judge by."""
    found = max(layers, key=lambda layer: _RANK[layer.verdict], default=NO_LAYER)
    return Layer(Verdict.UNKNOWN, "nothing is known") if found.verdict is Verdict.NONE else found


def worse(left: Layer, right: Layer) -> Layer:
    """The worse of two; on a tie the first."""
    return right if _RANK[right.verdict] > _RANK[left.verdict] else left


def together(layer: Layer, also: Sequence[Layer]) -> Layer:
    """The layer with what else is wrong at it: the worst verdict, and all the reasons for that one."""
    if not also:
        return layer
    decisive = worst((layer, *also))
    reasons = [each.why for each in (layer, *also) if each.verdict is decisive.verdict and each.why]
    return layer._replace(verdict=decisive.verdict, why="; ".join(reasons))
