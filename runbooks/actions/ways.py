"""Lines that prove who carries a cloud after an act: paths as seen beside paths as wanted."""

from __future__ import annotations

from network.health import CloudHealth, SiteHealth
from network.verdict import Verdict
from runbooks.model import StepDef
from runbooks.proof import Line, line


def way(what: str, want: tuple[str, ...], now: tuple[str, ...], *, known: bool) -> Line:
    """Exactly the wanted paths; what one router does is not known while another cannot be asked."""
    known = known and bool(want) and bool(now)
    return line(what, ", ".join(want) or "unknown", _shown(now, known=known), ok=now == want if known else None)


def among(what: str, want: tuple[str, ...], now: tuple[str, ...], *, known: bool) -> Line:
    """No path but wanted ones, and at least one of them."""
    known = known and bool(now)
    return line(what, f"only {', '.join(want)}", _shown(now, known=known), ok=set(now) <= set(want) if known else None)


def coverage(cloud: CloudHealth) -> Line:
    known = bool(cloud.carried_by) and not cloud.unseen_routers
    now = ", ".join(cloud.lost) or "nothing lost"
    return line(
        f"{cloud.name} coverage", "nothing lost", now if known else "unknown", ok=not cloud.lost if known else None
    )


def as_before(health: SiteHealth, step: StepDef, *ways: str) -> list[Line]:
    """After an undo the cloud is carried as before, unless what carried it cannot carry any more.

    `ways`: "out" by the argument `carried_by`, "back" by `return_by`. A way that was not known, or that a router hides
    that cannot be asked, cannot be compared.
    """
    cloud = health.cloud(step.args["cloud"])
    found = []
    for word in ways:
        want = tuple(step.args.get("carried_by" if word == "out" else "return_by", ()))
        now, known = (cloud.carried_by, not cloud.unseen_routers) if word == "out" else (cloud.way_back.paths, True)
        dead = [path for path in map(health.path, want) if path.verdict is Verdict.DOWN]
        if dead:
            shown = "; ".join(f"{path.name} is down: {path.why}" for path in dead)
            found.append(line(f"{cloud.name} {word}", ", ".join(want), shown, ok=True))
        elif word == "out" or want:
            found.append(way(f"{cloud.name} {word}", want, now, known=known and bool(now)))
    return found


def _shown(now: tuple[str, ...], *, known: bool) -> str:
    shown = ", ".join(now) or "unknown"
    return shown if known or not now else f"{shown}, not all known"
