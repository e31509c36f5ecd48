"""The router source, a drain and the host's probes against real FRR routers in namespaces."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import asyncssh
import pytest
import pytest_asyncio

from connectors.probes import ProbeSource
from connectors.routers.channel import CommandFailed
from connectors.routers.frr_config import RUNNING, read_clause
from connectors.routers.frr_render import drain, same_clauses
from connectors.routers.pings import Pings
from connectors.routers.session import RouterSession
from connectors.routers.source import RouterSource
from lab.frr import FrrLab
from lab.frr.doors import Door
from network.measured import ProbeResult
from network.observation import BfdHere, Kind, Link, Routes, SessionHere
from network.surroundings import ProbeHost, Probes
from tests.contract.line_router import Authority, until_async
from tests.contract.router_facts import Seen, everything_is_told, polled
from tests.sample import reference

pytestmark = [
    pytest.mark.frr,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]

AUTHORITY = Authority()


async def sign_host_key(line: str, principals: list[str]) -> str:
    key = asyncssh.import_public_key(line)
    certificate = AUTHORITY.host_ca.generate_host_certificate(key, "host", principals=principals)
    return certificate.export_certificate().decode().strip()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FrrLab]:
    made = FrrLab(reference())
    user_ca = AUTHORITY.user_ca.export_public_key("openssh").decode().strip()
    await made.start(Path(tmp_path_factory.mktemp("lab")), user_ca, sign_host_key)
    yield made
    await made.stop()


def lab_session(lab: FrrLab, router: str, user: str = "interlock-read") -> RouterSession:
    address, port = lab.endpoints[router]
    declared = lab.site.router(router).model_copy(update={"address": address, "ssh_port": port})
    return RouterSession(declared, replace(AUTHORITY, principals=(user,)).login(username=user), show_s=30)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sources(lab: FrrLab) -> AsyncIterator[list[RouterSource]]:
    sessions = [lab_session(lab, router.name) for router in lab.site.routers]
    made = [RouterSource(lab.site, session.router, session) for session in sessions]
    yield made
    for source in made:
        await source.close()


def here(seen: Seen, name: str) -> SessionHere:
    fact = seen[Kind.SESSION_HERE, name].fact
    assert isinstance(fact, SessionHere)
    return fact


async def test_every_fact_of_both_edges_is_read(lab: FrrLab, sources: list[RouterSource]) -> None:
    seen = await polled(sources)
    for session in lab.site.sessions:
        fact = here(seen, session.name)
        assert (fact.established, fact.reason) == (True, ""), session.name
        if session.bfd:
            bfd = seen[Kind.BFD, session.name].fact
            assert isinstance(bfd, BfdHere)
            assert (bfd.status, bfd.detect_ms) == ("up", 300)
    assert here(seen, "ibgp@edge-2").established
    for interface in ("vxc-azure-a", "vxc-aws-a", "vpn-azure-1", "vpn-aws-1"):
        assert (Kind.LINK, f"edge-1 {interface}") in seen


async def test_the_product_reads_from_real_edges_all_that_it_reads_from_modelled_ones(lab: FrrLab) -> None:
    made = [RouterSource(lab.site, over.router, over) for over in (lab_session(lab, r.name) for r in lab.site.routers)]
    everything_is_told(lab.site, await polled(made))
    for source in made:
        await source.close()


@asynccontextmanager
async def vtysh_account(lab: FrrLab, folder: Path) -> AsyncIterator[RouterSession]:
    """A session of the read account on edge-1 when its shell is vtysh: another sshd, with a terminal and no guard."""
    namespace, address = f"{lab._prefix}edge-1", "127.0.0.1"
    door = Door("edge-1", namespace, folder)
    await door.prepare(
        AUTHORITY.user_ca.export_public_key("openssh").decode().strip(),
        {"interlock-read": f"/usr/bin/vtysh -N {namespace}"},
        sign_host_key,
        ["edge-1", address],
    )
    config = folder / "sshd_config"
    config.write_text(config.read_text().replace("PermitTTY no", "PermitTTY yes"))
    await door.open()
    changed = {"address": address, "ssh_port": door.port, "channel": "shell"}
    login = replace(AUTHORITY, principals=("interlock-read",)).login(username="interlock-read")
    over = RouterSession(lab.site.router("edge-1").model_copy(update=changed), login, show_s=30, login_s=30)
    yield over
    await over.close()
    await door.shut()


async def test_an_account_whose_shell_is_vtysh_tells_the_same_as_the_line_protocol(lab: FrrLab, tmp_path: Path) -> None:
    line = lab_session(lab, "edge-1")
    by_line = await polled([RouterSource(lab.site, line.router, line)])
    async with vtysh_account(lab, tmp_path) as over:
        by_shell = await polled([RouterSource(lab.site, over.router, over)])
        whole = (await line.show(RUNNING)).text
        assert (await over.show(RUNNING)).text.split() == whole.split()
        with pytest.raises(CommandFailed, match="Unknown command: show nonsense"):
            await over.show("show nonsense")
        texts = [reply.text for reply in await over.shows(["show bgp summary json", "show bfd peers json"] * 20)]
        assert [type(json.loads(text)) for text in texts] == [dict, list] * 20
    await line.close()
    assert set(by_shell) == set(by_line)
    for key in by_line:
        if key[0] not in {Kind.LINK, Kind.SESSION_HERE, Kind.BFD}:  # rates and ages differ
            assert by_shell[key].fact == by_line[key].fact, key
    for key in (key for key in by_line if key[0] is Kind.LINK):
        link, other = by_shell[key].fact, by_line[key].fact
        assert isinstance(link, Link)
        assert isinstance(other, Link)
        assert link == replace(other, in_mbps=None, out_mbps=None, errors=None)


async def test_a_drain_moves_both_ways_and_its_inverse_leaves_the_clauses_byte_for_byte(
    lab: FrrLab, sources: list[RouterSource]
) -> None:
    run = lab_session(lab, "edge-1", "interlock-run")
    running = (await run.show(RUNNING)).text
    plan = drain(lab.site.session("dx-1"), 65010, running, local_pref=120, prepend=4, community="7224:7100")
    await run.configure(plan.lines)
    await run.exec(plan.soft_clear)
    drained = (await run.show(RUNNING)).text
    assert [read_clause(drained, e.before.name, e.before.seq) for e in plan.edits] == [e.expected for e in plan.edits]

    async def best_is(local_pref: int) -> bool:
        routes = (await polled(sources))[Kind.ROUTES, "edge-1 10.60.0.0/16"].fact
        assert isinstance(routes, Routes)
        return routes.best is not None and routes.best.local_pref == local_pref

    await until_async(lambda: best_is(150), "egress is on the standby")
    await run.configure(plan.undo)
    await run.exec(plan.soft_clear)
    after = (await run.show(RUNNING)).text
    assert all(same_clauses(e.before, read_clause(after, e.before.name, e.before.seq)) for e in plan.edits)
    await until_async(lambda: best_is(200), "egress is back")
    await run.close()


async def test_the_host_behind_the_edges_probes_every_path(lab: FrrLab) -> None:
    address, port = lab.endpoints["onprem"]
    host = ProbeHost(name="onprem", address=address, ssh_port=port)
    probes = Probes(sender="host", interval_s=0.1, timeout_s=0.5, host=host)
    login = replace(AUTHORITY, principals=("interlock-probe",)).login(username="interlock-probe")
    source = ProbeSource(lab.site.model_copy(update={"probes": probes}), login)

    async def all_answer() -> bool:
        facts = [item.fact for item in await source.collect() if item.kind is Kind.PROBE]
        assert len(facts) == 8
        return all(isinstance(fact, ProbeResult) and fact.pinned and fact.received >= 3 for fact in facts)

    await until_async(all_answer, "all eight paths answer the host's probes")
    await source.close()


async def test_the_router_itself_pings_its_legs_and_traces_the_way(lab: FrrLab) -> None:
    pings, site = Pings(lab_session(lab, "edge-1")), lab.site
    session, probe = site.session("er-primary"), site.path("azure/er-primary").probe
    assert probe is not None
    peer, target = str(session.peer), probe.target

    async def answered() -> bool:
        leg = await pings.leg(session.local, session.peer)
        return (leg.sent, leg.received, leg.answered_by) == (5, 5, peer) and leg.rtt_ms is not None

    async def passes(asked: int, found: range) -> bool:
        return await pings.largest(session.local, session.peer, asked) in found

    async def traced() -> bool:
        hops = await pings.trace(session.local, target)
        return [hop.address for hop in hops] == [peer, str(target)] and hops[-1].rtt_ms is not None

    await until_async(answered, "all five come back")
    await until_async(lambda: passes(1500, range(1500, 1501)), "the whole packet passes")
    # Larger than the interface: each try of a size that does not pass takes a second, so it is not much larger.
    await until_async(lambda: passes(1508, range(1493, 1501)), "what the interface takes")
    await until_async(traced, "both hops answer")
    nobody = await pings.leg(session.local, IPv4Address("192.0.2.9"))
    assert nobody.received == 0
    await pings.close()


async def test_a_silent_loss_is_told_by_its_cause(lab: FrrLab, sources: list[RouterSource]) -> None:
    before = here(await polled(sources), "er-primary").drops
    assert before is not None
    await lab.fail("vxc-azure-a", silent=True)

    async def told() -> bool:
        fact = here(await polled(sources), "er-primary")
        why = "BFD detection time expired: nothing heard from the far end"
        return (fact.established, fact.reason, fact.drops) == (False, why, before + 1)

    await until_async(told, "the session is down, once, and why")
    await lab.heal()
