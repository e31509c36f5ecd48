"""What `interlock status` says of every failure that the lab can make, and how soon. One observer watches them all."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.embedded_lab import (
    BINARY,
    PATIENT,
    Cli,
    Document,
    Observer,
    Result,
    alert,
    cloud,
    lab_up,
    path,
    source,
)

pytestmark = [pytest.mark.vault, pytest.mark.timeout(240)]

PATHS = ["er-primary", "er-secondary", "vpn-1", "vpn-2"]
ALL_PATHS = [*(f"azure/{p}" for p in PATHS), *(f"aws/{p}" for p in ("dx-1", "dx-2", "vpn-1", "vpn-2"))]
LAYERS = ["port", "vxc", "circuit", "bgp_here", "bgp_there", "bfd", "attach", "probe"]
SOURCES = {"edge-1", "edge-2", "megaport", "azure", "aws", "vault", "servicenow", "probes"}
Ways = dict[str, tuple[str, ...]]
REST: Ways = {"azure": ("azure/er-primary",), "aws": ("aws/dx-1",)}
#: Microsoft's and the cloud's tables are asked every 5 s; what a cloud says is stale after two of these.
CLOUD_INTERVAL_S = 5.0
#: What `status` says of a source that hangs; an SDK that does tries twice, for 4 s each, and would hold it up longer.
HANGS, HELD_UP_S = "no answer within 2.5 s", 5.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with lab_up(tmp_path_factory.mktemp("status")) as cli:
        yield cli


@pytest.fixture(scope="module")
def observer(lab: Cli) -> Iterator[Observer]:
    with Observer(lab) as eyes:
        eyes.until("the lab is at rest", at_rest)
        yield eyes


@pytest.fixture
def eyes(lab: Cli, observer: Observer) -> Iterator[Observer]:
    """The observer; what a test broke is mended. It may still be coming back when the next test begins."""
    yield observer
    lab.heal()


@pytest.fixture
def rested(eyes: Observer) -> Observer:
    """The observer of a lab where everything is as it was."""
    eyes.until("healed: everything is as it was", at_rest)
    return eyes


def at_rest(seen: Document) -> bool:
    return (
        seen["verdict"] == "healthy"
        and carried(seen) == REST == returned(seen)
        and all(each["ok"] for each in seen["sources"])
        and not any(layer in {"down", "stale"} for p in seen["paths"] for layer in p["layers"].values())
    )


def carried(seen: Document) -> Ways:
    return {each["name"]: tuple(each["carried_by"]) for each in seen["clouds"]}


def returned(seen: Document) -> Ways:
    return {each["name"]: tuple(each["return_by"]) for each in seen["clouds"]}


def down(seen: Document) -> set[str]:
    return {each["name"] for each in seen["paths"] if each["verdict"] == "down"}


def fail(lab: Cli, thing: str, **how: Any) -> float:
    """Break something; the moment when the lab said that it is broken."""
    lab.ask_lab("fail", thing=thing, **how)
    return time.monotonic()


# -- at rest


def whole(seen: Result) -> bool:
    """A cold look that knows it all: on a busy machine a source may answer too late for it."""
    return seen.code == 0 and carried(seen.json) == REST == returned(seen.json)


def test_a_healthy_site_has_every_field_of_the_contract_in_its_order(lab: Cli) -> None:
    result = lab.looked("status", "--json", *PATIENT, holds=whole)
    assert "using the lab's site" in result.err
    seen = result.json
    assert (seen["schema"], seen["site"], seen["mode"], seen["verdict"]) == (1, "reference", "lab", "healthy")
    assert seen["at"].endswith("Z")
    assert [each["name"] for each in seen["clouds"]] == ["azure", "aws"]
    assert [each["name"] for each in seen["paths"]] == ALL_PATHS
    assert {each["name"] for each in seen["sources"]} == SOURCES
    assert carried(seen) == REST == returned(seen)
    for each in seen["clouds"]:
        assert each["symmetric"] is True
        assert each["return_source"] in {"measured", "table", "inferred"}
        assert each["return_age_s"] >= 0
        assert len(each["spares"]) == 3
        assert each["one_loss_from"] == []
    for each in seen["sources"]:
        assert {"name", "kind", "ok", "age_s", "error"} <= each.keys()
        assert (each["ok"], each["error"]) == (True, None)


def test_every_path_has_its_layers_prefixes_and_figures(rested: Observer) -> None:
    def measured(seen: Document) -> bool:
        return at_rest(seen) and all(
            each["load_mbps"] is not None and each["rtt_ms"] is not None and each["loss_pct"] == 0
            for each in seen["paths"]
        )

    _, seen = rested.until("a load and a round trip are measured, and nothing is lost", measured)
    for each in seen["paths"]:
        assert list(each["layers"]) == LAYERS
        vpn = "/vpn-" in each["name"]
        absent = {name for name, layer in each["layers"].items() if layer == "none"}
        assert absent == ({"port", "vxc", "bfd"} if vpn else set())
        assert {layer for name, layer in each["layers"].items() if name not in absent} == {"up"}
        assert each["prefixes"]["received"] == 2, each
        assert each["prefixes"]["advertised"] == 3, "two sanctioned prefixes and the path's own probe address"
        assert each["prefixes"]["limit_here"] == 100
        assert each["rtt_ms"] > 0
        assert each["rate_mbps"] == (500 if vpn else 1000)
        assert each["age_s"] is not None
        assert each["age_there_s"] is not None
        assert (each["stale"], each["verdict"], each["why"]) == (False, "up", "")
    assert {each["name"]: each["role"] for each in seen["paths"] if each["cloud"] == "azure"} == {
        "azure/er-primary": "active",
        "azure/er-secondary": "standby",
        "azure/vpn-1": "backup",
        "azure/vpn-2": "backup",
    }
    assert path(seen, "azure/er-primary")["load_mbps"] > 100


def test_on_a_terminal_there_is_colour_unless_plain_or_no_color_and_the_words_are_the_same(lab: Cli) -> None:
    said = {
        "colour": on_terminal(lab, "status"),
        "plain": on_terminal(lab, "status", "--plain"),
        "no color": on_terminal(lab, "status", env={"NO_COLOR": "1"}),
    }
    assert "\x1b[" in said["colour"]
    for name in ("plain", "no color"):
        assert "\x1b" not in said[name]
        assert "INTERLOCK LAB reference" in said[name]
        assert "azure/er-primary" in said[name]


def on_terminal(lab: Cli, *args: str, env: Mapping[str, str] | None = None) -> str:
    """What a status writes on a terminal of its own; on a busy machine a source may be late, and it says so."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [BINARY, *args], stdin=its, stdout=its, stderr=its, env={**lab.env, "TERM": "xterm", **(env or {})}
    )
    os.close(its)
    written = b""
    with contextlib.suppress(OSError):  # Linux says EIO when the last writer has gone
        while part := os.read(ours, 65536):
            written += part
    os.close(ours)
    assert process.wait() in {0, 1, 3}, written
    return written.decode()


