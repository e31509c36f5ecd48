"""Sites of any size: a plan of paths and routers becomes a site like the reference one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from network.inventory import Connection, Isp, Path, Port, Prefix, Router, Session, SessionPolicy, Site, Tunnel, Vxc
from tests.sample import reference

OWN = 65010
PEER_ASN = {"expressroute": 12076, "directconnect": 64512}
VPN_ASN = {"azure": 65515, "aws": 64513}


@dataclass(frozen=True)
class PathPlan:
    """One path: to which cloud, how, from which router, with which knobs at rest."""

    cloud: str
    kind: str
    router: str
    local_pref: int
    prepend: int = 0
    community: str | None = None


@dataclass(frozen=True)
class InsidePlan:
    """A session between two routers of ours."""

    one: str
    other: str
    add_path: bool = True


def site_of(
    paths: Sequence[PathPlan], inside: Iterable[InsidePlan] = (), ours: Sequence[str] = ("10.10.0.0/16", "10.11.0.0/16")
) -> Site:
    """The site. Path n is CLOUD/p-n over session s-n, which is its connection or tunnel; each has a port of its own."""
    base = reference()
    routers = list(dict.fromkeys([p.router for p in paths] + [r for i in inside for r in (i.one, i.other)]))
    numbered = list(enumerate(paths))
    private = [(n, p) for n, p in numbered if p.kind != "vpn"]
    tunnels = [(n, p) for n, p in numbered if p.kind == "vpn"]
    links = [_inside(n, plan) for n, plan in enumerate(inside)]
    onprem = base.on_prem.model_copy(update={"prefixes": tuple(_prefix(text) for text in ours)})
    return base.model_copy(
        update={
            "on_prem": onprem,
            "routers": tuple(Router(name=name, address="127.0.0.1") for name in routers),
            "ports": tuple(_port(n, p) for n, p in private),
            "vxcs": tuple(_vxc(n) for n, _ in private),
            "isps": tuple(Isp(name=f"isp-{name}", router=name) for name in routers),
            "tunnels": tuple(_tunnel(n, p) for n, p in tunnels),
            "connections": tuple(_connection(n, p) for n, p in private),
            "sessions": (*links, *(_session(n, p) for n, p in numbered)),
            "paths": tuple(_path(n, p) for n, p in numbered),
            "stateful": (),
        }
    )


def plants(count: int) -> Site:
    """`count` plants like the reference site: two edges, eight paths each, prefixes of their own."""
    paths, inside = list[PathPlan](), list[InsidePlan]()
    for n in range(count):
        one, other = f"edge-{n}-1", f"edge-{n}-2"
        inside.append(InsidePlan(one, other))
        for cloud, kind in (("azure", "expressroute"), ("aws", "directconnect")):
            high, low = ("7224:7300", "7224:7100") if cloud == "aws" else (None, None)
            paths += [PathPlan(cloud, kind, one, 200, 0, high), PathPlan(cloud, kind, other, 150, 2, low)]
            paths += [PathPlan(cloud, "vpn", router, 100) for router in (one, other)]
    nets = [str(net) for net in IPv4Network("10.128.0.0/10").subnets(new_prefix=17)][: 2 * count]
    return site_of(paths, inside, nets)


def plant_of(site: Site, path: Path) -> str:
    """A plant's name: its edges are edge-PLANT-1 and edge-PLANT-2."""
    return site.session(path.session).router.split("-")[1]


def _prefix(text: str) -> Prefix:
    return Prefix(prefix=IPv4Network(text), name="ours", towards=("azure", "aws"))


def _port(n: int, plan: PathPlan) -> Port:
    return Port(
        name=f"port-{n}", uid=f"p{n}", router=plan.router, interface=f"port-{n}",
        pop=f"pop-{n % 7}", carrier=f"carrier-{n % 5}", speed_mbps=10000,
    )  # fmt: skip


def _vxc(n: int) -> Vxc:
    return Vxc(name=f"vxc-{n}", uid=f"v{n}", port=f"port-{n}", interface=f"vxc-{n}", b_end="azure-key", rate_mbps=1000)


def _tunnel(n: int, plan: PathPlan) -> Tunnel:
    return Tunnel(
        name=f"s-{n}", cloud=plan.cloud, isp=f"isp-{plan.router}", interface=f"vpn-{n}", rate_mbps=500,
        outside=IPv4Address("198.51.100.1"),
    )  # fmt: skip


def _connection(n: int, plan: PathPlan) -> Connection:
    return Connection(name=f"s-{n}", cloud=plan.cloud, device=f"device-{n}", location=f"location-{n % 3}")


def _session(n: int, plan: PathPlan) -> Session:
    address = IPv4Address("10.240.0.0") + 4 * n
    return Session(
        name=f"s-{n}", router=plan.router, local=address + 1, peer=address + 2,
        peer_asn=PEER_ASN.get(plan.kind, VPN_ASN[plan.cloud]), there=f"far-{n}",
        policy=SessionPolicy(
            import_map="IN", export_map="OUT", local_pref=plan.local_pref, prepend=plan.prepend,
            community=plan.community,
        ),
    )  # fmt: skip


def _inside(n: int, plan: InsidePlan) -> Session:
    address = IPv4Address("10.239.0.0") + 4 * n
    return Session(
        name=f"ibgp-{n}", router=plan.one, local=address + 1, peer=address + 2, peer_asn=OWN, there=plan.other,
        internal=True, add_path=plan.add_path,
    )  # fmt: skip


def _path(n: int, plan: PathPlan) -> Path:
    over = {"tunnel": f"s-{n}"} if plan.kind == "vpn" else {"vxc": f"vxc-{n}", "connection": f"s-{n}"}
    return Path.model_validate(
        {"name": f"{plan.cloud}/p-{n}", "cloud": plan.cloud, "kind": plan.kind, "session": f"s-{n}", **over}
    )
