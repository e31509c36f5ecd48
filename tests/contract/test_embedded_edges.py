"""The embedded lab from outside: SSH with certificates, the line protocol, drains, failures and the data plane."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

import asyncssh
import pytest

from connectors.routers.session import RouterSession
from connectors.routers.source import RouterSource
from connectors.routers.ssh import Login
from lab.azure.drain import drained
from lab.embedded import EmbeddedLab
from lab.errors import UnknownThing
from lab.ledger import Ledger
from network.observation import Advertised, Kind, Rides
from network.sitefile import load
from tests.contract.line_router import Signed
from tests.contract.router_facts import everything_is_told, polled

SITE = load((resources.files("lab") / "reference.yaml").read_text()).site
PEER = "10.255.1.2"
DRAIN = [
    "route-map IN-msee-primary permit 10", "set local-preference 120",
    "route-map OUT-msee-primary permit 10", "set as-path prepend 65010 65010 65010 65010",
    "route-map IN-dx-router-1 permit 10", "set local-preference 120",
    "route-map OUT-dx-router-1 permit 10", "set as-path prepend 65010 65010 65010 65010", "set community 7224:7100",
]  # fmt: skip
UNDRAIN = [
    "route-map OUT-dx-router-1 permit 10", "set community 7224:7300", "no set as-path prepend",
    "route-map IN-dx-router-1 permit 10", "set local-preference 200",
    "route-map OUT-msee-primary permit 10", "no set as-path prepend",
    "route-map IN-msee-primary permit 10", "set local-preference 200",
]  # fmt: skip
CLEARS = [f"clear bgp ipv4 unicast {peer} soft" for peer in (PEER, "10.255.3.2")]


class Authority:
    """The CA that signs users and hosts."""

    def __init__(self) -> None:
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.line = self.key.export_public_key().decode().strip()

    async def sign_host_key(self, line: str, principals: list[str]) -> str:
        key = asyncssh.import_public_key(line)
        signed = self.key.generate_host_certificate(key, "host", principals=principals)
        return signed.export_certificate().decode()

    def user(self, principals: list[str], key_id: str = "alice") -> tuple[Any, Any]:
        key = asyncssh.generate_private_key("ssh-ed25519")
        return key, self.key.generate_user_certificate(key, key_id, principals=principals, valid_before="+5m")


class Lab:
    """A started lab with the ways into it."""

    def __init__(self, lab: EmbeddedLab, authority: Authority, ledger: Ledger) -> None:
        self.lab, self.authority, self.ledger = lab, authority, ledger

    def connect(
        self, user: str, principals: list[str] | None = None, router: str = "edge-1", signer: Authority | None = None
    ) -> Any:
        host, port = self.lab.endpoints[router]
        trusted = asyncssh.import_known_hosts(f"@cert-authority * {self.authority.line}\n")
        certificate = (signer or self.authority).user([user] if principals is None else principals)
        return asyncssh.connect(
            host, port, username=user, client_keys=[certificate], known_hosts=trusted, agent_path=None
        )


class Line:
    """A client of the line protocol, written from its description."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self._process = process

    async def ask(self, request: str) -> tuple[int, str]:
        self._process.stdin.write(request.encode() + b"\n")
        status, length = (await self._process.stdout.readuntil(b"\n")).split()
        return int(status), (await self._process.stdout.readexactly(int(length))).decode()

    async def show(self, command: str) -> Any:
        status, output = await self.ask(command)
        assert status == 0, output
        return json.loads(output)

    async def configure(self, *lines: str) -> tuple[int, str]:
        return await self.ask("\t".join(["configure terminal", *lines]))


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    authority, ledger = Authority(), Ledger()
    made = EmbeddedLab(SITE)
    begun = time.monotonic()
    await made.start(authority.line, authority.sign_host_key, ledger=ledger)
    assert time.monotonic() - begun < 3.0  # 0.5 s is wanted; two other workers want the machine too
    yield Lab(made, authority, ledger)
    await made.stop()


