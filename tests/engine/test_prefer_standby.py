"""prefer-standby on a network in memory: what is sent when, what a look says, what proves it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.errors import Denied, OutcomeUnknown, Unreachable
from connectors.errors import NotSent as ConnectorNotSent
from network.observation import Advert, Advertised, Kind, Observation, SessionHere
from runbooks.actions.prefer_standby import PreferStandby
from runbooks.effects import NotSent, WindowPassed
from runbooks.model import Phase, StepDef
from runbooks.scene import CannotPlan
from tests.engine.little_network import SITE, LittleScene, allowed, steps, undo_steps
from tests.router_text import running
from tests.sample import NOW, routes, seen

VERB = PreferStandby()
SOFT = "clear bgp ipv4 unicast 10.255.1.2 soft"


def drained(step_id: str = "move-azure", port: str = "port-a") -> tuple[LittleScene, StepDef]:
    scene = LittleScene()
    return scene, steps(scene.plan(port))[step_id]


async def act(scene: LittleScene, step: StepDef, phase: Phase = "do") -> None:
    await VERB.act(scene, step, phase, allowed)


# -- what is sent


async def test_each_send_is_asked_for_and_the_soft_clear_comes_last() -> None:
    scene, step = drained()
    order: list[str] = []
    router = scene.router("edge-1")
    done = await VERB.act(scene, step, "do", lambda: order.append(f"asked, {len(router.sent)} sent"))
    assert order == ["asked, 0 sent", "asked, 4 sent"]
    assert router.sent[-1] == SOFT
    assert done == {"sent": 2, "router": "edge-1"}


async def test_do_and_undo_leave_the_router_byte_for_byte_as_it_was() -> None:
    scene, step = drained()
    before = scene.router("edge-1").text
    await act(scene, step)
    assert scene.router("edge-1").text != before
    await act(scene, step, "undo")
    assert scene.router("edge-1").text == before


async def test_a_window_that_has_passed_sends_nothing() -> None:
    scene, step = drained()

    def closed() -> None:
        raise WindowPassed("too late")

    with pytest.raises(WindowPassed):
        await VERB.act(scene, step, "do", closed)
    assert scene.router("edge-1").sent == []


def lost(kind: type[ConnectorNotSent | Denied | OutcomeUnknown | Unreachable]) -> Exception:
    return kind("it failed", where="edge-1", do_next="look")


@pytest.mark.parametrize("kind", [ConnectorNotSent, Denied])
async def test_a_first_send_that_provably_did_nothing_is_not_sent(kind: type[ConnectorNotSent]) -> None:
    scene, step = drained()
    scene.router("edge-1").failures = [lost(kind)]
    with pytest.raises(NotSent):
        await act(scene, step)


async def test_after_the_first_send_the_outcome_is_unknown_whatever_the_second_proves() -> None:
    scene, step = drained()
    scene.router("edge-1").failures = [None, lost(ConnectorNotSent)]
    with pytest.raises(ConnectorNotSent):
        await act(scene, step)


async def test_a_send_without_a_clear_answer_is_not_taken_for_not_sent() -> None:
    scene, step = drained()
    scene.router("edge-1").failures = [lost(OutcomeUnknown)]
    with pytest.raises(OutcomeUnknown):
        await act(scene, step)


async def test_a_router_that_cannot_be_read_is_not_written() -> None:
    scene, step = drained()
    scene.router("edge-1").unreadable = lost(Unreachable)
    with pytest.raises(NotSent, match="it failed"):
        await act(scene, step)
    assert scene.router("edge-1").sent == []


async def test_a_clause_that_is_gone_is_not_written_and_nothing_is_unknown() -> None:
    scene, step = drained()
    router = scene.router("edge-1")
    router.text = router.text.replace("route-map IN-msee-primary permit 10", "route-map IN-msee-primary permit 20")
    with pytest.raises(NotSent, match="no clause 10 in route-map IN-msee-primary"):
        await act(scene, step)
    assert router.sent == []


@pytest.mark.parametrize("phase", ["do", "undo"])
async def test_somebody_elses_change_is_never_written_over(phase: Phase) -> None:
    scene, step = drained()
    if phase == "undo":
        await act(scene, step)
    router = scene.router("edge-1")
    sent = list(router.sent)
    router.text = router.text.replace("65010 65010 65010 65010", "65010").replace(
        "set local-preference 200", "set local-preference 210"
    )
    with pytest.raises(NotSent, match="somebody else changed"):
        await act(scene, step, phase)
    assert router.sent == sent


# -- what a look says


async def test_a_look_tells_done_undone_mixed_and_foreign_apart() -> None:
    scene, step = drained()
    router = scene.router("edge-1")
    assert (await VERB.observe(scene, step)).state == "undo"
    await router.configure(("route-map IN-msee-primary permit 10", "set local-preference 120"))
    assert (await VERB.observe(scene, step)).state == "mixed"
    await act(scene, step)
    assert (await VERB.observe(scene, step)).state == "do"
    router.text = router.text.replace("set local-preference 120", "set local-preference 90")
    found = await VERB.observe(scene, step)
    assert found.state == "unknown"
    assert "local-preference 90" in found.evidence["foreign"][0]


async def test_an_undo_run_looks_the_other_way_round() -> None:
    scene = LittleScene()
    plan = scene.plan()
    step = undo_steps(plan)["restore-move-azure"]
    await act(scene, steps(plan)["move-azure"])
    assert (await VERB.observe(scene, step)).state == "undo"
    await act(scene, step)
    assert (await VERB.observe(scene, step)).state == "do"
    scene.look()
    assert (await VERB.verify(scene, step, "do")).ok is True


@pytest.mark.parametrize(
    ("cloud", "port"), [("azure", "port-a"), ("aws", "port-a"), ("azure", "port-b"), ("aws", "port-b")]
)
async def test_every_cloud_on_either_port_is_drained_proven_and_put_back(cloud: str, port: str) -> None:
    scene, step = drained(f"move-{cloud}", port)
    await act(scene, step)
    assert (await VERB.observe(scene, step)).state == "do"
    found = await VERB.verify(scene, step, "do")
    assert found.ok is True, found.reason
    await act(scene, step, "undo")
    assert (await VERB.observe(scene, step)).state == "undo"
    found = await VERB.verify(scene, step, "undo")
    assert found.ok is True, found.reason


# -- what proves it


async def test_what_was_seen_before_the_act_does_not_prove_it() -> None:
    scene, step = drained()
    before = scene.snapshot
    await act(scene, step)
    scene.look()
    moved = scene.snapshot
    await act(scene, step, "undo")  # on the router nothing is drained any more, but the last look was at the drain
    assert moved.revision > before.revision
    scene.blind = lambda item: item.kind in {Kind.ROUTES, Kind.LINK, Kind.CLOUD_ROUTES}
    await act(scene, step)
    found = await VERB.verify(scene, step.model_copy(update={"timeout_s": 1.5}), "do")
    assert found.ok is None, "only looks from before the act say that it worked"
    assert "azure out: unknown" in found.reason
    assert scene.asked >= 1


async def test_an_undo_is_not_proven_by_a_look_from_before_it_either() -> None:
    scene, step = drained()
    await act(scene, step)  # the routes seen are still those of before: as if nothing had moved yet
    await act(scene, step, "undo")
    scene.blind = lambda item: item.kind is Kind.ROUTES
    found = await VERB.verify(scene, step.model_copy(update={"timeout_s": 1.5}), "undo")
    assert found.ok is None


async def test_traffic_that_still_leaves_by_the_old_way_is_seen_and_not_unknown() -> None:
    scene, step = drained()
    scene.facts = [*routes(SITE, "azure")]
    await act(scene, step)
    found = await VERB.verify(scene, step.model_copy(update={"timeout_s": 2}), "do")
    assert found.ok is False
    assert "azure out: azure/er-primary, expected azure/er-secondary" in found.reason


@pytest.mark.parametrize("kind", [Kind.ROUTES, Kind.LINK])
async def test_a_router_that_is_silent_proves_nothing_though_the_other_shows_the_survivor(kind: Kind) -> None:
    scene, step = drained()
    await act(scene, step)
    scene.clock += timedelta(seconds=1)
    scene.blind = lambda item: (item.kind is kind and item.name.startswith("edge-1 ")) or item.kind is Kind.CLOUD_ROUTES
    found = await VERB.verify(scene, step.model_copy(update={"timeout_s": 3}), "do")
    assert found.ok is None


async def test_a_prefix_that_one_router_has_no_way_to_is_lost() -> None:
    scene, step = drained()
    await act(scene, step)
    held = routes(SITE, "azure", prefs={"er-primary": 120})
    scene.facts = [
        replace(item, fact=replace(item.fact, paths=())) if item.name == "edge-1 10.51.0.0/16" else item  # type: ignore[type-var]  # ROUTES observations hold Routes
        for item in held
    ]
    found = await VERB.verify(scene, step.model_copy(update={"timeout_s": 2}), "do")
    assert found.ok is False
    assert "azure coverage: edge-1 10.51.0.0/16" in found.reason


OT_LEAK = seen(Kind.ADVERTISED, "er-secondary", Advertised((Advert("10.0.0.0/8", (65010,)),)))


async def test_an_advertisement_that_overlaps_ot_fails_the_verification() -> None:
    scene, step = drained()
    await act(scene, step)
    scene.facts = [OT_LEAK]
    found = await VERB.verify(scene, step.model_copy(update={"timeout_s": 2}), "do")
    assert found.ok is False
    assert "10.0.0.0/8 is advertised and overlaps OT" in found.reason


async def test_what_the_drained_session_advertises_must_be_read_after_the_act() -> None:
    scene, step = drained()
    await act(scene, step)
    scene.blind = lambda item: item.key == (Kind.ADVERTISED, "er-primary")
    found = await VERB.verify(scene, step.model_copy(update={"timeout_s": 1.5}), "do")
    assert found.ok is None
    assert "what er-primary advertises now is unknown" in found.reason


async def test_a_router_that_cannot_be_read_for_a_moment_is_read_again() -> None:
    scene, step = drained()
    await act(scene, step)
    router = scene.router("edge-1")
    router.unreadable = lost(Unreachable)

    def heals(_item: Observation) -> bool:
        router.unreadable = None
        return False

    scene.blind = heals
    found = await VERB.verify(scene, step, "do")
    assert found.ok is True, found.reason


async def test_after_an_undo_the_way_back_must_be_as_before_too() -> None:
    scene, step = drained()
    await act(scene, step)
    await act(scene, step, "undo")
    scene.facts = [scene.link("azure/er-primary", 0.02), scene.link("azure/er-secondary", 800.0)]
    found = await VERB.verify(scene, step.model_copy(update={"timeout_s": 2}), "undo")
    assert found.ok is False
    assert "azure back: azure/er-secondary, expected azure/er-primary" in found.reason


async def test_an_undo_is_proven_when_the_path_itself_has_died_meanwhile() -> None:
    scene, step = drained()
    await act(scene, step)
    await act(scene, step, "undo")
    scene.facts = [
        seen(Kind.SESSION_HERE, "er-primary", SessionHere("Active", NOW, 0, 0, 100, reason="BFD")),
        *routes(SITE, "azure", without=frozenset({"er-primary"})),
    ]
    found = await VERB.verify(scene, step, "undo")
    assert found.ok is True
    assert "is down" in found.evidence["expected"][1]["now"]


async def test_an_undo_does_not_wait_for_the_router_that_it_does_not_touch() -> None:
    scene, step = drained()
    await act(scene, step)
    await act(scene, step, "undo")
    scene.blind = lambda item: item.name.startswith("edge-2 ")
    scene.facts = routes(SITE, "azure", without=frozenset({"ibgp"}))
    found = await VERB.verify(scene, step, "undo")
    assert found.ok is True, found.reason


# -- what is compiled


def test_a_longer_path_is_never_made_shorter() -> None:
    scene = LittleScene()
    router = scene.router("edge-2")
    router.text = router.text.replace("set as-path prepend 65010 65010", "set as-path prepend" + " 65010" * 6)
    scene.look()
    plan = scene.plan("port-b")
    assert not any("prepend" in line for step in plan.steps for line in step.lines)


def test_a_clause_that_needs_no_change_is_left_alone() -> None:
    lines = LittleScene().plan("port-b").steps[1].lines
    assert "edge-2(config)> set local-preference 120" in lines
    assert not any("OUT-msee-secondary" in line for line in lines)


def test_a_clause_that_is_left_alone_is_relied_on_all_the_same() -> None:
    scene = LittleScene()
    before = scene.plan("port-b")
    router = scene.router("edge-2")
    old = "match ip address prefix-list SANCTIONED\n set as-path prepend 65010 65010\nexit"
    router.text = router.text.replace(old, old.replace("SANCTIONED", "OTHERS"))
    after = scene.plan("port-b")
    assert [step.lines for step in after.steps] == [step.lines for step in before.steps]
    assert after.hash != before.hash


def test_only_the_preference_class_is_replaced_and_other_communities_stay() -> None:
    scene = LittleScene()
    router = scene.router("edge-1")
    router.text = router.text.replace("set community 7224:7300", "set community 65010:7 7224:7300")
    plan = scene.plan()
    assert "edge-1(config)> set community 65010:7 7224:7100" in plan.steps[2].lines
    assert "edge-1(config)> set community 65010:7 7224:7300" in plan.steps[2].undo


@pytest.mark.parametrize("of", ["declared", "observed"])
def test_a_tunnel_as_good_as_the_drained_port_is_refused_though_it_is_down_now(of: str) -> None:
    site = SITE
    scene = LittleScene()
    if of == "declared":
        session = site.session("vpn-azure-2")
        assert session.policy is not None
        better = session.model_copy(update={"policy": session.policy.model_copy(update={"local_pref": 120})})
        kept = tuple(better if s.name == session.name else s for s in site.sessions)
        site = site.model_copy(update={"sessions": kept})
        scene.facts = routes(SITE, "azure", without=frozenset({"vpn-azure-2"}))
    else:  # one of two prefixes only
        equal = routes(SITE, "azure", prefs={"vpn-azure-2": 120})
        scene.facts = [item for item in equal if item.name.endswith("10.51.0.0/16")]
    scene.site = site
    scene.look()
    with pytest.raises(CannotPlan, match="is not between the VPN's 120"):
        scene.plan()


def test_who_carries_a_cloud_must_be_known_before_it_is_moved() -> None:
    scene = LittleScene()
    scene.blind = lambda item: item.kind is Kind.ROUTES and item.name.startswith("edge-1 ")
    scene.clock += timedelta(seconds=5)
    scene.look()
    with pytest.raises(CannotPlan, match="edge-1 cannot be asked"):
        scene.plan()


def test_an_old_advertisement_is_no_measure() -> None:
    scene = LittleScene()
    scene.blind = lambda item: item.kind is Kind.ADVERTISED
    scene.clock += timedelta(seconds=5)
    scene.look()
    with pytest.raises(CannotPlan, match="what azure/er-secondary advertises is not known"):
        scene.plan()


def test_the_texts_of_the_little_network_are_the_reference_ones() -> None:
    assert LittleScene().router("edge-1").text == running(SITE, "edge-1")
