"""How large a packet each path carries: found by two sources, end to end and on the leg to the provider; one fact."""

from __future__ import annotations

from network.inventory import Site
from network.measured import MtuResult


class Sizes:
    """What either source found last, put together. `fresh_s`: seconds that a finding stays true enough."""

    def __init__(self, site: Site) -> None:
        wanted = {path.name: path.probe.mtu for path in site.paths if path.probe}
        self._known = {name: MtuResult(size, None) for name, size in wanted.items()}
        self.fresh_s = 2 * site.probes.mtu_every_s + SEARCH_S

    def passed(self, path: str, passes: int | None) -> MtuResult:
        """From end to end. When it is another size than before, what the leg carried then says nothing of now."""
        known = self._known[path]
        leg = known.leg_passes if passes == known.passes else None
        self._known[path] = MtuResult(known.wanted, passes, leg)
        return self._known[path]

    def leg_passed(self, path: str, passes: int | None) -> None:
        """On the leg from our router to its peer; told along with the next finding from end to end."""
        known = self._known[path]
        self._known[path] = MtuResult(known.wanted, known.passes, passes)


SEARCH_S = 15.0  # a search for a smaller size takes about so long
