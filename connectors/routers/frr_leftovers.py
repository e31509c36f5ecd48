"""What a change of ours may have left in an FRR configuration: every knob that a run may turn, compared with the site.

Each finding carries the lines that put it back. What a clause says beyond those knobs is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from connectors.routers.frr_config import Clause, clauses, neighbor_lines, shutdown_text
from connectors.routers.frr_render import COMMUNITY, LOCAL_PREF, PREPEND, change, soft_clear
from network.inventory import Session, Site

#: How everything is named that a run adds to a router and takes away again.
OURS = "INTERLOCK-"
_NETWORK = re.compile(r"^  network (\S+)")
_STATIC = re.compile(r"^ip route (\S+) (.+)$")
_INTERFACE = re.compile(r"^interface (\S+)")


@dataclass(frozen=True, slots=True)
class Leftover:
    """`kind` in one word, `where` it stands (router, and session, clause or interface), `what` in words.

    `undo` are the lines that put it back, a soft clear last where one is needed; `mark` begins a line that whoever
    made it must have sent, `line` is the one that it consists of where that can be told ("" elsewhere).
    """

    kind: str
    where: str
    what: str
    undo: tuple[str, ...]
    mark: str
    line: str = ""


def leftovers(site: Site, router: str, lines: Sequence[str]) -> list[Leftover]:
    """Every knob of the router that is not as the site file says.

    `lines` is the running configuration behind its heading, secrets masked. Raises BadReply when it is not whole.
    """
    text = "\n".join(("Current configuration:", *lines))
    found = clauses(text)
    sessions = [session for session in site.sessions if session.router == router]
    return [
        *(each for session in sessions for each in _session(site, session, found)),
        *(each for session in sessions for each in _shut(site, session, text)),
        *_interfaces(site, router, lines),
        *_specifics(site, router, lines, found),
        *_statics(site, router, lines),
    ]


def _session(site: Site, session: Session, found: dict[tuple[str, int], Clause]) -> Iterator[Leftover]:
    """The session's import and export clauses, and Microsoft's drain clause before the import one."""
    policy = session.policy
    if policy is None:
        return
    for (name, seq), clause in found.items():
        if name == policy.import_map and clause.action == "permit":
            drained = any(line.strip().startswith("match as-path") for line in clause.lines)
            wanted = site.policy.drain_local_pref if drained else policy.local_pref
            if drained or seq == policy.import_seq:
                yield from _setting("local-preference", session, clause, LOCAL_PREF, str(wanted))
        if (name, seq) == (policy.export_map, policy.export_seq):
            own = " ".join([str(site.on_prem.asn)] * policy.prepend)
            yield from _setting("prepend", session, clause, PREPEND, own)
            yield from _setting("community", session, clause, COMMUNITY, policy.community or "")


def _setting(kind: str, session: Session, clause: Clause, setting: str, wanted: str) -> Iterator[Leftover]:
    now = next((line.strip() for line in clause.lines if line.strip().startswith(f"{setting} ")), "")
    value = now.removeprefix(f"{setting} ") if now else ""
    if value == wanted:
        return
    line = f"{setting} {wanted}" if wanted else f"no {setting}"
    undo = (*change(clause, [line]).lines, soft_clear(str(session.peer)))
    what = f"{setting.removeprefix('set ')} {value or 'absent'}, the site says {wanted or 'none'}"
    where = f"{session.router} {session.name} ({clause.header})"
    yield Leftover(kind, where, what, undo, clause.header, now or f"no {setting}")


def _shut(site: Site, session: Session, text: str) -> Iterator[Leftover]:
    peer = str(session.peer)
    lines = neighbor_lines(text, peer)
    if not any(line.split()[2:3] == ["shutdown"] for line in lines):
        return
    said = shutdown_text(lines, peer)
    undo = (f"router bgp {site.on_prem.asn}", f"no neighbor {peer} shutdown")
    yield Leftover(
        "shutdown",
        f"{session.router} {session.name}",
        f"shut by us: {said or 'no text'}",
        undo,
        f"neighbor {peer} shutdown",
    )


def _interfaces(site: Site, router: str, lines: Sequence[str]) -> Iterator[Leftover]:
    used = {
        *(port.interface for port in site.ports if port.router == router),
        *(vxc.interface for vxc in site.vxcs if site.port(vxc.port).router == router),
    }
    inside = ""
    for line in lines:
        if header := _INTERFACE.match(line):
            inside = header[1]
        elif line.strip() == "shutdown" and inside in used:
            yield Leftover(
                "interface", f"{router} {inside}", "shut", (f"interface {inside}", "no shutdown"), f"interface {inside}"
            )
        elif not line.startswith(" "):
            inside = ""


def _specifics(
    site: Site, router: str, lines: Sequence[str], found: dict[tuple[str, int], Clause]
) -> Iterator[Leftover]:
    """More-specifics of what we announce, and every clause and list that carries our own name."""
    probes = {IPv4Network(path.probe.source) for path in site.paths if path.probe}
    for line in lines:
        originated = _NETWORK.match(line)
        if originated and (net := IPv4Network(originated[1])) not in probes and _inside(site, net):
            undo = (f"router bgp {site.on_prem.asn}", "address-family ipv4 unicast", f"no network {net}")
            yield Leftover(
                "more-specific", f"{router} {net}", "announced beside what the site names", undo, f"network {net}"
            )
        if line.startswith(f"ip prefix-list {OURS}"):
            yield Leftover("prefix-list", f"{router} {line.split()[2]}", line, (f"no {line}",), line)
    for clause in found.values():
        if any(word.startswith(OURS) for line in clause.lines for word in line.split()):
            what = "; ".join(line.strip() for line in clause.lines)
            yield Leftover("clause", f"{router} {clause.header}", what, (f"no {clause.header}",), clause.header)


def _inside(site: Site, net: IPv4Network) -> bool:
    return any(net != known.prefix and net.subnet_of(known.prefix) for known in site.on_prem.prefixes)


def _statics(site: Site, router: str, lines: Sequence[str]) -> Iterator[Leftover]:
    """Static routes of the main table into address space that BGP carries: they win over it, whatever happens."""
    carried = [known.prefix for known in (*site.on_prem.prefixes, *(p for c in site.clouds for p in c.prefixes))]
    for line in lines:
        static = _STATIC.match(line)
        if static and " table " not in line and any(IPv4Network(static[1]).overlaps(net) for net in carried):
            yield Leftover("static", f"{router} {static[1]}", line, (f"no {line}",), line)