def test_tables_of_paths_and_sessions(lab: Cli) -> None:
    rows = lab.ok("paths", "--json").json
    assert (rows["schema"], [row["name"] for row in rows["paths"]]) == (1, ALL_PATHS)
    assert all(("vpn" in row) == ("/vpn-" in row["name"]) for row in rows["paths"])

    def told(seen: Result) -> list[tuple[str, ...]]:
        return [(s["name"], s["router"], s["state"], s["peer_asn"]) for s in seen.json["sessions"]]

    wanted = [("er-primary", "edge-1", "Established", 12076)]
    lab.looked("sessions", "er-primary", "--json", *PATIENT, holds=lambda seen: told(seen) == wanted)
    for command, word in (("paths", "azure/er-primry"), ("sessions", "er-primry")):
        wrong = lab.run(command, word, *PATIENT)
        assert wrong.code == 2
        assert "did you mean" in wrong.err


def test_a_vpn_path_shows_its_proof_mark_by_mark(lab: Cli, rested: Observer) -> None:
    """How the session rides is the routers' word: until they say it, nothing is proven."""

    def of(seen: Result) -> Document:
        (row,) = seen.json["paths"]
        found: Document = row["vpn"]
        return found

    def shown(ike: str, *others: str) -> Document:
        """The proof, once the tunnel and the other marks are so: on a busy machine one look may come too early."""

        def holds(seen: Result) -> bool:
            verdicts = {name: mark["verdict"] for name, mark in of(seen)["marks"].items()} if seen.code == 0 else {}
            return verdicts.get("ike") == ike and all(verdicts[name] == "up" for name in others)

        return of(lab.looked("paths", "aws/vpn-1", "--json", *PATIENT, holds=holds))

    seen = shown("up", "bgp", "coverage", "probe")
    rides = seen["marks"]["rides"]["verdict"]
    assert rides in {"up", "unknown"}
    assert seen["proven"] == (rides == "up")
    assert [seen["coverage"][way]["complete"] for way in ("out", "back")] == [True, True]
    assert "coverage" in lab.ok("paths", "aws/vpn-1").out
    fail(lab, "vpn-aws-1")
    lost = shown("down")
    assert (lost["proven"], lost["verdict"]) == (False, "down")


