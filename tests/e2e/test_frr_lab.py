"""The FRR lab against the reference site's table: what every failure does in both directions, and back."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncssh
import pytest
import pytest_asyncio

from lab.frr import FrrLab
from lab.frr.errors import AnotherLab, UnknownThing, WrongOption
from lab.frr.things import Order
from lab.ledger import Ledger
from network.observation import Kind
from network.sitefile import load
from network.snapshot import Snapshot
from tests.contract.bmp_router import site, watching

pytestmark = [
    pytest.mark.frr,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]

SITE = load((Path(__file__).parents[2] / "lab/reference.yaml").read_text()).site
CLOUDS = {"azure": "10.50.0.0/16", "aws": "10.60.0.0/16"}

Ask = Callable[[str], Awaitable[tuple[int, str]]]


@dataclass(frozen=True)
class World:
    lab: FrrLab
    ledger: Ledger
    ca: asyncssh.SSHKey
    host_ca: asyncssh.SSHKey

    async def ssh(self, node: str, account: str, principal: str | None = None) -> asyncssh.SSHClientConnection:
        """Log in with a fresh key and a certificate for one principal, checking the host's certificate."""
        key = asyncssh.generate_private_key("ssh-ed25519")
        certificate = self.ca.generate_user_certificate(
            key, f"alice as {account}", principals=[principal or account], valid_before="+5m"
        )
        host, port = self.lab.endpoints[node]
        trusted = f"@cert-authority * {self.host_ca.export_public_key().decode()}"
        return await asyncssh.connect(
            host,
            port,
            username=account,
            client_keys=[(key, certificate)],
            known_hosts=asyncssh.import_known_hosts(trusted),
            host_key_alias=node,
            config=None,
            agent_path=None,
            connect_timeout=30,
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    user_ca, host_ca = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))

    async def sign(public_line: str, principals: list[str]) -> str:
        public = asyncssh.import_public_key(public_line)
        return (
            host_ca.generate_host_certificate(public, principals[0], principals=principals)
            .export_certificate()
            .decode()
        )

    ledger = Ledger()
    lab = FrrLab(SITE, ledger)
    before = footprint()
    await lab.start(tmp_path_factory.mktemp("state"), user_ca.export_public_key().decode(), sign)
    try:
        yield World(lab, ledger, user_ca, host_ca)
    finally:
        await lab.stop()
    assert footprint() == before, "the lab left something on the machine"


@pytest_asyncio.fixture(loop_scope="module")
async def lab(world: World) -> AsyncIterator[FrrLab]:
    """The lab at rest, and brought back to rest."""
    await settles(world.lab, STEADY)
    await world.lab.traffic(reset=True)
    yield world.lab
    await world.lab.heal()
    await settles(world.lab, STEADY)


def footprint() -> dict[str, list[str]]:
    """Whatever a lab may leave on a machine: namespaces, processes, mounts, files, interfaces."""
    folders = ("/etc/frr", "/etc/netns", "/var/run/frr", "/run/interlock-frr", "/run/sshd", "/var/tmp/frr")
    ours = [p.name for folder in folders if Path(folder).exists() for p in Path(folder).glob("il-*")]
    daemons = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return {
        "namespaces": sorted(p.name for p in Path("/run/netns").glob("il-*")),
        "processes": sorted(line for line in daemons.splitlines() if "il-" in line and "-N il-" in line),
        "mounts": [line for line in Path("/proc/mounts").read_text().splitlines() if "/il-" in line],
        "files": ours,
        "fixed": [folder for folder in ("/run/interlock-frr", "/run/sshd") if Path(folder).exists()],
        "interfaces": sorted(p.name for p in Path("/sys/class/net").iterdir()),
    }


async def until(what: str, holds: Callable[[], Awaitable[bool]], within_s: float = 60.0) -> None:
    """Wait for a condition."""
    started = time.monotonic()
    while not await holds():
        if time.monotonic() - started > within_s:
            pytest.fail(f"not within {within_s} s: {what}")
        await asyncio.sleep(0.1)


