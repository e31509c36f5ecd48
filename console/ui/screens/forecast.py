"""What if one more thing broke, or were drained: the forecast for what a path runs over, from what is seen now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

from console import forecast_view
from console.ui.screens.page import Page
from console.ui.widgets.lines import Lines
from console.ui.widgets.scroll import Scroll
from console.view import Cell
from network.forecast import Action, forecast
from network.inventory import Path, Site
from network.layers import View

if TYPE_CHECKING:
    from console.ui.sight import Sight


class ForecastScreen(Page):
    """Opened with f on a path; n and p go along what it runs over, f and d say what happens to it."""

    AUTO_FOCUS = "Scroll"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.back", "back", id="forecast.back", key_display="esc"),
        Binding("n,right", "thing(1)", "next thing", id="forecast.next"),
        Binding("p,left", "thing(-1)", "previous", id="forecast.previous"),
        Binding("f", "act('fail')", "if it fails", id="forecast.fail"),
        Binding("d", "act('drain')", "if it is drained", id="forecast.drain"),
    ]

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path, self._at = path, 0
        self._action: Action = "fail"

    def body(self) -> Iterable[Widget]:
        yield Scroll(Lines(id="forecast", classes="box"))

    def draw(self, sight: Sight) -> None:
        lines = self.query_one("#forecast", Lines)
        if sight.health is None or sight.picture.snapshot is None:
            lines.show([[Cell("nothing has been seen yet", "unknown")]])
            return
        things = over(sight.site, sight.site.path(self._path))
        thing = things[self._at % len(things)]
        view = View(sight.site, sight.picture.snapshot, sight.judged_at)
        found = forecast(view, sight.health, self._action, [thing])
        lines.border_title = Content.assemble((forecast_view.heading(found), "bold $tone-text"))
        lines.border_subtitle = f"{self._at % len(things) + 1} of {len(things)}: {', '.join(things)}"
        lines.show(forecast_view.cells(found, max(40, lines.content_size.width)))

    def on_scroll_fitted(self) -> None:
        self.refresh_sight()

    def action_thing(self, step: int) -> None:
        self._at += step
        self.refresh_sight()

    def action_act(self, action: Action) -> None:
        self._action = action
        self.refresh_sight()


def over(site: Site, path: Path) -> tuple[str, ...]:
    """What a path runs over, from the plant to the cloud, and the group that it belongs to."""
    router = site.session(path.session).router
    if path.vxc and path.connection:
        return site.vxc(path.vxc).port, path.vxc, path.connection, router, "fabric"
    tunnel = site.tunnel(path.tunnel or "")
    return tunnel.name, tunnel.isp, router, "internet"
