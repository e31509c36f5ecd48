"""A router as a status source: captured replies of a real FRR over the line protocol, poll after poll."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.errors import BadReply, Denied, Unreachable
from connectors.ports import PartlySeen
from connectors.routers.channel import CommandFailed
from connectors.routers.session import RouterSession
from connectors.routers.source import ADVERTISED_EVERY, RouterSource
from network.inventory import Site
from network.observation import Advertised, BfdHere, Kind, Link, Observation, Routes, SessionHere
from network.sitefile import load
from tests.contract.line_router import Answer, LineRouter, listening, until
from tests.sample import REFERENCE

DATA = Path(__file__).parents[1] / "data" / "frr"
T0 = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
ADVERTISED = "show bgp ipv4 unicast neighbors {} advertised-routes json"


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

    async def __call__(self, request: str) -> Answer | None:
        if request in self.changed:
            return self.changed[request]
        if request == "ip -j -s link":
            return 0, json.dumps([self._link("vlan101", self.received, 250_000), self._link("vlan102", 0, 0)])
        name = request.replace(" ", "_").replace("/", "-")
        for suffix in (".json", ".txt"):
            file = DATA / self.state / f"edge__{name}{suffix}"
            if file.exists():
                return 0, file.read_text()
        if request.startswith("show bgp ipv4 unicast 10."):
            return 0, "{}"
        if "advertised-routes" in request:
            return 0, '{"advertisedRoutes":{},"totalPrefixCounter":0,"filteredPrefixCounter":0}'
        return 1, f"% Unknown command: {request}\n"

    @staticmethod
    def _link(name: str, received: int, sent: int) -> dict[str, object]:
        return {"ifname": name, "stats64": {"rx": {"bytes": received}, "tx": {"bytes": sent}}}


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
        assert session.evidence == "show bgp neighbors json"
        assert '"bgpState": "Established"' in session.raw
        assert seen[Kind.ADVERTISED, "er-primary"].fresh_s == 2.0 * ADVERTISED_EVERY


async def test_a_poll_is_one_batch_and_advertisements_are_asked_for_every_fifth() -> None:
    async with bench() as lab:
        for _ in range(ADVERTISED_EVERY + 1):
            await lab.poll()
        asked = Counter(lab.router.asked)
        assert asked["show bgp summary json"] == ADVERTISED_EVERY + 1
        assert asked[ADVERTISED.format("169.254.10.2")] == 2
        assert asked["show running-config"] == 0
        assert len(lab.router.connections) == 1


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
        assert none == Link(admin_up=True, oper_up=True)
        assert some == Link(admin_up=True, oper_up=True, in_mbps=10.0, out_mbps=0.0)


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
        lab.frr.changed["show bgp neighbors json"] = (0, json.dumps(neighbors))
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
        lab.frr.changed["show bgp neighbors json"] = None
        polling = asyncio.create_task(lab.poll())
        await until(lambda: Counter(lab.router.asked)["show bgp neighbors json"] == 2, "the poll waits for an answer")
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
