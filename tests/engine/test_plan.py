from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from network.measured import ProbeResult
from network.observation import Advert, Advertised, HubPreference, Kind, Load, Observation, SessionHere
from network.takeover import takeovers
from runbooks.book import names, parse, shipped
from runbooks.language import Book, BookError
from runbooks.plan import Plan, compile_plan
from runbooks.putback import undo_definition
from runbooks.scene import CannotPlan, Moment
from runbooks.standby import objections
from tests.router_text import running
from tests.sample import NOW, REFERENCE, healthy, reference, routes, seen

SITE = reference()
SITE_TEXT = REFERENCE.read_text()
RUNNING = {router.name: running(SITE, router.name) for router in SITE.routers}


def moment(*facts: Observation, texts: Mapping[str, str] = RUNNING) -> Moment:
    """The healthy site with what a plan needs beside it: adverts as observed, load history, the hub's preference."""
    known = [seen(Kind.HUB_PREFERENCE, "azure", HubPreference("ExpressRoute"), fresh_s=60)]
    for path in SITE.paths:
        policy = SITE.session(path.session).policy
        assert policy is not None
        sent = tuple(Advert(str(p.prefix), (65010,) * (1 + policy.prepend)) for p in SITE.on_prem.prefixes)
        known.append(seen(Kind.ADVERTISED, path.session, Advertised(sent), age_s=0.4))
        known.append(
            seen(
                Kind.LOAD,
                path.vxc or path.tunnel or "",
                Load(400.0 if policy.local_pref == 200 else 3.0, 7),
                fresh_s=60,
            )
        )
    return Moment(SITE, healthy(SITE).with_observations([*known, *facts]), NOW, texts)


def drain(port: str = "port-a", at: Moment | None = None, site_text: str = SITE_TEXT) -> Plan:
    return compile_plan(shipped("drain-port"), {"port": port}, at or moment(), site_text)


def test_drain_port_a_is_exactly_these_commands_and_this_undo() -> None:
    plan = drain()
    assert [step.id for step in plan.steps] == ["survivors", "move-azure", "move-aws", "empty", "verify"]
    azure, aws = plan.steps[1], plan.steps[2]
    assert azure.lines == (
        "edge-1> configure terminal",
        "edge-1(config)> route-map IN-msee-primary permit 10",
        "edge-1(config)> set local-preference 120",
        "edge-1(config)> route-map OUT-msee-primary permit 10",
        "edge-1(config)> set as-path prepend 65010 65010 65010 65010",
        "edge-1> clear bgp ipv4 unicast 10.255.1.2 soft",
    )
    assert azure.undo == (
        "edge-1> configure terminal",
        "edge-1(config)> route-map OUT-msee-primary permit 10",
        "edge-1(config)> no set as-path prepend",
        "edge-1(config)> route-map IN-msee-primary permit 10",
        "edge-1(config)> set local-preference 200",
        "edge-1> clear bgp ipv4 unicast 10.255.1.2 soft",
    )
    assert "edge-1(config)> set community 7224:7100" in aws.lines
    assert "edge-1(config)> set community 7224:7300" in aws.undo
    assert plan.before["azure"]["carried_by"] == ["azure/er-primary"]
    assert plan.after["aws"]["return_by"] == ["aws/dx-2"]
    assert plan.locks == ("port:port-a", "port:port-b", "site:reference")


def test_the_prepend_follows_what_the_standby_is_seen_to_advertise() -> None:
    longer = Advertised((Advert("10.10.0.0/16", (65010,) * 5), Advert("10.10.255.2/32", (65010,) * 9)))
    plan = drain(at=moment(seen(Kind.ADVERTISED, "er-secondary", longer, age_s=0.1)))
    assert f"edge-1(config)> set as-path prepend {' '.join(['65010'] * 6)}" in plan.steps[1].lines


def test_the_hash_ignores_time_and_load_and_changes_with_what_the_undo_relies_on() -> None:
    base = drain().hash
    later = replace(moment(), now=NOW + timedelta(seconds=0.3))
    assert drain(at=later).hash == base
    assert drain(at=moment(seen(Kind.PROBE, "azure/er-primary", ProbeResult(3, 3, 9.9), age_s=0.1))).hash == base
    other_text = {**RUNNING, "edge-1": RUNNING["edge-1"].replace("local-preference 200", "local-preference 210")}
    assert drain(at=moment(texts=other_text)).hash != base
    assert drain(site_text=SITE_TEXT + "\n# touched\n").hash != base
    assert drain("port-b").hash != base


def test_a_drained_port_is_not_drained_again() -> None:
    text = RUNNING["edge-1"]
    for name in ("msee-primary", "dx-router-1"):
        text = text.replace(
            f"route-map IN-{name} permit 10\n match ip address prefix-list CLOUD\n set local-preference 200",
            f"route-map IN-{name} permit 10\n match ip address prefix-list CLOUD\n set local-preference 120",
        ).replace(
            f"route-map OUT-{name} permit 10\n match ip address prefix-list SANCTIONED\n",
            f"route-map OUT-{name} permit 10\n match ip address prefix-list SANCTIONED\n"
            " set as-path prepend 65010 65010 65010 65010\n",
        )
    with pytest.raises(CannotPlan, match="drained already"):
        drain(at=moment(texts={**RUNNING, "edge-1": text}))