@pytest.fixture
async def line(lab: Lab) -> AsyncIterator[Line]:
    async with lab.connect("interlock-run") as connection:
        yield Line(await connection.create_process("line", encoding=None))


async def until(what: str, holds: Callable[[], bool], within: float = 60.0) -> float:
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < within, f"not within {within} s: {what}"
        await asyncio.sleep(0.01)
    return time.monotonic() - begun


async def test_sessions_are_established_at_once_and_a_minute_old(line: Line) -> None:
    peers = (await line.show("show bgp ipv4 unicast summary json"))["peers"]
    assert len(peers) == 5
    assert {p["state"] for p in peers.values()} == {"Established"}
    assert min(p["peerUptimeMsec"] for p in peers.values()) >= 60_000
    assert (peers[PEER]["pfxRcd"], peers[PEER]["pfxSnt"]) == (2, 3)


async def test_the_read_account_shows_and_may_not_configure(lab: Lab) -> None:
    async with lab.connect("interlock-read") as connection:
        line = Line(await connection.create_process("line", encoding=None))
        assert (await line.ask("show version"))[1].startswith("FRRouting 8.4.4 ")
        for request in ("configure terminal\trouter bgp 65010\tneighbor 10.255.1.2 shutdown", CLEARS[0]):
            status, reason = await line.ask(request)
            assert status == 77
            assert reason.startswith("refused: ")
    assert lab.ledger.entries == []


@pytest.mark.parametrize(
    ("user", "principals"),
    [
        ("interlock-run", ["interlock-read"]),
        ("interlock-run", []),
        ("interlock-run", ["interlock-r*"]),
        ("root", ["root"]),
    ],
)
async def test_only_the_accounts_own_principal_is_let_in(lab: Lab, user: str, principals: list[str]) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        await lab.connect(user, principals)


async def test_a_certificate_of_another_authority_is_not_let_in(lab: Lab) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        await lab.connect("interlock-run", signer=Authority())


async def test_a_host_key_that_our_authority_did_not_sign_is_not_trusted(lab: Lab) -> None:
    host, port = lab.lab.endpoints["edge-1"]
    other = asyncssh.import_known_hosts(f"@cert-authority * {Authority().line}\n")
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        await asyncssh.connect(host, port, username="interlock-run", known_hosts=other,
                               client_keys=[lab.authority.user(["interlock-run"])], agent_path=None)  # fmt: skip


@pytest.mark.parametrize(
    "command", ["show version\nconfigure terminal", "show version\rshow foo", "show\tversion", "show \x00"]
)
async def test_an_exec_command_with_a_control_character_is_refused(lab: Lab, command: str) -> None:
    async with lab.connect("interlock-run") as connection:
        done = await connection.run(command)
    assert done.exit_status == 77
    assert re.match(r"refused: control character '.+'", str(done.stderr))
    assert lab.ledger.entries == []


async def test_an_exec_command_runs_once_with_vtyshs_status(lab: Lab) -> None:
    async with lab.connect("interlock-run") as connection:
        good = await connection.run("show bgp summary json")
        bad = await connection.run("show bmp")
        nothing = await connection.run("write memory")
    assert (good.exit_status, "ipv4Unicast" in json.loads(str(good.stdout))) == (0, True)
    assert (bad.exit_status, bad.stdout) == (1, "% Unknown command: show bmp\n")
    assert nothing.exit_status == 77


async def test_the_line_protocol_refuses_control_characters_and_goes_on(line: Line) -> None:
    assert (await line.ask("show\x1b version"))[0] == 77
    assert (await line.ask("show version\tshow version"))[0] == 77
    assert (await line.configure("route-map X permit 10\x0bset metric 3"))[0] == 77
    assert (await line.ask("show version"))[0] == 0


