"""Whatever a router answers, a parser gives facts or a BadReply: nothing else escapes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import BadReply, NotFound
from connectors.routers import frr, frr_config, frr_links, frr_routes
from connectors.routers.frr_json import documents
from connectors.routers.frr_version import capabilities

DATA = Path(__file__).parents[1] / "data" / "frr"
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def sessions(text: str) -> None:
    """A summary with itself as neighbors reaches everything that makes a fact of the two."""
    peers = frr.summary(text)
    neighbors = json.loads((DATA / "04-bfd-down/edge__show_bgp_neighbors_json.json").read_text())["169.254.10.2"]
    row = frr.neighbor(json.dumps({"x": neighbors}), "x")
    assert row is not None
    for peer in peers.values():
        frr.session_here(peer, row, None, frr.Over(), NOW)


def neighbor_facts(text: str) -> None:
    peers = frr.summary((DATA / "04-bfd-down/edge__show_bgp_summary_json.json").read_text())
    row = frr.neighbor(text, "169.254.10.2")
    for peer in peers.values() if row is not None else ():
        frr.session_here(peer, row, None, frr.Over(), NOW)


def bfd_facts(text: str) -> None:
    peers = frr.bfd_peers(text)
    for peer in peers:
        frr.bfd_here(peers, peer, "edge")


PARSERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "summary": (sessions, "01-established/edge__show_bgp_summary_json.json"),
    "neighbors": (neighbor_facts, "07-max-prefix-exceeded/edge__show_bgp_neighbors_json.json"),
    "bfd": (bfd_facts, "04-bfd-down/edge__show_bfd_peers_json.json"),
    "routes": (
        lambda text: frr_routes.routes(text, "10.50.0.0/16"),
        "01-established/edge__show_bgp_ipv4_unicast_10.50.0.0-16_json.json",
    ),
    "advertised": (
        lambda text: frr_routes.advertised(text, "169.254.10.2", 65010),
        "01-established/edge__show_bgp_ipv4_unicast_neighbors_169.254.10.2_advertised-routes_json.json",
    ),
    "accepted": (
        lambda text: frr_routes.accepted(text, "169.254.10.2"),
        "01-established/edge__show_bgp_ipv4_unicast_neighbors_169.254.10.2_routes_json.json",
    ),
    "stopped": (
        lambda text: frr_routes.stopped(text, "169.254.10.2"),
        "01-established/edge__show_bgp_ipv4_unicast_neighbors_169.254.10.2_filtered-routes_json.json",
    ),
    "rides": (
        lambda text: frr_routes.rides(text, "10.50.0.0/16"),
        "01-established/edge__show_ip_route_10.50.0.0-16_json.json",
    ),
    "bfd downs": (frr.bfd_downs, "15-bgp-up-bfd-down/edge__show_bfd_peers_counters_json.json"),
    "interfaces": (frr_links.interfaces, "05-link-down/edge__show_interface_json.json"),
    "counters": (frr_links.counters, "05-link-down/edge__show_interface_json.json"),
    "version": (capabilities, "01-established/edge__show_version.txt"),
    "documents": (lambda text: documents(text, "show"), "01-established/edge__show_route-map_json.txt"),
    "clauses": (frr_config.clauses, "01-established/edge__show_running-config.txt"),
    "clause": (
        lambda text: frr_config.read_clause(text, "RM-CL1-IN", 10),
        "01-established/edge__show_running-config.txt",
    ),
    "shutdown": (
        lambda text: frr_config.shutdown_text(frr_config.running_config(text).lines, "169.254.10.2"),
        "02-admin-shutdown/edge__show_running-config.txt",
    ),
}

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_any_text_is_parsed_or_refused(name: str, data: st.DataObject) -> None:
    parse, sample = PARSERS[name]
    good = (DATA / sample).read_text()
    text = data.draw(st.text(max_size=60) | JSON.map(json.dumps) | st.integers(0, len(good)).map(lambda at: good[:at]))
    with contextlib.suppress(BadReply, NotFound):
        parse(text)


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(path for key, item in inner for path in paths(item, (*here, key)))]


@pytest.mark.parametrize(
    "name", ["summary", "neighbors", "bfd", "routes", "advertised", "accepted", "stopped", "rides", "interfaces"]
)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_real_reply_with_one_part_replaced_is_parsed_or_refused(name: str, data: st.DataObject) -> None:
    parse, sample = PARSERS[name]
    value = json.loads((DATA / sample).read_text())
    path = data.draw(st.sampled_from(paths(value)))
    new = data.draw(JSON)
    if path:
        inner = value
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = new
    else:
        value = new
    with contextlib.suppress(BadReply):
        parse(json.dumps(value))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(BadReply):
        frr.summary("[" * 100_000)
