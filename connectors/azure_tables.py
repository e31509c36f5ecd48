"""The tables that Azure gives away as long-running operations, read: ARP, BGP neighbours and routes of each leg."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from connectors.errors import BadReply
from connectors.reply import CHECK_VERSION, Finding, Shape, Text, excerpt, mapping, mappings, read
from network.inventory import Path, Site
from network.observation import Advert, Advertised, Kind, SessionThere

LAYER_2_UP = "layer 2 up"
ORIGIN_MARKS = frozenset({"i", "e", "?"})


class _SummaryRow(Shape):
    neighbor: str
    state_pfx_rcd: str
    up_down: Text = ""
    asn: int | None = Field(alias="as", default=None)


class _ArpRow(Shape):
    interface: Text = ""
    mac_address: Text = ""


class _TableRow(Shape):
    network: str
    path: Text = ""
    next_hop: Text = ""


def table_rows(data: Any, where: str) -> tuple[Mapping[str, Any], ...]:
    """The rows of `{"value": [...]}`; {} and [] are empty, anything else is not a table. Raises BadReply."""
    if data in ({}, []):
        return ()
    if isinstance(data, list):
        return mappings(data, where)
    reply = mapping(data, where)
    if "value" not in reply:
        raise BadReply("a table without its rows", where=where, do_next=CHECK_VERSION, evidence=excerpt(data))
    return mappings(reply["value"] or [], where)


def parse_arp(data: Any, path: Path) -> str:
    """A leg's layer 2 in words, from its arpTables: an On-Prem row with a MAC is good.

    "" when the table is empty: Microsoft's side, or a provider-managed layer 3, and no verdict on ours.
    Raises BadReply.
    """
    where = f"azure arpTables of {path.name}"
    rows = [read(_ArpRow, row, where) for row in table_rows(data, where)]
    macs = [row.mac_address.lower() for row in rows if row.interface.lower() == "on-prem"]
    if not rows or any(mac not in {"", "incomplete"} for mac in macs):
        return LAYER_2_UP if rows else ""
    return "layer 2 incomplete" if macs else "no layer 2 neighbour"


def parse_summary(data: Any, site: Site, path: Path) -> list[Finding]:
    """SessionThere from a leg's routeTablesSummary: our row's `statePfxRcd` is digits once established."""
    where = f"azure routeTablesSummary of {path.name}"
    rows = [read(_SummaryRow, row, where) for row in table_rows(data, where)]
    local = str(site.session(path.session).local)
    row = next((each for each in rows if each.neighbor == local), None)
    if row is None:
        raw = [each.model_dump() for each in rows]
        return [Finding(Kind.SESSION_THERE, path.name, SessionThere(up=False, state="absent"), raw)]
    word = row.state_pfx_rcd.strip()
    count = int(word) if re.fullmatch(r"[0-9]{1,9}", word) else None
    fact = SessionThere(
        up=count is not None,
        state="Established" if count is not None else word or "unknown",
        received=count,
        uptime=row.up_down,
    )
    return [Finding(Kind.SESSION_THERE, path.name, fact, row.model_dump())]


def parse_route_table(data: Any, site: Site, path: Path) -> list[Finding]:
    """What a leg accepted from us: the rows whose AS path begins with our AS."""
    where = f"azure routeTables of {path.name}"
    rows = [read(_TableRow, row, where) for row in table_rows(data, where)]
    paths = [(row.network, as_path(row.path, where)) for row in rows]
    ours = tuple(Advert(network, ases) for network, ases in paths if ases[:1] == (site.on_prem.asn,))
    raw = [row.model_dump() for row in rows]
    return [Finding(Kind.ACCEPTED, path.name, Advertised(ours), raw)]


def as_path(text: str, where: str) -> tuple[int, ...]:
    """AS numbers of a path written with spaces (circuit tables) or hyphens (gateways, hub). Raises BadReply."""
    words = [word for word in re.split(r"[\s\-{}()\[\],]+", text) if word and word.lower() not in ORIGIN_MARKS]
    if all(re.fullmatch(r"[0-9]{1,10}", word) for word in words):
        return tuple(map(int, words))
    raise BadReply("an AS path with a word in it", where=where, do_next=CHECK_VERSION, evidence=text)