async def test_a_line_over_16_kib_is_refused_and_ends_the_channel(lab: Lab) -> None:
    async with lab.connect("interlock-run") as connection:
        process = await connection.create_process("line", encoding=None)
        process.stdin.write(b"show " + b"x" * (16 * 1024))
        header = await process.stdout.readuntil(b"\n")
        assert header.startswith(b"77 ")
        assert (await asyncio.wait_for(process.wait(), 60)).exit_status == 77


async def test_a_group_stops_at_the_first_error_and_the_ledger_holds_the_rest(lab: Lab, line: Line) -> None:
    status, output = await line.configure("route-map IN-msee-primary permit 10", "set local-preference 120",
                                          "neighbor 10.255.1.2 shutdown", "set metric 3")  # fmt: skip
    assert (status, output) == (1, "% Unknown command: neighbor 10.255.1.2 shutdown\n")
    assert [(w.where, w.what, w.by) for w in lab.ledger.entries] == [
        ("edge-1", "route-map IN-msee-primary permit 10", "alice"),
        ("edge-1", "set local-preference 120", "alice"),
    ]


@pytest.mark.alone
async def test_a_drain_moves_both_directions_within_a_second_and_the_undo_restores_the_text(
    lab: Lab, line: Line
) -> None:
    _, before = await line.ask("show running-config")
    begun = time.monotonic()
    assert await line.configure(*DRAIN) == (0, "")
    for clear in CLEARS:
        assert await line.ask(clear) == (0, "")

    def carried(*names: str) -> bool:
        return all(min(lab.lab.mbps(name)) > 100 for name in names)

    await until("both directions of both clouds on port-b", lambda: carried("azure/er-secondary", "aws/dx-2"), 1.0)
    assert time.monotonic() - begun < 1.0
    assert max(lab.lab.mbps("azure/er-primary") + lab.lab.mbps("aws/dx-1")) == 0
    assert set(lab.lab.chosen("azure").values()) >= {("azure/er-secondary",)}
    hop = (await line.show("show ip route 10.50.0.0/16 json"))["10.50.0.0/16"][0]["nexthops"][0]
    assert (hop["interfaceName"], hop["fib"]) == ("ibgp", True)
    far = {r.prefix: r for r in lab.lab.far_session("aws/dx-1").received}
    assert far["10.10.0.0/16"].as_path == (65010,) * 5
    assert far["10.10.0.0/16"].communities == ("7224:7100",)
    states = (await line.show("show bgp ipv4 unicast summary json"))["peers"]
    assert {(p["state"], p["connectionsDropped"]) for p in states.values()} == {("Established", 0)}

    assert await line.configure(*UNDRAIN) == (0, "")
    for clear in CLEARS:
        await line.ask(clear)
    await until("both directions back on port-a", lambda: carried("azure/er-primary", "aws/dx-1"), 1.0)
    assert (await line.ask("show running-config"))[1] == before


@pytest.mark.alone
async def test_a_route_map_edit_alone_acts_after_five_seconds(lab: Lab, line: Line) -> None:
    await line.configure("route-map IN-msee-primary permit 10", "set local-preference 120")
    took = await until("egress moves", lambda: lab.lab.mbps("azure/er-secondary")[0] > 100, 6.0)
    assert 4.9 < took < 5.5


@pytest.mark.alone
async def test_a_silent_loss_takes_the_session_down_by_bfd_within_half_a_second(lab: Lab, line: Line) -> None:
    begun = time.monotonic()
    await lab.lab.fail("port-a", silent=True)
    assert lab.lab.port_up("port-a")
    while (found := (await line.show(f"show bgp neighbors {PEER} json"))[PEER])["bgpState"] == "Established":
        assert time.monotonic() - begun < 0.5
    assert time.monotonic() - begun > 0.15
    assert (found["lastErrorCodeSubcode"], found["peerBfdInfo"]["status"]) == ("060A", "Down")
    await until("Azure returns by port-b", lambda: lab.lab.mbps("azure/er-secondary")[1] > 100, 0.5)
    await lab.lab.heal()
    await until("all as before", lambda: lab.lab.mbps("azure/er-primary")[1] > 100, 4.5)


