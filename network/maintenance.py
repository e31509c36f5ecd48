"""What providers and we ourselves plan, suffer and try out: announced, running, and what it would leave of a cloud."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from network import remedies
from network.alert import Alert
from network.domains import dark_after_loss_of, domains_of
from network.events import Events, ProviderEvent
from network.layers import View
from network.observation import FailoverTest, FailoverTests, Kind, Observation
from network.verdict import Verdict

if TYPE_CHECKING:
    from network.health import PathHealth

_LIVE = frozenset({"announced", "running"})


def alerts(view: View, paths: Sequence[PathHealth]) -> Iterator[Alert]:
    for seen, event in _live(view):
        yield _event(view, seen, event, paths)
    yield from _tests(view)


def works_on(view: View, paths: Sequence[PathHealth], *, changes: bool = True) -> dict[str, list[str]]:
    """What is being done to each path right now, in words: it may well be why the path fails.

    `changes` False leaves out our own changes: a window in which we may work takes nothing away by itself.
    """
    found: dict[str, list[str]] = {}
    for _, event in _live(view):
        counts = running(event, view.now) and (changes or event.kind != "change")
        for path in touched(view, event, paths) if counts else ():
            found.setdefault(path.name, []).append(f"{event.system} {event.kind} {event.id} is running")
    for cloud, test in _running_tests(view):
        found.setdefault(test.path, []).append(f"{cloud} runs a failover test on it")
    return found


def _live(view: View) -> Iterator[tuple[Observation, ProviderEvent]]:
    """Events that are not over and touch something of ours, each with the report it stands in."""
    for (kind, _), seen in view.snapshot.observations.items():
        if kind is Kind.EVENTS and isinstance(seen.fact, Events):
            yield from ((seen, event) for event in seen.fact.events if event.state in _LIVE and event.touches)


def running(event: ProviderEvent, now: datetime) -> bool:
    """It has begun, by its provider's word or by the clock."""
    return event.state == "running" or (event.state == "announced" and event.starts <= now)


def touched(view: View, event: ProviderEvent, paths: Sequence[PathHealth]) -> list[PathHealth]:
    """The paths that fall with what the event touches."""
    things = frozenset(event.touches)
    return [
        path
        for path in paths
        if path.path.cloud in things or path.name in things or domains_of(view.site, path.path) & things
    ]


def _event(view: View, seen: Observation, event: ProviderEvent, paths: Sequence[PathHealth]) -> Alert:
    began = running(event, view.now)
    hit = touched(view, event, paths)
    names = f" ({', '.join(path.name for path in hit)})" if hit else ""
    left = _left(view, hit, paths)
    old = f"; said {seen.age_s(view.now):.0f} s ago" if seen.stale(view.now) else ""
    text = (
        f"{event.system} {event.kind} {'running' if began else 'announced for ' + _stamp(event.starts)}, "
        f"{'ends ' + _stamp(event.ends) if event.ends else 'its end is not known'}: {event.title}; "
        f"touches {', '.join(event.touches)}{names}{left}{old}"
    )
    ours = event.kind == "change"  # a window in which we may work takes nothing away by itself
    grave = "warning" if not ours and (began or event.emergency or left) else "info"
    where = hit[0].name if len(hit) == 1 else event.touches[0]
    since = event.starts if began else None
    fitting = remedies.before(view.site, event.touches) if hit and not ours else ()
    return Alert(f"maintenance:{event.system}:{event.id}", grave, where, text, since, fitting)


def _left(view: View, hit: Sequence[PathHealth], paths: Sequence[PathHealth]) -> str:
    """What would be left of each cloud without the touched paths, when that is too little."""
    gone = {path.name for path in hit}
    words = []
    for cloud in dict.fromkeys(path.path.cloud for path in hit):
        rest = [p.path for p in paths if p.path.cloud == cloud and p.name not in gone and p.verdict is not Verdict.DOWN]
        if not rest:
            words.append(f"{cloud} has no other way")
        elif shared := dark_after_loss_of(view.site, rest):
            words.append(f"{cloud} is left with one failure domain ({', '.join(shared)})")
    return f"; {'; '.join(words)}" if words else ""


def _tests(view: View) -> Iterator[Alert]:
    """A provider's own failover test takes a path away on purpose, and ends by itself or not."""
    for cloud, test in _running_tests(view):
        ends = f"ends {_stamp(test.ends)}" if test.ends else "somebody has to stop it"
        text = f"{cloud} runs a failover test on it ({test.state}); {ends}"
        yield Alert(f"failover-test:{test.path}", "warning", test.path, text, test.starts)


def _running_tests(view: View) -> Iterator[tuple[str, FailoverTest]]:
    for cloud in view.site.clouds:
        seen = view.fresh(Kind.FAILOVER_TESTS, cloud.name, FailoverTests)
        yield from ((cloud.name, test) for test in (seen.tests if seen else ()) if test.running)


def _stamp(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%MZ") if moment else "unknown"
