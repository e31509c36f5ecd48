"""Whether the present as worked out is what is seen: a forecast on top of anything else would be a guess."""

from __future__ import annotations

from collections.abc import Iterator

from network.inventory import Cloud
from network.layers import View
from network.observation import CloudRoutes, Kind
from network.outcome import Outcome, Piece
from network.tables import Tables, Way


def disagreements(view: View, tables: Tables, present: Outcome) -> dict[tuple[str, Way], tuple[str, ...]]:
    """By cloud and way, each place where a party is seen to use something else than its routes would give."""
    found: dict[tuple[str, Way], tuple[str, ...]] = {}
    for cloud in view.site.clouds:
        found[cloud.name, "out"] = tuple(_unlike_routers(tables, present, cloud))
        found[cloud.name, "back"] = tuple(_unlike_cloud(view, present, cloud))
    return found


def _unlike_routers(tables: Tables, present: Outcome, cloud: Cloud) -> Iterator[str]:
    for prefix in (str(each.prefix) for each in cloud.prefixes):
        for router in tables.ours:
            seen, made = tables.seen.get((router, prefix)), present.uses.get((router, prefix))
            if seen is not None and made is not None and seen != made:
                yield f"{router} uses {_named(seen)} for {prefix} where its routes say {_named(made)}: look again"


def _unlike_cloud(view: View, present: Outcome, cloud: Cloud) -> Iterator[str]:
    if (cloud.name, "back") in present.problems:
        return  # there is no answer to compare
    tables = view.snapshot.fresh(Kind.CLOUD_ROUTES, cloud.name, CloudRoutes, view.now)
    for route in tables.routes if tables else ():
        made = present.back.get(Piece(cloud.name, route.prefix, route.prefix))
        if made is not None and set(made) != set(route.via):
            said = f"by {_named(', '.join(route.via))} where its routes say {_named(', '.join(made))}: look again"
            yield f"{cloud.name} comes back to {route.prefix} {said}"


def _named(what: str) -> str:
    return what or "nothing"
