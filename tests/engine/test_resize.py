"""resize-vxc on a network in memory: what is refused, what is sent when, what a look says, what proves it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest

from connectors.errors import NotSent as ConnectorNotSent
from connectors.errors import OutcomeUnknown, Throttled, TooEarly, Unreachable
from network.inventory import Site
from network.observation import Circuit, FabricPort, FabricVxc, Kind, Load, Observation, SessionHere
from runbooks.actions.set_vxc_rate import SetVxcRate
from runbooks.book import shipped
from runbooks.checks.price_delta import PriceDelta
from runbooks.checks.resize_fits import ResizeFits
from runbooks.checks.session_steady import SessionSteady
from runbooks.effects import Finding, NotSent, WindowPassed
from runbooks.language import BookError
from runbooks.model import Phase, StepDef, steps_of
from runbooks.plan import Plan, compile_plan
from runbooks.putback import undo_definition
from runbooks.scene import CannotPlan
from tests.engine.little_fabric import WHERE, LittleFabric, lost
from tests.engine.little_network import SITE, LittleScene, allowed
from tests.sample import NOW, REFERENCE, seen

VERB = SetVxcRate()
UID = SITE.vxc("vxc-azure-a").uid
LIVE = FabricVxc(up=True, shutdown=False, status="LIVE", rate_mbps=1000, max_mbps=2000)


def site(*, gap_s: float = 0.0, settle_s: float = 0.3, b_end: str = "azure-key") -> Site:
    """The reference with a patience that fits a test, and the first VXC's B end as wanted."""
    policy = SITE.policy.model_copy(update={"megaport_update_gap_s": gap_s, "megaport_settle_s": settle_s})
    first, *rest = SITE.vxcs
    vxcs = (first.model_copy(update={"b_end": b_end}), *rest)
    return SITE.model_copy(update={"policy": policy, "vxcs": vxcs})


def network(*facts: Observation, fabric: LittleFabric | None = None, of: Site | None = None) -> LittleScene:
    """The healthy site, its fabric saying what it could carry at most; `facts` stand for the last word."""
    base = [seen(Kind.VXC, vxc.name, LIVE) for vxc in SITE.vxcs]
    base += [circuit(path.name) for path in SITE.paths if path.kind == "expressroute"]
    return LittleScene(of or site(), facts=[*base, *facts], the_fabric=fabric or LittleFabric())


def circuit(path: str = "azure/er-primary", mbps: int | None = 2000) -> Observation:
    return seen(Kind.CIRCUIT, path, Circuit(up=True, state="Provisioned", bandwidth_mbps=mbps))


def planned(scene: LittleScene, mbps: int = 1500, vxc: str = "vxc-azure-a") -> Plan:
    return compile_plan(shipped("resize-vxc"), {"vxc": vxc, "mbps": str(mbps)}, scene.moment(), REFERENCE.read_text())


def step_of(scene: LittleScene, step_id: str = "rate", mbps: int = 1500) -> StepDef:
    return next(step for step in steps_of(planned(scene, mbps).definition()) if step.id == step_id)


def inverse_of(scene: LittleScene) -> StepDef:
    """The act of the linked run that puts a COMPLETED resize back."""
    undo = undo_definition(planned(scene).definition(), "R-1")
    return next(step for step in steps_of(undo) if step.id == "restore-rate")


async def act(scene: LittleScene, step: StepDef, phase: Phase = "do") -> Mapping[str, Any]:
    return await VERB.act(scene, step, phase, allowed)


# -- the plan


def test_the_plan_is_exactly_this_call_and_this_undo() -> None:
    plan = planned(network())
    assert [step.id for step in plan.steps] == ["fits", "price", "circuit", "rate", "soak", "code"]
    rate = plan.steps[3]
    assert rate.lines == (f'megaport> PUT /v3/product/vxc/{UID} {{"rateLimit": 1500}}',)
    assert rate.undo == (f'megaport> PUT /v3/product/vxc/{UID} {{"rateLimit": 1000}}',)
    assert plan.locks == ("port:port-a", "site:reference", "vxc:vxc-azure-a")
    assert plan.touches == ("vxc-azure-a",)
    assert "edge-1 (frr): shapes nothing: the rate is the fabric's alone" in rate.expect
    assert "`rate_limit = 1500`" in plan.steps[5].text


