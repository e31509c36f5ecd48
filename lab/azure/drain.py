"""Microsoft's own drain of a link, as the world shows it: its AS eight times in front of what it sends us."""

from __future__ import annotations

from lab.facts import Facts
from network.inventory import Path

DRAIN_PREPENDS = 8


def drained(facts: Facts, path: Path) -> bool:
    """The link's far end advertises with its own AS at least eight times in front."""
    asn = facts.site.session(path.session).peer_asn
    front = (asn,) * DRAIN_PREPENDS
    sent = facts.far_session(path.name).advertised
    return bool(sent) and all(route.as_path[:DRAIN_PREPENDS] == front for route in sent)
