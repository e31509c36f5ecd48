"""The lab's ServiceNow over plain HTTP: the shapes that the vendor's documentation states."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.serve import on_loopback
from lab.servicenow import LabServiceNow, UnknownNameError
from lab.servicenow.query import parse_query
from lab.servicenow.tables import TABLES

NAMES = ["port-a", "port-b", "vxc-azure-a", "dx-1", "edge-1"]
PASSWORD = "loopback-Passw0rd!"
CHANGES = "/api/now/table/change_request"
REST = "/api/sn_chg_rest/change"
NO_RECORD = {
    "error": {
        "message": "No Record found",
        "detail": "Record doesn't exist or ACL restricts the record retrieval",
    },
    "status": "failure",
}


@pytest.fixture
async def lab() -> AsyncIterator[LabServiceNow]:
    instance = LabServiceNow(NAMES, password=PASSWORD)
    async with on_loopback(instance) as instance.url:
        yield instance
        instance.set_fault(None)


@pytest.fixture
async def http(lab) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Accept": "application/json"}
    login = ("interlock", PASSWORD)
    async with httpx.AsyncClient(base_url=lab.url, auth=login, headers=headers, trust_env=False, timeout=30) as client:
        yield client


async def sys_id_of(http, number) -> str:
    return (await http.get(CHANGES, params={"number": number})).json()["result"][0]["sys_id"]


async def new_by_api(http, **fields) -> dict:
    answer = await http.post(CHANGES, json={"short_description": "by api"} | fields)
    assert answer.status_code == 201
    return answer.json()["result"]


# Table API: reading


async def test_a_row_has_every_column_as_a_string_or_a_reference(lab, http):
    number = lab.new_change(ci=["port-a"])
    row = (await http.get(CHANGES, params={"sysparm_query": f"number={number}"})).json()["result"][0]
    assert set(row) == set(TABLES["change_request"])
    assert (row["state"], row["on_hold"], row["close_code"], row["work_notes"]) == ("-1", "false", "", "")
    assert set(row["cmdb_ci"]) == {"link", "value"}
    assert row["cmdb_ci"]["link"] == f"{lab.url}/api/now/table/cmdb_ci/{row['cmdb_ci']['value']}"
    assert row["assignment_group"] == ""
    named = (await http.get(row["cmdb_ci"]["link"])).json()["result"]
    assert named["name"] == "port-a"
    assert all(isinstance(value, str) for name, value in row.items() if not isinstance(value, dict))


async def test_display_modes(lab, http):
    number = lab.new_change(ci=["port-a"])
    one = f"{CHANGES}/{await sys_id_of(http, number)}"
    raw = (await http.get(one)).json()["result"]
    shown = (await http.get(one, params={"sysparm_display_value": "true"})).json()["result"]
    both = (await http.get(one, params={"sysparm_display_value": "all"})).json()["result"]
    assert (shown["state"], shown["approval"]) == ("Implement", "Approved")
    assert set(shown["cmdb_ci"]) == {"display_value", "link"}
    assert both["state"] == {"display_value": "Implement", "value": "-1"}
    assert both["cmdb_ci"]["display_value"] == "port-a"
    assert both["start_date"]["value"] == raw["start_date"]
    utc = datetime.strptime(raw["start_date"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert abs(utc - datetime.now(UTC)) < timedelta(minutes=2)
    assert shown["start_date"] == both["start_date"]["display_value"] != raw["start_date"]


async def test_fields_dot_walk_and_bare_references(lab, http):
    number = lab.new_change(ci=["port-b"])
    params = {
        "number": number,
        "sysparm_fields": "number,cmdb_ci,cmdb_ci.name,nonsense",
        "sysparm_exclude_reference_link": "true",
    }
    row = (await http.get(CHANGES, params=params)).json()["result"][0]
    assert set(row) == {"number", "cmdb_ci", "cmdb_ci.name"}
    assert row["cmdb_ci.name"] == "port-b"
    assert isinstance(row["cmdb_ci"], str)


async def test_queries_and_the_invalid_part_that_widens(lab, http):
    one, two, three = (lab.new_change(ci=[ci]) for ci in ("port-a", "port-b", "dx-1"))
    lab.set_change(two, state="scheduled")
    lab.set_change(three, state="new")

    async def numbers(query: str) -> list[str]:
        answer = await http.get(CHANGES, params={"sysparm_query": query, "sysparm_fields": "number"})
        return [row["number"] for row in answer.json()["result"]]

    assert await numbers(f"number={one}") == [one]
    assert await numbers("state=-1^ORstate=-2^ORDERBYDESCnumber") == [two, one]
    assert await numbers("stateIN-1,-5^ORDERBYnumber") == [one, three]
    assert await numbers("cmdb_ci.name=port-b") == [two]
    assert await numbers("state!=-1^cmdb_ci.nameSTARTSWITHdx") == [three]
    assert await numbers(f"number={one}^NQnumber={three}^ORDERBYnumber") == [one, three]
    assert await numbers("nonsense=1^ORDERBYnumber") == [one, two, three]
    assert await numbers("number=CHG9999999") == []


async def test_field_value_form_takes_display_values(lab, http):
    one, two = lab.new_change(), lab.new_change(state="scheduled")
    by_label = (await http.get(CHANGES, params={"state": "Scheduled"})).json()["result"]
    by_number = (await http.get(CHANGES, params={"number": one})).json()["result"]
    assert [row["number"] for row in by_label] == [two]
    assert [row["number"] for row in by_number] == [one]


async def test_paging_headers_and_date(lab, http):
    for _ in range(5):
        lab.new_change()
    answer = await http.get(CHANGES, params={"sysparm_limit": "2", "sysparm_offset": "2"})
    assert len(answer.json()["result"]) == 2
    assert answer.headers["X-Total-Count"] == "5"
    assert all(f'rel="{rel}"' in answer.headers["Link"] for rel in ("first", "prev", "next", "last"))
    assert abs(parsedate_to_datetime(answer.headers["Date"]) - datetime.now(UTC)) < timedelta(seconds=30)


async def test_an_empty_list_is_200_and_404_in_v1(lab, http):
    empty = await http.get(CHANGES)
    assert (empty.status_code, empty.json()) == (200, {"result": []})
    old = await http.get("/api/now/v1/table/change_request")
    assert (old.status_code, old.json()) == (404, NO_RECORD)


async def test_affected_cis_stand_in_task_ci(lab, http):
    number = lab.new_change(ci=["port-a", "dx-1", "edge-1"])
    params = {"task": await sys_id_of(http, number), "sysparm_display_value": "all"}
    rows = (await http.get("/api/now/table/task_ci", params=params)).json()["result"]
    assert sorted(row["ci_item"]["display_value"] for row in rows) == ["dx-1", "edge-1"]


# Table API: writing


async def test_create_answers_201_with_location_and_defaults(lab, http):
    answer = await http.post(CHANGES, json={"short_description": "x", "nonsense": "y", "number": "CHG1"})
    row = answer.json()["result"]
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{lab.url}{CHANGES}/{row['sys_id']}"
    assert (row["state"], row["approval"], row["conflict_status"]) == ("-5", "not requested", "Not Run")
    assert row["number"].startswith("CHG00")
    assert "nonsense" not in row
    assert [write.by for write in lab.ledger] == ["interlock"]


@pytest.mark.parametrize("verb", ["PATCH", "PUT"])
async def test_an_update_answers_the_whole_row(lab, http, verb):
    one = f"{CHANGES}/{await sys_id_of(http, lab.new_change())}"
    answer = await http.request(verb, one, json={"justification": "because", "nonsense": "1"})
    row = answer.json()["result"]
    assert answer.status_code == 200
    assert (row["justification"], row["sys_updated_by"]) == ("because", "interlock")
    assert set(row) == set(TABLES["change_request"])


async def test_journals_append_and_read_back_empty(lab, http):
    number = lab.new_change()
    sys_id = await sys_id_of(http, number)
    one = f"{CHANGES}/{sys_id}"
    for text in ("first", "second"):
        assert (await http.patch(one, json={"work_notes": text})).json()["result"]["work_notes"] == ""
    await http.patch(one, json={"comments": "for the requester"})
    both = (await http.get(one, params={"sysparm_display_value": "all"})).json()["result"]["work_notes"]
    assert both["value"] == ""
    assert both["display_value"].index("second") < both["display_value"].index("first")
    query = f"element_id={sys_id}^element=work_notes^ORDERBYsys_created_on"
    rows = (await http.get("/api/now/table/sys_journal_field", params={"sysparm_query": query})).json()["result"]
    assert [(row["value"], row["sys_created_by"]) for row in rows] == [
        ("first", "interlock"),
        ("second", "interlock"),
    ]
    assert [note["text"] for note in lab.show_change(number)["notes"]] == ["first", "second"]
    assert [write.what.split(": ")[1] for write in lab.ledger] == [
        "work_notes=first",
        "work_notes=second",
        "comments=for the requester",
    ]


async def test_display_input_is_in_the_users_zone(lab, http):
    one = f"{CHANGES}/{await sys_id_of(http, lab.new_change())}"
    params = {"sysparm_input_display_value": "true"}
    body = {"start_date": "2026-01-01 00:00:00", "cmdb_ci": "dx-1", "risk": "High"}
    row = (await http.patch(one, params=params, json=body)).json()["result"]
    assert row["start_date"] == "2026-01-01 08:00:00"
    assert row["risk"] == "1"
    assert (await http.get(row["cmdb_ci"]["link"])).json()["result"]["name"] == "dx-1"


async def test_the_life_of_a_normal_change_as_a_client_sees_it(lab, http):
    change = await new_by_api(http)
    one = f"{CHANGES}/{change['sys_id']}"

    async def move(**body: str) -> httpx.Response:
        return await http.patch(one, json=body)

    needs_group = await move(state="-4")
    assert needs_group.status_code == 403
    assert needs_group.json()["error"]["message"] == "Operation Failed"
    assert "Data Policy Exception" in needs_group.json()["error"]["detail"]
    group = (await http.get("/api/now/table/sys_user_group")).json()["result"][0]["sys_id"]
    assert (await move(state="-4", assignment_group=group)).status_code == 200
    aborted = await move(state="-3")
    assert aborted.status_code == 403
    assert "was aborted by Business Rule '" in aborted.json()["error"]["detail"]
    lab.set_change(change["number"], state="scheduled", approval="approved")
    assert (await move(on_hold="true")).status_code == 403
    assert (await move(on_hold="true", on_hold_reason="storm")).status_code == 200
    assert (await move(state="-1")).status_code == 403
    assert (await move(on_hold="false")).status_code == 200
    assert (await move(state="-1")).json()["result"]["work_start"] != ""
    assert (await move(state="0")).json()["result"]["work_end"] != ""
    assert (await move(state="3")).status_code == 403
    closed = (await move(state="3", close_code="successful", close_notes="done")).json()["result"]
    assert (closed["active"], closed["state"]) == ("false", "3")


async def test_an_incident_computes_its_priority(lab, http):
    body = {"short_description": "leak", "impact": "1", "urgency": "1", "correlation_id": "R-1 #2"}
    answer = await http.post("/api/now/table/incident", json=body)
    row = answer.json()["result"]
    assert (answer.status_code, row["priority"], row["state"]) == (201, "1", "1")
    found = await http.get("/api/now/table/incident", params={"sysparm_query": "correlation_id=R-1 #2"})
    assert [each["number"] for each in found.json()["result"]] == [row["number"]]
    low = await http.post("/api/now/table/incident", json={"short_description": "x"})
    assert low.json()["result"]["priority"] == "5"


async def test_a_task_made_over_the_table_belongs_to_its_change(lab, http):
    number = lab.new_change()
    body = {"change_request": await sys_id_of(http, number), "short_description": "pre-checks"}
    task = (await http.post("/api/now/table/change_task", json=body)).json()["result"]
    assert task["number"].startswith("CTASK")
    assert task["parent"]["value"] == task["change_request"]["value"] == body["change_request"]
    assert [each["number"] for each in lab.show_change(number)["tasks"]] == [task["number"]]
    closing = await http.patch(f"/api/now/table/change_task/{task['sys_id']}", json={"state": "3"})
    assert closing.status_code == 403


# Errors


async def test_basic_authentication_is_asked_for(lab):
    wrong = base64.b64encode(b"interlock:nope").decode()
    headers = [{}, {"Authorization": f"Basic {wrong}"}, {"Authorization": "Basic ???"}, {"Authorization": "B"}]
    async with httpx.AsyncClient(base_url=lab.url, trust_env=False) as client:
        answers = [await client.get(CHANGES, headers=each) for each in headers]
    assert {answer.status_code for answer in answers} == {401}
    assert answers[0].json() == {
        "error": {
            "message": "User Not Authenticated",
            "detail": "Required to provide Auth information",
        },
        "status": "failure",
    }


@pytest.mark.parametrize(
    ("verb", "path", "code"),
    [
        ("GET", "/api/now/table/no_such_table", 400),
        ("GET", f"{CHANGES}/nope", 404),
        ("PATCH", f"{CHANGES}/nope", 404),
        ("GET", f"{REST}/nope", 404),
        ("GET", f"{REST}/nope/conflict", 404),
        ("PUT", f"{REST}/nope", 405),
        ("GET", "/api/now/nothing", 404),
        ("GET", "/api/now/attachment/nope", 404),
    ],
)
async def test_errors_have_the_envelope(http, verb, path, code):
    answer = await http.request(verb, path, json=None if verb == "GET" else {})
    assert answer.status_code == code
    assert answer.json()["status"] == "failure"
    assert set(answer.json()["error"]) == {"message", "detail"}


async def test_headers_and_bodies_that_are_not_taken(http):
    assert (await http.get(CHANGES, headers={"Accept": "text/csv"})).status_code == 406
    assert (await http.get(CHANGES, headers={"Accept": ""})).status_code == 400
    assert (await http.post(CHANGES, content=b"{}")).status_code == 400
    text = {"Content-Type": "text/plain"}
    assert (await http.post(CHANGES, content=b"{}", headers=text)).status_code == 415
    json = {"Content-Type": "application/json"}
    assert (await http.post(CHANGES, content=b"{", headers=json)).status_code == 400
    assert (await http.post(CHANGES, content=b"[]", headers=json)).status_code == 400


async def test_the_rate_limit_bears_its_headers(lab, http):
    lab.set_fault("429")
    answer = await http.get(CHANGES)
    assert answer.status_code == 429
    assert answer.json()["error"]["message"] == "Rate limit exceeded"
    for name in ("Retry-After", "X-RateLimit-Limit", "X-RateLimit-Reset"):
        assert answer.headers[name].isdecimal()
    assert "X-RateLimit-Rule" in answer.headers
    lab.set_fault(None)
    assert (await http.get(CHANGES)).status_code == 200


async def test_a_hang_ends_when_it_is_healed(lab, http):
    lab.set_fault("hang")
    with pytest.raises(httpx.ReadTimeout):
        await http.get(CHANGES, timeout=httpx.Timeout(30, read=0.3))
    with pytest.raises(UnknownNameError, match="did you mean 'hang'"):
        lab.set_fault("hangs")
    lab.set_fault(None)
    assert (await http.get(CHANGES)).status_code == 200


# Change Management API


async def test_the_change_api_answers_objects_with_changing_types(lab, http):
    one = f"{REST}/{await sys_id_of(http, lab.new_change(ci=['port-a']))}"
    row = (await http.get(one)).json()["result"]
    assert row["state"] == {"display_value": "Implement", "value": -1.0}
    assert row["on_hold"]["value"] is False
    assert set(row["start_date"]) == {"display_value", "value", "display_value_internal"}
    changed = await http.patch(one, json={"state": "Review", "nonsense": "1", "sys_id": "1"})
    assert changed.status_code == 200
    assert changed.json()["result"]["state"]["value"] == 0.0
    assert changed.json()["result"]["__meta"]["ignoredFields"] == ["nonsense", "sys_id"]
    refused = await http.patch(one, json={"state": "New"})
    assert refused.status_code == 403
    assert refused.json()["error"]["message"].startswith("Change Request record could not be updated. Operation")
    assert refused.json()["error"]["detail"] == ""


async def test_next_states_name_what_is_allowed(lab, http):
    number = lab.new_change(state="scheduled")
    one = f"{REST}/{await sys_id_of(http, number)}/nextstates"
    result = (await http.get(one)).json()["result"]
    assert result["available_states"] == ["-2", "-1", "4"]
    assert result["state_label"] == {"-2": "Scheduled", "-1": "Implement", "4": "Canceled"}
    assert [each[0]["to_state"] for each in result["state_transitions"]] == ["-1", "4"]
    lab.set_change(number, on_hold="yes")
    assert (await http.get(one)).json()["result"]["available_states"] == ["-2", "4"]


async def test_conflicts_are_found_on_shared_cis(lab, http):
    one, _ = lab.new_change(ci=["port-a", "dx-1"]), lab.new_change(ci=["port-b", "dx-1"])
    path = f"{REST}/{await sys_id_of(http, one)}/conflict"
    before = (await http.get(path)).json()["result"]
    assert (before["status"]["value"], before["conflicts"]) == ("Not Run", [])
    worker = await http.post(path, json={})
    assert (worker.status_code, type(worker.json()["result"])) == (200, str)
    found = (await http.get(path)).json()["result"]
    assert [each["configuration_item"]["value"] for each in found["conflicts"]] == ["dx-1"]
    assert found["record_count"] == "1"


async def test_tasks_of_a_change(lab, http):
    one = f"{REST}/{await sys_id_of(http, lab.new_change())}/task"
    made = await http.post(one, json={"short_description": "verify", "change_task_type": "testing"})
    assert made.status_code == 200
    task = made.json()["result"]["sys_id"]["value"]
    await http.patch(f"{one}/{task}", json={"state": "Open"})
    listed = (await http.get(one)).json()["result"]
    assert [(each["state"]["display_value"], each["change_task_type"]["value"]) for each in listed] == [
        ("Open", "testing")
    ]


# Attachments


async def test_attachments_are_uploaded_listed_and_fetched(lab, http):
    number = lab.new_change()
    sys_id = await sys_id_of(http, number)
    place = {"table_name": "change_request", "table_sys_id": sys_id}
    made = await http.post(
        "/api/now/attachment/file",
        params=place | {"file_name": "report.md"},
        content=b"# Report",
        headers={"Content-Type": "text/markdown"},
    )
    assert made.status_code == 201
    assert made.json()["result"]["size_bytes"] == "8"
    form = await http.post("/api/now/attachment/upload", data=place, files={"uploadFile": ("a.json", b"{}")})
    assert form.status_code == 201
    listed = (await http.get("/api/now/attachment", params=place)).json()["result"]
    assert [each["file_name"] for each in listed] == ["report.md", "a.json"]
    assert (await http.get(made.json()["result"]["download_link"])).content == b"# Report"
    assert [each["name"] for each in lab.show_change(number)["attachments"]] == ["report.md", "a.json"]
    wrong = await http.post(
        "/api/now/attachment/file",
        params=place | {"table_sys_id": "nope"},
        content=b"x",
        headers={"Content-Type": "text/plain"},
    )
    assert wrong.status_code == 404


# The lab's control


@pytest.mark.parametrize(
    ("fields", "nearest"),
    [
        ({"aproval": "approved"}, "approval"),
        ({"approval": "aproved"}, "approved"),
        ({"state": "implemented"}, "implement"),
        ({"window": "close"}, "closed"),
        ({"ci": "port-c"}, "port-"),
        ({"on_hold": "maybe"}, "yes"),
        ({"start": "soon"}, "now"),
        ({"sys_id": "x"}, "field"),
    ],
)
async def test_bad_words_name_the_nearest_and_change_nothing(fields, nearest):
    lab = LabServiceNow(NAMES, password=PASSWORD)
    number = lab.new_change()
    before = lab.show_change(number)
    with pytest.raises(UnknownNameError, match=nearest):
        lab.set_change(number, **({"type": "emergency"} | fields))
    assert lab.show_change(number) == before


async def test_an_unknown_change_names_the_nearest():
    lab = LabServiceNow(NAMES, password=PASSWORD)
    number = lab.new_change()
    with pytest.raises(UnknownNameError, match=number):
        lab.show_change(number[:-1] + "9")
    with pytest.raises(UnknownNameError, match="port-a"):
        lab.new_change(ci=["port-aa"])
    assert lab.ledger == []


async def test_times_shift_against_the_labs_clock():
    now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    lab = LabServiceNow(NAMES, password=PASSWORD, clock=lambda: now)
    number = lab.new_change(window_min=30)
    shown = lab.show_change(number)
    assert (shown["start"], shown["end"]) == ("2026-11-23T11:59:00Z", "2026-11-23T12:30:00Z")
    assert shown["cis"] == NAMES
    shown = lab.set_change(number, start="-2h", end="+5m")
    assert (shown["start"], shown["end"]) == ("2026-11-23T10:00:00Z", "2026-11-23T12:05:00Z")
    shown = lab.set_change(number, window="future", state="cancelled", approval="not_requested")
    assert (shown["start"], shown["state"], shown["approval"]) == (
        "2026-11-23T13:00:00Z",
        "Canceled",
        "not requested",
    )


# Encoded queries

FIELDS = ("number", "state", "cmdb_ci.name")
PARTS = st.tuples(st.sampled_from(FIELDS), st.sampled_from(["=", "!=", "LIKE", "STARTSWITH"]), st.text("abc019-"))


@given(st.text())
@settings(max_examples=100)
def test_any_text_is_a_query(text):
    assert parse_query(text, lambda name: name in FIELDS).matches(lambda _: "x") in (True, False)


@given(st.lists(PARTS, min_size=1, max_size=4), st.text("abc019-"))
@settings(max_examples=100)
def test_and_is_all_or_is_any(parts, value):
    alone = [parse_query("".join(part), lambda name: name in FIELDS).matches(lambda _: value) for part in parts]
    every = parse_query("^".join(map("".join, parts)), lambda name: name in FIELDS)
    either = parse_query("^OR".join(map("".join, parts)), lambda name: name in FIELDS)
    assert every.matches(lambda _: value) == all(alone)
    assert either.matches(lambda _: value) == any(alone)
