"""Pure selector: the site as lines, from router to cloud, one path a line; the stroke says what each path does."""

from __future__ import annotations

from collections.abc import Iterator

from console.view import Cell, mark, tone
from network.health import PathHealth, SiteHealth
from network.inventory import Site
from network.verdict import Verdict

Line = list[Cell]

#: The stroke of a path by its role; what is down has no line.
STROKES = {"active": "━", "standby": "╌", "backup": "┄", "down": " ", "unknown": "·"}
LEGEND = "━ carries   ╌ standby   ┄ backup   X down"
_STEP = 3  # characters of stroke between two names


def topology_lines(site: Site, health: SiteHealth) -> list[Line]:
    """Router, port or ISP, VXC or tunnel, on-ramp, verdict, cloud, load; in the order of the site's routers."""
    grouped = {router.name: _ways_out(site, health, router.name) for router in site.routers}
    widths = _widths(site, health)
    return [line for router, ways in grouped.items() for line in _router_lines(router, ways, widths, site)]


def _ways_out(site: Site, health: SiteHealth, router: str) -> dict[str, list[PathHealth]]:
    """A router's paths by the port or ISP that they leave through."""
    ways: dict[str, list[PathHealth]] = {}
    for path in health.paths:
        if site.session(path.path.session).router == router:
            ways.setdefault(_exit(site, path), []).append(path)
    return ways


def _exit(site: Site, path: PathHealth) -> str:
    if path.path.vxc:
        return site.vxc(path.path.vxc).port
    return next((tunnel.isp for tunnel in site.tunnels if tunnel.name == path.path.tunnel), "")


def _widths(site: Site, health: SiteHealth) -> tuple[int, int, int, int]:
    """Of the columns router, exit, wire, on-ramp."""
    return (
        max(len(router.name) for router in site.routers),
        max(len(_exit(site, path)) for path in health.paths),
        max(len(_wire(path)) for path in health.paths),
        max(len(_ramp(path)) for path in health.paths),
    )


def _wire(path: PathHealth) -> str:
    return path.path.vxc or path.path.tunnel or path.path.session


def _ramp(path: PathHealth) -> str:
    return path.path.connection or "internet"


def _router_lines(
    router: str, ways: dict[str, list[PathHealth]], widths: tuple[int, int, int, int], site: Site
) -> Iterator[Line]:
    names = list(ways)
    for n, (name, paths) in enumerate(ways.items()):
        for m, path in enumerate(paths):
            first = n == 0 and m == 0
            fork = _branch(n, len(names)) if m == 0 else "│" if n < len(names) - 1 else " "
            yield [
                Cell(f"{router if first else '':<{widths[0]}} ", "strong"),
                Cell(f"{fork} ", "dim"),
                Cell(f"{name if m == 0 else '':<{widths[1]}} "),
                Cell(f"{_branch(m, len(paths))} ", "dim"),
                *_path_cells(path, widths, site),
            ]


def _branch(n: int, count: int) -> str:
    if count == 1:
        return "─"
    return "┬" if n == 0 else "└" if n == count - 1 else "├"


def _path_cells(path: PathHealth, widths: tuple[int, int, int, int], site: Site) -> Iterator[Cell]:
    stroke = STROKES[path.role]
    colour = _colour(path)
    name = "strong" if path.role == "active" else "dim" if path.verdict is Verdict.UP else "plain"
    line = Cell(f" {stroke * _STEP} ", colour)
    yield Cell(stroke * _STEP + " ", colour)
    yield Cell(f"{_wire(path):<{widths[2]}}", name)
    yield line
    yield Cell(f"{_ramp(path):<{widths[3]}}", name)
    yield line
    yield mark(path.verdict)
    yield line
    yield Cell(f"{site.cloud(path.path.cloud).name.upper():<8}", name)
    if path.load_mbps is not None:
        yield Cell(f"{path.load_mbps:>6.0f} of {path.rate_mbps} Mbps", "plain" if path.role == "active" else "dim")


def _colour(path: PathHealth) -> str:
    if path.verdict is not Verdict.UP:
        return tone(path.verdict)
    return "up" if path.role == "active" else "dim"
