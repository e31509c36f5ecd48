"""A router's running configuration: accepted lines in slots, rendered in FRR 8.4's own order.

A slot is the sort key of one line inside its section, so setting a line again replaces it and removing it
restores the text byte for byte. Order and wording were checked against `show running-config` of FRR 8.4.4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

Slot: TypeAlias = tuple[int, int, int, str]

BGP, UNICAST, BFD = "router bgp", "address-family ipv4 unicast", "bfd"


@dataclass
class Config:
    """Sections by kind. Route-maps and lists keep the order of their creation, as FRR does."""

    hostname: str
    asn: int = 0
    interfaces: dict[str, dict[Slot, str]] = field(default_factory=dict)
    bgp: dict[Slot, str] = field(default_factory=dict)
    unicast: dict[Slot, str] = field(default_factory=dict)
    prefix_lists: dict[str, dict[Slot, str]] = field(default_factory=dict)
    as_path_lists: dict[str, dict[Slot, str]] = field(default_factory=dict)
    community_lists: dict[str, dict[Slot, str]] = field(default_factory=dict)
    route_maps: dict[str, dict[int, tuple[str, dict[Slot, str]]]] = field(default_factory=dict)
    bfd: dict[str, dict[Slot, str]] = field(default_factory=dict)

    def render(self) -> str:
        """The text of `show running-config`, both header lines and `end` included."""
        return "\n".join(["Building configuration...", "", "Current configuration:", *self.lines(), "end", ""])

    def lines(self) -> list[str]:
        """The configuration proper, from `!` to the last `!`."""
        out = ["!", "frr version 8.4.4", "frr defaults traditional", f"hostname {self.hostname}",
               "no ipv6 forwarding", "!"]  # fmt: skip
        for name in sorted(self.interfaces):
            if self.interfaces[name]:
                out += [f"interface {name}", *_body(self.interfaces[name]), "exit", "!"]
        if self.asn:
            out += [f"{BGP} {self.asn}", *_body(self.bgp), " !", f" {UNICAST}", *_body(self.unicast, "  ")]
            out += [" exit-address-family", "exit", "!"]
        for lists in (self.prefix_lists, self.as_path_lists, self.community_lists):
            entries = [text for entry in lists.values() for _, text in sorted(entry.items())]
            out += [*entries, "!"] if entries else []
        for name, clauses in self.route_maps.items():
            for sequence, (action, clause) in sorted(clauses.items()):
                out += [f"route-map {name} {action} {sequence}", *_body(clause), "exit", "!"]
        return out + self._bfd_lines()

    def _bfd_lines(self) -> list[str]:
        out = [BFD]
        for name, lines in self.bfd.items():
            out += [f" {name}", *_body(lines, "  "), " exit", " !"]
        return [*out, "exit", "!"] if self.bfd else []


def _body(lines: dict[Slot, str], indent: str = " ") -> list[str]:
    return [f"{indent}{text}" for _, text in sorted(lines.items())]
