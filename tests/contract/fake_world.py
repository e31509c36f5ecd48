"""A world in memory for the tests of the lab's systems: everything up, until a test takes something down."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path as File

from lab.facts import FarSession, Route
from network import sitefile
from network.inventory import Mcr, Path, Site

STARTED = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
NOW = datetime(2026, 1, 7, 12, 0, tzinfo=UTC)
SITE_FILE = File(__file__).parents[2] / "lab" / "reference.yaml"


def reference() -> Site:
    return sitefile.load(SITE_FILE.read_text(), SITE_FILE).site


def with_mcr(site: Site) -> Site:
    """The site with a router of the fabric's own; the reference site has none."""
    return site.model_copy(update={"mcrs": (Mcr(name="mcr-1", uid="9a4c1e00-5b7d-4f0e-8f6a-0000000000c1"),)})


class World:
    """Facts of the reference site. `down` holds names: ports, VXCs, connections, tunnels, sessions."""

    def __init__(self, site: Site | None = None) -> None:
        self.site = site or reference()
        self.down: set[str] = set()
        self.started = STARTED
        self.drained: set[str] = set()  # paths that their provider drains: its AS eight times in front
        self.chosen_by_cloud: dict[str, dict[str, tuple[str, ...]]] = {}

    def port_up(self, port: str) -> bool:
        return port not in self.down

    def vxc_up(self, vxc: str) -> bool:
        return vxc not in self.down and self.port_up(self.site.vxc(vxc).port)

    def connection_up(self, connection: str) -> bool:
        return connection not in self.down

    def tunnel_up(self, tunnel: str) -> bool:
        return tunnel not in self.down

    def far_session(self, path: str) -> FarSession:
        declared = self.site.path(path)
        if self.down & {declared.session, declared.vxc, declared.connection, declared.tunnel, f"bgp {path}"}:
            return FarSession("Idle", NOW)
        return FarSession("Established", self.started, self._received(declared), self._advertised(declared))

    def chosen(self, cloud: str) -> Mapping[str, tuple[str, ...]]:
        if cloud in self.chosen_by_cloud:
            return self.chosen_by_cloud[cloud]
        alive = [path.name for path in self.site.paths_of(cloud) if self.far_session(path.name).established]
        prefixes = [str(prefix.prefix) for prefix in self.site.on_prem.prefixes]
        return {prefix: tuple(alive[:1]) for prefix in prefixes if alive}

    def mbps(self, path: str) -> tuple[float, float]:
        cloud = self.site.path(path).cloud
        carries = path in next(iter(self.chosen(cloud).values()), ())
        return (float(self.site.on_prem.demand_mbps[cloud]), 100.0) if carries else (3.0, 3.0)

    def _received(self, path: Path) -> tuple[Route, ...]:
        policy = self.site.session(path.session).policy
        prepend = policy.prepend if policy else 0
        as_path = (self.site.on_prem.asn,) * (prepend + 1)
        communities = (policy.community,) if policy and policy.community else ()
        prefixes = [str(prefix.prefix) for prefix in self.site.on_prem.prefixes]
        if path.probe:
            prefixes.append(f"{path.probe.source}/32")
        return tuple(Route(prefix, as_path, communities) for prefix in prefixes)

    def _advertised(self, path: Path) -> tuple[Route, ...]:
        as_path = (self.site.session(path.session).peer_asn,) * (8 if path.name in self.drained else 1)
        return tuple(Route(str(prefix.prefix), as_path) for prefix in self.site.cloud(path.cloud).prefixes)