# -- the table ---------------------------------------------------------------------------------------------------------

#: By cloud: (interface that edge-1's kernel uses, edge-2's, paths that the hub uses back to 10.10.0.0/16)
Table = dict[str, tuple[str, str, tuple[str, ...]]]

STEADY: Table = {
    "azure": ("vxc-azure-a", "ibgp", ("azure/er-primary",)),
    "aws": ("vxc-aws-a", "ibgp", ("aws/dx-1",)),
}
AZURE_SECONDARY = ("ibgp", "vxc-azure-b", ("azure/er-secondary",))
AWS_SECOND = ("ibgp", "vxc-aws-b", ("aws/dx-2",))
SECONDARY: Table = {"azure": AZURE_SECONDARY, "aws": AWS_SECOND}
VPN: Table = {
    "azure": ("vpn-azure-1", "vpn-azure-2", ("azure/vpn-1", "azure/vpn-2")),
    "aws": ("vpn-aws-1", "vpn-aws-2", ("aws/vpn-1", "aws/vpn-2")),
}


async def egress(lab: FrrLab, edge: str, prefix: str) -> str:
    routes = json.loads(await lab.node_show(edge, f"show ip route {prefix} json")).get(prefix, [])
    hops = [hop for route in routes if route.get("selected") for hop in route["nexthops"] if hop.get("fib")]
    return "+".join(sorted(hop["interfaceName"] for hop in hops)) or "none"


async def view(lab: FrrLab) -> Table:
    hops = await asyncio.gather(
        *(egress(lab, edge, prefix) for prefix in CLOUDS.values() for edge in ("edge-1", "edge-2"))
    )
    ways = zip(CLOUDS, hops[::2], hops[1::2], strict=True)
    return {cloud: (one, two, lab.chosen(cloud).get("10.10.0.0/16", ())) for cloud, one, two in ways}


async def settles(lab: FrrLab, table: Table, *, down: tuple[str, ...] = ()) -> None:
    """Wait until routes are as the table says and exactly the sessions of `down` are not Established at the far end."""
    seen: object = None

    async def holds() -> bool:
        nonlocal seen
        dead = tuple(p.name for p in SITE.paths if not lab.far_session(p.name).established)
        seen = (await view(lab), dead)
        return seen == (table, down)

    try:
        await until("routes", holds)
    except pytest.fail.Exception:
        pytest.fail(f"wanted {(table, down)}\nseen   {seen}")


ON_A = ("azure/er-primary", "aws/dx-1")
ON_B = ("azure/er-secondary", "aws/dx-2")
TUNNELS = ("azure/vpn-1", "azure/vpn-2", "aws/vpn-1", "aws/vpn-2")
EDGE_1 = ("azure/er-primary", "azure/vpn-1", "aws/dx-1", "aws/vpn-1")
PRIVATE = ("azure/er-primary", "azure/er-secondary", "aws/dx-1", "aws/dx-2")


IBGP_LOST: Table = {
    "azure": ("vxc-azure-a", "vxc-azure-b", ("azure/er-primary",)),
    "aws": ("vxc-aws-a", "vxc-aws-b", ("aws/dx-1",)),
}
EDGE_1_LOST: Table = {
    "azure": ("none", "vxc-azure-b", ("azure/er-secondary",)),
    "aws": ("none", "vxc-aws-b", ("aws/dx-2",)),
}
ER_LOST = STEADY | {"azure": AZURE_SECONDARY}
RETURN_MOVED: Table = STEADY | {"azure": ("vxc-azure-a", "ibgp", ("azure/er-secondary",))}
#: What the fabric says of port-a and vxc-azure-a, Microsoft of er-primary, Azure of vpn-azure-1.
WELL = (True, True, True, True)


