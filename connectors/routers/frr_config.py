"""FRR's running configuration: the parts that a run touches, verbatim, and the whole of it without its secrets.

FRR indents by one space a level.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.errors import NotFound
from connectors.redact import MASK, redactor
from connectors.routers.frr_json import bad_reply
from network.observation import RunningConfig

RUNNING = "show running-config"
_HEADER = re.compile(r"^route-map (\S+) (permit|deny) (\d{1,10})$")
_SHUT = re.compile(r"^ neighbor (\S+) shutdown(?: message (.*))?$")
_SHUT_ALL = re.compile(r"^ bgp shutdown(?: message (.*))?$")
#: What stands before a secret in FRR's lines (BGP, BFD, OSPF, IS-IS, RIP, EIGRP, NHRP, VRRP, LDP, BABEL, SNMP, lines).
_BEFORE = (
    r"password(?: \d| clear| md5)?|authentication-key|message-digest-key \d+ md5|key-string|authentication string|"
    r"(?:area|domain)-password (?:clear|md5)|nhrp authentication|snmp-server community|rpki ssh .*"
)
_SECRET = re.compile(rf"^(.*?\b(?:{_BEFORE}) )\S.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of a route-map with its lines exactly as FRR printed them (indent included)."""

    name: str
    action: str
    seq: int
    lines: tuple[str, ...]

    @property
    def header(self) -> str:
        return f"route-map {self.name} {self.action} {self.seq}"

    @property
    def text(self) -> str:
        return "\n".join((self.header, *self.lines))


def clauses(text: str) -> dict[tuple[str, int], Clause]:
    """Every route-map clause by map and sequence number. Raises BadReply for anything but a whole configuration."""
    found: dict[tuple[str, int], Clause] = {}
    header: re.Match[str] | None = None
    inside: list[str] = []
    for line in (*_whole(text), "!"):
        if header is not None and line.startswith(" "):
            inside.append(line)
            continue
        if header is not None:
            clause = Clause(header[1], header[2], int(header[3]), tuple(inside))
            found[clause.name, clause.seq] = clause
        header, inside = _HEADER.match(line), []
    return found


def route_map_clauses(text: str) -> dict[tuple[str, int], list[str]]:
    """The lines of every clause, verbatim, by (map, sequence number)."""
    return {key: list(clause.lines) for key, clause in clauses(text).items()}


def read_clause(text: str, name: str, seq: int) -> Clause:
    """One clause. Raises NotFound, or BadReply when the text is not a whole running configuration."""
    found = clauses(text)
    if (name, seq) not in found:
        numbers = ", ".join(str(number) for known, number in found if known == name)
        raise NotFound(
            f"no clause {seq} in route-map {name} (it has: {numbers or 'none'})",
            where=RUNNING,
            do_next="Compare the site file's import_map/export_map and seq with the router's configuration.",
        )
    return found[name, seq]


def neighbor_lines(text: str, peer: str) -> tuple[str, ...]:
    """Every line about one neighbor, verbatim, in the router's order."""
    return tuple(line for line in _whole(text) if line.split()[:2] == ["neighbor", peer])


def statements(text: str) -> tuple[str, ...]:
    """Every line without its indent, in the router's order. Raises BadReply."""
    return tuple(line.strip() for line in _whole(text))


def export_map(text: str, peer: str) -> str | None:
    """The route-map that acts on what is announced to a neighbor. Raises BadReply."""
    words = (line.split() for line in neighbor_lines(text, peer))
    return next((each[3] for each in words if each[2:3] == ["route-map"] and each[-1] == "out"), None)


def shutdown_text(lines: Sequence[str], peer: str) -> str:
    """The text of our own shutdown of the session, else of all BGP; "" when there is none."""
    every = ""
    for line in lines:
        one, whole = _SHUT.match(line), _SHUT_ALL.match(line)
        if one and one[1] == peer:
            return one[2] or ""
        if whole:
            every = whole[1] or ""
    return every


def running_config(text: str) -> RunningConfig:
    """The whole configuration with every secret masked, its header left out. Raises BadReply for anything less."""
    lines = _whole(text)
    body = "\n".join(lines[lines.index("Current configuration:") + 1 :])
    masked = redactor.text(_SECRET.sub(rf"\1{MASK}", body))
    return RunningConfig(hashlib.sha256(masked.encode()).hexdigest(), tuple(masked.splitlines()))


def _whole(text: str) -> list[str]:
    lines = text.splitlines()
    if "Current configuration:" not in lines[:4] or "end" not in lines[-3:]:
        raise bad_reply("the reply is not a whole running configuration", RUNNING, text[-200:])
    return lines