def test_a_router_that_could_shape_is_not_said_to_shape_nothing() -> None:
    edges = tuple(router.model_copy(update={"platform": "eos"}) for router in SITE.routers)
    plan = planned(network(of=site().model_copy(update={"routers": edges})))
    assert not [each for each in plan.steps[3].expect if "shapes" in each]


def test_the_undo_has_time_for_the_gap_inside_its_window() -> None:
    rate = step_of(network(of=site(gap_s=300, settle_s=180)))
    assert 300 < rate.window_s < rate.timeout_s


@pytest.mark.parametrize(
    ("fact", "b_end", "mbps", "said"),
    [
        (LIVE, "aws-hosted-connection", 500, "cannot be resized in place. `replace-vxc vxc=vxc-azure-a mbps=500`"),
        (LIVE, "aws-hosted-vif", 2500, "above what its cloud end takes, 2000 Mbps"),
        (LIVE, "azure-key", 11000, "no circuit has 11000 Mbps: the largest is 10000"),
        (LIVE, "azure-key", 20000, "above the speed of port-a, 10000 Mbps"),
        (LIVE, "azure-key", 1000, "has 1000 Mbps already"),
        (replace(LIVE, max_mbps=None), "azure-key", 1500, "bandwidth of circuit er-circuit is unknown"),
        (replace(LIVE, max_mbps=1200), "azure-key", 1500, "as the fabric knows it, 1200 Mbps"),
        (replace(LIVE, locked=True), "azure-key", 1500, "vxc-azure-a is locked"),
        (replace(LIVE, waiting="SPEED_CHANGE PENDING"), "azure-key", 1500, "waits already: SPEED_CHANGE PENDING"),
        (replace(LIVE, status="CANCELLED"), "azure-key", 1500, "is CANCELLED, not LIVE"),
        (replace(LIVE, shutdown=True), "azure-key", 1500, "is shut down, not LIVE"),
        (replace(LIVE, up=False), "azure-key", 1500, "is down, not LIVE"),
    ],
)
def test_what_cannot_be_done_in_place_is_refused_with_its_reason(
    fact: FabricVxc, b_end: str, mbps: int, said: str
) -> None:
    scene = network(seen(Kind.VXC, "vxc-azure-a", fact), of=site(b_end=b_end))
    with pytest.raises(CannotPlan, match=re.escape(said)):
        planned(scene, mbps)


def test_a_hosted_vif_is_resized_in_place_and_a_lower_rate_needs_no_circuit() -> None:
    assert planned(network(of=site(b_end="aws-hosted-vif")), 1500).steps[3].lines
    nothing_said = network(seen(Kind.VXC, "vxc-azure-a", replace(LIVE, max_mbps=None)))
    assert planned(nothing_said, 800).steps[3].lines


@pytest.mark.parametrize(
    ("kind", "name", "fact", "said"),
    [
        (Kind.PORT, "port-a", FabricPort(up=True, status="LIVE", locked=True), "port-a is locked"),
        (Kind.SESSION_HERE, "er-primary", SessionHere("Active", None, None, None, None), "er-primary is not seen"),
    ],
)
def test_a_locked_port_or_a_session_that_is_down_is_refused(kind: Kind, name: str, fact: object, said: str) -> None:
    with pytest.raises(CannotPlan, match=said):
        planned(network(seen(kind, name, fact)))


@pytest.mark.parametrize("kind", [Kind.VXC, Kind.PORT])
def test_what_is_not_known_is_refused(kind: Kind) -> None:
    scene = network()
    scene.clock += timedelta(seconds=10)
    scene.blind = lambda item: item.kind is kind
    scene.look()
    with pytest.raises(CannotPlan, match="unknown"):
        planned(scene)