@pytest.mark.parametrize(
    ("thing", "how", "table", "down", "layers"),
    [
        ("port-a", "", SECONDARY, ON_A, (False, False, True, True)),
        ("port-a", "silent", SECONDARY, ON_A, WELL),
        ("port-b", "", STEADY, ON_B, WELL),
        ("vxc-azure-a", "", ER_LOST, ("azure/er-primary",), (True, False, True, True)),
        ("er-primary", "", ER_LOST, ("azure/er-primary",), (True, True, False, True)),
        ("er-primary", "oneway", ER_LOST, ("azure/er-primary",), WELL),
        ("dx-1", "silent", STEADY | {"aws": AWS_SECOND}, ("aws/dx-1",), WELL),
        ("fabric", "", VPN, PRIVATE, (True, False, True, True)),
        ("internet", "", STEADY, TUNNELS, (True, True, True, False)),
        ("ibgp", "", IBGP_LOST, (), WELL),
        ("edge-1", "", EDGE_1_LOST, EDGE_1, (False, False, True, False)),
        ("provider-drain", "", ER_LOST, (), WELL),
        ("asymmetry", "", RETURN_MOVED, (), WELL),
    ],
)
async def test_a_failure_does_what_the_reference_table_says(
    lab: FrrLab, thing: str, how: str, table: Table, down: tuple[str, ...], layers: tuple[bool, ...]
) -> None:
    await lab.fail(thing, **({how: True} if how else {}))
    await settles(lab, table, down=down)
    assert lab.failed == (thing,)
    told = (
        lab.port_up("port-a"),
        lab.vxc_up("vxc-azure-a"),
        lab.connection_up("er-primary"),
        lab.tunnel_up("vpn-azure-1"),
    )
    assert told == layers
    links = json.loads((await lab.node_run("edge-1", "ip", "-j", "link"))[1])
    carrier = {link["ifname"]: "LOWER_UP" in link["flags"] for link in links}
    assert (carrier["port-a"], carrier["vxc-azure-a"]) == layers[:2], "what the router itself sees"
    if thing == "port-a":  # for how long it is gone is measured where a lab has the machine for itself
        await until("the traffic of both clouds again", lambda: flows(lab))
        for cloud, counts in (await lab.traffic()).items():
            assert counts["longest_gap_out_ms"] > 0, cloud
            assert counts["sent"] > counts["received"] > 0, (cloud, counts)


async def flows(lab: FrrLab) -> bool:
    """Something comes back from every cloud now."""
    before = await lab.traffic()
    await asyncio.sleep(0.1)
    return all(counts["received"] > before[cloud]["received"] for cloud, counts in (await lab.traffic()).items())


async def test_the_load_is_on_the_path_that_carries(lab: FrrLab) -> None:
    async def carried(by: str, idle: str) -> bool:
        return min(lab.mbps(by)) > 1.0 and max(lab.mbps(idle)) < 0.1

    await until("load on er-primary", lambda: carried("azure/er-primary", "azure/er-secondary"))
    await lab.fail("er-primary")
    await until("load on er-secondary", lambda: carried("azure/er-secondary", "azure/er-primary"))


async def test_two_failures_mend_one_by_one(lab: FrrLab) -> None:
    await lab.fail("port-a")
    await lab.fail("fabric")
    await settles(lab, VPN, down=PRIVATE)
    await lab.heal("fabric")
    await settles(lab, SECONDARY, down=ON_A)
    assert lab.failed == ("port-a",)


async def test_past_the_limit_the_session_is_idle_for_its_prefix_count(lab: FrrLab) -> None:
    async def over() -> bool:
        summary = json.loads(await lab.node_show("edge-1", "show bgp summary json"))
        return bool(summary["ipv4Unicast"]["peers"]["10.255.1.2"]["state"] == "Idle (PfxCt)")

    await lab.fail("max-prefix")
    await until("Idle (PfxCt)", over)
    await settles(lab, STEADY | {"azure": AZURE_SECONDARY}, down=("azure/er-primary",))
    assert "Maximum Number of Prefixes" in lab.far_session("azure/er-primary").reason


