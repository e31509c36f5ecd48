"""The hidden standby: a router that could hold the other one's path over iBGP, and does not.

BGP tells a neighbour its best route only. The router whose own path is the standby has the active one as its best, and
so keeps its own to itself, unless the session carries additional paths. Then a lost port is not covered until BGP has
asked around.
"""

from __future__ import annotations

from collections.abc import Iterator

from network.alert import Alert
from network.inventory import Cloud, Session
from network.layers import View
from network.observation import Kind, RoutePath, Routes, SessionHere


def alerts(view: View) -> Iterator[Alert]:
    for session in view.site.sessions:
        here = view.fresh(Kind.SESSION_HERE, session.name, SessionHere) if session.internal else None
        if here and here.established and session.there in view.site.index.routers:
            for cloud in view.site.clouds:
                yield from _hidden(view, session, cloud, session.router, session.there)
                yield from _hidden(view, session, cloud, session.there, session.router)


def _hidden(view: View, session: Session, cloud: Cloud, router: str, other: str) -> Iterator[Alert]:
    prefixes = view.site.index.prefixes[cloud.name]
    hidden = [prefix for prefix in prefixes if _keeps(view, other, prefix) and _lacks(view, session, router, prefix)]
    if hidden:
        why = f"{other} does not send it, though the site file says so" if session.add_path else "as the site file says"
        text = f"{router} holds no standby by {other} for {', '.join(hidden)}: {session.name} has no add-path ({why})"
        yield Alert(f"hidden:{router}:{cloud.name}", "warning", cloud.name, text)


def _keeps(view: View, router: str, prefix: str) -> bool:
    """The router has a way of its own, and its best one is not that: so it does not tell it."""
    held = _held(view, router, prefix)
    best = next((route for route in held or () if route.best), None)
    return best is not None and best.internal and any(route.valid and not route.internal for route in held or ())


def _lacks(view: View, session: Session, router: str, prefix: str) -> bool:
    """The router holds routes, none of them by this session."""
    held = _held(view, router, prefix)
    far = str(session.peer if session.router == router else session.local)
    return bool(held) and not any(route.valid and route.peer == far for route in held or ())


def _held(view: View, router: str, prefix: str) -> tuple[RoutePath, ...] | None:
    seen = view.fresh(Kind.ROUTES, f"{router} {prefix}", Routes)
    return seen.paths if seen else None
