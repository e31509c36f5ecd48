"""The router source, a run's session and the probes against the lab's own edges: two codecs that share no line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from ipaddress import IPv4Address

import asyncssh
import pytest

from connectors.errors import Denied
from connectors.probes import ProbeSource
from connectors.routers.frr_config import RUNNING, read_clause
from connectors.routers.frr_render import drain, foreign_change, same_clauses
from connectors.routers.session import RouterSession
from connectors.routers.source import RouterSource
from lab.embedded.lab import EmbeddedLab
from lab.ledger import Ledger
from network.inventory import Path, Site
from network.observation import Advertised, BfdHere, Kind, Link, Observation, ProbeResult, Routes, SessionHere
from tests.contract.line_router import Authority, until_async
from tests.sample import reference

Seen = dict[tuple[Kind, str], Observation]


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def lab(authority: Authority) -> AsyncIterator[EmbeddedLab]:
    async def sign_host_key(line: str, principals: list[str]) -> str:
        key = asyncssh.import_public_key(line)
        certificate = authority.host_ca.generate_host_certificate(key, "host", principals=principals)
        return certificate.export_certificate().decode().strip()

    made = EmbeddedLab(reference())
    user_ca = authority.user_ca.export_public_key("openssh").decode().strip()
    await made.start(user_ca, sign_host_key, ledger=Ledger())
    yield made
    await made.stop()


def lab_session(lab: EmbeddedLab, authority: Authority, router: str, user: str = "interlock-read") -> RouterSession:
    address, port = lab.endpoints[router]
    declared = lab.site.router(router).model_copy(update={"address": address, "ssh_port": port})
    return RouterSession(declared, replace(authority, principals=(user,)).login(username=user))


@pytest.fixture
async def poll(lab: EmbeddedLab, authority: Authority) -> AsyncIterator[Callable[[], Awaitable[Seen]]]:
    sessions = [lab_session(lab, authority, router.name) for router in lab.site.routers]
    sources = [RouterSource(lab.site, session.router, session) for session in sessions]

    async def every() -> Seen:
        return {item.key: item for source in sources for item in await source.collect()}

    yield every
    for source in sources:
        await source.close()


def session_of(seen: Seen, name: str) -> SessionHere:
    fact = seen[Kind.SESSION_HERE, name].fact
    assert isinstance(fact, SessionHere)
    return fact


async def test_every_fact_of_both_edges_is_read(lab: EmbeddedLab, poll: Callable[[], Awaitable[Seen]]) -> None:
    seen = await poll()
    for session in lab.site.sessions:
        assert session_of(seen, session.name).established, session.name
        if session.bfd:
            bfd = seen[Kind.BFD, session.name].fact
            assert isinstance(bfd, BfdHere)
            assert (bfd.status, bfd.detect_ms) == ("up", 300)
        if not session.internal:
            advertised = seen[Kind.ADVERTISED, session.name].fact
            assert isinstance(advertised, Advertised)
            assert {advert.as_path[0] for advert in advertised.routes} == {65010}
    assert session_of(seen, "ibgp@edge-2").established
    for cloud in lab.site.clouds:
        for prefix in cloud.prefixes:
            routes = seen[Kind.ROUTES, f"edge-1 {prefix.prefix}"].fact
            assert isinstance(routes, Routes)
            assert routes.best is not None
            assert routes.best.local_pref == 200


async def test_rates_are_those_that_the_lab_moves(lab: EmbeddedLab, poll: Callable[[], Awaitable[Seen]]) -> None:
    await poll()

    async def carried() -> bool:
        link = (await poll())[Kind.LINK, "edge-1 vxc-azure-a"].fact
        assert isinstance(link, Link)
        into, out_of = lab.mbps("azure/er-primary")
        if link.in_mbps is None or link.out_mbps is None:
            return False
        return link.out_mbps == pytest.approx(into, rel=0.25) and link.in_mbps == pytest.approx(out_of, rel=0.25)

    await until_async(carried, "the rates match the lab's load")


async def test_a_silent_loss_is_told_by_its_cause(lab: EmbeddedLab, poll: Callable[[], Awaitable[Seen]]) -> None:
    assert session_of(await poll(), "er-primary").established
    await lab.fail("vxc-azure-a", silent=True)

    async def down() -> bool:
        return not session_of(await poll(), "er-primary").established

    await until_async(down, "the session is down")
    fact = session_of(await poll(), "er-primary")
    assert "BFD" in fact.reason
    assert fact.drops == 1
    assert session_of(await poll(), "dx-1").established


async def test_a_drain_and_its_inverse_leave_the_clauses_byte_for_byte(
    lab: EmbeddedLab, authority: Authority, poll: Callable[[], Awaitable[Seen]]
) -> None:
    run = lab_session(lab, authority, "edge-1", "interlock-run")
    running = (await run.show(RUNNING)).text
    plan = drain(lab.site.session("dx-1"), 65010, running, local_pref=120, prepend=4, community="7224:7100")
    await run.configure(plan.lines)
    await run.exec(plan.soft_clear)
    drained = (await run.show(RUNNING)).text
    for edit in plan.edits:
        now = read_clause(drained, edit.before.name, edit.before.seq)
        assert now == edit.expected
        assert foreign_change(edit, now) is None

    async def moved() -> bool:
        seen = await poll()
        routes, advertised = seen[Kind.ROUTES, "edge-1 10.60.0.0/16"].fact, seen.get((Kind.ADVERTISED, "dx-1"))
        assert isinstance(routes, Routes)
        if advertised is None or routes.best is None:
            return False
        assert isinstance(advertised.fact, Advertised)
        prepended = {len(advert.as_path) for advert in advertised.fact.routes if advert.prefix == "10.10.0.0/16"}
        return routes.best.local_pref == 150 and prepended == {5}

    await until_async(moved, "both directions have moved")
    await run.configure(plan.undo)
    after = (await run.show(RUNNING)).text
    for edit in plan.edits:
        assert same_clauses(edit.before, read_clause(after, edit.before.name, edit.before.seq))
    await run.close()


async def test_the_read_account_may_not_configure(lab: EmbeddedLab, authority: Authority) -> None:
    session = lab_session(lab, authority, "edge-1")
    with pytest.raises(Denied, match="may not configure"):
        await session.configure(["route-map IN-msee-primary permit 10", "set local-preference 1"])
    with pytest.raises(Denied, match="not in the list"):
        await session.exec("clear bgp ipv4 unicast 10.255.1.2 soft")
    await session.close()


def probed(lab: EmbeddedLab) -> Site:
    def pointed(path: Path) -> Path:
        assert path.probe is not None
        loopback = IPv4Address("127.0.0.1")
        point = {"source": loopback, "target": loopback, "port": lab.probe_ports[path.name]}
        return path.model_copy(update={"probe": path.probe.model_copy(update=point)})

    probes = lab.site.probes.model_copy(update={"interval_s": 0.05, "timeout_s": 0.3})
    return lab.site.model_copy(update={"paths": tuple(map(pointed, lab.site.paths)), "probes": probes})


async def test_every_path_answers_its_probes_until_it_is_cut(lab: EmbeddedLab) -> None:
    source = ProbeSource(probed(lab))

    async def results() -> dict[str, ProbeResult]:
        found = {item.name: item.fact for item in await source.collect()}
        return {name: fact for name, fact in found.items() if isinstance(fact, ProbeResult)}

    async def all_answer() -> bool:
        return all(result.received >= 3 for result in (await results()).values())

    await until_async(all_answer, "all eight paths answer")
    rtt = (await results())["azure/er-primary"].rtt_ms
    assert rtt is not None
    assert 3 < rtt < 60
    await lab.fail("vxc-azure-a", silent=True)

    async def dead() -> bool:
        return (await results())["azure/er-primary"].received == 0

    await until_async(dead, "the cut path answers no probe")
    assert (await results())["aws/dx-1"].received > 0
    await source.close()
