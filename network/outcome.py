"""Where everything goes: each router's and each cloud's choice per piece of address space, from given tables. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from network.bestpath import NOTHING, Candidate, Choice, Undecidable, decide
from network.carriage import sanctioned
from network.inventory import Site
from network.preferences import ROUTER
from network.space import Space
from network.tables import Inside, Table, Tables, Way, copied
from network.things import Reach


@dataclass(frozen=True, slots=True)
class Edit:
    """A session's knobs turned: its local preference here; `longer` AS path and 7224 class as the cloud sees them."""

    local_pref: int | None = None
    longer: int = 0
    community: str | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a destination: `prefix` is the site's, `part` the piece of it that is routed alike."""

    cloud: str
    prefix: str
    part: str


@dataclass(frozen=True, slots=True)
class Pieces:
    """Everything that is sent to: the clouds' space by our routers, ours by the clouds."""

    out: tuple[Piece, ...]
    back: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`out`: by piece, each router's path (None: no way). `back`: by piece, the cloud's paths (empty: no way).

    `uses`: by router and prefix, its own session or the router that it sends to, "" for nothing.
    """

    out: Mapping[Piece, Mapping[str, str | None]]
    back: Mapping[Piece, tuple[str, ...]]
    uses: Mapping[tuple[str, str], str]
    problems: Mapping[tuple[str, Way], tuple[str, ...]]


def without(tables: Tables, lost: Reach, path_sessions: Mapping[str, str]) -> Tables:
    """The tables when a reach is gone. `path_sessions`: session by path name."""
    gone = lost.sessions
    ours = {
        router: _kept(table, lambda each: each.via not in gone)
        for router, table in tables.ours.items()
        if router not in lost.routers
    }
    inside = tuple(
        link for link in tables.inside if link.session not in gone and not {link.sender, link.receiver} & lost.routers
    )
    theirs = {
        cloud: _kept(table, lambda each: path_sessions[each.via] not in gone) for cloud, table in tables.theirs.items()
    }
    return replace(tables, ours=ours, inside=inside, theirs=theirs)


def _kept(table: Table, stays: Callable[[Candidate], bool]) -> Table:
    return {prefix: tuple(each for each in routes if stays(each)) for prefix, routes in table.items()}


def edited(tables: Tables, edits: Mapping[str, Edit], path_sessions: Mapping[str, str]) -> Tables:
    """The tables when sessions' knobs are turned, by session name."""

    def here(each: Candidate) -> Candidate:
        pref = edits[each.via].local_pref if each.via in edits else None
        return each if pref is None else replace(each, local_pref=pref)

    def there(each: Candidate) -> Candidate:
        edit = edits.get(path_sessions[each.via], Edit())
        changed = replace(each, as_path=(*each.as_path, *each.as_path[-1:] * edit.longer))
        return replace(changed, communities=(edit.community,)) if edit.community else changed

    ours = {r: {p: tuple(map(here, routes)) for p, routes in table.items()} for r, table in tables.ours.items()}
    theirs = {c: {p: tuple(map(there, routes)) for p, routes in table.items()} for c, table in tables.theirs.items()}
    return replace(tables, ours=ours, theirs=theirs)


def pieces_of(site: Site, tables: Tables) -> Pieces:
    """Every destination, cut where a more specific route begins or ends."""
    ours = Space({prefix for table in tables.ours.values() for prefix in table})
    theirs = {cloud: Space(table) for cloud, table in tables.theirs.items()}
    out = [
        Piece(cloud.name, prefix, part)
        for cloud in site.clouds
        for prefix in (str(each.prefix) for each in cloud.prefixes)
        for part in ours.atoms(prefix)
    ]
    back = [
        Piece(cloud.name, prefix, part)
        for cloud in site.clouds
        for prefix in sanctioned(site, cloud)
        for part in theirs[cloud.name].atoms(prefix)
    ]
    return Pieces(tuple(out), tuple(back))