@pytest.mark.parametrize("mbps", ["", "fast", "0", "-5", "1e3", "01", "1.5", "٣"])
def test_a_rate_is_a_whole_number_of_mbps(mbps: str) -> None:
    with pytest.raises(BookError, match="a rate in whole Mbps"):
        compile_plan(shipped("resize-vxc"), {"vxc": "vxc-azure-a", "mbps": mbps}, network().moment(), "")


def test_the_hash_moves_with_the_rate_that_the_undo_relies_on_and_not_with_time() -> None:
    base = planned(network()).hash
    later = network()
    later.clock += timedelta(minutes=5)
    later.look()
    assert planned(later).hash == base
    other = network(seen(Kind.VXC, "vxc-azure-a", replace(LIVE, rate_mbps=900)))
    assert planned(other).hash != base


def test_the_question_before_a_resize_is_put_back_speaks_of_no_field() -> None:
    undo = undo_definition(planned(network()).definition(), "R-1")
    assert undo["steps"][0]["title"] == "put back on vxc-azure-a what this run set: Resize a VXC in place?"


# -- does it fit?


async def fits(scene: LittleScene, mbps: int) -> Finding:
    return await ResizeFits().check(scene, step_of(scene, "fits", mbps))


def load(mbps: float, vxc: str = "vxc-azure-a", days: float = 7) -> Observation:
    return seen(Kind.LOAD, vxc, Load(mbps, days))


async def test_up_fits_where_port_and_circuit_allow_and_down_where_a_weeks_load_leaves_room() -> None:
    assert (await fits(network(load(900)), 2000)).ok is True
    assert (await fits(network(load(350), load(3, "vxc-azure-b")), 500)).ok is True


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ([load(351)], "carries 351 Mbps (p95 of 7 days): more than 70 % of 500"),
        ([load(100, days=3)], "a week's load of vxc-azure-a is unknown"),
        ([load(100), load(301, "vxc-azure-b")], "without azure/er-secondary, vxc-azure-a would carry 401 of 500"),
        ([load(100), load(100, "vxc-azure-b", days=1)], "a week's load of vxc-azure-b is unknown"),
        (
            [load(100), seen(Kind.SESSION_HERE, "er-secondary", SessionHere("Active", NOW, 0, 0, 100))],
            "azure/er-secondary could not take over",
        ),
    ],
)
async def test_down_does_not_fit_without_room_here_and_a_path_that_could_take_over(
    facts: list[Observation], said: str
) -> None:
    found = await fits(network(*facts), 500)
    assert found.ok is False
    assert said in found.reason


async def test_a_lock_that_came_after_the_plan_is_seen_before_the_act() -> None:
    scene = network()
    step = step_of(scene, "fits")
    scene.facts.append(seen(Kind.VXC, "vxc-azure-a", replace(LIVE, locked=True)))
    scene.look()
    found = await ResizeFits().check(scene, step)
    assert (found.ok, found.reason) == (False, "vxc-azure-a is locked")


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (SessionHere("Established", NOW + timedelta(seconds=4), 2, 3, 100), "has dropped since the plan was made"),
        (SessionHere("Active", NOW, None, None, None), "has dropped since the plan was made"),
        (None, "is unknown"),
    ],
)
async def test_a_session_that_dropped_or_is_not_seen_after_the_plan_forbids_the_act(
    there: SessionHere | None, said: str
) -> None:
    scene = network()
    step = step_of(scene, "fits")
    scene.clock += timedelta(seconds=10)
    if there is None:
        scene.blind = lambda item: item.name == "er-primary"
    else:
        scene.facts.append(seen(Kind.SESSION_HERE, "er-primary", there))
    scene.look()
    found = await ResizeFits().check(scene, step)
    assert (found.ok, found.reason) == (False, f"er-primary {said}")


# -- the price


