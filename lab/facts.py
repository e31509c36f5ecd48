"""What the providers' systems know of the world: one contract, kept by the embedded model and by real routers.

The fabric's and the clouds' servers read only this, so they report the same way over either world.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from network.inventory import Site


@dataclass(frozen=True, slots=True)
class Route:
    """A route as one BGP speaker holds it: AS path as received, communities as received."""

    prefix: str
    as_path: tuple[int, ...]
    communities: tuple[str, ...] = ()
    local_pref: int = 100


@dataclass(frozen=True, slots=True)
class FarSession:
    """A session at the provider's end. `state` is a BGP FSM word: Established, Idle, Connect, Active and so on."""

    state: str
    since: datetime
    received: tuple[Route, ...] = ()
    advertised: tuple[Route, ...] = ()
    reason: str = ""

    @property
    def established(self) -> bool:
        return self.state == "Established"


class Facts(Protocol):
    """The world as its providers see it, now. Cheap to call: implementations answer from memory."""

    site: Site

    def port_up(self, port: str) -> bool:
        """Light on the fabric port."""

    def vxc_up(self, vxc: str) -> bool:
        """The cross connect forwards as far as the fabric can tell (a silent loss is invisible to it)."""

    def connection_up(self, connection: str) -> bool:
        """Layer 1 and 2 of an on-ramp (an ExpressRoute link or a DX connection), as its provider sees them."""

    def tunnel_up(self, tunnel: str) -> bool:
        """IKE and IPsec of a tunnel, as the cloud sees them."""

    def far_session(self, path: str) -> FarSession:
        """The BGP session of a path, at the cloud's end."""

    def chosen(self, cloud: str) -> Mapping[str, tuple[str, ...]]:
        """The cloud hub's winning paths (site names) for each on-prem prefix it can reach."""

    def mbps(self, path: str) -> tuple[float, float]:
        """Load on the path now in Mbps: (into the cloud, out of the cloud)."""