@pytest.mark.parametrize(("supernet", "leaked"), [(False, "10.200.0.0/16"), (True, "10.0.0.0/8")])
async def test_a_leak_is_seen_where_it_went_and_nowhere_else(lab: FrrLab, supernet: bool, leaked: str) -> None:
    def holders() -> set[str]:
        return {p.name for p in SITE.paths for r in lab.far_session(p.name).received if r.prefix == leaked}

    async def seen() -> bool:
        return holders() == {"azure/er-secondary"}

    await lab.fail("ot-leak", supernet=supernet)
    await until("the leak at er-secondary's far end", seen)
    advertised = await lab.node_show("edge-2", "show bgp ipv4 unicast neighbors 10.255.2.2 advertised-routes json")
    assert leaked in json.loads(advertised)["advertisedRoutes"]
    await lab.heal("ot-leak")
    await until("the leak gone", lambda: _is(holders, set()))


async def _is(read: Callable[[], set[str]], wanted: set[str]) -> bool:
    return read() == wanted


async def test_a_cloud_route_over_ot_or_ours_is_never_accepted(lab: FrrLab) -> None:
    bad = ("10.200.3.0/24", "10.0.0.0/8", "10.10.7.0/24", "0.0.0.0/0", "192.0.2.0/24")
    bgp = ("router bgp 12076", "address-family ipv4 unicast")
    announce = tuple(f"ip prefix-list ANNOUNCE permit {prefix}" for prefix in bad)

    async def filtered() -> bool:
        shown = await lab.node_show("edge-1", "show bgp ipv4 unicast neighbors 10.255.1.2 filtered-routes json")
        return set(bad) <= set(json.loads(shown).get("receivedRoutes", {}))

    await lab._tell(Order("msee-primary", (*announce, *bgp, *(f"network {prefix}" for prefix in bad))))
    try:
        await until("all of them filtered", filtered)
        for edge in ("edge-1", "edge-2"):
            table = json.loads(await lab.node_show(edge, "show ip route json"))
            assert not set(bad) & set(table)
    finally:
        back = (*bgp, *(f"no network {prefix}" for prefix in bad), "exit", "exit", *(f"no {a}" for a in announce))
        await lab._tell(Order("msee-primary", back))


async def test_without_add_path_the_standby_is_hidden(lab: FrrLab) -> None:
    async def paths_at_edge_1() -> int:
        shown = json.loads(await lab.node_show("edge-1", "show bgp ipv4 unicast 10.50.0.0/16 json"))
        return sum(path["peer"].get("type") == "internal" for path in shown["paths"])

    async def shown(count: int) -> bool:
        return await paths_at_edge_1() == count

    await until("er-secondary and vpn-azure-2", lambda: shown(2))
    await lab.fail("no-addpath")
    await until("the standby hidden", lambda: shown(0))
    await lab.heal("no-addpath")
    await until("the standby shown", lambda: shown(2))


async def test_flap_resets_again_and_again(lab: FrrLab) -> None:
    async def drops() -> int:
        shown = json.loads(await lab.node_show("edge-1", "show bgp neighbors 10.255.1.2 json"))
        return int(shown["10.255.1.2"]["connectionsDropped"])

    before = await drops()

    async def twice() -> bool:
        return await drops() >= before + 2

    await lab.fail("flap")
    await until("two more drops", twice)


async def test_names_and_options_are_checked(lab: FrrLab) -> None:
    with pytest.raises(UnknownThing, match=r"port-c.*did you mean 'port-"):
        await lab.fail("port-c")
    with pytest.raises(UnknownThing, match="fabrik"):
        await lab.heal("fabrik")
    with pytest.raises(WrongOption, match="supernet"):
        await lab.fail("port-a", supernet=True)
    with pytest.raises(WrongOption, match="silent"):
        await lab.fail("flap", silent=True)
    assert lab.failed == ()


async def test_a_second_lab_is_told_whose_the_first_is(lab: FrrLab, tmp_path: Path) -> None:
    async def sign(_line: str, _principals: list[str]) -> str:
        raise AssertionError

    with pytest.raises(AnotherLab, match="state folder is") as refused:
        await FrrLab(SITE).start(tmp_path, "", sign)
    assert refused.value.pid == os.getpid()


