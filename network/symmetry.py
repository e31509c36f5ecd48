"""Symmetry at stateful boundaries: a reply must cross the firewall that saw the request."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from network.inventory import Site

#: How the way back is known, for a person.
BASIS = {
    "measured": "measured on our interfaces",
    "table": "in the cloud's own tables",
    "inferred": "inferred from what it accepted",
}


def across(site: Site, out: AbstractSet[str], back: AbstractSet[str]) -> tuple[str, ...]:
    """Stateful devices that only one of the two directions crosses."""
    return tuple(
        device.name for device in site.stateful if out.isdisjoint(device.crosses) != back.isdisjoint(device.crosses)
    )