# -- which site


def test_which_site_flag_then_environment_then_config_then_lab(lab: Cli) -> None:
    text = (lab.lab_folder / "site.yaml").read_text()
    files = {name: lab.root / f"{name}.yaml" for name in ("flag", "environment")}
    files["config"] = lab.config / "interlock" / "site.yaml"
    for name, file in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        # A probe session to nowhere: the site is only loaded, and refused at the name that it does not know.
        file.write_text(text.replace("name: reference", f"name: {name}", 1).replace("mode: lab", "mode: lab-rat", 1))
    try:
        env = {"INTERLOCK_SITE": str(files["environment"])}
        asked = {
            "flag": lab.run("paths", "--site", str(files["flag"]), env=env),
            "environment": lab.run("paths", env=env),
            "config": lab.run("paths"),
        }
        for name, result in asked.items():
            assert result.code == 2
            assert str(files[name]) in result.err, f"{name} was not the file in use"
            assert "lab-rat" in result.err
    finally:
        files["config"].unlink()
    last = lab.ok("paths", "--json")
    assert f"using the lab's site {lab.lab_folder / 'site.yaml'}" in last.err


def test_site_check_names_line_value_and_nearest_name(lab: Cli, tmp_path: Path) -> None:
    good = (lab.lab_folder / "site.yaml").read_text()
    bad = tmp_path / "bad.yaml"
    bad.write_text(good.replace("router: edge-1", "router: egde-1", 1))
    result = lab.run("site", "check", str(bad))
    assert result.code == 2
    assert f"{bad}:" in result.err
    assert "egde-1" in result.err
    assert "did you mean 'edge-1'?" in result.err
    bad.write_text("schema: [")
    assert lab.run("site", "check", str(bad)).code == 2
    missing = lab.run("site", "check", str(tmp_path / "nowhere.yaml"))
    assert missing.code == 2
    assert "nowhere.yaml" in missing.err


def test_the_schema_is_one_and_the_labs_site_fits_it(lab: Cli) -> None:
    schema = lab.ok("schema", "site").json
    site = yaml.safe_load((lab.lab_folder / "site.yaml").read_text())
    assert schema["type"] == "object"
    assert set(schema["required"]) <= site.keys() <= schema["properties"].keys()
    named = {f"#/$defs/{name}" for name in schema["$defs"]}
    assert set(references(schema)) <= named, "an editor finds every type that is referred to"
    assert lab.run("schema", "sight").code == 2