async def price(scene: LittleScene, *, quoted: bool = True) -> tuple[StepDef, Finding]:
    quote = await scene.fabric().price(SITE.vxc("vxc-azure-a"), 1500) if quoted else None
    quotes = {("vxc-azure-a", 1500): quote} if quote else {}
    moment = replace(scene.moment(), quotes=quotes)
    plan = compile_plan(shipped("resize-vxc"), {"vxc": "vxc-azure-a", "mbps": "1500"}, moment, "")
    step = steps_of(plan.definition())[1]
    return step, await PriceDelta().measure(scene, step)


async def test_the_price_is_told_in_the_plan_and_recorded() -> None:
    step, found = await price(network())
    assert step.expect[0]["want"] == "+189.00 EUR/month (378.00 now, 567.00 then)"
    assert found.ok is True
    recorded = found.evidence["price"]
    assert (recorded["monthly_now"], recorded["monthly_then"], recorded["currency"]) == (378.0, 567.0, "EUR")


async def test_an_unknown_price_is_told_in_words_and_forbids_nothing() -> None:
    step, found = await price(network(), quoted=False)
    assert step.expect[0]["want"] == "unknown: the price book did not answer"
    assert found.ok is True
    silent = network(fabric=LittleFabric(monthly=None))
    found = await PriceDelta().measure(silent, step)
    assert found.ok is True
    assert "no price book" in found.evidence["price"]["words"]


async def test_a_price_that_is_not_the_one_that_was_approved_is_out_of_bound() -> None:
    scene = network()
    step, _ = await price(scene)
    scene.the_fabric.monthly = 400.0
    found = await PriceDelta().measure(scene, step)
    assert found.ok is False
    assert "+200.00 EUR/month" in found.reason


# -- the act


async def test_one_call_is_sent_once_and_its_moment_is_asked_for() -> None:
    scene, order = network(), list[str]()
    await VERB.act(scene, step_of(scene), "do", lambda: order.append("asked"))
    assert (order, scene.the_fabric.ledger) == (["asked"], [1500])


async def test_what_is_recorded_already_is_not_sent_again() -> None:
    scene = network()
    step = step_of(scene)
    scene.the_fabric.rate = 1500
    assert (await act(scene, step))["sent"] == 0
    assert scene.the_fabric.asked == []


async def test_a_foreign_rate_is_never_written_over_neither_forward_nor_back() -> None:
    scene = network()
    step = step_of(scene)
    scene.the_fabric.rate = 700
    phases: tuple[Phase, ...] = ("do", "undo")
    for phase in phases:
        with pytest.raises(NotSent, match="has 700 Mbps, which somebody else has set; this run knows 1000 and 1500"):
            await act(scene, step, phase)
    observed = await VERB.observe(scene, step)
    assert observed.state == "unknown"
    assert "700 Mbps" in observed.evidence["foreign"][0]
    assert scene.the_fabric.asked == []


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        ({"locked": True}, "it is locked"),
        ({"reads": [Unreachable("gone", **WHERE)]}, "gone"),
        ({"reads": [Throttled("429", **WHERE)]}, "429"),
        ({"answers": [ConnectorNotSent("refused", **WHERE)]}, "refused"),
        ({"answers": [TooEarly("storm", wait_s=60, **WHERE)]}, "storm"),
    ],
)
async def test_forward_every_clear_no_is_told_at_once(prepare: dict[str, Any], said: str) -> None:
    scene = network(fabric=LittleFabric(**prepare))
    with pytest.raises(NotSent, match=said):
        await act(scene, step_of(scene))
    assert scene.the_fabric.ledger == []


async def test_a_lost_answer_and_a_closed_window_are_what_they_are() -> None:
    scene = network(fabric=LittleFabric(answers=[lost()]))
    with pytest.raises(OutcomeUnknown):
        await act(scene, step_of(scene))
    assert scene.the_fabric.ledger == [1500]

    def closed() -> None:
        raise WindowPassed("too late")

    fresh = network()
    with pytest.raises(WindowPassed):
        await VERB.act(fresh, step_of(fresh), "do", closed)
    assert fresh.the_fabric.ledger == []


