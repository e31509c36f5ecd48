"""price-delta: what the new rate costs more a month, told in the plan, recorded in the run. Unknown forbids nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from connectors.errors import InterlockError
from runbooks.declares import Declaration
from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.proof import line
from runbooks.scene import Compiled, Moment, Scene

if TYPE_CHECKING:
    from connectors.megaport_price import Resize

UNKNOWN = "unknown: the price book did not answer"


class Args(BaseModel):
    """The VXC, and its new rate in Mbps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vxc: str
    mbps: int = Field(gt=0)


class PriceDelta:
    """See the module. A price that is known, and not the one that was approved, is outside its bound."""

    declares = Declaration("price-delta", "measure", Args, reads=frozenset({"megaport"}))

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:
        words = in_words(moment.quotes.get((args["vxc"], int(args["mbps"]))))
        return Compiled(expect=({"what": "price", "want": words},), args={"planned": words})

    async def measure(self, scene: Scene, step: StepDef) -> Finding:
        """Ask again, and compare with what the plan said."""
        vxc, planned = scene.site.vxc(step.args["vxc"]), str(step.args["planned"])
        try:
            quote = await scene.fabric().price(vxc, int(step.args["mbps"]))
        except InterlockError as error:
            return _finding(planned, f"{UNKNOWN} ({error})", None)
        return _finding(planned, in_words(quote), quote)


def in_words(quote: Resize | None) -> str:
    """The difference a month, with its sign, and what it is made of."""
    if quote is None or quote.monthly_more is None:
        return UNKNOWN
    return (
        f"{quote.monthly_more:+.2f} {quote.currency}/month ({quote.monthly_now:.2f} now, {quote.monthly_then:.2f} then)"
    )


def _finding(planned: str, now: str, quote: Resize | None) -> Finding:
    """Only a known price beside another known one is a surprise."""
    both = UNKNOWN not in planned and not now.startswith(UNKNOWN)
    same = now == planned or not both
    figures = (
        {"monthly_now": quote.monthly_now, "monthly_then": quote.monthly_then, "currency": quote.currency}
        if quote
        else {}
    )
    evidence = {"price": {**figures, "words": now}, "expected": [line("price", planned, now, ok=same)]}
    return Finding(ok=same, reason="" if same else f"the price is {now}; the plan said {planned}", evidence=evidence)