def references(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            yield from [value] if key == "$ref" else references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)


def test_version_and_help(lab: Cli) -> None:
    assert lab.ok("--version").out.startswith("interlock 0")
    assert "rollback" in lab.ok("--help").out


# -- links


def test_a_silent_port_is_told_with_its_layer_and_reason(lab: Cli, rested: Observer) -> None:
    """How soon is measured where the routers are real (test_frr_product)."""

    def told(seen: Document) -> bool:
        primary = path(seen, "azure/er-primary")
        said = {name: primary["layers"][name] for name in ("port", "vxc", "circuit", "bgp_here", "bfd")}
        return (
            {"azure/er-primary", "aws/dx-1"} <= down(seen)
            and "BFD detection time expired" in primary["why"]
            and said == {"port": "up", "vxc": "up", "circuit": "up", "bgp_here": "down", "bfd": "down"}
        )

    broken = fail(lab, "port-a", silent=True)
    _, seen = rested.until("bgp is down on port-a, and why", told, since=broken)
    assert "port, vxc, circuit up" in path(seen, "azure/er-primary")["why"]
    told_once = alert(seen, "path:azure/er-primary")
    assert told_once
    assert told_once["severity"] == "critical"
    moved = {"azure": ("azure/er-secondary",), "aws": ("aws/dx-2",)}
    rested.until("both clouds, both ways, on port-b", lambda d: carried(d) == moved == returned(d), since=broken)
    degraded = (3, "degraded")
    lab.looked("status", "--json", *PATIENT, holds=lambda seen: (seen.code, seen.json["verdict"]) == degraded)


SECONDARY: Ways = {"azure": ("azure/er-secondary",), "aws": ("aws/dx-2",)}
AZURE_MOVED: Ways = {**REST, "azure": SECONDARY["azure"]}
VPN: Ways = {"azure": ("azure/vpn-1", "azure/vpn-2"), "aws": ("aws/vpn-1", "aws/vpn-2")}
PORT_A, PORT_B = {"azure/er-primary", "aws/dx-1"}, {"azure/er-secondary", "aws/dx-2"}
TUNNELS = {"azure/vpn-1", "azure/vpn-2", "aws/vpn-1", "aws/vpn-2"}


NO_LIGHT, PROVIDER = "no carrier on", "the provider says"
#: Things that share no path are broken together: one look for all of them.
LINKS: dict[str, tuple[Ways, dict[str, str]]] = {
    "port-a": (SECONDARY, dict.fromkeys(PORT_A, f"port: {NO_LIGHT} port-a")),
    "port-b": (REST, dict.fromkeys(PORT_B, f"port: {NO_LIGHT} port-b")),
    "vxc-azure-a dx-1 vpn-azure-2": (SECONDARY, {
        "azure/er-primary": f"vxc: {NO_LIGHT} vxc-azure-a", "aws/dx-1": f"circuit: {PROVIDER} connection down",
        "azure/vpn-2": f"circuit: {PROVIDER} NotConnected"}),
    "er-primary vxc-aws-a vpn-aws-1": (SECONDARY, {
        "azure/er-primary": f"circuit: {PROVIDER}", "aws/dx-1": f"vxc: {NO_LIGHT} vxc-aws-a",
        "aws/vpn-1": f"circuit: {PROVIDER} DOWN"}),
    "vxc-azure-b dx-2 vpn-aws-2": (REST, {
        "azure/er-secondary": f"vxc: {NO_LIGHT} vxc-azure-b", "aws/dx-2": f"circuit: {PROVIDER} connection down",
        "aws/vpn-2": f"circuit: {PROVIDER} DOWN"}),
    "er-secondary vxc-aws-b vpn-azure-1": (REST, {
        "azure/er-secondary": f"circuit: {PROVIDER}", "aws/dx-2": f"vxc: {NO_LIGHT} vxc-aws-b",
        "azure/vpn-1": f"circuit: {PROVIDER} NotConnected"}),
    "fabric": (VPN, dict.fromkeys(PORT_A | PORT_B, f"vxc: {NO_LIGHT} vxc-a")),
    "internet": (REST, dict.fromkeys(TUNNELS, f"circuit: {PROVIDER}")),
}  # fmt: skip
#: What is left hangs on one domain each.
ONE_LOSS = {
    "fabric": {"azure": ["vpngw-azure"], "aws": []},
    "internet": {"azure": ["er-circuit", "ergw-azure", "frankfurt"], "aws": ["dxgw"]},
}


