"""How often each system that a verb may read is asked at a site. Pure."""

from __future__ import annotations

from network.inventory import Site
from runbooks.declares import System


def cadence_s(system: System, site: Site) -> float | None:
    """How often a system is asked at a site, in seconds; None when nothing there feeds it."""
    match system:
        case "routers":
            return max((router.cadence_s for router in site.routers), default=None)
        case "probes":
            return site.probes.interval_s if any(path.probe for path in site.paths) else None
        case "azure" | "aws":
            here = any(cloud.provider == system for cloud in site.clouds)
            return float(getattr(site.systems, system).cadence_s) if here else None
        case "megaport":
            return site.systems.megaport.cadence_s if site.vxcs else None
        case _:
            return float(getattr(site.systems, system).cadence_s)
