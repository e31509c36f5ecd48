"""What would carry what if something failed or were drained: the present worked out, the change made, worked out again.

An answer is given only where working out the present gives what is really seen; a fact that is missing or older than
its limit, a hub preference that is not known, or tables that disagree make it unknown, with the reason. It is about
where traffic goes once everything has come to rest. Out of its scope: what is lost on the way there (a silent loss
between our own routers lasts until the hold timer), the LAN side of a router that dies, the order of events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from network.demand import PathLoad, loads_after
from network.domains import dark_after_loss_of
from network.drain import edits_of, no_effect
from network.health import SiteHealth
from network.inventory import Path
from network.layers import View
from network.outcome import Outcome, Piece, Pieces, edited, outcome, pieces_of, without
from network.present import disagreements
from network.space import joined
from network.tables import Tables, Way, read_tables
from network.things import Reach, reach
from network.verdict import Overall, Verdict

Action = Literal["fail", "drain"]
ACTIONS: tuple[Action, ...] = ("fail", "drain")
WAYS: tuple[Way, ...] = ("out", "back")
NOBODY = Reach(frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class Carriage:
    """Who carries a cloud out and back, and how it is doing."""

    carried_by: tuple[str, ...]
    return_by: tuple[str, ...]
    verdict: Overall


@dataclass(frozen=True, slots=True)
class Shift:
    """A piece of address space that goes another way. `where`: the router that sends, or the cloud that comes back."""

    prefix: str
    way: Way
    where: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CloudForecast:
    """One cloud. `moved`, `lost`, `unaffected`: address space, theirs (the way out) and ours (the way back).

    Space is lost when a router or the cloud that had a way to it has none. `why`: what makes the answer unknown.
    """

    name: str
    before: Carriage
    after: Carriage
    moved: tuple[str, ...]
    lost: tuple[str, ...]
    unaffected: tuple[str, ...]
    load: tuple[PathLoad, ...]
    one_loss_from: tuple[str, ...]
    shifts: tuple[Shift, ...] = ()
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """The answer. `no_effect`: knobs of the drain that would do nothing, and why."""

    things: tuple[str, ...]
    action: Action
    clouds: tuple[CloudForecast, ...]
    no_effect: tuple[tuple[str, str], ...] = ()

    def cloud(self, name: str) -> CloudForecast:
        return next(cloud for cloud in self.clouds if cloud.name == name)

    @property
    def known(self) -> bool:
        return all(cloud.after.verdict is not Overall.UNKNOWN for cloud in self.clouds)

    @property
    def lost(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(prefix for cloud in self.clouds for prefix in cloud.lost))


def forecast(view: View, health: SiteHealth, action: Action, things: Iterable[str]) -> Forecast:
    """Work it out. `health` is the same view judged. Raises UnknownThing for a name that is nothing of the site's."""
    asked = tuple(dict.fromkeys(things))
    target = reach(view.site, view.snapshot, asked)
    tables, sessions = read_tables(view), {path.name: path.session for path in view.site.paths}
    pieces = pieces_of(view.site, tables)
    present = outcome(view.site, tables, pieces)
    if action == "fail":
        gone, changed = target, without(tables, target, sessions)
    else:
        gone, changed = NOBODY, edited(tables, edits_of(view, target), sessions)
    future = outcome(view.site, changed, pieces)
    both = Both(view, health, gone, pieces, present, future, doubts_of(view, tables, present))
    touched = {path.cloud for path in view.site.paths if path.session in target.sessions}
    clouds = tuple(both.cloud(cloud.name, touched=cloud.name in touched) for cloud in view.site.clouds)
    return Forecast(asked, action, clouds, no_effect(view, target) if action == "drain" else ())


def doubts_of(view: View, tables: Tables, present: Outcome) -> dict[tuple[str, Way], tuple[str, ...]]:
    """By cloud and way, everything that makes an answer a guess."""
    unlike = disagreements(view, tables, present)
    return {key: (*present.problems.get(key, ()), *said) for key, said in unlike.items()}