@pytest.mark.parametrize("things", LINKS)
def test_a_broken_link_is_told_with_its_lowest_layer_and_who_carries_now(lab: Cli, eyes: Observer, things: str) -> None:
    wanted, reasons = LINKS[things]
    for thing in things.split():
        since = fail(lab, thing)

    def told(seen: Document) -> bool:
        said = [path(seen, name)["why"].startswith(why) for name, why in reasons.items()]
        losses = {each["name"]: each["one_loss_from"] for each in seen["clouds"]}
        dark = losses == ONE_LOSS.get(things, losses)
        return down(seen) == set(reasons) and all(said) and dark and carried(seen) == wanted == returned(seen)

    _, seen = eyes.until(f"{things}: {reasons}, carried by {wanted}", told, since=since)
    assert seen["verdict"] == "degraded"
    hurt = {name.split("/")[0] for name in reasons}
    assert {each["name"] for each in seen["clouds"] if each["verdict"] != "healthy"} == hurt
    for name in reasons:
        assert path(seen, name)["role"] == "down"
        assert alert(seen, f"path:{name}"), f"no alert for {name}"
    for each in seen["clouds"]:
        assert not set(reasons) & set(each["spares"])
        assert bool(each["one_loss_from"]) == bool(alert(seen, f"dark:{each['name']}"))


@pytest.mark.parametrize(("dead", "alive", "carries"), [("edge-1", "edge-2", SECONDARY), ("edge-2", "edge-1", REST)])
def test_a_dead_router_is_a_source_that_cannot_be_reached_and_leaves_one_domain(
    lab: Cli, eyes: Observer, dead: str, alive: str, carries: Ways
) -> None:
    since = fail(lab, dead)

    def told(seen: Document) -> bool:
        return (
            not source(seen, dead)["ok"]
            and source(seen, alive)["ok"]
            and carried(seen) == carries
            and all(each["one_loss_from"] == [alive] for each in seen["clouds"])
            and len(down(seen)) == 4
            and {path(seen, name)["layers"]["bgp_here"] for name in down(seen)} <= {"stale", "unknown"}
            and alert(seen, f"bmp:{dead}") is not None
        )

    _, seen = eyes.until(f"{dead} cannot be reached; only {alive} is left", told, since=since)
    assert source(seen, dead)["error"]
    assert alert(seen, "dark:azure")
    assert alert(seen, "dark:aws")
    assert seen["verdict"] == "degraded"


def test_without_ibgp_each_edge_goes_its_own_way_and_that_is_said(lab: Cli, eyes: Observer) -> None:
    since = fail(lab, "ibgp")
    both = {"azure": ("azure/er-primary", "azure/er-secondary"), "aws": ("aws/dx-1", "aws/dx-2")}

    def told(seen: Document) -> bool:
        asymmetric = cloud(seen, "azure")["symmetric"] is False and alert(seen, "asymmetry:azure")
        return carried(seen) == both and bool(asymmetric) and alert(seen, "session:ibgp") is not None

    eyes.until("both edges use their own port, and only one way comes back", told, since=since)


# -- misconfigurations and providers