async def test_an_undo_waits_until_the_gap_is_over_and_asks_before_each_send() -> None:
    scene = network(fabric=LittleFabric(gap_s=0.3), of=site(gap_s=0.3))
    step, asked = step_of(scene), list[float]()
    began = monotonic()
    await act(scene, step)
    await VERB.act(scene, step, "undo", lambda: asked.append(monotonic()))
    assert scene.the_fabric.ledger == [1500, 1000]
    assert asked[0] - began >= 0.29, "this console knows when it sent, and does not even ask before"


async def test_an_undo_of_another_console_learns_of_the_gap_from_the_fabric() -> None:
    scene = network(of=site(gap_s=0.3))
    step, asked = step_of(scene), list[float]()
    await act(scene, step)
    scene.the_fabric.forget()
    scene.the_fabric.answers = [TooEarly("too early", wait_s=0.1, **WHERE)]
    await VERB.act(scene, step, "undo", lambda: asked.append(monotonic()))
    assert scene.the_fabric.ledger == [1500, 1000]
    assert len(asked) == 2, "refused once, and its moment asked for again"
    assert asked[1] - asked[0] >= 0.09, "after as long as it was told"


async def test_a_linked_undo_is_as_patient_as_an_undo() -> None:
    scene = network(fabric=LittleFabric(rate=1500, gap_s=0.3), of=site(gap_s=0.3))
    step = inverse_of(network())
    scene.the_fabric.answers = [TooEarly("too early", wait_s=0.05, **WHERE)]
    await act(scene, step)
    assert scene.the_fabric.ledger == [1000]


async def test_a_window_that_closes_during_the_gap_stops_the_undo() -> None:
    scene = network(of=site(gap_s=0.3))
    step = step_of(scene)
    await act(scene, step)
    scene.the_fabric.forget()
    scene.the_fabric.answers = [TooEarly("too early", wait_s=0.1, **WHERE)]
    moments = iter([None])

    def once() -> None:
        if next(moments, "over") == "over":
            raise WindowPassed("another console has taken the run over")

    with pytest.raises(WindowPassed):
        await VERB.act(scene, step, "undo", once)
    assert scene.the_fabric.ledger == [1500]


# -- the look


async def test_a_look_waits_for_what_this_console_sent_and_may_not_be_recorded_yet() -> None:
    scene = network(fabric=LittleFabric(lag_s=0.2, answers=[lost()]), of=site(settle_s=5))
    step = step_of(scene)
    with pytest.raises(OutcomeUnknown):
        await act(scene, step)
    assert (await VERB.observe(scene, step)).state == "do"


async def test_a_console_that_sent_nothing_looks_until_nothing_can_come_any_more() -> None:
    scene = network(fabric=LittleFabric(lag_s=0.2, answers=[lost()]), of=site(settle_s=0.6))
    step = step_of(scene)
    with pytest.raises(OutcomeUnknown):
        await act(scene, step)
    scene.the_fabric.forget()
    assert (await VERB.observe(scene, step)).state == "do", "the old rate at first sight was no proof"
    untouched = network(of=site(settle_s=0.3))
    began = asyncio.get_running_loop().time()
    assert (await VERB.observe(untouched, step_of(untouched))).state == "undo"
    assert asyncio.get_running_loop().time() - began >= 0.3


async def test_a_look_survives_a_storm_that_ends_and_tells_one_that_does_not() -> None:
    storm = [Throttled("429", **WHERE)]
    scene = network(fabric=LittleFabric(reads=storm), of=site(settle_s=0.3))
    assert (await VERB.observe(scene, step_of(scene))).state == "undo"
    blind = network(fabric=LittleFabric(reads=[Throttled("429", **WHERE) for _ in range(99)]), of=site(settle_s=0.1))
    with pytest.raises(Throttled):
        await VERB.observe(blind, step_of(blind))