@dataclass(frozen=True, slots=True)
class Both:
    """The present and what comes of the change, compared."""

    view: View
    health: SiteHealth
    gone: Reach
    pieces: Pieces
    present: Outcome
    future: Outcome
    doubts: Mapping[tuple[str, Way], tuple[str, ...]]

    def cloud(self, name: str, *, touched: bool) -> CloudForecast:
        """The comparison for one cloud, as far as each of its two ways is known."""
        doubts = {way: self._doubts(name, way) for way in WAYS}
        shifts = [s for way in WAYS if not doubts[way] for s in self._shifts(name, way)]
        before, after = (
            {way: () if doubts[way] else self._carrying(o, name, way) for way in WAYS}
            for o in (self.present, self.future)
        )
        seen = self.health.cloud(name)
        why = (*doubts["out"], *doubts["back"])
        lost = _prefixes(s for s in shifts if s.before and not s.after)
        moved = _prefixes(s for s in shifts if s.after and s.before != s.after)
        same = _prefixes(s for s in shifts if s.before == s.after)
        left = () if why else self._one_loss_from(name)
        verdict = Overall.UNKNOWN if why else self._verdict(seen.verdict, after, lost, left, touched=touched)
        return CloudForecast(
            name=name,
            before=Carriage(before["out"] or seen.carried_by, before["back"] or seen.way_back.paths, seen.verdict),
            after=Carriage(after["out"], after["back"], verdict),
            moved=moved,
            lost=lost,
            unaffected=tuple(prefix for prefix in same if prefix not in {*moved, *lost}),
            load=() if why else loads_after(self.view, _either(after), _taken(shifts)),
            one_loss_from=left,
            shifts=tuple(s for s in shifts if s.before != s.after),
            why=why,
        )

    def _doubts(self, cloud: str, way: Way) -> tuple[str, ...]:
        later = self.future.problems.get((cloud, way), ())
        return tuple(dict.fromkeys((*self.doubts.get((cloud, way), ()), *later)))

    def _shifts(self, cloud: str, way: Way) -> list[Shift]:
        """What each sender does with each piece, before and after; pieces that are treated alike are one."""
        pieces: dict[tuple[str, str, tuple[str, ...], tuple[str, ...]], list[str]] = {}
        for piece in self._pieces(cloud, way):
            then, now = self._senders(self.present, piece, way), self._senders(self.future, piece, way)
            for sender, before in then.items():
                if sender not in self.gone.routers:
                    key = (piece.prefix, sender, before, now.get(sender, ()))
                    pieces.setdefault(key, []).append(piece.part)
        return [
            Shift(prefix, way, sender, before, after)
            for (_, sender, before, after), parts in pieces.items()
            for prefix in joined(parts)
        ]

    def _pieces(self, cloud: str, way: Way) -> list[Piece]:
        return [piece for piece in (self.pieces.out if way == "out" else self.pieces.back) if piece.cloud == cloud]

    def _senders(self, of: Outcome, piece: Piece, way: Way) -> dict[str, tuple[str, ...]]:
        """By who sends (our routers, or the cloud), the paths that a piece takes; none: no way."""
        if way == "back":
            return {piece.cloud: of.back[piece]}
        return {router: (path,) if path else () for router, path in of.out[piece].items()}

    def _carrying(self, of: Outcome, cloud: str, way: Way) -> tuple[str, ...]:
        """Every path that carries something of the cloud, in site-file order."""
        used = {
            name
            for piece in self._pieces(cloud, way)
            for sender, names in self._senders(of, piece, way).items()
            for name in names
        }
        return tuple(path.name for path in self.view.site.paths if path.name in used)

    def _one_loss_from(self, cloud: str) -> tuple[str, ...]:
        return dark_after_loss_of(self.view.site, self._usable(cloud))

    def _usable(self, cloud: str) -> list[Path]:
        """Paths that could carry the cloud after the change: not gone, and not down now."""
        return [
            p.path
            for p in self.health.paths
            if p.path.cloud == cloud and p.path.session not in self.gone.sessions and p.verdict is not Verdict.DOWN
        ]

    def _verdict(
        self,
        now: Overall,
        after: Mapping[Way, tuple[str, ...]],
        lost: tuple[str, ...],
        left: tuple[str, ...],
        *,
        touched: bool,
    ) -> Overall:
        """Down when a direction has no path at all; degraded when something is gone or one loss away."""
        if not all(after.values()):
            return Overall.DOWN
        if lost or left or (touched and self.gone.sessions):
            return Overall.DEGRADED
        return now


def _prefixes(shifts: Iterable[Shift]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(shift.prefix for shift in shifts))


def _either(after: Mapping[Way, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in after.values() for name in names))


def _taken(shifts: Iterable[Shift]) -> dict[str, frozenset[str]]:
    """By path, the paths whose traffic it takes over."""
    found: dict[str, frozenset[str]] = {}
    for shift in shifts:
        for taker in shift.after if shift.before != shift.after else ():
            found[taker] = found.get(taker, frozenset()) | frozenset(shift.before)
    return found