def test_without_addpath_the_standby_is_not_held_but_nothing_is_down(lab: Cli, rested: Observer) -> None:
    since = fail(lab, "no-addpath")

    def told(seen: Document) -> bool:
        hidden = alert(seen, "hidden:edge-1:azure") and alert(seen, "hidden:edge-1:aws")
        return bool(hidden) and (seen["verdict"], carried(seen), down(seen)) == ("healthy", REST, set())

    rested.until("told, and nothing is down", told, since=since)
    fail(lab, "port-a", silent=True)
    rested.until("the standby still takes over in the end", lambda d: carried(d) == SECONDARY, since=since)


def test_a_provider_drain_moves_both_directions(lab: Cli, rested: Observer) -> None:
    since = fail(lab, "provider-drain")

    def told(seen: Document) -> bool:
        """Its session is up: a drain is no failure. Ten seconds later the provider takes the leg away."""
        drained = path(seen, "azure/er-primary")
        return (
            (carried(seen), down(seen), drained["role"]) == (AZURE_MOVED, set(), "standby")
            and "the provider prepends 8 times" in drained["why"]
            and alert(seen, "maintenance:azure/er-primary") is not None
        )

    rested.until("azure has left er-primary, which is drained by its provider and not down", told, since=since)
    rested.until("azure is on er-secondary both ways", lambda d: carried(d) == AZURE_MOVED == returned(d), since=since)


@pytest.mark.parametrize(("supernet", "prefix"), [(False, "10.200.0.0/16"), (True, "10.0.0.0/8")])
def test_an_ot_leak_is_a_critical_alert_on_the_path_that_leaks(
    lab: Cli, eyes: Observer, supernet: bool, prefix: str
) -> None:
    since = fail(lab, "ot-leak", supernet=supernet)
    _, seen = eyes.until(f"{prefix} leaks", lambda d: alert(d, f"ot:azure/er-secondary:{prefix}"), since=since)
    found = alert(seen, "ot:")
    assert found
    assert (found["severity"], found["path"]) == ("critical", "azure/er-secondary")
    assert prefix in found["text"]
    assert "10.200.0.0/14" in found["text"]
    lab.heal()
    eyes.until("the alert is gone with its cause", lambda d: not alert(d, "ot:"))


def test_too_many_prefixes_stop_the_session_and_the_reason_is_max_prefix(lab: Cli, eyes: Observer) -> None:
    since = fail(lab, "max-prefix")

    def told(seen: Document) -> bool:
        primary = path(seen, "azure/er-primary")
        stopped = primary["layers"]["bgp_here"] == "down" and "max-prefix" in primary["why"]
        return stopped and carried(seen) == AZURE_MOVED

    eyes.until("er-primary is stopped", told, since=since)


def test_a_flapping_session_is_an_alert_of_its_own(lab: Cli, rested: Observer) -> None:
    with Observer(lab) as fresh:
        fresh.until("nothing has dropped while it watches", lambda d: at_rest(d) and not alert(d, "flap:"))
        since = fail(lab, "flap")
        _, seen = fresh.until("flaps", lambda d: alert(d, "flap:azure/er-primary"), since=since)
        lab.heal()
    assert [each["severity"] for each in seen["alerts"] if each["id"].startswith("flap:")] == ["warning"]
    at = [datetime.fromisoformat(line["at"]) for line in rested.documents]
    assert min((fifth - one).total_seconds() for one, fifth in zip(at, at[4:], strict=False)) > 0.9, (
        "four lines a second at most"
    )


def test_asymmetry_is_told_with_both_ways(lab: Cli, rested: Observer) -> None:
    since = fail(lab, "asymmetry")
    _, seen = rested.until(
        "out by er-primary, back by er-secondary",
        lambda d: carried(d) == REST and returned(d) == AZURE_MOVED,
        since=since,
    )
    assert cloud(seen, "azure")["symmetric"] is False
    found = alert(seen, "asymmetry:azure")
    assert found
    assert "out by azure/er-primary, back by azure/er-secondary" in found["text"]


# -- systems