# -- SSH ---------------------------------------------------------------------------------------------------------------


async def request(process: asyncssh.SSHClientProcess[bytes], line: str) -> tuple[int, str]:
    """One request of the line protocol."""
    process.stdin.write(line.encode() + b"\n")
    status, length = (await process.stdout.readline()).split()
    return int(status), (await process.stdout.readexactly(int(length))).decode()


async def line(connection: asyncssh.SSHClientConnection) -> Ask:
    process = await connection.create_process("line", encoding=None)

    async def ask(text: str) -> tuple[int, str]:
        async with asyncio.timeout(60):
            return await request(process, text)

    return ask


SOFT = ["clear bgp ipv4 unicast 10.255.1.2 soft", "clear bgp ipv4 unicast 10.255.3.2 soft"]


def port_a(*, pref: int, prepend: str, community: str) -> list[str]:
    """The requests that set port-a's knobs: two configuration groups and two soft clears."""
    er = ["route-map IN-msee-primary permit 10", f"set local-preference {pref}"]
    er += ["route-map OUT-msee-primary permit 10", prepend]
    dx = ["route-map IN-dx-router-1 permit 10", f"set local-preference {pref}"]
    dx += ["route-map OUT-dx-router-1 permit 10", prepend, f"set community {community}"]
    return ["\t".join(["configure terminal", *lines]) for lines in (er, dx)] + SOFT


DRAIN = port_a(pref=120, prepend="set as-path prepend 65010 65010 65010 65010", community="7224:7100")
UNDRAIN = port_a(pref=200, prepend="no set as-path prepend", community="7224:7300")


async def test_the_run_account_drains_a_port_and_the_ledger_sees_it(world: World, lab: FrrLab) -> None:
    mark = len(world.ledger.entries)
    async with await world.ssh("edge-1", "interlock-run") as connection:
        ask = await line(connection)
        try:
            assert [await ask(words) for words in DRAIN] == [(0, "")] * 4
            await settles(lab, SECONDARY)
            await lab.fail("port-b")  # drained is not shut: the drained port comes before the VPN
            await settles(lab, STEADY, down=ON_B)
            await lab.heal("port-b")
            await settles(lab, SECONDARY)
        finally:
            assert [await ask(words) for words in UNDRAIN] == [(0, "")] * 4
    await settles(lab, STEADY)
    writes = world.ledger.entries[mark:]
    sent = [line for words in [*DRAIN, *UNDRAIN] for line in words.removeprefix("configure terminal\t").split("\t")]
    assert [w.what for w in writes] == sent
    assert {(w.where, w.by) for w in writes} == {("edge-1", "alice as interlock-run")}


async def test_the_read_account_reads_fast_and_cannot_write(world: World, lab: FrrLab) -> None:
    async with await world.ssh("edge-1", "interlock-read") as connection:
        ask = await line(connection)

        async def alike(command: str) -> bool:
            """Of one moment: what has just been mended may have come up between the two questions."""
            status, over_socket = await ask(command)
            assert status == 0
            return _shape(json.loads(over_socket)) == _shape(json.loads(await lab.node_show("edge-1", command)))

        for command in ("show bgp summary json", "show bfd peers json", "show ip route 10.50.0.0/16 json"):
            await until(f"both ways tell the same of {command}", partial(alike, command))
        status, links = await ask("ip -j -s link")
        assert {"port-a", "vxc-azure-a", "ibgp", "lan"} <= {link["ifname"] for link in json.loads(links)}
        status, running = await ask("show running-config")
        assert status == 0
        assert "route-map IN-msee-primary permit 10" in running
        assert "Can't open configuration file" not in running
        status, unknown = await ask("show bgp neighbors 192.0.2.1 json")
        assert (status, json.loads(unknown)) == (0, {"bgpNoSuchNeighbor": True})
        for write in (*DRAIN, "configure terminal", "write memory", "show version | include FRR"):
            status, reason = await ask(write)
            assert status == 77, write
            assert "refused" in reason