async def test_the_inverse_sees_the_same_rates_the_other_way_round() -> None:
    scene = network(fabric=LittleFabric(rate=1500), of=site(settle_s=0.05))
    assert (await VERB.observe(scene, inverse_of(scene))).state == "undo"
    scene.the_fabric.rate = 1000
    assert (await VERB.observe(scene, inverse_of(scene))).state == "do"


# -- the proof


def since(scene: LittleScene, moment: Any) -> Observation:
    return seen(Kind.SESSION_HERE, "er-primary", SessionHere("Established", moment, 2, 3, 100))


async def test_a_rate_that_reads_back_and_a_session_that_stayed_up_prove_it() -> None:
    scene = network()
    step = step_of(scene)
    await act(scene, step)
    found = await VERB.verify(scene, step, "do")
    assert found.ok is True
    assert [line["what"] for line in found.evidence["expected"]] == [
        "vxc-azure-a recorded",
        "vxc-azure-a effective",
        "vxc-azure-a service",
        "er-primary uptime",
    ]


async def test_a_session_that_came_up_again_is_a_drop_but_the_baseline_is_the_rate_alone() -> None:
    scene = network()
    step = step_of(scene)
    await act(scene, step)
    scene.facts.append(since(scene, NOW))
    found = await VERB.verify(scene, step, "do")
    assert found.ok is False
    assert "er-primary uptime" in found.reason
    await act(scene, step, "undo")
    assert (await VERB.verify(scene, step, "undo")).ok is True


async def test_a_fabric_that_cannot_be_read_is_unknown_and_no_harm() -> None:
    scene = network()
    step = step_of(scene)
    await act(scene, step)
    scene.the_fabric.reads = [Throttled("429", **WHERE) for _ in range(999)]
    found = await VERB.verify(scene, step, "do")
    assert found.ok is None


async def test_the_fabric_is_read_no_oftener_than_once_a_second() -> None:
    scene = network(fabric=LittleFabric(reads=[Throttled("429", **WHERE) for _ in range(999)]))
    scene.step_s = 0.1
    step = step_of(scene)
    await VERB.verify(scene, step, "do")
    assert 999 - len(scene.the_fabric.reads) <= step.timeout_s + 2


# -- the soak


async def soaked(scene: LittleScene) -> Finding:
    return await SessionSteady().wait(scene, step_of(scene, "soak"), lambda _proof: None)


async def test_a_session_that_stays_up_for_the_soak_is_steady() -> None:
    scene = network()
    began = scene.clock
    assert (await soaked(scene)).ok is True
    assert scene.clock - began >= timedelta(seconds=SITE.policy.soak_s)


async def test_a_drop_ends_the_soak_at_once_and_a_session_that_is_not_seen_proves_nothing() -> None:
    scene = network()
    step = step_of(scene, "soak")
    scene.facts.append(since(scene, NOW))
    assert (await SessionSteady().wait(scene, step, lambda _proof: None)).ok is False
    assert scene.clock - NOW <= timedelta(seconds=2)
    blind = network()
    step = step_of(blind, "soak").model_copy(update={"timeout_s": 60})
    blind.blind = lambda item: item.kind is Kind.SESSION_HERE
    found = await SessionSteady().wait(blind, step, lambda _proof: None)
    assert found.ok is None
    assert "er-primary is unknown" in found.reason


@pytest.mark.parametrize(("soak_s", "samples", "spacing_s"), [(0, 2, 0), (2, 2, 2), (45, 5, 11.25), (900, 11, 90)])
def test_the_soak_is_as_long_as_the_policy_says_and_shows_how_far_it_is(
    soak_s: float, samples: int, spacing_s: float
) -> None:
    policy = SITE.policy.model_copy(update={"soak_s": soak_s})
    soak = step_of(network(of=site().model_copy(update={"policy": policy})), "soak")
    assert (soak.samples, soak.spacing_s) == (samples, spacing_s)
    assert (samples - 1) * spacing_s == soak_s
