"""The looking glass of an MCR over the lab's fabric, under either contract, and under none."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import IPv4Address

import pytest

from connectors.errors import BadReply, TimedOut
from connectors.megaport_glass import GlassNotAvailable, GlassRefused, LookingGlass, NoSuchNeighbour
from connectors.megaport_glass_parse import McrBgpRoute, McrPing, McrRoute
from lab.megaport.glass import Contract
from network.inventory import Mcr
from tests.contract.megaport_fabric import MCR, PEER, Fabric

BOTH: tuple[Contract, ...] = ("diagnostics", "lookingGlass")
NOWHERE = IPv4Address("192.0.2.1")


@pytest.fixture
async def fabric() -> AsyncIterator[Fabric]:
    made = Fabric()
    await made.start()
    yield made
    await made.stop()


@pytest.mark.parametrize("contract", BOTH)
async def test_routes_mean_the_same_under_either_contract(fabric: Fabric, contract: Contract) -> None:
    fabric.lab.glass.contract = contract
    glass = fabric.source.glass
    first = McrRoute("10.50.0.0/16", str(PEER), "BGP", "vxc-azure-a", 0)
    assert (await glass.ip_routes(MCR))[0] == first
    assert await glass.ip_routes(MCR, "10.50.7.1") == (first,)
    rows = await glass.bgp_routes(MCR, "10.50.0.0/16")
    assert [(row.vxc, row.best) for row in rows] == [("vxc-azure-a", True), ("vxc-azure-b", False)]
    assert rows[0] == McrBgpRoute("10.50.0.0/16", str(PEER), (12076,), "vxc-azure-a", True, True, 100, 0, "IGP", ())
    received = await glass.neighbour_routes(MCR, PEER, "received")
    assert {row.prefix for row in received} == {"10.50.0.0/16", "10.51.0.0/16"}
    advertised = await glass.neighbour_routes(MCR, PEER, "advertised")
    assert {row.as_path for row in advertised} == {(65010,)}


async def test_a_dead_far_end_takes_its_routes_with_it(fabric: Fabric) -> None:
    fabric.world.down = {"er-primary"}
    rows = await fabric.source.glass.bgp_routes(MCR, "10.50.0.0/16")
    assert [row.vxc for row in rows] == ["vxc-azure-b"]


async def test_sessions_are_told_by_the_newer_contract_alone(fabric: Fabric) -> None:
    with pytest.raises(GlassNotAvailable, match="says nothing about its BGP"):
        await fabric.source.glass.sessions(MCR)
    fabric.lab.glass.contract = "lookingGlass"
    fabric.world.down = {"er-primary"}
    first, second, *_ = await fabric.source.glass.sessions(MCR)
    assert (first.state, first.uptime_s, first.vxc) == ("down", None, "vxc-azure-a")
    assert (second.state, second.received, second.neighbour_asn) == ("up", 2, 12076)
    with pytest.raises(NoSuchNeighbour, match=r"no session with 192\.0\.2\.1"):
        await fabric.source.glass.neighbour_routes(MCR, NOWHERE, "received")


async def test_ping_and_traceroute_go_to_the_far_end(fabric: Fabric) -> None:
    glass = fabric.source.glass
    assert await glass.ping(MCR, PEER, packets=7) == McrPing(7, 7, 0.0, 1.1, 1.4, 2.0)
    assert await glass.ping(MCR, NOWHERE, packets=2) == McrPing(2, 0, 100.0, None, None, None)
    (hop,) = await glass.traceroute(MCR, PEER)
    assert (hop.number, hop.probes[0]) == (1, (str(PEER), 1.4))
    (silent,) = await glass.traceroute(MCR, NOWHERE)
    assert silent.probes[0] == ("", None)


async def test_what_knows_neither_contract_is_not_available_and_never_down(fabric: Fabric) -> None:
    fabric.lab.glass.contract = "none"
    glass, asked = fabric.source.glass, len(fabric.wire.asked)
    questions = (glass.ip_routes, glass.bgp_routes, glass.sessions)
    found = await asyncio.gather(*(ask(MCR) for ask in questions), return_exceptions=True)
    assert [type(each) for each in found] == [GlassNotAvailable] * 3
    paths = [path.rpartition(f"{MCR.uid}/")[2] for path in fabric.wire.asked[asked:] if "mcr2" in path]
    assert sorted(paths) == [
        "diagnostics/routes/bgp",
        "diagnostics/routes/ip",
        "lookingGlass/bgp",
        "lookingGlass/bgpSessions",
        "lookingGlass/routes",
    ]


async def test_an_mcr_that_the_fabric_does_not_know_is_not_available(fabric: Fabric) -> None:
    stranger = Mcr(name="mcr-9", uid="00000000-0000-4000-8000-000000000009")
    with pytest.raises(GlassNotAvailable, match="mcr-9") as caught:
        await fabric.source.glass.bgp_routes(stranger)
    assert "Could not find a service with UID" in str(caught.value)


@pytest.mark.parametrize("not_ready", ["202", "empty"])
async def test_an_empty_list_that_is_not_ready_is_not_taken_for_no_routes(fabric: Fabric, not_ready: str) -> None:
    fabric.lab.glass.not_ready, fabric.lab.glass.pending = not_ready, 3
    assert len(await fabric.source.glass.bgp_routes(MCR)) == 8
    polls = [path for path in fabric.wire.asked if path.endswith("/operation")]
    assert len(polls) == 4
    assert await fabric.source.glass.bgp_routes(MCR, "192.0.2.0/24") == ()  # an empty list that is a result


@pytest.mark.parametrize("contract", BOTH)
async def test_an_operation_without_an_end_times_out(fabric: Fabric, contract: Contract) -> None:
    fabric.lab.glass.pending, fabric.lab.glass.contract = 10**6, contract
    glass = LookingGlass(fabric.source.client.asked, deadline_s=0.3, first_pause_s=0.05)
    with pytest.raises(TimedOut, match=r"mcr-1: no result within 0\.3 s"):
        await glass.ip_routes(MCR)


async def test_a_poll_that_meets_a_passing_fault_asks_again_and_a_lasting_one_is_told(fabric: Fabric) -> None:
    fabric.lab.glass.pending = 10
    asking = asyncio.create_task(fabric.source.glass.bgp_routes(MCR))
    async with asyncio.timeout(30):  # until the first poll is on the wire
        while not any(path.endswith("/operation") for path in fabric.wire.asked):  # noqa: ASYNC110 - it is a list
            await asyncio.sleep(0.01)
    await fabric.gate.set("garbage")
    with pytest.raises(BadReply, match="not JSON"):
        await asking
    await fabric.gate.set("none")
    fabric.lab.glass.pending = 1
    assert await fabric.source.glass.bgp_routes(MCR)


@pytest.mark.parametrize("address", ["10.50.0.0/99", "somewhere", "10.50.0.1/16", ""])
async def test_a_question_that_makes_no_sense_is_refused_before_it_is_sent(fabric: Fabric, address: str) -> None:
    for ask in (fabric.source.glass.ip_routes, fabric.source.glass.bgp_routes):
        with pytest.raises(GlassRefused, match="neither an address nor a prefix"):
            await ask(MCR, address)
    for packets, size in ((0, 64), (61, 64), (5, 0), (5, 9187)):
        with pytest.raises(GlassRefused, match="1 to 60 packets"):
            await fabric.source.glass.ping(MCR, PEER, packets=packets, size=size)
    assert fabric.wire.asked == []