def _shape(document: object) -> object:
    """Key names all the way down: values such as uptimes change between two readings."""
    if isinstance(document, dict):
        return {key: _shape(value) for key, value in document.items() if not key.startswith("lastUpd")}
    return [_shape(item) for item in document] if isinstance(document, list) else type(document).__name__


async def test_the_guard_refuses_what_is_not_one_listed_command(world: World, lab: FrrLab) -> None:
    async with await world.ssh("edge-1", "interlock-run") as connection:
        shown = await connection.run("show version")
        assert (shown.exit_status, "FRRouting 8" in str(shown.stdout)) == (0, True)
        for command in (
            "show version\nconfigure terminal\nrouter bgp 65010\nbgp graceful-shutdown",
            "show version\rconfigure terminal",
            "show version; id",
            "show running-config\x07",
            "bash",
            "configure terminal",
            "configure terminal\trouter bgp 65010\tno neighbor 10.255.1.2",
            "configure terminal\tno router bgp 65010",
            "line extra",
        ):
            done = await connection.run(command)
            assert done.exit_status == 77, command
            assert "refused" in str(done.stderr)
            assert not done.stdout
        silent = await connection.run(None, stdin=asyncssh.DEVNULL)
        assert silent.exit_status == 77
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.run("show version", term_type="xterm")
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection("127.0.0.1", 22)
        ask = await line(connection)
        assert (await ask("configure terminal\tinterface lan\tshutdown\rx"))[0] == 77
        assert (await ask("x" * 20000))[0] == 77
    assert "graceful-shutdown" not in await lab.node_show("edge-1", "show running-config")


async def test_a_certificate_opens_only_its_own_account(world: World, lab: FrrLab) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        await world.ssh("edge-1", "interlock-run", principal="interlock-read")
    with pytest.raises(asyncssh.PermissionDenied):
        await world.ssh("edge-1", "interlock-probe")
    with pytest.raises(asyncssh.PermissionDenied):
        await world.ssh("onprem", "interlock-read")
    with pytest.raises(asyncssh.PermissionDenied):
        await world.ssh("edge-1", "root")


async def test_a_dead_router_refuses_ssh_and_is_back_on_its_port(world: World, lab: FrrLab) -> None:
    at = lab.endpoints["edge-1"]
    async with await world.ssh("edge-1", "interlock-read") as connection:
        await lab.fail("edge-1")
        await asyncio.wait_for(connection.wait_closed(), 60)
    with pytest.raises(ConnectionRefusedError):
        await world.ssh("edge-1", "interlock-read")
    await lab.heal("edge-1")
    assert lab.endpoints["edge-1"] == at
    async with await world.ssh("edge-1", "interlock-read") as connection:
        assert (await connection.run("show version")).exit_status == 0

    async def every_path_answers() -> bool:
        return set(await probed(world)) == {path.name for path in SITE.paths}

    await until("static and pinned routes back after so short an outage", every_path_answers)


# -- probes ------------------------------------------------------------------------------------------------------------

#: Agentless: what a prober sends to `python3 -` on the probe host. Prints the paths that answered.
PROBE = """
import json, select, socket, struct, sys, time
pins = json.loads('''%s''')
sockets = {}
for name, source, target, port in pins:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((source, 0))
    try:
        s.sendto(struct.pack("!IQH30x", 7, 1 << 63, 0x8001), (target, port))
    except OSError:
        pass
    sockets[s] = name
answered, deadline = {}, time.monotonic() + 0.5
while len(answered) < len(pins) and time.monotonic() < deadline:
    for s in select.select(list(sockets), [], [], 0.05)[0]:
        try:
            data = s.recv(100)
        except OSError:
            continue
        answered[sockets[s]] = struct.unpack_from("!I", data, 24)[0] == 7 and data[40]
print(json.dumps(answered))
"""


