"""A path as its router sees it, on demand: the hops to the far reflector, and how large a packet its leg takes."""

from __future__ import annotations

from typing import Any

from connectors.routers.pings import TraceHop
from console.wiring import Watch, pings
from network.inventory import Path, Session
from network.surroundings import ProbePoint


async def look(watch: Watch, path: Path) -> dict[str, Any]:
    """Asks the path's router. Raises what reading it raises.

    `pinned` is false when the first hop is not the path's own peer: the router's packets took another path.
    """
    session = watch.site.session(path.session)
    asking = pings(watch.site, watch.site.router(session.router), watch.session)
    try:
        hops = await asking.trace(session.local, path.probe.target) if path.probe else []
        passes = await asking.largest(session.local, session.peer, path.probe.mtu) if path.probe else None
    finally:
        await asking.close()
    return _document(session, path.probe, hops, passes)


def _document(session: Session, probe: ProbePoint | None, hops: list[TraceHop], passes: int | None) -> dict[str, Any]:
    return {
        "router": session.router,
        "from": str(session.local),
        "to": str(probe.target) if probe else None,
        "pinned": bool(hops) and hops[0].address == str(session.peer),
        "hops": [{"ttl": hop.ttl, "address": hop.address, "rtt_ms": hop.rtt_ms} for hop in hops],
        "leg_passes": passes,
    }


def text(seen: dict[str, Any]) -> str:
    """The trace as lines."""
    lines = [f"  -- trace: {seen['router']}, ping by hops from {seen['from']} to {seen['to']}"]
    for hop in seen["hops"]:
        took = "" if hop["rtt_ms"] is None else f"  {hop['rtt_ms']:.2f} ms"
        lines.append(f"     {hop['ttl']:>2}  {hop['address'] or '*'}{took}")
    if not seen["pinned"]:
        lines.append("     not by this path: the router's own packets take its best route")
    passes = "nothing large" if seen["leg_passes"] is None else f"{seen['leg_passes']} bytes"
    return "\n".join([*lines, f"     the leg to the peer carries {passes} unfragmented"])
