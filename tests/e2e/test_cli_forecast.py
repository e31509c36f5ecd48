"""`forecast`, `routes` and `calendar` through the real binary, over the embedded lab."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.embedded_lab import PATIENT, Cli, Document, Observer, Result, cloud, lab_up

pytestmark = pytest.mark.vault

CLOUD = {"name", "before", "after", "moved", "lost", "unaffected", "load", "one_loss_from"}


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with lab_up(tmp_path_factory.mktemp("forecast")) as cli:
        yield cli


def told(result: Result) -> bool:
    """A look that knows it all, with its loads: on a busy machine a source may come too late for it."""
    seen = result.json
    return bool(seen["known"]) and all(load["mbps"] is not None for each in seen["clouds"] for load in each["load"][:1])


def test_a_forecast_is_what_then_happens(cli: Cli) -> None:
    result = cli.looked("forecast", "fail", "port-a", "--json", *PATIENT, holds=told)
    said = result.json
    assert (result.code, said["schema"], said["thing"], said["action"]) == (0, 1, "port-a", "fail"), result.out
    assert said["no_effect"] == []
    for each in said["clouds"]:
        assert set(each) >= CLOUD
        assert set(each["before"]) == set(each["after"]) == {"carried_by", "return_by", "verdict"}
        assert {"path", "mbps", "rate_mbps", "pct"} == set(each["load"][0])
        assert 0 < each["load"][0]["mbps"] < each["load"][0]["rate_mbps"]
    with Observer(cli) as observer:
        observer.until("at rest", lambda d: d["verdict"] == "healthy")
        cli.ask_lab("fail", thing="port-a")
        for name in ("azure", "aws"):
            after = cloud(said, name)["after"]
            observer.until(
                f"{name} as foreseen",
                lambda d, name=name, after=after: all(
                    cloud(d, name)[way] == after[way] for way in ("carried_by", "return_by")
                ),
            )
        cli.heal()
        observer.until("at rest again", lambda d: d["verdict"] == "healthy")


def test_a_pair_that_darkens_is_told_as_lost_with_exit_1(cli: Cli) -> None:
    result = cli.looked("forecast", "fail", "fabric+internet", "--json", *PATIENT, holds=told)
    assert result.code == 1
    assert result.json["thing"] == "fabric+internet"
    assert {each["after"]["verdict"] for each in result.json["clouds"]} == {"down"}
    assert "10.50.0.0/16" in cloud(result.json, "azure")["lost"]


def test_a_drain_names_the_knobs_without_effect_in_lines_of_80_characters(cli: Cli) -> None:
    result = cli.looked("forecast", "drain", "port-a", *PATIENT, holds=lambda seen: seen.code == 0)
    assert "no effect  med:" in result.out
    assert max(map(len, result.out.splitlines())) <= 80


def test_a_wrong_thing_or_action_is_bad_usage_with_the_nearest_name(cli: Cli) -> None:
    wrong = cli.run("forecast", "fail", "vxc-azure-aa")
    assert (wrong.code, "vxc-azure-a" in wrong.err) == (2, True)
    assert cli.run("forecast", "fial", "port-a").code == 2


def test_routes_show_the_choice_its_candidates_and_the_way_back(cli: Cli) -> None:
    def way_out(seen: Result) -> Document:
        row: Document = next(row for row in seen.json["routes"] if row["prefix"] == "10.50.0.0/16")
        return row

    def ways_back(seen: Result) -> list[Document]:
        return [row for row in seen.json["routes"] if row["prefix"] == "10.10.0.0/16"]

    def known(seen: Result) -> bool:
        back = [row["chosen"][0]["paths"] for row in ways_back(seen)]
        stale = any(each["stale"] for each in way_out(seen)["chosen"])
        return back == [["azure/er-primary"], ["aws/dx-1"]] and not stale

    seen = cli.looked("routes", "--json", *PATIENT, holds=known)
    out, back = way_out(seen), ways_back(seen)
    first = next(each for each in out["chosen"] if each["router"] == "edge-1")
    assert (first["path"], first["why"]) == ("azure/er-primary", "Local Pref")
    assert {each["session"] for each in out["candidates"]} >= {"er-primary", "er-secondary", "ibgp", "vpn-azure-1"}
    assert {each["as_path"] for each in back[0]["accepted"]} == {"65010", "65010 65010 65010"}
    there = "> edge-1  er-primary"
    text = cli.looked("routes", "azure/er-primary", *PATIENT, holds=lambda seen: there in seen.out).out
    assert "er-secondary" not in "".join(line for line in text.splitlines() if line.startswith("    "))
    assert cli.run("routes", "10.99.0.0/16").code == 2


def test_two_changes_on_both_ports_overlap_on_the_calendar(cli: Cli) -> None:
    numbers = [cli.change("--ci", port) for port in ("port-a", "port-b")]
    result = cli.looked("calendar", "--json", *PATIENT, holds=lambda seen: not seen.json["unknown"])
    assert result.code == 1
    assert [each["id"] for each in result.json["events"] if each["system"] == "servicenow"] == numbers
    assert {each["cloud"] for each in result.json["overlaps"]} == {"azure", "aws"}
    assert "is left with azure/vpn-1, azure/vpn-2, all behind vpngw-azure" in result.out
