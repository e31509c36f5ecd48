"""Longer prefixes for a cloud's tunnels: what each router gets, what speaks against it, and how a step keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from connectors.routers.frr_config import Clause, export_map, read_clause, statements
from connectors.routers.frr_render import soft_clear
from connectors.routers.frr_specifics import (
    LIST,
    NO_CHECK,
    Specifics,
    clause_before,
    first_permit,
    in_the_way,
    named_by_others,
    states,
)
from network.forced import tunnels
from network.inventory import Path
from network.observation import Kind, Received
from runbooks.actions import clauses
from runbooks.model import Phase, StepDef
from runbooks.scene import CannotPlan, Moment


def tunnels_by_router(moment: Moment, cloud: str) -> dict[str, list[Path]]:
    """The cloud's tunnels by the router that they leave from, in site-file order."""
    found: dict[str, list[Path]] = {}
    for path in tunnels(moment.site, cloud):
        found.setdefault(moment.site.session(path.session).router, []).append(path)
    return found


def clear(moment: Moment, path: Path) -> str:
    return soft_clear(str(moment.site.session(path.session).peer))


def specifics_of(moment: Moment, router: str, paths: Sequence[Path]) -> Specifics:
    cloud, running = paths[0].cloud, moment.running[router]
    name = f"{LIST}{cloud}"
    match = f"match ip address prefix-list {name}"
    out = []
    for path in paths:
        standing = _export(moment, path)
        sets = (each.strip() for each in standing.lines if each.strip().startswith("set "))
        out.append(clause_before(running, standing.name, standing.seq, "permit", (match, *sets)))
    # Each cloud has a number of its own: two of them may be planned from one look at the router.
    place = [each.name for each in moment.site.clouds].index(cloud)
    inward = [clause_before(running, *towards, "deny", (match,), place) for towards in _inward(moment, router)]
    prefixes = tuple(map(str, moment.site.specifics(cloud)))
    return Specifics(name, prefixes, (*inward, *out), moment.site.on_prem.asn)


def _export(moment: Moment, path: Path) -> Clause:
    session = moment.site.session(path.session)
    if session.policy is None:
        raise CannotPlan(f"session {session.name} declares no policy: what it announces cannot be widened")
    return read_clause(moment.running[session.router], session.policy.export_map, session.policy.export_seq)


def exports(moment: Moment, cloud: str) -> list[Clause]:
    return [_export(moment, path) for path in tunnels(moment.site, cloud)]


def _inward(moment: Moment, router: str) -> Iterator[tuple[str, int]]:
    """(map, number of its first permitting clause) of each session from this router to our other ones."""
    running = moment.running[router]
    for session in moment.site.sessions:
        if session.internal and router in {session.router, session.there}:
            name = export_map(running, str(session.peer if session.router == router else session.local))
            first = first_permit(running, name) if name else None
            if name is None or first is None:
                raise CannotPlan(
                    f"{router} announces everything on {session.name} (no export map): the longer prefixes would go "
                    "there too"
                )
            yield name, first


def objections(moment: Moment, made: Mapping[str, Specifics]) -> Iterator[str]:
    """What stands in the way on the routers: an internal route that is as long or longer, a check, our own traces."""
    for router, each in made.items():
        running = moment.running[router]
        if NO_CHECK not in statements(running):
            yield f"{router} originates only what its own table holds: it needs `{NO_CHECK}`"
        if any(line.startswith(f"ip prefix-list {each.name} ") for line in statements(running)):
            yield f"{router} has {each.name} already: its VPN is forced, or was never failed back"
        known = _known(moment) | {IPv4Network(prefix) for prefix in named_by_others(each, running)}
        for prefix in map(IPv4Network, each.prefixes):
            yield from (f"{router} has `{found}` inside {prefix}" for found in in_the_way(prefix, running, known))
            yield from (
                f"{router} has an internal route {found} inside {prefix}: the origination would take its place"
                for found in _internal(moment, router, prefix, known)
            )


def _known(moment: Moment) -> frozenset[IPv4Network]:
    """What the site itself declares: our prefixes and the probes' addresses."""
    probes = {IPv4Network(f"{path.probe.source}/32") for path in moment.site.paths if path.probe}
    return frozenset({each.prefix for each in moment.site.on_prem.prefixes} | probes)


def _internal(moment: Moment, router: str, prefix: IPv4Network, known: frozenset[IPv4Network]) -> Iterator[IPv4Network]:
    """Routes from our other routers, where they are known, that are as long as the prefix or longer."""
    for session in moment.site.sessions:
        end = session.name if session.router == router else f"{session.name}@{router}"
        got = moment.snapshot.fresh(Kind.RECEIVED, end, Received, moment.now) if session.internal else None
        for network in (IPv4Network(route.prefix) for route in got.routes if route.accepted) if got else ():
            if network not in known and network.subnet_of(prefix):
                yield network


def kept(router: str, of: Specifics) -> dict[str, Any]:
    return {
        "router": router,
        "name": of.name,
        "prefixes": list(of.prefixes),
        "clauses": [clauses.kept_clause(clause) for clause in of.clauses],
        "asn": of.asn,
    }


def read_kept(step: StepDef) -> list[tuple[str, Specifics]]:
    return [
        (
            each["router"],
            Specifics(
                each["name"],
                tuple(each["prefixes"]),
                tuple(clauses.read_kept(clause) for clause in each["clauses"]),
                each["asn"],
            ),
        )
        for each in step.args["specifics"]
    ]


def states_of(step: StepDef, running: Mapping[str, str]) -> tuple[set[Phase], list[str]]:
    gone, there = clauses.phases(step)
    found, foreign = set[Phase](), list[str]()
    for router, of in read_kept(step):
        here, strange = states(of, running[router])
        found |= {there if state == "there" else gone for state in here}
        foreign += [f"{router}: {each}" for each in strange]
    return found, foreign