async def test_a_shutdown_reaches_the_provider_with_its_text(lab: Lab, line: Line) -> None:
    await line.configure("router bgp 65010", f"neighbor {PEER} shutdown message CHG0030001 drain")
    row = (await line.show("show bgp ipv4 unicast summary json"))["peers"][PEER]
    assert (row["state"], row["peerState"]) == ("Idle (Admin)", "Admin")
    far = lab.lab.far_session("azure/er-primary")
    assert (far.established, far.state) == (False, "Active")
    assert "CHG0030001 drain" in far.reason
    await line.configure("router bgp 65010", f"no neighbor {PEER} shutdown")
    await until("Established", lambda: lab.lab.far_session("azure/er-primary").established)


async def test_a_dead_router_answers_nobody_and_comes_back_where_it_was(lab: Lab, line: Line) -> None:
    endpoint = lab.lab.endpoints["edge-1"]
    await lab.lab.fail("edge-1")
    with pytest.raises(OSError, match=r"refused|[Cc]onnect"):
        await lab.connect("interlock-read")
    await until("the other edge carries", lambda: lab.lab.mbps("azure/er-secondary")[0] > 100)
    await lab.lab.heal("edge-1")
    assert lab.lab.endpoints["edge-1"] == endpoint
    async with lab.connect("interlock-read") as connection:
        again = Line(await connection.create_process("line", encoding=None))
        peers = (await again.show("show bgp ipv4 unicast summary json"))["peers"]
    assert {p["peerUptime"] for p in peers.values() if p["state"] != "Established"} <= {"never"}


async def test_an_unknown_thing_is_answered_with_the_nearest(lab: Lab) -> None:
    with pytest.raises(UnknownThing, match="did you mean 'er-primary'"):
        await lab.lab.fail("er-primry")
    assert lab.lab.failed == ()


@pytest.mark.parametrize(("supernet", "prefix"), [(False, "10.200.0.0/16"), (True, "10.0.0.0/8")])
async def test_an_ot_leak_is_seen_by_the_provider_and_mended(lab: Lab, supernet: bool, prefix: str) -> None:
    def leaked() -> bool:
        return prefix in {r.prefix for r in lab.lab.far_session("azure/er-secondary").received}

    async with lab.connect("interlock-read", router="edge-2") as connection:
        before = str((await connection.run("show running-config")).stdout)
        await lab.lab.fail("ot-leak", supernet=supernet)
        assert leaked()
        assert lab.lab.failed == ("ot-leak",)
        await lab.lab.heal("ot-leak")
        assert not leaked()
        assert str((await connection.run("show running-config")).stdout) == before


async def test_a_provider_drain_moves_both_directions(lab: Lab) -> None:
    await lab.lab.fail("provider-drain")
    assert lab.lab.chosen("azure")["10.10.0.0/16"] == ("azure/er-secondary",)
    assert min(lab.lab.mbps("azure/er-secondary")) > 100
    received = lab.lab.far_session("azure/er-primary").advertised
    assert {r.as_path for r in received} == {(12076,) * 8}
    legs = {name: drained(lab.lab, lab.lab.site.path(f"azure/{name}")) for name in ("er-primary", "er-secondary")}
    assert legs == {"er-primary": True, "er-secondary": False}, "Service Health says so from this"


