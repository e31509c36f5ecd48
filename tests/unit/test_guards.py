"""Each guard on the reference site: one fact changed, and what it says; and hysteresis, whatever the samples are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network.domains import dark_after_loss_of, losses_until_dark
from network.events import Events, ProviderEvent
from network.measured import ProbeResult
from network.observation import (
    Advert,
    Advertised,
    BfdHere,
    CloudRoute,
    CloudRoutes,
    FabricVxc,
    Kind,
    Link,
    Load,
    Observation,
    SessionHere,
)
from network.snapshot import Snapshot
from runbooks.effects import Reading
from runbooks.guards.baseline import baseline
from runbooks.guards.facts import Facts
from runbooks.guards.registry import GUARDS, UnfitGuard, exact
from runbooks.guards.watch import BASELINE_S, GuardWatch
from runbooks.hysteresis import Tally
from runbooks.model import Event, StepDef
from runbooks.scene import Moment
from runbooks.view import PhaseView, RunView, StepView
from tests.engine.little_network import LittleScene
from tests.sample import NOW, REFERENCE, healthy, reference, seen

SITE = reference()
BEGAN = NOW - timedelta(minutes=5)
WAYS = {
    "azure": ("azure/er-primary", "azure/er-secondary"),
    "aws": ("aws/dx-1", "aws/dx-2"),
}
DEFINITION: dict[str, Any] = {
    "target": "port-a",
    "before": {cloud: {"carried_by": [old], "return_by": [old]} for cloud, (old, _) in WAYS.items()},
    "after": {cloud: {"carried_by": [new], "return_by": [new]} for cloud, (_, new) in WAYS.items()},
}


def run(*moved: str, state: str = "done") -> RunView:
    """A drain of port-a that has moved these clouds."""

    def step(cloud: str) -> StepView:
        spec = StepDef.model_validate({"id": f"move-{cloud}", "kind": "act", "with": {"cloud": cloud}})
        at = NOW - timedelta(seconds=30)
        intent = Event("R", 3, "3", at, "act.intent", "alice", "h/1/x/LAB", step=spec.id, phase="do")
        done = PhaseView(state, 1, intent) if cloud in moved else PhaseView()  # type: ignore[arg-type]
        return StepView(spec, done)

    return RunView(run_id="R", seq=5, steps=tuple(map(step, WAYS)), started=BEGAN)


def known() -> Snapshot:
    """The healthy site, with load histories and what the providers plan: nothing."""
    more = [seen(Kind.LOAD, str(path.vxc or path.tunnel), Load(200.0, 7)) for path in SITE.paths]
    more += [seen(Kind.EVENTS, system, Events(())) for system in ("megaport", "azure", "aws")]
    return healthy(SITE).with_observations(more)


def facts(*changed: Observation, view: RunView | None = None, without: Sequence[tuple[Kind, str]] = ()) -> Facts:
    snapshot = known().with_observations(changed)
    kept = {key: item for key, item in snapshot.observations.items() if key not in without}
    return Facts(Moment(SITE, replace(snapshot, observations=kept), NOW, {}), DEFINITION, view or run())


def read(name: str, of: Facts, **args: Any) -> Reading:
    guard = GUARDS[name]
    return guard.judge(of, guard.declares.args.model_validate(args))


def now(kind: Kind, name: str, fact: object) -> Observation:
    return seen(kind, name, fact, age_s=0.1)


def down(session: str) -> Observation:
    return now(Kind.SESSION_HERE, session, SessionHere("Idle", NOW - timedelta(minutes=9), 0, 0, 100))


def blind(*paths: str) -> list[tuple[Kind, str]]:
    return [(Kind.SESSION_HERE, SITE.path(path).session) for path in paths]


@pytest.mark.parametrize("name", sorted(GUARDS))
@pytest.mark.parametrize("moved", [(), ("azure",), ("azure", "aws")])
def test_nothing_trips_on_a_healthy_site_whatever_the_run_has_moved(name: str, moved: tuple[str, ...]) -> None:
    found = read(name, facts(view=run(*moved)))
    assert found.ok is True, found
    assert found.margin


@pytest.mark.parametrize("name", sorted(GUARDS))
def test_a_site_of_which_nothing_is_known_is_unknown_and_never_harm(name: str) -> None:
    nothing = Facts(Moment(SITE, Snapshot(), NOW, {}), DEFINITION, run("azure", "aws"))
    found = read(name, nothing)
    assert found.ok is None
    assert found.reason


# -- usable-domains


def test_the_target_is_counted_as_gone() -> None:
    assert read("usable-domains", facts()).margin.startswith("azure: 2 of 2 failure domains left")
    assert read("usable-domains", facts(down("er-primary"))).ok is True


def test_a_survivor_that_is_down_leaves_too_few() -> None:
    found = read("usable-domains", facts(down("er-secondary")))
    assert found.ok is False
    assert "azure is left with" in found.reason
    assert "aws" not in found.reason


def test_a_survivor_that_is_not_seen_may_be_there() -> None:
    found = read("usable-domains", facts(without=blind("azure/er-secondary")))
    assert (found.ok, "azure/er-secondary is not known" in found.reason) == (None, True)


def test_how_many_are_needed_is_the_authors_word_and_never_below_one() -> None:
    assert read("usable-domains", facts(down("er-secondary")), least=1).ok is True
    assert read("usable-domains", facts(), least=4).ok is False
    with pytest.raises(UnfitGuard, match="least"):
        exact({"name": "usable-domains", "with": {"least": 0}})


def test_losses_are_counted_over_domains_not_paths() -> None:
    every = SITE.paths_of("azure")
    assert losses_until_dark(SITE, []) == 0
    assert losses_until_dark(SITE, every[:1]) == 1
    assert losses_until_dark(SITE, every[:2]) == 1, "both legs are of one circuit"
    assert losses_until_dark(SITE, every) > 1


@given(st.sets(st.sampled_from(SITE.paths)))
def test_one_loss_is_enough_exactly_when_the_paths_share_a_domain(paths: set[Any]) -> None:
    assert (losses_until_dark(SITE, paths) == 1) == bool(dark_after_loss_of(SITE, paths))


# -- the survivors


def test_before_the_move_the_histories_count_after_it_what_is_carried() -> None:
    heavy = now(Kind.LOAD, str(SITE.path("azure/er-secondary").vxc), Load(0.7 * rate("azure/er-secondary"), 7))
    assert read("survivor-load", facts(heavy)).ok is False
    assert read("survivor-load", facts(heavy, view=run("azure"))).ok is True
    full = link("azure/er-secondary", 0.97 * rate("azure/er-secondary"))
    assert read("survivor-load", facts(full)).ok is True
    found = read("survivor-load", facts(full, view=run("azure")))
    assert (found.ok, "azure/er-secondary carries" in found.reason) == (False, True)
    assert read("survivor-load", facts(full, view=run("azure")), carried_pct=99).ok is True


def test_a_load_that_is_not_read_is_unknown() -> None:
    gone = [(Kind.LINK, f"edge-2 {SITE.interface(SITE.path('azure/er-secondary'))}")]
    assert read("survivor-load", facts(view=run("azure"), without=gone)).ok is None


def rate(path: str) -> int:
    return SITE.rate_mbps(SITE.path(path))


def link(path: str, mbps: float, **more: Any) -> Observation:
    of = SITE.path(path)
    name = f"{SITE.session(of.session).router} {SITE.interface(of)}"
    up = {"admin_up": True, "oper_up": True} | more
    return now(Kind.LINK, name, Link(in_mbps=mbps, out_mbps=mbps, **up))


@pytest.mark.parametrize(
    ("changed", "ok", "says"),
    [
        (now(Kind.PROBE, "azure/er-secondary", ProbeResult(30, 0, None)), False, "azure/er-secondary is down"),
        (now(Kind.PROBE, "azure/er-secondary", ProbeResult(30, 20, 4.0)), False, "azure/er-secondary is lossy"),
        (now(Kind.PROBE, "azure/er-primary", ProbeResult(30, 0, None)), True, ""),  # what leaves may be as it likes
        (down("dx-2"), False, "aws/dx-2 is down"),
        (now(Kind.PROBE, "aws/dx-2", ProbeResult(3, 3, 1.0, pinned=False)), None, "aws/dx-2"),
    ],
)
def test_loss_on_a_survivor(changed: Observation, ok: bool | None, says: str) -> None:
    found = read("survivor-loss", facts(changed))
    assert (found.ok, says in found.reason) == (ok, True), found


@pytest.mark.parametrize(
    ("changed", "ok"),
    [
        (SessionHere("Established", NOW - timedelta(minutes=4), 2, 3, 100), False),
        (SessionHere("Established", BEGAN - timedelta(seconds=1), 2, 3, 100, drops=7), True),  # before the run
        (SessionHere("Established", None, 2, 3, 100), None),
    ],
)
def test_a_session_that_came_back_during_the_run_flapped(changed: SessionHere, ok: bool | None) -> None:
    assert read("no-fresh-flap", facts(now(Kind.SESSION_HERE, "er-secondary", changed))).ok is ok
    assert read("no-fresh-flap", facts(now(Kind.SESSION_HERE, "er-primary", changed))).ok is True, "no survivor"


def test_bfd_and_links_flap_too() -> None:
    assert read("no-fresh-flap", facts(now(Kind.BFD, "er-secondary", BfdHere("up", since_s=60)))).ok is False
    assert read("no-fresh-flap", facts(now(Kind.BFD, "er-secondary", BfdHere("up", since_s=600)))).ok is True
    assert read("no-fresh-flap", facts(link("azure/er-secondary", 1.0, oper_up=False))).ok is False


def event(*touches: str, kind: Any = "maintenance") -> Observation:
    made = ProviderEvent("M-1", "megaport", kind, "running", "work", NOW - timedelta(hours=1), None, touches)
    return now(Kind.EVENTS, "megaport", Events((made,)))


def test_work_on_a_survivor_and_not_on_what_is_drained_for_it() -> None:
    found = read("no-maintenance", facts(event("port-b")))
    assert (found.ok, "megaport maintenance M-1 is running" in found.reason) == (False, True)
    assert read("no-maintenance", facts(event("port-a"))).ok is True
    assert read("no-maintenance", facts(event("port-b", kind="change"))).ok is True, "our own window takes nothing away"


def test_a_provider_that_does_not_say_what_it_does_is_unknown() -> None:
    found = read("no-maintenance", facts(without=[(Kind.EVENTS, "azure")]))
    assert (found.ok, found.reason) == (None, "what azure plans for azure/er-secondary is unknown")


# -- the boundaries


def test_an_ot_overlap_is_seen_and_an_unread_session_is_not_a_clean_one() -> None:
    leak = now(Kind.ADVERTISED, "er-secondary", Advertised((Advert("10.200.0.0/16", (65010,)),)))
    assert read("no-ot-overlap", facts(leak)).ok is False
    assert read("no-ot-overlap", facts(without=[(Kind.ADVERTISED, "dx-2")])).ok is None


def split(age_s: float, state: str = "done") -> Facts:
    """Azure goes out by er-primary and comes back by er-secondary, and only the first crosses a firewall of its own."""
    own = SITE.stateful[0].model_copy(update={"name": "dmz", "crosses": ("azure/er-primary",)})
    site = SITE.model_copy(update={"stateful": (own,)})
    table = tuple(CloudRoute(str(p.prefix), ("azure/er-secondary",)) for p in SITE.on_prem.prefixes)
    routes = seen(Kind.CLOUD_ROUTES, "azure", CloudRoutes(table, "table"), age_s=age_s, fresh_s=120)
    snapshot = known().folded([], [])
    kept = {key: item for key, item in snapshot.observations.items() if key != routes.key}
    idle = [link(each.name, 0.0) for each in SITE.paths_of("azure")]  # counters say nothing of the way back
    snapshot = replace(snapshot, observations=kept).with_observations([routes, *idle])
    return Facts(Moment(site, snapshot, NOW, {}), DEFINITION, run("azure", state=state))


def test_a_reply_that_misses_a_firewall_is_seen() -> None:
    found = read("symmetry", split(age_s=1))
    assert (found.ok, "replies miss dmz" in found.reason) == (False, True)


def test_a_way_back_from_before_the_act_or_while_it_is_proven_says_nothing() -> None:
    assert read("symmetry", split(age_s=60)).reason == "the way back of azure was last told before the act"
    assert read("symmetry", split(age_s=1, state="acted")).ok is None


# -- what a book writes


def test_what_a_book_leaves_out_comes_from_the_declaration() -> None:
    made = exact({"name": "survivor-loss"})
    assert (made.policy, made.k, made.n, made.label) == ("undo", 2, 3, "survivor-loss")
    made = exact({"name": "usable-domains", "with": {"least": 1}, "policy": "undo", "k": 1})
    assert (made.policy, made.k, made.label) == ("undo", 1, "usable-domains(least=1)")


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"name": "usable-domain"}, "usable-domains"),
        ({"name": "symmetry", "with": {"least": 2}}, "it takes no arguments"),
        ({"name": "symmetry", "k": 4}, "4 of 3 samples can never be"),
        ({"name": "survivor-load", "with": {"carried_pct": 120}}, "carried_pct"),
    ],
)
def test_an_unfit_guard_says_what_is_allowed(written: dict[str, Any], says: str) -> None:
    with pytest.raises(UnfitGuard, match=says):
        exact(written)


def test_a_drain_is_watched_in_every_act_and_says_by_whom() -> None:
    acts = [step for step in LittleScene().plan().steps if step.kind == "act"]
    assert len(acts) == 2
    for step in acts:
        assert {"survivor-loss, 2 of 3: undo", "usable-domains, 2 of 3: hold"} <= set(step.guards)


def test_the_documentation_has_every_guard_as_it_is() -> None:
    text = (REFERENCE.parent.parent / "docs" / "guards.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    told = {row[0].strip("`"): (set(row[2].split(", ")), row[3]) for row in rows}
    assert told == {name: (set(guard.declares.reads), guard.declares.policy) for name, guard in GUARDS.items()}


# -- the baseline


@pytest.mark.parametrize(
    ("changed", "without", "ok"),
    [
        ([], [], True),
        ([down("er-primary")], [], False),
        ([now(Kind.PROBE, "azure/er-primary", ProbeResult(30, 20, 4.0))], [], False),
        ([event("port-a")], [], False),  # a technician holds the fibre
        ([event("port-a", kind="change")], [], True),  # the run's own change is no work on it
        ([], blind("azure/er-primary"), None),
        ([down("dx-1")], [], True),  # aws has not been moved: the undo puts nothing back there
    ],
)
def test_only_a_proven_baseline_is_gone_back_to(
    changed: list[Observation], without: list[tuple[Kind, str]], ok: bool | None
) -> None:
    found = baseline(facts(*changed, view=run("azure"), without=without))
    assert found.ok is ok, found
    if not ok:
        assert "azure/er-primary" in found.reason
        assert "now azure by" in found.reason, "both sides are shown"


LIVE = FabricVxc(up=True, shutdown=False, status="LIVE", rate_mbps=1500, max_mbps=2000)
RESIZED: dict[str, Any] = {"target": "vxc-azure-a", "before": DEFINITION["before"], "after": DEFINITION["before"]}
LOSSY = now(Kind.PROBE, "azure/er-primary", ProbeResult(30, 20, 4.0))


def resized(*changed: Observation, old: int = 1000, without: Sequence[tuple[Kind, str]] = ()) -> Facts:
    """A run that has set vxc-azure-a from `old` to 1500 Mbps."""
    args = {"vxc": "vxc-azure-a", "from": old, "to": 1500}
    spec = StepDef.model_validate({"id": "rate", "kind": "act", "verb": "set-vxc-rate", "with": args})
    view = RunView(run_id="R", seq=5, steps=(StepView(spec, PhaseView("acted", 1)),))
    moment = facts(now(Kind.VXC, "vxc-azure-a", LIVE), *changed, without=without).moment
    return Facts(moment, RESIZED, view)


@pytest.mark.parametrize(
    ("of", "ok", "why"),
    [
        (resized(), True, ""),
        (resized(without=[(Kind.VXC, "vxc-azure-a")]), None, "what the fabric says of it"),
        (resized(without=[(Kind.PORT, "port-a")]), None, "what the fabric says of it"),
        (resized(now(Kind.VXC, "vxc-azure-a", replace(LIVE, locked=True))), False, "is locked"),
        (resized(event("port-a")), False, "is running"),  # a technician holds the fibre
        (resized(down("er-primary")), False, "azure/er-primary"),  # the rate did not do that
        (resized(LOSSY), False, "azure/er-primary"),  # less room would not help
        (resized(LOSSY, old=2000), True, ""),  # more room may
        (resized(down("er-primary"), old=2000), False, "azure/er-primary"),
        (resized(without=blind("azure/er-primary")), None, "azure/er-primary"),
        (resized(down("er-secondary")), True, ""),  # another path is none of it
    ],
)
def test_a_rate_is_put_back_unasked_only_where_the_fabric_and_its_path_allow_it(
    of: Facts, ok: bool | None, why: str
) -> None:
    found = baseline(of)
    assert found.ok is ok, found
    assert why in found.reason


# -- hysteresis

SAMPLES = st.lists(st.sampled_from([True, False, None]), max_size=40)


@given(st.integers(1, 5), st.integers(0, 4), SAMPLES)
def test_it_trips_only_on_k_of_the_last_n_that_were_seen_bad(k: int, more: int, samples: list[bool | None]) -> None:
    n, tally, before = k + more, Tally(k, k + more), None
    for count, sample in enumerate(samples, start=1):
        state = tally.add(sample)
        last = samples[max(0, count - n) : count]
        if last.count(False) >= k:
            assert state == "tripped"
        elif state == "tripped":
            assert before == "tripped", "it cannot begin without k bad samples"
        before = state


@given(st.integers(1, 5), st.integers(0, 4), st.lists(st.sampled_from([True, None]), max_size=40))
def test_what_is_only_unknown_never_trips(k: int, more: int, samples: list[bool | None]) -> None:
    tally = Tally(k, k + more)
    assert all(tally.add(sample) != "tripped" for sample in samples)


@given(st.integers(1, 5), st.integers(0, 4), SAMPLES)
def test_after_n_good_samples_it_is_clear_and_after_n_blind_ones_unknown(
    k: int, more: int, samples: list[bool | None]
) -> None:
    for kind, state in ((True, "clear"), (None, "unknown"), (False, "tripped")):
        tally = Tally(k, k + more)
        for sample in [*samples, *[kind] * (k + more)]:
            tally.add(sample)
        assert tally.state == state


@pytest.mark.parametrize(("late_s", "proven"), [(0, True), (3, True), (1000, None)])
async def test_a_baseline_that_is_not_known_for_a_moment_is_looked_at_again(late_s: int, proven: bool | None) -> None:
    """A poll that is late must not leave a harmful move in place."""
    scene, late = LittleScene(), timedelta(seconds=late_s)
    scene.clock = began = scene.clock + timedelta(seconds=5)
    scene.blind = lambda item: item.key in blind("azure/er-primary") and scene.clock < began + late
    scene.look()
    found = await GuardWatch(scene, DEFINITION).baseline(run("azure"))
    assert found.ok is proven, found.reason
    assert scene.clock - began == min(late, timedelta(seconds=BASELINE_S))


async def test_a_baseline_that_is_seen_to_be_no_better_is_said_at_once() -> None:
    scene = LittleScene(facts=[down("er-primary")])
    found = await GuardWatch(scene, DEFINITION).baseline(run("azure"))
    assert found.ok is False
    assert scene.clock == NOW
