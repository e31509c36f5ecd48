"""The tables: every column, its kind, its choices. A record that is read carries all of them."""

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["text", "bool", "int", "datetime", "reference", "journal"]

CHANGE_STATES = {
    "-5": "New",
    "-4": "Assess",
    "-3": "Authorize",
    "-2": "Scheduled",
    "-1": "Implement",
    "0": "Review",
    "3": "Closed",
    "4": "Canceled",
}
TASK_STATES = {"-5": "Pending", "1": "Open", "2": "In Progress", "3": "Closed", "4": "Canceled"}
INCIDENT_STATES = {
    "1": "New",
    "2": "In Progress",
    "3": "On Hold",
    "6": "Resolved",
    "7": "Closed",
    "8": "Canceled",
}
APPROVALS = {
    "not requested": "Not Yet Requested",
    "requested": "Requested",
    "approved": "Approved",
    "rejected": "Rejected",
}
LEVELS = {"1": "1 - High", "2": "2 - Medium", "3": "3 - Low"}
PRIORITIES = {"1": "1 - Critical", "2": "2 - High", "3": "3 - Moderate", "4": "4 - Low", "5": "5 - Planning"}


@dataclass(frozen=True)
class Column:
    """One column. `choices` maps the stored value to its label; `refers` names the table pointed at."""

    kind: Kind = "text"
    refers: str = ""
    choices: dict[str, str] = field(default_factory=dict)


def _text(names: str) -> dict[str, Column]:
    return {name: Column() for name in names.split()}


def _of(kind: Kind, names: str) -> dict[str, Column]:
    return {name: Column(kind) for name in names.split()}


def _reference(table: str, names: str) -> dict[str, Column]:
    return {name: Column("reference", table) for name in names.split()}


_RECORD = (
    _text("sys_id sys_created_by sys_updated_by sys_class_name sys_tags")
    | _of("datetime", "sys_created_on sys_updated_on")
    | _of("int", "sys_mod_count")
)
_TASK = (
    _RECORD
    | _text(
        "number short_description description close_notes correlation_id correlation_display contact_type "
        "approval_history approval_set escalation upon_approval upon_reject watch_list work_notes_list "
        "group_list user_input additional_assignee_list time_worked business_duration calendar_duration "
        "task_effective_number route_reason skills comments_and_work_notes"
    )
    | _of("bool", "active made_sla knowledge")
    | _of("int", "order reassignment_count")
    | _of(
        "datetime",
        "opened_at closed_at due_date expected_start follow_up activity_due sla_due work_start work_end",
    )
    | _of("journal", "work_notes comments")
    | _reference("sys_user", "opened_by closed_by assigned_to")
    | _reference("sys_user_group", "assignment_group")
    | _reference("cmdb_ci", "cmdb_ci business_service service_offering")
    | _reference("task", "parent")
    | _text("location company sys_domain delivery_plan delivery_task rejection_goto universal_request")
    | {
        "priority": Column("int", choices=PRIORITIES),
        "impact": Column("int", choices=LEVELS),
        "urgency": Column("int", choices=LEVELS),
        "approval": Column(choices=APPROVALS),
    }
)
_CHANGE = (
    _TASK
    | _text(
        "category justification implementation_plan backout_plan test_plan risk_impact_analysis risk_value "
        "on_hold_reason on_hold_task conflict_status close_code cab_delegate cab_recommendation reason scope "
        "review_comments review_status change_plan phase phase_state std_change_producer_version"
    )
    | _of("bool", "on_hold cab_required outside_maintenance_schedule unauthorized production_system")
    | _of(
        "datetime",
        "start_date end_date conflict_last_run cab_date cab_date_time requested_by_date review_date",
    )
    | _reference("sys_user", "requested_by")
    | _reference("chg_model", "chg_model")
    | {
        "state": Column("int", choices=CHANGE_STATES),
        "type": Column(choices={"normal": "Normal", "standard": "Standard", "emergency": "Emergency"}),
        "risk": Column("int", choices={"1": "High", "2": "Moderate", "3": "Low"}),
    }
)
_CHANGE_TASK = (
    _TASK
    | _text("close_code change_task_type on_hold_reason created_from deployable")
    | _of("bool", "on_hold")
    | _of("datetime", "planned_start_date planned_end_date")
    | _reference("change_request", "change_request")
    | {"state": Column("int", choices=TASK_STATES)}
)
_INCIDENT = (
    _TASK
    | _text("category subcategory close_code hold_reason notify severity business_stc reopen_count")
    | _of("datetime", "resolved_at reopened_time")
    | _reference("sys_user", "caller_id resolved_by reopened_by")
    | _reference("change_request", "rfc caused_by")
    | _reference("incident", "parent_incident")
    | {"state": Column("int", choices=INCIDENT_STATES)}
)

TABLES: dict[str, dict[str, Column]] = {
    "change_request": _CHANGE,
    "change_task": _CHANGE_TASK,
    "incident": _INCIDENT,
    "task_ci": _RECORD
    | _reference("task", "task")
    | _reference("cmdb_ci", "ci_item")
    | _of("bool", "applied manual_proposed_change"),
    "cmdb_ci": _RECORD | _text("name short_description category operational_status install_status"),
    "sys_user": _RECORD | _text("user_name name email") | _of("bool", "active"),
    "sys_user_group": _RECORD | _text("name description") | _of("bool", "active"),
    "chg_model": _RECORD | _text("name") | _of("bool", "active"),
    "sys_journal_field": _RECORD | _text("element element_id name value"),
    "sys_attachment": _RECORD
    | _text("file_name content_type table_name table_sys_id size_bytes size_compressed download_link hash"),
}
TASK_TABLES = ("change_request", "change_task", "incident")
NUMBER_PREFIX = {"change_request": "CHG003", "change_task": "CTASK001", "incident": "INC001"}
READ_ONLY = frozenset(_RECORD) | {"number", "comments_and_work_notes", "priority", "opened_by", "opened_at"}
