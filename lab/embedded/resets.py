"""Why a BGP session went down, in FRR 8.4.4's own codes and words (one row per captured state)."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Reset:
    """`code` indexes FRR's table of reset reasons; the notification fields are absent when none was sent."""

    code: int
    due_to: str
    subcode: str | None = None
    reason: str | None = None
    hard: bool = False
    text: str = ""

    def with_text(self, text: str) -> Reset:
        return replace(self, text=text)


HEALTHY = Reset(30, "No AFI/SAFI activated for peer")
ADMIN_HERE = Reset(11, "Admin. shutdown")
ADMIN_THERE = Reset(13, "BGP Notification received", "0602", "Cease/Administrative Shutdown", hard=True)
CLEARED_HERE = Reset(12, "User reset")
CLEARED_THERE = Reset(13, "BGP Notification received", "0604", "Cease/Administrative Reset", hard=True)
BFD_DOWN = Reset(14, "BGP Notification send", "060A", "Cease/BFD Down")
HOLD_EXPIRED = Reset(14, "BGP Notification send", "0400", "Hold Timer Expired")
CARRIER_FIRST = Reset(24, "BFD down received")
CARRIER_LATER = Reset(27, "Waiting for NHT")
PREFIXES_HERE = Reset(14, "BGP Notification send", "0601", "Cease/Maximum Number of Prefixes Reached")
PREFIXES_THERE = Reset(13, "BGP Notification received", "0601", "Cease/Maximum Number of Prefixes Reached", hard=True)
