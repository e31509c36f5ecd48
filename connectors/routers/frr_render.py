"""Changes to FRR's route-map clauses as lines to send, and the scoped inverse from the lines that were there.

Setting replaces what the clause set before; FRR prints a clause in an order of its own (match before set, sets by
name), so clauses are compared as read back, byte for byte. Tried on FRR 8.4.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.errors import InterlockError
from connectors.routers.frr_config import Clause, read_clause
from network.inventory import Session, SessionPolicy

LOCAL_PREF = "set local-preference"
PREPEND = "set as-path prepend"
COMMUNITY = "set community"
#: The settings that a drain may touch. One clause holds each of them at most once.
SETTINGS = (LOCAL_PREF, PREPEND, COMMUNITY)

_GSHUT = {"65535:0": "graceful-shutdown"}  # FRR prints well-known communities by name


@dataclass(frozen=True, slots=True)
class Edit:
    """One clause's change: the clause before it, the lines that make it, the lines that undo it, the clause after.

    Both line groups start with the clause's header, go under `configure terminal`, and may be sent again safely.
    """

    before: Clause
    lines: tuple[str, ...]
    undo: tuple[str, ...]
    expected: Clause


@dataclass(frozen=True, slots=True)
class Drain:
    """A session's drain: import and export edits, and the exec command without which FRR waits 5 s to act."""

    edits: tuple[Edit, ...]
    soft_clear: str

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(line for edit in self.edits for line in edit.lines)

    @property
    def undo(self) -> tuple[str, ...]:
        """In reverse: the last edit is undone first."""
        return tuple(line for edit in reversed(self.edits) for line in edit.undo)


@dataclass(frozen=True, slots=True)
class ForeignChange:
    """A clause that is neither as it was saved nor as our change left it: somebody else was here."""

    saved: Clause
    expected: Clause
    found: Clause

    def __str__(self) -> str:
        return (
            f"somebody else changed {self.found.header}.\nSaved before our change:\n{self.saved.text}\n"
            f"Expected after it:\n{self.expected.text}\nOn the router now:\n{self.found.text}"
        )


class NoPolicyDeclared(InterlockError):
    """The site declares no import and export map for the session, so nothing is known to drain it by."""


def soft_clear(peer: str) -> str:
    return f"clear bgp ipv4 unicast {peer} soft"


def drain(
    session: Session,
    own_asn: int,
    running: str,
    *,
    local_pref: int | None = None,
    prepend: int | None = None,
    community: str | None = None,
) -> Drain:
    """The lines that make a session the worse path, each knob only when given; `prepend` is the total count.

    `running` is the running configuration as just read. Raises NoPolicyDeclared, NotFound (no such clause), BadReply.
    """
    policy = session.policy
    if policy is None:
        raise NoPolicyDeclared(
            f"session {session.name} declares no policy",
            where="site file, sessions",
            do_next="Give it a `policy:` with import_map, export_map and local_pref.",
        )
    edits = (*_import(policy, running, local_pref), *_export(policy, running, own_asn, prepend, community))
    return Drain(edits, soft_clear(str(session.peer)))


def change(clause: Clause, wanted: Sequence[str]) -> Edit:
    """An edit that makes the clause carry the wanted lines (`set …`, or `no SETTING` to take one out)."""
    settings = tuple(dict.fromkeys(_setting(line) for line in wanted))
    undo = tuple(_line_of(clause, setting) or f"no {setting}" for setting in settings)
    return Edit(clause, (clause.header, *wanted), (clause.header, *undo), applied(clause, wanted))


def applied(clause: Clause, lines: Sequence[str]) -> Clause:
    """The clause as FRR keeps it after the lines: a setting replaces its predecessor, sets stand in order of name."""
    kept = {line.strip(): line for line in clause.lines}
    for line in lines:
        setting = _setting(line)
        kept = {known: shown for known, shown in kept.items() if not _is(known, setting)}
        if not line.startswith("no "):
            kept[line] = f" {line}"
    others = [shown for known, shown in kept.items() if not known.startswith("set ")]
    sets = sorted(shown for known, shown in kept.items() if known.startswith("set "))
    return Clause(clause.name, clause.action, clause.seq, (*others, *sets))


def same_clauses(before: Clause, after: Clause) -> bool:
    """Byte for byte, as both were read from the router."""
    return before == after


def same_meaning(one: Clause, other: Clause) -> bool:
    """Whatever the order of their lines and the spelling of communities."""
    return _meaning(one) == _meaning(other)


def foreign_change(edit: Edit, found: Clause) -> ForeignChange | None:
    """None when the clause is as saved or as our change leaves it; the latter whatever order FRR prints it in."""
    if same_clauses(edit.before, found) or same_meaning(found, edit.expected):
        return None
    return ForeignChange(edit.before, edit.expected, found)


def _import(policy: SessionPolicy, running: str, local_pref: int | None) -> tuple[Edit, ...]:
    if local_pref is None:
        return ()
    return (change(read_clause(running, policy.import_map, policy.import_seq), [f"{LOCAL_PREF} {local_pref}"]),)


def _export(
    policy: SessionPolicy, running: str, own_asn: int, prepend: int | None, community: str | None
) -> tuple[Edit, ...]:
    wanted = []
    if prepend is not None:
        wanted.append(f"{PREPEND} {' '.join([str(own_asn)] * prepend)}" if prepend else f"no {PREPEND}")
    if community is not None:
        # Replaced, never additive: two preference communities at once leave the choice to the cloud.
        wanted.append(f"{COMMUNITY} {community}")
    return (change(read_clause(running, policy.export_map, policy.export_seq), wanted),) if wanted else ()


def _setting(line: str) -> str:
    bare = line.strip().removeprefix("no ")
    for setting in SETTINGS:
        if _is(bare, setting):
            return setting
    raise ValueError(f"{line!r} is none of the settings that a run may touch: {', '.join(SETTINGS)}")


def _is(line: str, setting: str) -> bool:
    return line == setting or line.startswith(f"{setting} ")


def _line_of(clause: Clause, setting: str) -> str | None:
    return next((line.strip() for line in clause.lines if _is(line.strip(), setting)), None)


def _meaning(clause: Clause) -> tuple[str, str, int, list[str]]:
    return clause.name, clause.action, clause.seq, sorted(_canonical(line.strip()) for line in clause.lines)


def _canonical(line: str) -> str:
    """A community list in one order and spelling: FRR sorts it and names the well-known ones."""
    if not _is(line, COMMUNITY):
        return line
    values = sorted({_GSHUT.get(value, value) for value in line.removeprefix(COMMUNITY).split()})
    return f"{COMMUNITY} {' '.join(values)}"
