"""How a drain turns the knobs of the sessions it empties, and which knobs would do nothing there."""

from __future__ import annotations

from collections.abc import Iterator

from network.inventory import Path
from network.layers import View
from network.observation import HubPreference, Kind
from network.outcome import Edit
from network.preferences import AWS_LOW, INERT
from network.takeover import drained_length, observed_length
from network.things import Reach


def edits_of(view: View, target: Reach) -> dict[str, Edit]:
    """The knobs of each drained session, from what is observed now; between our own routers there is none."""
    return {path.session: _edit(view, path, target) for path in _drained(view, target)}


def _drained(view: View, target: Reach) -> list[Path]:
    return [path for path in view.site.paths if path.session in target.sessions]


def _edit(view: View, path: Path, target: Reach) -> Edit:
    lower = _lowers(view, path)
    return Edit(
        local_pref=view.site.policy.drain_local_pref if lower else None,
        longer=_longer(view, path, target),
        community=AWS_LOW if path.kind == "directconnect" else None,
    )


def _lowers(view: View, path: Path) -> bool:
    """A drain never raises a preference: a tunnel's lies below the drain's own."""
    policy = view.site.session(path.session).policy
    return policy is not None and policy.local_pref > view.site.policy.drain_local_pref


def _longer(view: View, path: Path, target: Reach) -> int:
    """By how much the AS path grows: as much as the standby needs to win; nothing where a length is unknown."""
    own = observed_length(view, path)
    standby = next((p for p in _standbys(view, path) if p.session not in target.sessions), None)
    length = observed_length(view, standby) if standby else own
    return drained_length(own, length) - own if own is not None and length is not None else 0


def _standbys(view: View, path: Path) -> list[Path]:
    return [p for p in view.site.paths_of(path.cloud) if p.kind == path.kind and p.name != path.name]


def no_effect(view: View, target: Reach) -> tuple[tuple[str, str], ...]:
    """(knob, why) for each knob that would move nothing on what is drained."""
    paths = _drained(view, target)
    found = [*_inert(paths), *(said for path in paths for said in _here(view, path, target))]
    if not paths:
        found.append(("drain", "a session between our own routers carries no path of its own: nothing to turn"))
    return tuple(dict.fromkeys(found))


def _inert(paths: list[Path]) -> Iterator[tuple[str, str]]:
    for knob in INERT:
        for kind in knob.kinds:
            if any(path.kind == kind for path in paths):
                believed = " (believed, not checked)" if "[M]" in knob.source else ""
                yield knob.knob, f"{kind}: {knob.why}{believed}"


def _here(view: View, path: Path, target: Reach) -> Iterator[tuple[str, str]]:
    """What this site's own values make void."""
    policy, drained = view.site.session(path.session).policy, view.site.policy.drain_local_pref
    if policy is not None and not _lowers(view, path):
        why = f"{path.name} stands at {policy.local_pref} already, not above the drain's {drained}"
        yield f"local-pref {drained}", why
    if path.kind != "vpn" and all(p.session in target.sessions for p in _standbys(view, path)):
        if not _by_length(view, path):
            yield "prepend", f"{path.name}: only tunnels are left, and a private path wins whatever its AS path"
        if path.kind == "directconnect":
            yield f"community {AWS_LOW}", f"{path.name}: only tunnels are left, which have no class to compare with"


def _by_length(view: View, path: Path) -> bool:
    known = view.snapshot.fresh(Kind.HUB_PREFERENCE, path.cloud, HubPreference, view.now)
    return known is not None and known.preference == "ASPath"
