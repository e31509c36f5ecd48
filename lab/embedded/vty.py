"""One edge's command line: shows, soft clears and configuration groups, with vtysh's statuses and texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

from lab.embedded.editor import Editor
from lab.embedded.grammar import Fit, Values, VtyError, fit
from lab.embedded.ping import ping
from lab.embedded.reflectors import Ways
from lab.embedded.shows import bfd, interfaces, neighbors, summary, table, texts
from lab.embedded.shows.view import EdgeView
from lab.embedded.timers import Timers
from lab.ledger import Ledger

Answer = tuple[int, str]
Show = Callable[[EdgeView, Values], Any]

#: JSON shows by pattern. `<ip>` and `<prefix>` are keys of the values.
_JSON: tuple[tuple[str, Show], ...] = (
    ("show bgp summary json", lambda view, _: summary.summary(view)),
    ("show bgp ipv4 unicast summary json", lambda view, _: summary.unicast(view)),
    ("show bgp neighbors json", lambda view, _: neighbors.neighbors(view)),
    ("show bgp neighbors <ip> json", lambda view, v: neighbors.one(view, v["<ip>"])),
    ("show bfd peers json", lambda view, _: bfd.peers(view)),
    ("show bfd peers brief json", lambda view, _: bfd.peers(view)),
    ("show bfd peers counters json", lambda view, _: bfd.counters(view)),
    ("show bgp ipv4 unicast json", lambda view, _: table.table(view)),
    ("show bgp ipv4 unicast <prefix> json", lambda view, v: table.prefix(view, v["<prefix>"])),
    ("show bgp ipv4 unicast <ip> json", lambda view, v: table.prefix(view, v["<ip>"])),
    (
        "show bgp ipv4 unicast neighbors <ip> advertised-routes json",
        lambda view, v: table.advertised(view, v["<ip>"]),
    ),
    (
        "show bgp ipv4 unicast neighbors <ip> received-routes json",
        lambda view, v: table.received(view, v["<ip>"]),
    ),
    (
        "show bgp ipv4 unicast neighbors <ip> filtered-routes json",
        lambda view, v: table.received(view, v["<ip>"], filtered=True),
    ),
    ("show bgp ipv4 unicast neighbors <ip> routes json", lambda view, v: table.table(view, v["<ip>"])),
    (
        "show bgp ipv4 unicast neighbors <ip> prefix-counts json",
        lambda view, v: table.prefix_counts(view, v["<ip>"]),
    ),
    ("show ip route json", lambda view, _: interfaces.routes(view)),
    ("show ip route summary json", lambda view, _: interfaces.route_summary(view)),
    ("show ip route <prefix> json", lambda view, v: interfaces.routes(view, v["<prefix>"])),
    ("show ip route <ip> json", lambda view, v: interfaces.routes(view, v["<ip>"])),
    ("show interface json", lambda view, _: interfaces.interfaces(view)),
    ("show interface <word> json", lambda view, v: interfaces.interfaces(view, v["<word>"])),
)
_TEXT: tuple[tuple[str, Callable[[EdgeView, Values], str]], ...] = (
    ("show running-config", lambda view, _: view.speaker.config.render()),
    ("show version", lambda view, _: texts.version(view)),
    ("show daemons", lambda _view, _: " zebra bgpd staticd bfdd\n"),
    ("show route-map", lambda view, _: texts.route_maps(view)),
    ("show route-map <word>", lambda view, v: texts.route_maps(view, v["<word>"])),
)
_WAYS = {"in": ("in",), "out": ("out",), "": ("in", "out")}


class Vty:
    """Answers (exit status, output). `by` names whose certificate asked."""

    def __init__(self, view: EdgeView, ledger: Ledger, ways: Ways | None = None) -> None:
        self.view = view
        self._ledger = ledger
        self._ways = ways or Ways(view.world)
        self.timers = Timers(self.configure, self.ask)

    def ask(self, command: str, by: str) -> Answer:
        """One exec command."""
        words = command.split()
        if command == "ip -j -s link":
            return 0, json.dumps(interfaces.link_counters(self.view), separators=(",", ":")) + "\n"
        if words[:1] == ["ping"]:
            return ping(self.view, self._ways, words)
        if words[:2] == ["clear", "bgp"]:
            return self._clear(words, by)
        if words[:3] == ["show", "bfd", "peer"]:
            return self._bfd_peer(command, words)
        incomplete = not words
        for json_pattern, show in _JSON:
            kind, values = fit(json_pattern, words)
            if kind is Fit.FULL:
                return 0, json.dumps(show(self.view, values), indent=2, separators=(",", ":")) + "\n"
            incomplete = incomplete or kind is Fit.INCOMPLETE
        for text_pattern, text in _TEXT:
            kind, values = fit(text_pattern, words)
            if kind is Fit.FULL:
                return 0, text(self.view, values)
            incomplete = incomplete or kind is Fit.INCOMPLETE
        return 1, f"% {'Command incomplete' if incomplete else 'Unknown command'}: {command}\n"

    def configure(self, lines: list[str], by: str) -> Answer:
        """A configuration group; it stops at the first error, and what came before stays."""
        router = self.view.router
        editor = Editor(self.view.speaker.config)
        status, output = 0, ""
        for line in lines:
            try:
                editor.line(line)
            except VtyError as error:
                status, output = 1, f"{error}\n"
                break
            self._ledger.record(router, line, by)
        if editor.touched:
            self.view.world.edited(router, editor.touched)
        return status, output

    def _clear(self, words: list[str], by: str) -> Answer:
        kind, values = fit("clear bgp ipv4 unicast <ip> soft [in|out]", words)
        if kind is not Fit.FULL:
            return 1, f"% {'Command incomplete' if kind is Fit.INCOMPLETE else 'Unknown command'}: {' '.join(words)}\n"
        peer = str(IPv4Address(values["<ip>"]))
        if peer not in self.view.speaker.peers:
            return 0, f'% BGP: Unknown neighbor - "{peer}"\n'
        self.view.world.soft_clear(self.view.router, peer, _WAYS[values.get("in|out", "")])
        self._ledger.record(self.view.router, " ".join(words), by)
        return 0, ""

    def _bfd_peer(self, command: str, words: list[str]) -> Answer:
        found = [p for p in bfd.peers(self.view) if words[3:4] == [p["peer"]]]
        if words[4:] != ["json"]:
            return 1, f"% Unknown command: {command}\n"
        if not found:
            return 1, f"% Unable to find 'peer {words[3]}'\n"
        return 0, json.dumps(found[0], indent=2, separators=(",", ":")) + "\n"
