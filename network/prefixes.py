"""Prefixes as text, read once: the same few stand in thousands of facts."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network


@lru_cache(maxsize=4096)
def network_of(prefix: str) -> IPv4Network | IPv6Network | None:
    """The prefix, host bits ignored; None for what is none."""
    try:
        return ip_network(prefix, strict=False)
    except ValueError:
        return None


def overlap(prefix: str, of: IPv4Network) -> bool:
    """Equal, inside or covering; never across address families."""
    network = network_of(prefix)
    return isinstance(network, IPv4Network) and network.overlaps(of)