def outcome(site: Site, tables: Tables, pieces: Pieces) -> Outcome:
    """Every piece's way out and back. The pieces are those of the present, so that two outcomes can be compared."""
    problems = {key: list(found) for key, found in tables.problems.items()}
    routers, clouds = _Routers(site, tables), _Clouds(site, tables)
    out = {piece: routers.ways(piece.part) for piece in pieces.out}
    back: dict[Piece, tuple[str, ...]] = {}
    for piece in pieces.back:
        try:
            back[piece] = clouds.ways(piece.cloud, piece.part)
        except Undecidable as why:
            problems.setdefault((piece.cloud, "back"), []).append(str(why))
            back[piece] = ()
    for cloud in site.clouds if routers.unsettled else ():
        problems.setdefault((cloud.name, "out"), []).append("our routers' choices do not come to rest")
    said = {key: tuple(dict.fromkeys(found)) for key, found in problems.items()}
    return Outcome(out, back, routers.uses(), said)


class _Routers:
    """Our routers' choices, prefix by prefix, each worked out once."""

    def __init__(self, site: Site, tables: Tables) -> None:
        self._tables = tables
        self._path = {path.session: path.name for path in site.paths}
        self._into: dict[str, list[Inside]] = {}
        for link in tables.inside:
            self._into.setdefault(link.receiver, []).append(link)
        self._choices: dict[str, dict[str, Choice]] = {}
        self._space = Space({prefix for table in tables.ours.values() for prefix in table})
        self._rounds = 1 if all(link.everything for link in tables.inside) else len(tables.ours) + 2
        self.unsettled = False

    def ways(self, part: str) -> dict[str, str | None]:
        """Each router's path for a piece, followed over our other routers."""
        known = self._space.matches(part)
        return {router: self._follow(router, known) for router in self._tables.ours}

    def uses(self) -> dict[tuple[str, str], str]:
        """What each router does with each prefix that was worked out."""
        return {
            (router, prefix): won.winners[0].copy or won.winners[0].via if won.winners else ""
            for prefix, chosen in self._choices.items()
            for router, won in chosen.items()
        }

    def _follow(self, router: str, known: tuple[str, ...]) -> str | None:
        visited: set[str] = set()
        while router not in visited:
            visited.add(router)
            best = next((won for prefix in known if (won := self._chosen(prefix)[router].winners)), None)
            if best is None:
                return None
            if not best[0].copy:
                return self._path.get(best[0].via)
            router = best[0].copy
        self.unsettled = True
        return None

    def _chosen(self, prefix: str) -> dict[str, Choice]:
        if prefix not in self._choices:
            self._choices[prefix] = self._settle(prefix)
        return self._choices[prefix]

    def _settle(self, prefix: str) -> dict[str, Choice]:
        """Choose, hand on, choose again, until nothing changes; one more round than there are routers is enough.

        Where every route is handed on, what is handed on does not depend on what is chosen: once is enough.
        """
        ours = {router: table.get(prefix, ()) for router, table in self._tables.ours.items()}
        chosen: dict[str, Choice] = {} if self._rounds == 1 else {r: decide(ROUTER, ours[r]) for r in ours}
        for _ in range(self._rounds):
            before, chosen = chosen, {router: self._with_copies(router, ours, chosen) for router in ours}
            if chosen == before or self._rounds == 1:
                return chosen
        self.unsettled = True
        return chosen

    def _with_copies(
        self, router: str, ours: Mapping[str, tuple[Candidate, ...]], chosen: Mapping[str, Choice]
    ) -> Choice:
        links = self._into.get(router, ())
        copies = [
            copied(each, link)
            for link in links
            for each in (ours[link.sender] if link.everything else chosen[link.sender].winners)
            if not each.copy
        ]
        return decide(ROUTER, (*ours[router], *copies)) if copies else decide(ROUTER, ours[router])


class _Clouds:
    """The clouds' choices."""

    def __init__(self, site: Site, tables: Tables) -> None:
        self._tables = tables
        self._order = {path.name: place for place, path in enumerate(site.paths)}
        self._space = {cloud: Space(table) for cloud, table in tables.theirs.items()}

    def ways(self, cloud: str, part: str) -> tuple[str, ...]:
        """The paths by which a cloud reaches a piece; nothing when it cannot, or when how it decides is unknown."""
        process, table = self._tables.processes.get(cloud), self._tables.theirs[cloud]
        for prefix in self._space[cloud].matches(part) if process else ():
            won = decide(process, table[prefix]) if process else NOTHING
            if won.winners:
                return tuple(sorted((each.via for each in won.winners), key=self._order.__getitem__))
        return ()
