"""Plans for a desk: a book compiled against the routers as they are now, and what has moved since it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from connectors.routers.session import RouterSession
from connectors.routers.ssh import Login
from console.fabric import quotes
from console.live import RUNNING_CONFIG, LiveScene
from console.undoing import in_place
from console.wiring import Watch, utc_now
from network.health import judge
from network.rescue import undecided
from network.snapshot import Snapshot
from runbooks.book import found, parse
from runbooks.journal import Journal
from runbooks.language import Book
from runbooks.parameters import bound
from runbooks.plan import Plan, compile_plan
from runbooks.relied import moved_since
from runbooks.rescue import may_rescue
from runbooks.scene import CannotPlan, Moment, Scene, Undoing, moment_of

#: How long a plan waits for routers that have not answered lately, in seconds.
LOOK_S = 10.0
#: And for enough probes to say whether a path that carries is over its loss limit, where an act may rescue from it.
LOSS_S = 60.0


class Planner:
    """Reads with the reading credentials; changes nothing."""

    def __init__(self, watch: Watch, scene: LiveScene, journal: Journal) -> None:
        self._watch, self._scene, self._journal = watch, scene, journal

    async def plan(self, book: str, parameters: Mapping[str, str], *, rescue: bool = False) -> Plan:
        """Compile against the routers as they are now. Raises BookError, CannotPlan, or a connector's error.

        `rescue`: it is to be run as a restore, so that it looks until that is certain either way.
        `book` is a name of the library or a file. One that undoes another is compiled from the record of the run that
        it puts back; none: Refused.
        """
        chosen = found(book)
        if may_rescue(chosen):
            await self._judged(0 if rescue else 1)
        first = await self._moment(chosen, parameters, await self._undoing(chosen, parameters))
        async for moment in moments(self._scene, first):
            try:
                return compile_plan(chosen, parameters, moment, self._site_text)
            except CannotPlan as reasons:
                refusal = reasons
        raise refusal

    async def moved(self, definition: Mapping[str, Any], begun: Sequence[str]) -> list[str]:
        """What a frozen plan covers and is not as it was, in words: the same book is compiled again, now.

        Of a run that has begun some of its acts, what the others rely on.
        """
        if not definition.get("covered"):
            return []
        book = parse(definition["text"], f"{definition['book']}.yaml")
        found: list[str] = []
        async for moment in moments(self._scene, await self._moment(book, definition["parameters"])):
            if not (found := moved_since(definition, book, moment, self._site_text, begun)):
                break
        return found

    @property
    def _site_text(self) -> str:
        return self._watch.chosen.loaded.text

    async def _moment(self, book: Book, parameters: Mapping[str, str], undoing: Undoing | None = None) -> Moment:
        await self._watch.session.pulse()
        chosen = self._watch.chosen
        vault = chosen.site.systems.vault
        login = Login(
            vault.read_principal,
            vault.host_ca,
            lambda line: self._watch.session.sign(vault.read_role, vault.read_principal, line),
        )
        sessions = [RouterSession(router, login) for router in chosen.site.routers]
        try:
            texts = await asyncio.gather(*(session.show(RUNNING_CONFIG) for session in sessions))
        finally:
            await asyncio.gather(*(session.close() for session in sessions))
        asked = await quotes(book, parameters, chosen.site, self._scene.fabric())
        running = {s.router.name: reply.text for s, reply in zip(sessions, texts, strict=True)}
        return Moment(chosen.site, await self._looked(), utc_now(), running, undoing, asked)

    async def _judged(self, lost: int) -> None:
        """Look until it is certain which paths are lossy, or LOSS_S have passed; only at those that lost so many."""
        scene, deadline = self._scene, utc_now() + timedelta(seconds=LOSS_S)
        await self._looked()
        while (left_s := (deadline - utc_now()).total_seconds()) > 0:
            moment = moment_of(scene)
            health = moment.health
            if not any(undecided(moment.view, health, cloud.name, lost) for cloud in health.clouds):
                return
            await scene.newer(moment.snapshot.revision, left_s)

    async def _looked(self) -> Snapshot:
        """What is known once every router has answered lately and every way back is known, or LOOK_S have passed.

        Old tables make a guess; and a baseline that was unknown can never be proven to be back.
        """
        scene, deadline = self._scene, utc_now() + timedelta(seconds=LOOK_S)
        while any(
            cloud.unseen_routers or not cloud.way_back.paths
            for cloud in judge(scene.site, scene.snapshot, utc_now()).clouds
        ):
            left_s = (deadline - utc_now()).total_seconds()
            if left_s <= 0:
                break
            await scene.newer(scene.snapshot.revision, left_s)
        return scene.snapshot

    async def _undoing(self, book: Book, given: Mapping[str, str]) -> Undoing | None:
        """The run that a book puts back: the newest with the same parameters whose effects are in place."""
        if book.undoes is None:
            return None
        parameters = bound(book, given, self._watch.site)
        return in_place(book.undoes, parameters, await self._journal.runs())


async def moments(scene: Scene, moment: Moment) -> AsyncIterator[Moment]:
    """The moment, then newer ones while a source has not had its first say, for LOOK_S at most.

    A console that has just started must not refuse for what it would know a second later.
    """
    deadline = scene.now() + timedelta(seconds=LOOK_S)
    yield moment
    while _awaited(moment.snapshot) and (left_s := (deadline - scene.now()).total_seconds()) > 0:
        snapshot = await scene.newer(moment.snapshot.revision, left_s)
        moment = replace(moment, snapshot=snapshot, now=scene.now())
        yield moment


def _awaited(snapshot: Snapshot) -> bool:
    return any(source.last_ok is None and source.error is None for source in snapshot.sources.values())
