"""FRR's JSON replies as typed rows. A reply of an unknown shape is a BadReply with its evidence, never "nothing".

Rows name only the keys that are used (FRR 8.4.4; stable to 10.7) and tolerate new ones. Key names are FRR's own.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from connectors.errors import BadReply

Rows = TypeVar("Rows")

#: Bounds keep a garbled figure from overflowing a date; 10^12 ms is 31 years, a 32-bit epoch ends in 2106.
Milliseconds = Annotated[int, Field(ge=0, le=10**12)]
Epoch = Annotated[int, Field(ge=0, le=2**32)]
Count = Annotated[int, Field(ge=0, le=2**63)]


class Row(BaseModel):
    """A part of a reply, camelCase in FRR."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class PeerRow(Row):
    """One peer of `show bgp summary json`."""

    state: str
    peer_state: str = "OK"
    peer_uptime: str = ""
    peer_uptime_msec: Milliseconds = 0
    peer_uptime_established_epoch: Epoch | None = None
    pfx_rcd: Count | None = None
    pfx_snt: Count | None = None
    msg_rcvd: Count | None = None
    msg_sent: Count | None = None
    connections_dropped: Count | None = None


class FamilyRow(Row):
    """IPv4 unicast in `show bgp summary json`: peers by address."""

    peers: dict[str, PeerRow]


class SummaryRow(Row):
    """`show bgp summary json`: `{}` when no BGP is configured."""

    ipv4_unicast: FamilyRow | None = Field(default=None, alias="ipv4Unicast")


class AfiRow(Row):
    """The IPv4 unicast part of a neighbor: limits and policy."""

    prefix_allowed_max: Count | None = None
    prefix_allowed_max_warning: bool = False
    prefix_allowed_warning_thresh: Count | None = None
    prefix_allowed_restart_interval_msecs: Milliseconds | None = None
    inbound_ebgp_requires_policy: str = ""
    outbound_ebgp_requires_policy: str = ""


class FamiliesRow(Row):
    ipv4_unicast: AfiRow = Field(default=AfiRow(), alias="ipv4Unicast")


class MessagesRow(Row):
    updates_sent: Count | None = None
    updates_recv: Count | None = None


class NeighborRow(Row):
    """One neighbor of `show bgp neighbors json`. `last_*` is trustworthy only while the session is down."""

    bgp_state: str
    address_family_info: FamiliesRow = FamiliesRow()
    message_stats: MessagesRow = MessagesRow()
    last_reset_due_to: str = ""
    last_reset_code: int | None = None
    last_error_code_subcode: str = ""
    last_notification_reason: str = ""
    last_shutdown_description: str = ""
    admin_shut_down: bool = False
    prefixes_config_exceed_max: bool = False

    @property
    def ipv4(self) -> AfiRow:
        return self.address_family_info.ipv4_unicast


class BfdRow(BaseModel):
    """One peer of `show bfd peers json` (kebab-case): intervals in ms, times in s."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=lambda name: name.replace("_", "-"), populate_by_name=True
    )

    peer: str
    status: str
    diagnostic: str = ""
    uptime: Count | None = None
    downtime: Count | None = None
    receive_interval: Count | None = None
    remote_transmit_interval: Count | None = None
    remote_detect_multiplier: Count | None = None


class BfdCountersRow(BaseModel):
    """One peer of `show bfd peers counters json`."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    peer: str
    session_down: Count = Field(alias="session-down")


def bad_reply(what: str, command: str, evidence: str) -> BadReply:
    return BadReply(
        what,
        where=command,
        do_next="Run the command on the router; if its output is right, this platform version is not known here.",
        evidence=evidence,
    )


def document(text: str, command: str) -> Any:
    """The one JSON document of a reply. Raises BadReply for anything else: text, HTML, cut JSON, nothing."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise bad_reply("the reply is not JSON", command, text) from error


def documents(text: str, command: str) -> list[Any]:
    """All documents of a reply that carries one per daemon, back to back (route-map, prefix-list)."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text.rstrip()):
        try:
            value, at = decoder.raw_decode(text, at + len(text[at:]) - len(text[at:].lstrip()))
        except (ValueError, RecursionError) as error:
            raise bad_reply("the reply is not JSON documents back to back", command, text[at:]) from error
        found.append(value)
    if not found:
        raise bad_reply("the reply is empty", command, text)
    return found


def read(adapter: TypeAdapter[Rows], text: str, command: str) -> Rows:
    """The one JSON document of a reply as typed rows, in one pass: several times faster than `document` and `rows`.

    Raises BadReply.
    """
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise bad_reply("the reply is not JSON", command, text) from error
        raise _unknown_shape(".".join(map(str, first["loc"])), command, text) from error


def rows(adapter: TypeAdapter[Rows], value: object, command: str) -> Rows:
    """The value as typed rows. Raises BadReply that names the first field that does not fit."""
    try:
        return adapter.validate_python(value)
    except (ValidationError, RecursionError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        field = ".".join(str(part) for part in first["loc"]) if first else "nesting"
        raise _unknown_shape(field, command, repr(value)) from error


def _unknown_shape(field: str, command: str, evidence: str) -> BadReply:
    return bad_reply(f"the reply has an unknown shape at {field!r}", command, evidence)
