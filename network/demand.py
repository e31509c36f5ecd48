"""What a survivor would have to carry, from the load histories of what it takes over. Missing is unknown, never 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from network.layers import View
from network.observation import Kind, Load


@dataclass(frozen=True, slots=True)
class PathLoad:
    """The most that a path would carry at the 95th percentile, in Mbps; None when a history in it is unknown.

    The most: how a history divides between two takers is not known, so each is counted with all of it.
    """

    path: str
    mbps: float | None
    rate_mbps: int

    @property
    def pct(self) -> float | None:
        return None if self.mbps is None else 100.0 * self.mbps / self.rate_mbps


def loads_after(view: View, carrying: tuple[str, ...], taken: Mapping[str, frozenset[str]]) -> tuple[PathLoad, ...]:
    """Each carrying path's load; `taken`: by path, the paths that it takes over from."""
    return tuple(_load(view, name, taken.get(name, frozenset())) for name in carrying)


def _load(view: View, name: str, taken: frozenset[str]) -> PathLoad:
    histories = [_p95(view, each) for each in (name, *sorted(taken - {name}))]
    known = [each for each in histories if each is not None]
    total = sum(known) if len(known) == len(histories) else None
    return PathLoad(name, total, view.site.rate_mbps(view.site.path(name)))


def _p95(view: View, name: str) -> float | None:
    path = view.site.path(name)
    load = view.snapshot.fresh(Kind.LOAD, str(path.vxc or path.tunnel), Load, view.now)
    return None if load is None else load.p95_mbps