def test_systems_that_fail_say_so_one_by_one_and_what_they_said_grows_stale_but_never_healthy(
    lab: Cli, rested: Observer
) -> None:
    def wrong(seen: Document) -> dict[str, str]:
        return {each["name"]: each["error"] or "" for each in seen["sources"] if not each["ok"]}

    since = fail(lab, "azure", fault="500")
    rested.until(
        "azure fails, and it alone", lambda d: wrong(d).keys() == {"azure"} and "500" in wrong(d)["azure"], since=since
    )

    def stale(seen: Document) -> bool:
        """What azure said; our own routers are still asked, and aws too."""
        primary = path(seen, "azure/er-primary")
        theirs = {primary["layers"][name] for name in ("circuit", "bgp_there", "attach")}
        return (
            "stale" in theirs
            and "azure has not said so for" in primary["why"]
            and primary["age_there_s"] > CLOUD_INTERVAL_S
            and (primary["layers"]["bgp_here"], cloud(seen, "aws")["verdict"]) == ("up", "healthy")
        )

    _, seen = rested.until("what azure said is stale, and nothing else", stale, since=since)
    assert path(seen, "azure/er-primary")["stale"]
    assert cloud(seen, "azure")["verdict"] != "healthy"
    assert seen["verdict"] != "healthy"

    for system, fault in (("megaport", "429"), ("aws", "garbage"), ("servicenow", "down"), ("vault", "sealed")):
        fail(lab, system, fault=fault)
    said = {"azure": "500", "megaport": "429", "aws": "aws", "servicenow": "onnection", "vault": "sealed"}
    rested.until(
        "every system says what is wrong; the routers' certificates are still good: they go on",
        lambda d: wrong(d).keys() == said.keys() and all(word in wrong(d)[name] for name, word in said.items()),
    )
    lab.heal()
    rested.until("recovered, without a restart", at_rest)


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        ({"azure": ("hang", HANGS), "megaport": ("down", "")}, 3),
        ({"aws": ("hang", HANGS), "azure": ("slow", "")}, 3),
        ({"aws": ("429", "429"), "megaport": ("garbage", ""), "servicenow": ("down", "")}, 1),
        ({"vault": ("sealed", "sealed")}, 3),
    ],
)
def test_one_status_with_systems_broken_has_the_right_code_and_each_source_says_why(
    lab: Cli, eyes: Observer, faults: dict[str, tuple[str, str]], code: int
) -> None:
    for system, (fault, _) in faults.items():
        fail(lab, system, fault=fault)
    result, lingered_s = said_and_gone(lab, "status", "--json")
    assert lingered_s < HELD_UP_S, "a call that hangs in an SDK's thread holds nobody up"
    seen = result.json
    for system, (_, said) in faults.items():
        assert not source(seen, system)["ok"]
        error = source(seen, system)["error"]
        assert error == HANGS if said == HANGS else said in error or "no answer within" in error
        if system in {"azure", "aws"}:
            assert cloud(seen, system)["verdict"] != "healthy"
            there = [path(seen, name)["layers"]["bgp_there"] for name in ALL_PATHS if name.startswith(system)]
            assert set(there) == {"unknown"}
    assert seen["verdict"] != "healthy"
    # On a machine that has no time for it, an answer may not arrive before `status` must say something: if what it
    # comes from is needed, that counts as out of reach.
    late = any("no answer within" in (each["error"] or "") for each in seen["sources"])
    assert result.code in ({3, code} if late else {code}), json.dumps(seen["sources"], indent=1)


def said_and_gone(lab: Cli, *words: str) -> tuple[Result, float]:
    """A command that prints a document, and how long it was still there when the whole document was said."""
    process = lab.start(*words)
    assert process.stdout
    lines, said_at = list[str](), 0.0
    for line in process.stdout:
        lines.append(line)
        if line == "}\n":
            said_at = time.monotonic()
    _, err = process.communicate()
    lingered_s = time.monotonic() - said_at
    return Result(process.returncode, "".join(lines), err), lingered_s
