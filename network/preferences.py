"""How each party prefers one route over another, as data: the steps in their order, each with where it is from.

Marks: [V] read in the vendor's text, [DOC] its documentation, [LAB] run on real FRR, [M] believed and unchecked. A row
that turns out to be wrong is corrected here and nowhere else. Longest match comes before all of it, everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One comparison, by its name in `network.bestpath`. `order`: kinds or communities, the preferred one first."""

    name: str
    source: str
    order: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Process:
    """A party's decision process. `shares`: what is equal after the last step carries together (ECMP)."""

    name: str
    steps: tuple[Step, ...]
    shares: bool


@dataclass(frozen=True, slots=True)
class Inert:
    """A knob that does nothing on a path of one of these kinds, and why."""

    knob: str
    kinds: tuple[str, ...]
    why: str
    source: str


_FRR = "FRR's own order, bgp_path_info_cmp [LAB]"
ROUTER = Process(
    "our router",
    (
        Step("weight", _FRR),
        Step("local_pref", _FRR),
        Step("originated", _FRR),
        Step("as_path", _FRR),
        Step("origin", _FRR),
        Step("med", f"{_FRR}: among routes of one neighbouring AS"),
        Step("external", _FRR),
        Step("igp_metric", _FRR),
        Step("selected", f"{_FRR}: of two external routes the one in use stays"),
        Step("router_id", _FRR),
        Step("address", _FRR),
    ),
    shares=False,
)

_WEIGHT = Step("weight", "contract 2.8: routingWeight, compared before AS-path length; range [M]")
_LENGTH = Step("as_path", "procedures 1: ER leg v ER leg, if strictly longer [LAB]; equal is ECMP (contract 2.8)")
#: By the hub's own word. A word that is not here is unknown, and so is whatever depends on it.
AZURE_HUB: Mapping[str, Process] = {
    "ExpressRoute": Process(
        "Azure hub, prefers ExpressRoute",
        (Step("kind", "procedures 1 [DOC]", ("expressroute", "vpn")), _WEIGHT, _LENGTH),
        shares=True,
    ),
    "VpnGateway": Process(
        "Azure hub, prefers VPN",
        (Step("kind", "procedures 1 [DOC]", ("vpn", "expressroute")), _WEIGHT, _LENGTH),
        shares=True,
    ),
    "ASPath": Process(
        "Azure hub, prefers the shortest AS path",
        (Step("as_path", "procedures 1 [DOC]: prepend moves ER v VPN when the preference is ASPath"),),
        shares=True,
    ),
}
#: AS numbers that stand before ours when the hub compares lengths, by kind of path.
HUB_TRANSIT: Mapping[str, int] = {
    "expressroute": 1,  # 12076, as the hub's effective routes show it [DOC]
    "vpn": 1,  # the gateway's own 65515 [M]
}

_CLASS = Step(
    "community",
    "contract 3.8: 7224:7100/7200/7300, judged before AS path [V]; none is 7200 [V]",
    ("7224:7300", "7224:7200", "7224:7100"),
)
#: What Direct Connect assumes of a route without a class (contract 3.8 [V]).
DEFAULT_CLASS = "7224:7200"
AWS_TGW = Process(
    "AWS transit gateway",
    (
        Step(
            "kind",
            "procedures 1: static > prefix list > DXGW > VPN [V]",
            ("static", "prefix-list", "directconnect", "vpn"),
        ),
        _CLASS,
        Step("as_path", "procedures 1: DX v DX in one region and one 7224 class; VPN v VPN (VPN23); equal is ECMP"),
    ),
    shares=True,
)
AWS_VGW = Process(
    "AWS virtual private gateway",
    (
        Step("kind", "contract 3.7: DX, static VPN, BGP VPN [M]", ("directconnect", "static", "vpn")),
        _CLASS,
        Step("as_path", "contract 3.7 [V]: then the shortest AS path"),
        Step("med", "contract 3.7 [V]: then the lowest MED"),
    ),
    shares=True,
)

#: AWS's lowest class: a drain puts it in the place of the present one.
AWS_LOW = "7224:7100"

INERT: tuple[Inert, ...] = (
    Inert("med", ("expressroute", "directconnect", "vpn"), "neither cloud compares MED", "procedures 1 [M]"),
    Inert(
        "community 65535:0",
        ("expressroute", "directconnect", "vpn"),
        "nothing says that either cloud honours graceful-shutdown",
        "procedures 1",
    ),
    Inert("community 7224", ("expressroute",), "only Direct Connect reads the 7224 classes", "procedures 1"),
    Inert("community 7224", ("vpn",), "only Direct Connect reads the 7224 classes", "procedures 1"),
    Inert(
        "routingWeight",
        ("expressroute",),
        "it is one per circuit: both legs of it have the same",
        "procedures 1",
    ),
    Inert(
        "prepend",
        ("vpn",),
        "a cloud takes its private path before a tunnel, whatever the AS path",
        "procedures 1 [DOC, V]",
    ),
)