class Prober:
    """A STAMP session-sender of a few lines."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._port = port

    async def probe(self, count: int, within: float = 0.3) -> list[float]:
        loop, found, sent = asyncio.get_running_loop(), [], {}
        for number in range(count):
            sent[number] = time.monotonic()
            self._socket.sendto(struct.pack("!IQH30x", number, 0, 0x8001), ("127.0.0.1", self._port))
        deadline = loop.time() + within
        while len(found) < count and loop.time() < deadline:
            try:
                data = await asyncio.wait_for(loop.sock_recv(self._socket, 256), deadline - loop.time())
            except TimeoutError:
                break
            found.append(time.monotonic() - sent[struct.unpack_from("!I", data, 24)[0]])
        return found


@pytest.mark.alone
async def test_reflectors_answer_with_the_paths_own_delay_while_it_carries(lab: Lab) -> None:
    assert set(lab.lab.probe_ports) == {path.name for path in SITE.paths}
    probers = {name: Prober(port) for name, port in lab.lab.probe_ports.items()}
    assert min(await probers["azure/er-primary"].probe(3)) == pytest.approx(0.0041, abs=0.003)
    assert min(await probers["aws/vpn-2"].probe(3)) == pytest.approx(0.025, abs=0.005)
    await lab.lab.fail("port-a", silent=True)
    assert await probers["azure/er-primary"].probe(3) == []
    assert len(await probers["azure/er-secondary"].probe(3)) == 3


@pytest.mark.alone
async def test_a_grey_link_loses_and_delays_probes_and_no_session_notices(lab: Lab, line: Line) -> None:
    await lab.lab.fail("vxc-azure-a", loss=50.0, delay_ms=20.0, oneway=True)
    answers = await Prober(lab.lab.probe_ports["azure/er-primary"]).probe(60)
    assert 10 < len(answers) < 50
    assert min(answers) > 0.023
    peers = (await line.show("show bgp ipv4 unicast summary json"))["peers"]
    assert {p["state"] for p in peers.values()} == {"Established"}


@pytest.mark.alone
async def test_an_idle_lab_does_next_to_nothing(lab: Lab) -> None:
    begun, cpu = time.monotonic(), time.process_time()  # a second of idleness is what is measured
    await asyncio.sleep(1.0)
    assert (time.process_time() - cpu) / (time.monotonic() - begun) < 0.02


@pytest.fixture
async def sources(lab: Lab) -> AsyncIterator[list[RouterSource]]:
    """The product's own sources, on every edge of the lab."""

    async def sign(line: str) -> Signed:
        key = asyncssh.import_public_key(line)
        made = lab.authority.key.generate_user_certificate(key, "test", principals=["interlock-read"])
        return Signed(made.export_certificate().decode(), datetime.now(UTC) + timedelta(minutes=5))

    login, made = Login("interlock-read", lab.authority.line, sign), []
    for router in SITE.routers:
        address, port = lab.lab.endpoints[router.name]
        declared = router.model_copy(update={"address": address, "ssh_port": port})
        made.append(RouterSource(SITE, declared, RouterSession(declared, login)))
    yield made
    for source in made:
        await source.close()


async def test_the_product_reads_from_the_embedded_edges_all_that_it_reads_from_real_ones(
    sources: list[RouterSource],
) -> None:
    everything_is_told(SITE, await polled(sources))


async def test_a_change_of_what_is_announced_is_told_by_the_next_poll_although_it_is_not_the_sessions_turn(
    lab: Lab, sources: list[RouterSource], line: Line
) -> None:
    before = (await polled(sources[:1]))[Kind.ADVERTISED, "er-primary"].fact
    assert (Kind.ADVERTISED, "er-primary") not in await polled(sources[:1])
    await line.configure(*DRAIN)
    await line.ask(CLEARS[0])

    def drained() -> bool:
        return {len(route.as_path) for route in lab.lab.far_session("azure/er-primary").received} == {5}

    await until("the far end has the longer path", drained)
    after = (await polled(sources[:1]))[Kind.ADVERTISED, "er-primary"].fact
    assert isinstance(before, Advertised)
    assert isinstance(after, Advertised)
    assert {len(route.as_path) for route in before.routes} == {1}
    assert {len(route.as_path) for route in after.routes} == {5}


async def test_a_tunnels_session_that_has_no_way_left_says_so(lab: Lab, sources: list[RouterSource]) -> None:
    await lab.lab.fail("vpn-azure-1")
    assert (await polled(sources[:1]))[Kind.RIDES, "vpn-azure-1"].fact == Rides(None)
