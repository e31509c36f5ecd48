"""Local preferences as observed, for acts that must stay above or below them."""

from __future__ import annotations

from network.health import CloudHealth
from network.inventory import Path
from runbooks.scene import CannotPlan, Moment
from runbooks.standby import over


def preferences_held(moment: Moment, path: Path) -> list[int | None]:
    """The local-preference of each route that is held over the path; None where the router names none."""
    prefixes = [str(p.prefix) for p in moment.site.cloud(path.cloud).prefixes]
    return [route.local_pref for route in (over(moment, path, prefix) for prefix in prefixes) if route]


def tunnel_preferences(moment: Moment, path: Path) -> list[int]:
    """A tunnel's preferences as observed, and as declared: one that is down or unseen may be back at any moment."""
    policy = moment.site.session(path.session).policy
    declared = [policy.local_pref] if policy else []
    return [*declared, *(pref for pref in preferences_held(moment, path) if pref is not None)]


def refuse_unknown_way_out(health: CloudHealth) -> None:
    """Raises CannotPlan while it is not known who carries the cloud."""
    unseen = ", ".join(health.unseen_routers)
    if unseen or not health.carried_by:
        why = f"{unseen} cannot be asked" if unseen else "no router has a route"
        raise CannotPlan(f"who carries {health.name} now is not known ({why}): an undo could not be proven")