async def probed(world: World) -> dict[str, int]:
    """Paths whose pinned probe was answered, with the TTL at the reflector."""
    pins = [[p.name, str(p.probe.source), str(p.probe.target), p.probe.port] for p in SITE.paths if p.probe]
    async with await world.ssh("onprem", "interlock-probe") as connection:
        done = await connection.run("anything", input=PROBE % json.dumps(pins))
    assert done.exit_status == 0, done.stderr
    answered: dict[str, int] = json.loads(str(done.stdout))
    return answered


async def test_each_probe_answers_by_its_own_path_only(world: World, lab: FrrLab) -> None:
    every = {path.name for path in SITE.paths}

    async def exactly(names: set[str]) -> bool:
        """And with one edge and one provider device in between, whatever carries the load."""
        answered = await probed(world)
        assert set(answered.values()) <= {62}, answered
        return set(answered) == names

    await until("all answer", lambda: exactly(every))
    await lab.fail("er-primary", silent=True)
    await lab.fail("vpn-azure-1")
    await until("only those two lost", lambda: exactly(every - {"azure/er-primary", "azure/vpn-1"}))
    await settles(lab, ER_LOST, down=("azure/er-primary", "azure/vpn-1"))
    await until("only those two lost", lambda: exactly(every - {"azure/er-primary", "azure/vpn-1"}))
    await lab.heal()
    await until("all answer", lambda: exactly(every))


async def test_a_shut_session_loses_its_probe_though_its_wire_is_well(world: World, lab: FrrLab) -> None:
    every = {path.name for path in SITE.paths}

    async def lost() -> set[str]:
        return every - set(await probed(world))

    async def loses(names: set[str]) -> bool:
        return await lost() == names

    async with await world.ssh("edge-1", "interlock-run") as connection:
        ask = await line(connection)
        shut = "configure terminal\trouter bgp 65010\tneighbor {} shutdown message CHG0030001 maintenance"
        opened = "configure terminal\trouter bgp 65010\tno neighbor {} shutdown"
        for peer in ("10.255.5.2", "10.255.1.2"):
            assert await ask(shut.format(peer)) == (0, "")
        await until("two probes lost", lambda: loses({"azure/vpn-1", "azure/er-primary"}))
        for peer in ("10.255.5.2", "10.255.1.2"):
            assert await ask(opened.format(peer)) == (0, "")
        await until("all answer", lambda: loses(set()))
        assert (await ask("configure terminal\tinterface vxc-azure-a\tshutdown"))[0] == 0
        await until("the probe of er-primary lost", lambda: loses({"azure/er-primary"}))
        assert (await ask("configure terminal\tinterface vxc-azure-a\tno shutdown"))[0] == 0
        await until("all answer", lambda: loses(set()))


def peer_down(snapshot: Snapshot) -> bool:
    seen = snapshot.get(Kind.SESSION_HERE, "er-primary")
    return seen is not None and seen.evidence == "BMP Peer Down"


async def test_bmp_out_of_the_namespaces_tells_a_silent_loss_and_a_cut_stream_comes_back(lab: FrrLab) -> None:
    dials = {edge: f"{host}:{port}" for edge, (host, port) in lab.bmp_endpoints.items()}
    async with watching(site(dials=dials)) as watch:
        for edge in dials:
            await watch.until_feed("real FRR has sent its tables", edge)
        # Waited for from before: it may come, and the poll behind it, while `fail` is still about its work.
        lost = asyncio.create_task(watch.until("a Peer Down of real FRR", peer_down))
        await lab.fail("er-primary", silent=True)
        await lost
        watch.routers["edge-1"].state = "Idle"  # as its SSH would say from now on
        await lab._bmp["edge-2"].shut(keep_port=True)
        await watch.until_feed("edge-2 is cut", "edge-2", up=False)
        assert watch.feed("edge-1").up
        assert watch.collector.snapshot.sources["edge-2"].ok
        await lab._bmp["edge-2"].open()
        await watch.until_feed("and comes back by itself", "edge-2")