def test_what_is_not_known_cannot_be_planned() -> None:
    silent = seen(Kind.ADVERTISED, "er-secondary", Advertised(()), age_s=0.1)
    with pytest.raises(CannotPlan, match="what azure/er-secondary advertises is not known"):
        drain(at=moment(silent))
    with pytest.raises(CannotPlan, match="local-preference of azure/er-secondary is not known"):
        drain(at=moment(*routes(SITE, "azure", without=frozenset({"er-secondary"}))))


def test_a_preference_that_would_use_the_vpn_is_refused() -> None:
    low = replace(moment(*routes(SITE, "azure", prefs={"er-secondary": 110})))
    with pytest.raises(CannotPlan, match="is not between the VPN's 100 and the standby's 110"):
        drain(at=low)


def azure_objections(*facts: Observation) -> list[str]:
    at = moment(*facts)
    return [each.words for each in objections(at, next(m for m in takeovers(SITE, "port-a") if m.cloud == "azure"))]


def test_a_ready_survivor_has_no_objections() -> None:
    assert azure_objections() == []


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        (
            seen(Kind.SESSION_HERE, "er-secondary", SessionHere("Active", NOW, 0, 0, 100), age_s=0.1),
            "er-secondary is down",
        ),
        (
            seen(Kind.SESSION_HERE, "er-secondary", SessionHere("Established", NOW, 2, 3, 100), age_s=0.1),
            "established for 0 s",
        ),
        (seen(Kind.LOAD, "vxc-azure-b", Load(500.0, 7), age_s=0.1), "would carry 900 of 1000 Mbps"),
        (seen(Kind.HUB_PREFERENCE, "azure", HubPreference("ASPath"), age_s=0.1), "prefers ASPath"),
        (seen(Kind.PROBE, "azure/er-secondary", ProbeResult(3, 0, None), age_s=0.1), "er-secondary is down: probe"),
    ],
)
def test_each_objection_to_the_survivor_is_named(fact: Observation, said: str) -> None:
    assert any(said in reason for reason in azure_objections(fact))


def test_unknown_load_or_preference_is_an_objection() -> None:
    bare = Moment(SITE, healthy(SITE), NOW, RUNNING)
    found = objections(bare, takeovers(SITE, "port-a")[0])
    assert any("load history" in reason.words for reason in found)
    assert any("preference of hub-azure is unknown" in reason.words for reason in found)
    assert not any(reason.seen for reason in found)


def test_a_drain_that_leaves_one_failure_domain_is_an_objection() -> None:
    down = [
        seen(Kind.SESSION_HERE, name, SessionHere("Active", NOW, 0, 0, 100, reason="hold timer"), age_s=0.1)
        for name in ("vpn-azure-1", "vpn-azure-2")
    ]
    gone = routes(SITE, "azure", without=frozenset({"vpn-azure-1", "vpn-azure-2"}))
    assert any("one failure domain" in reason for reason in azure_objections(*down, *gone))


def test_bad_parameters_name_what_is_allowed() -> None:
    with pytest.raises(BookError, match="did you mean 'port-a'"):
        compile_plan(shipped("drain-port"), {"port": "port-aa"}, moment(), SITE_TEXT)
    with pytest.raises(BookError, match="is missing: give port="):
        compile_plan(shipped("drain-port"), {}, moment(), SITE_TEXT)
    with pytest.raises(BookError, match="did you mean 'port'"):
        compile_plan(shipped("drain-port"), {"prt": "port-a"}, moment(), SITE_TEXT)
    with pytest.raises(BookError, match="did you mean 'drain-port'"):
        shipped("drain-prt")


def book_text() -> str:
    return shipped("drain-port").text


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("verb: port-empty", "verb: port-empt", "did you mean 'port-empty'"),
        ("kind: wait_until", "kind: wayt_until", "did you mean 'wait_until'"),
        ("target: port", "target: prt", "did you mean 'port'"),
        ("title: Drain", "titel: Drain", "did you mean 'title'"),
    ],
)
def test_a_wrong_book_gives_its_line(good: str, bad: str, said: str) -> None:
    text = book_text()
    line, column = text[: text.index(good)].count("\n") + 1, len(text[: text.index(good)].rpartition("\n")[2]) + 1
    with pytest.raises(BookError) as caught:
        parse(text.replace(good, bad, 1), "book.yaml")
    assert any(said in fault.text and fault.where == f"book.yaml:{line}:{column}" for fault in caught.value.faults)


def test_every_shipped_book_is_valid() -> None:
    assert all(isinstance(shipped(name), Book) for name in names())


def test_the_undo_run_inverts_the_acts_in_strict_reverse() -> None:
    definition: Mapping[str, Any] = drain().definition()
    undo = undo_definition(definition, "R-1")
    assert [step["id"] for step in undo["steps"]] == [
        "field-clear",
        "restore-move-aws",
        "restore-move-azure",
        "restored",
    ]
    assert undo["steps"][1]["commands"] == definition["steps"][2]["undo"]
    assert undo["steps"][1]["undo"] == definition["steps"][2]["commands"]
    assert undo["before"] == definition["after"]
