"""Building the namespaces: nodes, wires through bridges, addresses, and the rules that pin a probe to its path."""

from __future__ import annotations

from lab.frr.config import PIN_TABLE, pin_table
from lab.frr.shell import run, together
from lab.frr.topology import FABRIC, LAN_PREFIX, ONPREM, ONPREM_ADDRESS, Topology
from network.inventory import Path

LAN_BRIDGE = "lan"
SYSCTLS = (
    "net.ipv4.ip_forward=1",
    "net.ipv4.ping_group_range=0 2147483647",  # the read account pings without privileges
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
    "net.ipv4.conf.all.send_redirects=0",
    "net.ipv4.conf.default.send_redirects=0",
    "net.ipv6.conf.all.disable_ipv6=1",
    "net.ipv6.conf.default.disable_ipv6=1",
)


async def build(topology: Topology, prefix: str) -> None:
    """Create every namespace of the lab, linked and addressed. Nothing enters the root namespace."""
    await run("ip", "-batch", "-", stdin="".join(f"netns add {prefix}{node}\n" for node in topology.nodes))
    await together(*(run("ip", "netns", "exec", prefix + n, "sysctl", "-qw", *SYSCTLS) for n in topology.nodes))
    await run("ip", "-batch", "-", stdin="\n".join(_cables(topology, prefix)) + "\n")
    scripts = {FABRIC: _fabric(topology), ONPREM: _onprem(topology)}
    scripts |= {node: _router(topology, node) for node in topology.routers}
    await together(*(run("ip", "-n", prefix + n, "-batch", "-", stdin="\n".join(s) + "\n") for n, s in scripts.items()))


def _cables(topology: Topology, prefix: str) -> list[str]:
    def cable(node: str, interface: str, port: str) -> str:
        return f"link add {interface} netns {prefix}{node} type veth peer name {port} netns {prefix}{FABRIC}"

    lines = [
        cable(end.node, end.interface, end.switch_port) for wire in topology.wires.values() for end in (wire.a, wire.b)
    ]
    lines += [cable(port.router, port.interface, port.name) for port in topology.site.ports]
    return lines + [cable(node, "lan", f"lan-{node}") for node in topology.lan]


def _fabric(topology: Topology) -> list[str]:
    bridges = {wire.bridge: [wire.a.switch_port, wire.b.switch_port] for wire in topology.wires.values()} | {
        LAN_BRIDGE: [f"lan-{node}" for node in topology.lan]
    }
    lines = []
    for bridge, ports in bridges.items():
        lines.append(f"link add {bridge} type bridge stp_state 0 mcast_snooping 0")
        lines += [f"link set {port} master {bridge} up" for port in ports]
        lines.append(f"link set {bridge} up")
    return lines + [f"link set {port.name} up" for port in topology.site.ports]


def _router(topology: Topology, node: str) -> list[str]:
    lines = ["link set lo up"]
    for _, end in topology.wires_at(node):
        lines += [f"addr add {end.address}/30 dev {end.interface}", f"link set {end.interface} up"]
    if node in topology.edges:
        return lines + _edge(topology, node)
    if node in topology.attachments:
        return lines + _attachment(topology, node)
    return lines + _hub(topology, node)


def _edge(topology: Topology, edge: str) -> list[str]:
    lines = [f"addr add {topology.lan[edge]}/{LAN_PREFIX} dev lan", "link set lan up"]
    lines += [f"link set {port.interface} up" for port in topology.site.ports if port.router == edge]
    return lines + [
        f"rule add pref 100 from {path.probe.source} lookup {pin_table(topology.site, path)}"
        for path in topology.paths_of_edge(edge)
        if path.probe
    ]


def _attachment(topology: Topology, device: str) -> list[str]:
    """An answer to a probe may only take the /32 that its own session brought: no session, no answer.

    What answers a trace goes to the router's own address on the path, which is straight ahead.
    """
    lines = []
    for path in topology.attachments[device].paths:
        if path.probe:
            ours = topology.session_of(path).local
            lines.append(f"rule add pref 99 from {path.probe.target} to {ours} lookup main")
            lines.append(f"rule add pref 100 from {path.probe.target} lookup main suppress_prefixlength 31")
            lines.append(f"rule add pref 101 from {path.probe.target} blackhole")
    return lines


def _hub(topology: Topology, node: str) -> list[str]:
    cloud = next(name for name, hub in topology.hubs.items() if hub == node)
    lines = [f"addr add {host_address(topology, cloud)}/32 dev lo"]
    for path in topology.site.paths_of(cloud):
        if path.probe:
            lines.append(f"addr add {path.probe.target}/32 dev lo")
            lines += _hub_pin(topology, path)
    return lines


def _hub_pin(topology: Topology, path: Path) -> list[str]:
    core = topology.attachments[topology.session_of(path).there].core
    table = pin_table(topology.site, path)
    assert path.probe is not None
    return [
        f"rule add pref 100 from {path.probe.target} lookup {table}",
        f"route add default via {core.a.address} dev {core.b.interface} table {table}",
        f"route add blackhole default metric 200 table {table}",
    ]


def host_address(topology: Topology, cloud: str) -> str:
    """The cloud's host that talks with the plant: .0.10 of its first prefix."""
    return str(topology.site.cloud(cloud).prefixes[0].prefix[10])


def _onprem(topology: Topology) -> list[str]:
    lines = [
        "link set lo up",
        f"addr add {ONPREM_ADDRESS}/{LAN_PREFIX} dev lan",
        "link set lan up",
        f"route add default via {topology.lan[topology.edges[0]]}",
    ]
    for path in topology.site.paths:
        if path.probe:
            table = PIN_TABLE + 1 + topology.site.paths.index(path)
            lines += [
                f"addr add {path.probe.source}/32 dev lan",
                f"rule add pref 100 from {path.probe.source} lookup {table}",
                f"route add default via {topology.lan[topology.owner(path)]} table {table}",
            ]
    return lines
