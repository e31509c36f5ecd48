"""Grey trouble on a link: what `lab fail LINK --loss --delay --mtu` asks of either world. Routing does not see it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.errors import UnknownThing

#: What may be asked for: percent of the packets, milliseconds one way, bytes of an IP packet.
LOSS_PCT, DELAY_MS, MTU_BYTES = (0.0, 100.0), (0.0, 5000.0), (68, 9216)
LINKS = "ports, VXCs, connections, tunnels, ibgp, fabric, internet"


@dataclass(frozen=True, slots=True)
class Grey:
    """Loss and delay in each direction, or with `oneway` towards us alone; packets over `mtu` bytes vanish."""

    loss_pct: float = 0.0
    delay_ms: float = 0.0
    mtu: int | None = None
    oneway: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of a wire: the share lost (0 to 1), seconds of delay, the largest packet in bytes (None: any)."""

    loss: float = 0.0
    delay_s: float = 0.0
    mtu: int | None = None


def asked(loss: float | None, delay_ms: float | None, mtu: int | None, *, oneway: bool) -> Grey | None:
    """The grey trouble that was asked for; None when none was. Raises UnknownThing for a figure out of bounds."""
    for name, value, (least, most) in (
        ("loss", loss, LOSS_PCT),
        ("delay", delay_ms, DELAY_MS),
        ("mtu", mtu, MTU_BYTES),
    ):
        if value is not None and not (value > 0 and least <= value <= most):
            bound = f"over {least:g}" if not least else f"from {least:g}"
            raise UnknownThing(f"lab fail: --{name} {value:g} is not possible; allowed: {bound}, up to {most:g}")
    if (loss, delay_ms, mtu) == (None, None, None):
        return None
    return Grey(loss or 0.0, delay_ms or 0.0, mtu, oneway)


def way(troubles: Iterable[Grey]) -> Way:
    """Everything that one direction meets, one after the other."""
    kept, delay_s, mtu = 1.0, 0.0, None
    for grey in troubles:
        kept *= 1 - grey.loss_pct / 100
        delay_s += grey.delay_ms / 1000
        mtu = grey.mtu if mtu is None or (grey.mtu is not None and grey.mtu < mtu) else mtu
    return Way(1 - kept, delay_s, mtu)
