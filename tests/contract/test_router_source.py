"""A router as a status source: captured replies of a real FRR over the line protocol, poll after poll."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from connectors.errors import BadReply, Denied, Unreachable
from connectors.ports import PartlySeen
from connectors.routers.channel import CommandFailed
from connectors.routers.session import RouterSession
from connectors.routers.source import RouterSource
from connectors.routers.turns import CONFIG_ASKED_S, CONFIG_EVERY_S, TURN_EVERY
from network.inventory import Site
from network.observation import (
    Advertised,
    BfdHere,
    Capabilities,
    Kind,
    Link,
    Observation,
    Received,
    Rides,
    Routes,
    RunningConfig,
    SessionHere,
)
from network.sitefile import load
from tests.contract.line_router import Answer, LineRouter, listening, until
from tests.sample import REFERENCE

DATA = Path(__file__).parents[1] / "data" / "frr"
T0 = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
ADVERTISED = "show bgp ipv4 unicast neighbors {} advertised-routes json"
ACCEPTED = "show bgp ipv4 unicast neighbors {} routes json"
STOPPED = "show bgp ipv4 unicast neighbors {} filtered-routes json"


def lab_site() -> Site:
    """The reference site with the addresses and interfaces of the captured router."""
    text = REFERENCE.read_text()
    for here, there in {
        "peer: 10.255.0.2": "peer: 10.0.0.2",
        "peer: 10.255.1.2": "peer: 169.254.10.2",
        "peer: 10.255.3.2": "peer: 169.254.20.2",
        "interface: vxc-azure-a": "interface: vlan101",
        "interface: vxc-aws-a": "interface: vlan102",
    }.items():
        assert here in text
        text = text.replace(here, there)
    return load(text).site


@dataclass
class Captured:
    """Answers as the captured router did in `state`; `changed` overrides single commands."""

    state: str = "01-established"
    changed: dict[str, Answer | None] = field(default_factory=dict)
    received: int = 0
    errors: int = 0

    async def __call__(self, request: str) -> Answer | None:
        if request in self.changed:
            return self.changed[request]
        if request.startswith("show bgp neighbors "):
            return 0, json.dumps(self._neighbor(request.split()[3]))
        if request.startswith("show ip route "):
            return 0, "{}"
        if request == "show version":
            return 0, (DATA / "01-established/edge__show_version.txt").read_text()
        if request == "ip -j -s link":
            return 0, json.dumps([self._link("vlan101", self.received, 250_000), self._link("vlan102", 0, 0)])
        name = request.replace(" ", "_").replace("/", "-")
        for suffix in (".json", ".txt"):
            file = DATA / self.state / f"edge__{name}{suffix}"
            if file.exists():
                return 0, file.read_text()
        if request.startswith("show bgp ipv4 unicast 10."):
            return 0, "{}"
        if request.endswith("filtered-routes json"):
            return 0, '{"receivedRoutes":{},"totalPrefixCounter":0,"filteredPrefixCounter":0}'
        if request.endswith(" routes json"):
            return 0, '{"routes":{}}'
        if "advertised-routes" in request:
            return 0, '{"advertisedRoutes":{},"totalPrefixCounter":0,"filteredPrefixCounter":0}'
        return 1, f"% Unknown command: {request}\n"

    def _neighbor(self, peer: str) -> object:
        every = json.loads((DATA / self.state / "edge__show_bgp_neighbors_json.json").read_text())
        return {peer: every[peer]} if peer in every else {"bgpNoSuchNeighbor": True}

    def _link(self, name: str, received: int, sent: int) -> dict[str, object]:
        stats = {"rx": {"bytes": received, "errors": self.errors}, "tx": {"bytes": sent, "errors": 0}}
        return {"ifname": name, "stats64": stats}


@dataclass
class Bench:
    """A source, the router behind it, and the clocks that it reads."""

    source: RouterSource
    router: LineRouter
    frr: Captured
    seconds: list[float]

    async def poll(self, after_s: float = 1.0) -> dict[tuple[Kind, str], Observation]:
        self.seconds[0] += after_s
        return {seen.key: seen for seen in await self.source.collect()}


@asynccontextmanager
async def bench(edge: str = "edge-1", site: Site | None = None) -> AsyncIterator[Bench]:
    site, frr, seconds = site or lab_site(), Captured(), [0.0]
    async with listening(LineRouter(frr, name=edge)) as router:
        declared = site.router(edge).model_copy(update={"address": "127.0.0.1", "ssh_port": router.port})
        source = RouterSource(
            site,
            declared,
            RouterSession(declared, router.authority.login()),
            clock=lambda: T0 + timedelta(seconds=seconds[0]),
            monotonic=lambda: seconds[0],
        )
        yield Bench(source, router, frr, seconds)
        await source.close()


def here(seen: dict[tuple[Kind, str], Observation], name: str = "er-primary") -> SessionHere:
    fact = seen[Kind.SESSION_HERE, name].fact
    assert isinstance(fact, SessionHere)
    return fact


async def test_one_poll_gives_every_fact_of_the_router_under_its_key() -> None:
    async with bench() as lab:
        seen = await lab.poll()
        assert set(seen) == {
            *((Kind.SESSION_HERE, name) for name in ("ibgp", "er-primary", "dx-1", "vpn-azure-1", "vpn-aws-1")),
            (Kind.BFD, "er-primary"),
            (Kind.BFD, "dx-1"),
            *((Kind.ROUTES, f"edge-1 10.{n}.0.0/16") for n in (50, 51, 60, 61)),
            (Kind.ADVERTISED, "er-primary"),
            (Kind.ADVERTISED, "dx-1"),
            (Kind.RECEIVED, "er-primary"),
            (Kind.RECEIVED, "dx-1"),
            (Kind.CAPABILITIES, "edge-1"),
            (Kind.CONFIG, "edge-1"),
            (Kind.LINK, "edge-1 vlan101"),
            (Kind.LINK, "edge-1 vlan102"),
        }
        assert here(seen).established
        assert here(seen, "vpn-azure-1").reason == "edge-1 has no neighbor 10.255.5.2 configured"
        routes = seen[Kind.ROUTES, "edge-1 10.50.0.0/16"].fact
        assert isinstance(routes, Routes)
        assert routes.best is not None
        assert routes.best.local_pref == 200
        bfd = seen[Kind.BFD, "er-primary"].fact
        assert isinstance(bfd, BfdHere)
        assert bfd.detect_ms == 900


async def test_facts_carry_their_time_evidence_and_freshness() -> None:
    async with bench() as lab:
        seen = await lab.poll()
        session = seen[Kind.SESSION_HERE, "er-primary"]
        assert (session.source, session.at, session.fresh_s) == ("edge-1", T0 + timedelta(seconds=1), 2.0)
        assert session.evidence == "show bgp neighbors 169.254.10.2 json"
        assert '"bgpState": "Established"' in session.raw
        bfd = seen[Kind.BFD, "er-primary"]
        assert bfd.evidence == "show bfd peers json"
        assert '"status":"up"' in bfd.raw
        assert seen[Kind.ADVERTISED, "er-primary"].fresh_s == 2.0 * TURN_EVERY


async def test_a_quiet_router_is_asked_its_short_questions_in_every_poll_and_the_long_ones_by_turns() -> None:
    async with bench() as lab:
        for _ in range(TURN_EVERY + 1):
            await lab.poll()
        asked = Counter(lab.router.asked)
        assert asked["show bgp summary json"] == TURN_EVERY + 1
        peer = "169.254.10.2"
        for long in (ADVERTISED, ACCEPTED, STOPPED, "show bgp neighbors {} json"):
            assert asked[long.format(peer)] == 2, long
        assert asked["show bfd peers counters json"] == 2
        assert asked["show running-config"] == 1
        assert asked["show version"] == 1
        assert len(lab.router.connections) == 1


async def test_long_questions_are_spread_over_the_polls() -> None:
    async with bench() as lab:
        await lab.poll()
        for _ in range(TURN_EVERY):
            before = len(lab.router.asked)
            await lab.poll()
            long = [request for request in lab.router.asked[before:] if request.startswith("show bgp neighbors")]
            assert len(long) == 1


async def test_asked_to_look_again_it_reads_everything() -> None:
    async with bench() as lab:
        first = await lab.poll()
        assert len(await lab.poll()) < len(first)
        lab.source.forget()
        able, config = (Kind.CAPABILITIES, "edge-1"), (Kind.CONFIG, "edge-1")
        assert set(await lab.poll()) == set(first) - {able, config}
        lab.source.forget()
        assert set(await lab.poll(CONFIG_ASKED_S)) == set(first) - {able}


async def test_a_poll_that_failed_is_made_up_for_in_full() -> None:
    async with bench() as lab:
        first = await lab.poll()
        lab.frr.changed["show bgp summary json"] = (1, "bgpd is not running")
        with pytest.raises(CommandFailed):
            await lab.poll()
        lab.frr.changed.clear()
        assert set(await lab.poll(CONFIG_ASKED_S)) == set(first) - {(Kind.CAPABILITIES, "edge-1")}


async def test_the_configuration_is_read_once_a_minute_and_the_release_on_every_connection() -> None:
    async with bench() as lab:
        seen = await lab.poll()
        config = seen[Kind.CONFIG, "edge-1"].fact
        assert isinstance(config, RunningConfig)
        assert "router bgp 65010" in config.lines
        able = seen[Kind.CAPABILITIES, "edge-1"].fact
        assert isinstance(able, Capabilities)
        assert able.version == "8.4.4"
        for _ in range(2 * TURN_EVERY):
            await lab.poll()
        assert (Kind.CONFIG, "edge-1") in await lab.poll(CONFIG_EVERY_S)
        asked = Counter(lab.router.asked)
        assert (asked["show running-config"], asked["show version"]) == (2, 1)
        lab.router.drop()
        with contextlib.suppress(Unreachable):
            await lab.poll()
        assert (Kind.CAPABILITIES, "edge-1") in (await lab.poll() | await lab.poll())


async def test_what_a_neighbor_sends_is_told_with_what_was_stopped() -> None:
    async with bench() as lab:
        got = (await lab.poll())[Kind.RECEIVED, "er-primary"].fact
        assert isinstance(got, Received)
        assert got.stopped_known
        assert [(route.prefix, route.accepted) for route in got.routes] == [
            ("10.50.0.0/16", True),
            ("10.51.0.0/16", True),
            ("10.51.7.0/24", True),
            ("10.0.0.0/16", False),
            ("10.1.0.0/16", False),
        ]


async def test_without_soft_reconfiguration_what_was_stopped_is_not_known() -> None:
    async with bench() as lab:
        warning = '{"warning":"Inbound soft reconfiguration not enabled"}'
        lab.frr.changed[STOPPED.format("169.254.10.2")] = (0, warning)
        got = (await lab.poll())[Kind.RECEIVED, "er-primary"].fact
        assert isinstance(got, Received)
        assert (len(got.routes), got.stopped_known) == (3, False)


async def test_an_update_that_came_makes_what_was_received_asked_for_at_once() -> None:
    async with bench() as lab:
        await lab.poll()
        lab.frr.state = "13-provider-sends-gshut"
        got = (await lab.poll())[Kind.RECEIVED, "er-primary"].fact
        assert isinstance(got, Received)


async def test_the_way_that_a_tunnels_session_takes_is_told() -> None:
    site = lab_site()
    vpn = site.session("vpn-azure-1")
    there = vpn.model_copy(update={"peer": IPv4Address("169.254.20.2")})
    others = tuple(s for s in site.sessions if s.name not in {"dx-1", "vpn-azure-1"})
    site = site.model_copy(update={"sessions": (*others, there, site.session("dx-1"))})
    async with bench(site=site) as lab:
        lab.frr.changed["show ip route 169.254.20.2 json"] = (
            0,
            '{"0.0.0.0/0":[{"nexthops":[{"fib":true,"interfaceName":"vlan101"}]}]}',
        )
        assert (await lab.poll())[Kind.RIDES, "vpn-azure-1"].fact == Rides("vlan101")


async def test_an_update_that_was_sent_makes_its_advertisements_asked_for_at_once() -> None:
    async with bench() as lab:
        first = await lab.poll()
        lab.frr.state = "11-prepend-and-localpref"
        second = await lab.poll()
        before, after = (seen[Kind.ADVERTISED, "er-primary"].fact for seen in (first, second))
        assert isinstance(before, Advertised)
        assert isinstance(after, Advertised)
        assert before.routes[0].as_path == (65010,)
        assert after.routes[0].as_path == (65010,) * 4


async def test_rates_need_two_polls() -> None:
    async with bench() as lab:
        first = await lab.poll()
        lab.frr.received = 1_250_000
        second = await lab.poll()
        none, some = (seen[Kind.LINK, "edge-1 vlan101"].fact for seen in (first, second))
        assert none == Link(admin_up=True, oper_up=True, errors=0, downs=0, mtu=1500)
        assert some == replace(none, in_mbps=10.0, out_mbps=0.0)


async def test_counters_are_told_as_what_they_grew_since_the_watch_began() -> None:
    async with bench() as lab:
        lab.frr.errors = 1000
        assert (await lab.poll())[Kind.BFD, "er-primary"].fact == BfdHere("up", "ok", 77, 900, drops=0)
        lab.frr.errors = 1002
        lab.frr.state = "15-bgp-up-bfd-down"  # captured after 48 losses
        seen = await lab.poll()
        link, bfd = seen[Kind.LINK, "edge-1 vlan101"].fact, seen[Kind.BFD, "er-primary"].fact
        assert isinstance(link, Link)
        assert isinstance(bfd, BfdHere)
        assert (link.errors, bfd.drops) == (2, 48)


async def test_our_shutdown_shows_its_text_read_once() -> None:
    async with bench() as lab:
        lab.frr.state = "02-admin-shutdown"
        for _ in range(3):
            fact = here(await lab.poll())
            assert fact.admin_shut
            assert fact.shutdown_text == "CHG0012345 drain dx-primary; back 04:00Z"
            assert fact.reason == "shut on our router: CHG0012345 drain dx-primary; back 04:00Z"
        assert Counter(lab.router.asked)["show running-config"] == 1
        lab.frr.state = "01-established"
        assert here(await lab.poll()).shutdown_text == ""


async def test_a_running_config_that_may_not_be_read_is_said_once_and_hides_nothing() -> None:
    async with bench() as lab:
        lab.frr.state = "02-admin-shutdown"
        lab.frr.changed["show running-config"] = (77, "not on the list")
        with pytest.raises(PartlySeen, match="not allowed") as partly:
            await lab.poll()
        assert here({seen.key: seen for seen in partly.value.seen}).admin_shut
        assert here(await lab.poll()).shutdown_text == ""


async def test_the_reason_of_a_drop_is_latched_and_its_drops_are_counted() -> None:
    async with bench() as lab:
        assert here(await lab.poll()).drops == 0
        lab.frr.state = "04-bfd-down"
        first = here(await lab.poll())
        assert first.reason == "BFD detection time expired: nothing heard from the far end"
        neighbors = json.loads((DATA / "04-bfd-down/edge__show_bgp_neighbors_json.json").read_text())
        for key in ("lastErrorCodeSubcode", "lastNotificationReason"):
            del neighbors["169.254.10.2"][key]
        neighbors["169.254.10.2"] |= {"lastResetCode": 27, "lastResetDueTo": "Waiting for NHT"}
        one = {"169.254.10.2": neighbors["169.254.10.2"]}
        lab.frr.changed["show bgp neighbors 169.254.10.2 json"] = (0, json.dumps(one))
        assert here(await lab.poll()).reason == first.reason
        assert first.drops == 50
        lab.frr.changed.clear()
        lab.frr.state = "15-bgp-up-bfd-down"
        back = here(await lab.poll())
        assert (back.established, back.reason, back.drops) == (True, "", 64)


async def test_the_far_end_of_the_internal_session_has_a_name_of_its_own() -> None:
    text = REFERENCE.read_text().replace("local: 10.255.0.1", "local: 10.0.0.2")
    async with bench("edge-2", load(text).site) as lab:
        seen = await lab.poll()
        assert here(seen, "ibgp@edge-2").established
        assert (Kind.SESSION_HERE, "ibgp") not in seen


async def test_a_part_that_fails_hides_nothing_else() -> None:
    async with bench() as lab:
        lab.frr.changed["show bfd peers json"] = (1, "bfdd is not running")
        lab.frr.changed["show bgp ipv4 unicast 10.51.0.0/16 json"] = (0, "<html>")
        with pytest.raises(PartlySeen, match="bfdd is not running") as partly:
            await lab.poll()
        seen = {item.key: item for item in partly.value.seen}
        assert here(seen).established
        assert (Kind.BFD, "er-primary") not in seen
        assert (Kind.ROUTES, "edge-1 10.51.0.0/16") not in seen
        assert (Kind.ROUTES, "edge-1 10.50.0.0/16") in seen
        assert [type(error) for error in partly.value.errors] == [CommandFailed, BadReply]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ((1, "bgpd is not running"), CommandFailed),
        ((0, "{}"), BadReply),
        ((0, "<html><body>Login</body></html>"), BadReply),
        ((77, "not on the list"), Denied),
    ],
)
async def test_without_bgp_there_is_an_error_and_no_fact(reply: Answer, error: type[Exception]) -> None:
    async with bench() as lab:
        lab.frr.changed["show bgp summary json"] = reply
        with pytest.raises(error):
            await lab.poll()


async def test_a_router_that_goes_away_is_unreachable_and_is_reconnected_by_the_next_poll() -> None:
    async with bench() as lab:
        await lab.poll()
        lab.frr.changed["show bfd peers json"] = None
        polling = asyncio.create_task(lab.poll())
        await until(lambda: Counter(lab.router.asked)["show bfd peers json"] == 2, "the poll waits for an answer")
        lab.router.drop()
        with pytest.raises(Unreachable):
            await polling
        lab.frr.changed.clear()
        assert here(await lab.poll()).established


async def test_capture_reads_what_a_run_asks_for() -> None:
    async with bench() as lab:
        found = await lab.source.capture(["show running-config", "show bgp summary json"])
        assert list(found) == ["show running-config", "show bgp summary json"]
        assert "route-map RM-CL1-IN permit 10" in found["show running-config"]
        with pytest.raises(CommandFailed):
            await lab.source.capture(["show nonsense"])
