"""A site's things by name, and what follows from the site file alone: built once, for judgement asks it often."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from network.inventory import Path, Site


class Named(Protocol):
    """Anything of the site that has a name of its own."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


class Index:
    """Look-ups by name (KeyError for a name that does not exist) and the relations between the tables."""

    def __init__(self, site: Site) -> None:
        self.routers = by_name(site.routers)
        self.ports = by_name(site.ports)
        self.vxcs = by_name(site.vxcs)
        self.isps = by_name(site.isps)
        self.tunnels = by_name(site.tunnels)
        self.clouds = by_name(site.clouds)
        self.connections = by_name(site.connections)
        self.sessions = by_name(site.sessions)
        self.paths = by_name(site.paths)
        self.path_of_session: Mapping[str, Path] = {path.session: path for path in reversed(site.paths)}
        self.paths_of_cloud = {
            cloud.name: tuple(path for path in site.paths if path.cloud == cloud.name) for cloud in site.clouds
        }
        self.peers = {router.name: dict[str, str]() for router in site.routers}
        for session in site.sessions:
            # An iBGP session is declared at one end only.
            if session.internal and session.there in self.peers:
                self.peers[session.there][str(session.local)] = session.name
        for session in site.sessions:
            self.peers.setdefault(session.router, {})[str(session.peer)] = session.name
        # As text, the way observations name them: turning an address into text costs more than looking it up.
        self.prefixes = {cloud.name: tuple(str(each.prefix) for each in cloud.prefixes) for cloud in site.clouds}
        self.peer = {session.name: str(session.peer) for session in site.sessions}
        self.link = {path.name: self._link(path) for path in site.paths}
        self.domains: dict[str, frozenset[str]] = {}

    def _link(self, path: Path) -> str:
        """`router interface` of the path's own interface; "" when the file names things that do not exist."""
        session = self.sessions.get(path.session)
        leaves = self.vxcs.get(path.vxc) if path.vxc else self.tunnels.get(path.tunnel or "")
        return f"{session.router} {leaves.interface}" if session and leaves else ""


def by_name(items: Iterable[T]) -> dict[str, T]:
    """By name; of two that share one the first, as the site check names the second."""
    found: dict[str, T] = {}
    for item in items:
        found.setdefault(item.name, item)
    return found
