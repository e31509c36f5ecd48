"""The router source, a run's session and the probes against the lab's own edges: two codecs that share no line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address

import asyncssh
import pytest

from connectors.errors import Denied
from connectors.probes import ProbeSource
from connectors.routers.frr_config import RUNNING, read_clause
from connectors.routers.frr_render import drain, foreign_change, same_clauses
from connectors.routers.legs import LegSource
from connectors.routers.pings import Pings
from connectors.routers.session import RouterSession
from connectors.routers.source import RouterSource
from connectors.sizes import Sizes
from lab.embedded.lab import EmbeddedLab
from lab.ledger import Ledger
from network.grey import Grey, locate
from network.inventory import Path, Site
from network.layers import View
from network.measured import LegResult, MtuResult, ProbeResult
from network.observation import Advertised, BfdHere, Kind, Link, Observation, Routes, SessionHere
from network.snapshot import Snapshot
from tests.contract.line_router import Authority, LineRouter, listening, until_async
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

    quick = {
        "interval_s": 0.05,
        "timeout_s": 0.6,
        "window_s": 0.5,
        "grey_s": 10.0,
        "leg_every_s": 0.2,
        "mtu_every_s": 1.0,
    }
    probes = lab.site.probes.model_copy(update=quick)
    return lab.site.model_copy(update={"paths": tuple(map(pointed, lab.site.paths)), "probes": probes})


class Looking:
    """Probes and pings of a lab, folded into a snapshot as the console does."""

    def __init__(self, lab: EmbeddedLab, authority: Authority) -> None:
        self.site = probed(lab)
        sizes = Sizes(self.site)
        self.sources = [
            ProbeSource(self.site, sizes=sizes),
            *(
                LegSource(self.site, router, Pings(lab_session(lab, authority, router.name)), sizes, first_s=0.0)
                for router in self.site.routers
            ),
        ]
        self.snapshot = Snapshot()

    async def grey(self) -> dict[str, Grey]:
        for source in self.sources:
            self.snapshot = self.snapshot.with_observations(await source.collect())
        view = View(self.site, self.snapshot, datetime.now(UTC))
        return {path.name: grey for path in self.site.paths if (grey := locate(view, path))}

    async def until(self, what: str, wanted: dict[str, tuple[str, str, str]]) -> None:
        """Wait until exactly these paths are grey: kind, leg, direction."""

        async def met() -> bool:
            found = await self.grey()
            return {name: (grey.kind, grey.leg, grey.direction) for name, grey in found.items()} == wanted

        await until_async(met, what, 80.0)

    def usual(self, path: str) -> bool:
        probe = self.snapshot.fact(Kind.PROBE, path, ProbeResult)
        leg = self.snapshot.fact(Kind.LEG, path, LegResult)
        mtu = self.snapshot.fact(Kind.MTU, path, MtuResult)
        known = probe and leg and probe.usual_ms is not None and leg.usual_ms is not None
        return bool(known and mtu and (mtu.passes, mtu.leg_passes) == (1500, 1500))


@pytest.mark.timeout(300)
async def test_grey_links_are_told_with_leg_and_direction_while_every_session_stays_up(
    lab: EmbeddedLab, authority: Authority
) -> None:
    looking = Looking(lab, authority)

    async def settled() -> bool:
        return not await looking.grey() and all(looking.usual(path.name) for path in lab.site.paths)

    await until_async(settled, "what is usual is known", 80.0)
    await lab.fail("vxc-azure-a", loss=20, oneway=True)
    await lab.fail("er-secondary", delay_ms=60)
    await lab.fail("vpn-azure-1", delay_ms=90, oneway=True)
    await lab.fail("dx-1", loss=30)
    await lab.fail("dx-2", mtu=1300)
    await lab.fail("vxc-aws-b", mtu=1400)
    await looking.until(
        "each is told",
        {
            "azure/er-primary": ("loss", "edge-provider", "back"),
            "azure/er-secondary": ("latency", "provider-cloud", "both"),
            "azure/vpn-1": ("latency", "edge-provider", "back"),
            "aws/dx-1": ("loss", "provider-cloud", "both"),
            "aws/dx-2": ("mtu", "edge-provider", "unknown"),
        },
    )
    assert all(lab.far_session(path.name).established for path in lab.site.paths)

    async def sizes_are_known() -> bool:
        await looking.grey()
        sizes = looking.snapshot.fact(Kind.MTU, "aws/dx-2", MtuResult)
        return sizes is not None and sizes.passes == 1300 and sizes.leg_passes in range(1393, 1401)

    await until_async(sizes_are_known, "what passes end to end, and on the leg")
    await lab.heal()
    await looking.until("all is well again", {})
    for source in looking.sources:
        await source.close()


async def test_a_trace_names_the_peer_and_the_far_end(lab: EmbeddedLab, authority: Authority) -> None:
    pings, session = Pings(lab_session(lab, authority, "edge-2")), lab.site.session("dx-2")
    hops = await pings.trace(session.local, IPv4Address("10.60.255.6"))
    assert [hop.address for hop in hops] == [str(session.peer), "10.60.255.6"]
    await pings.close()


async def test_a_router_whose_guard_lacks_ping_says_so_and_is_asked_again(lab: EmbeddedLab) -> None:
    async def refuses(_: str) -> tuple[int, str]:
        return 77, "refused: not in the list of account read"

    async with listening(LineRouter(refuses)) as router:
        declared = lab.site.router("edge-1").model_copy(update={"address": "127.0.0.1", "ssh_port": router.port})
        pings = Pings(RouterSession(declared, router.authority.login()))
        source = LegSource(lab.site, declared, pings, Sizes(lab.site), first_s=0.0)

        async def told() -> bool:
            try:
                await source.collect()
            except Denied as error:
                return "not in the list" in str(error)
            return False

        await until_async(told, "the refusal is told")
        await until_async(told, "and again")
        await source.close()


async def test_every_path_answers_its_probes_until_it_is_cut(lab: EmbeddedLab) -> None:
    source = ProbeSource(probed(lab))

    async def results() -> dict[str, ProbeResult]:
        found = await source.collect()
        return {item.name: item.fact for item in found if isinstance(item.fact, ProbeResult)}

    async def all_answer() -> bool:
        return all(result.received >= 3 for result in (await results()).values())

    async def has_its_length() -> bool:
        rtt = (await results())["azure/er-primary"].rtt_ms
        return rtt is not None and 3 < rtt < 60

    await until_async(all_answer, "all eight paths answer")
    await until_async(has_its_length, "the round trip of the path")
    await lab.fail("vxc-azure-a", silent=True)

    async def dead() -> bool:
        found = await results()
        return found["azure/er-primary"].received == 0 and found["aws/dx-1"].received > 0

    await until_async(dead, "the cut path answers no probe, another one does")
    await source.close()
