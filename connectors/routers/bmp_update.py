"""The BGP messages inside BMP: OPEN, UPDATE and NOTIFICATION (RFC 4271, 5492, 6793, 8538, 9003). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address

from connectors.routers.bmp_bytes import BmpMalformed, Bytes, words
from connectors.routers.bmp_message import Notification, Open, Update

OPEN, UPDATE, NOTIFICATION = 1, 2, 3
MARKER = b"\xff" * 16
SHORTEST, LONGEST = 19, 65535  # RFC 8654 lets a message be longer than 4096
EXTENDED_LENGTH = 0x10
CAPABILITIES, FOUR_BYTE_AS = 2, 65
CEASE, SHUTDOWN_TEXTS, HARD_RESET = 6, (2, 4), 9


def _pdu(data: Bytes) -> tuple[int, Bytes]:
    """The next BGP message: its type and its body."""
    if data.take(16) != MARKER:
        raise BmpMalformed("a BGP message does not begin with its marker")
    length = data.number(2)
    if not SHORTEST <= length <= LONGEST:
        raise BmpMalformed(f"a BGP message says that it has {length} bytes")
    kind = data.number(1)
    return kind, data.inner(length - SHORTEST, f"BGP message {kind}")


def _of(kind: int, data: Bytes) -> Bytes:
    found, body = _pdu(data)
    if found != kind:
        raise BmpMalformed(f"BGP message {found} stands where {kind} is due")
    return body


def read_open(data: Bytes) -> Open | None:
    """None for a bare header: FRR puts one in the place of an OPEN that it has not kept."""
    body = _of(OPEN, data)
    if not body.left:
        return None
    body.take(1)  # version: always 4
    asn, hold_s, router_id = body.number(2), body.number(2), body.ipv4()
    capabilities = tuple(_capabilities(body))
    for code, value in capabilities:
        if code == FOUR_BYTE_AS and len(value) == 4:
            asn = int.from_bytes(value)
    return Open(asn, hold_s, router_id, capabilities)


def _capabilities(body: Bytes) -> Iterator[tuple[int, bytes]]:
    length = body.number(1)
    extended = length == 255 and body.left > 2  # RFC 9072: type 255 and a two-byte length follow
    if extended:
        body.take(1)
        length = body.number(2)
    parameters = body.inner(length, "optional parameters")
    while parameters.left:
        kind = parameters.number(1)
        value = parameters.inner(parameters.number(2 if extended else 1), "optional parameter")
        while kind == CAPABILITIES and value.left:
            code = value.number(1)
            yield code, value.take(value.number(1))


def read_notification(data: Bytes) -> Notification:
    body = _of(NOTIFICATION, data)
    code, subcode, rest = body.number(1), body.number(1), body.rest()
    if (code, subcode) == (CEASE, HARD_RESET) and len(rest) >= 2:
        code, subcode, rest = rest[0], rest[1], rest[2:]  # RFC 8538: the real one lies inside
    text = ""
    if code == CEASE and subcode in SHUTDOWN_TEXTS and rest:
        text = words(rest[1 : 1 + rest[0]])
    return Notification(code, subcode, rest, text)


def read_update(data: Bytes, *, two_byte: bool) -> Update:
    """`two_byte`: AS paths in the old form, as the per-peer header says."""
    body = _of(UPDATE, data)
    update = Update(withdrawn=prefixes(body.take(body.number(2))))
    attributes = body.inner(body.number(2), "path attributes")
    while attributes.left:
        update = _with(update, attributes, 2 if two_byte else 4)
    return replace(update, announced=prefixes(body.rest()))


def _with(update: Update, attributes: Bytes, as_size: int) -> Update:
    flags, kind = attributes.number(1), attributes.number(1)
    size = attributes.number(2 if flags & EXTENDED_LENGTH else 1)
    value = attributes.inner(size, f"path attribute {kind}")
    match kind:
        case 1:
            return replace(update, origin=value.number(1))
        case 2:
            return replace(update, as_path=_as_path(value, as_size))
        case 3:
            return replace(update, next_hop=value.ipv4())
        case 4:
            return replace(update, med=value.number(4))
        case 5:
            return replace(update, local_pref=value.number(4))
        case 8:
            return replace(update, communities=_communities(value))
    return replace(update, others=(*update.others, (kind, value.rest())))


def _as_path(value: Bytes, size: int) -> tuple[int, ...]:
    found: list[int] = []
    while value.left:
        value.take(1)  # sequence or set: who is on the way is all that is asked
        count = value.number(1)
        found += [value.number(size) for _ in range(count)]
    return tuple(found)


def _communities(value: Bytes) -> tuple[str, ...]:
    found = []
    while value.left:
        found.append(f"{value.number(2)}:{value.number(2)}")
    return tuple(found)


def prefixes(data: bytes) -> tuple[str, ...]:
    """IPv4 prefixes. With ADD-PATH each has a path id before it; the message does not say whether that is so.

    FRR leaves the ids out even where the session has negotiated them, others send them: what reads cleanly is right.
    Ids below 2^24 begin with a zero byte, which without ids would be a second default route.
    """
    for with_ids, strict in ((False, True), (True, True), (False, False)):
        found = _prefixes(data, with_ids=with_ids, strict=strict)
        if found is not None:
            return found
    raise BmpMalformed("prefixes that cannot be read", data)


def _prefixes(data: bytes, *, with_ids: bool, strict: bool) -> tuple[str, ...] | None:
    """None when they do not fit. `strict`: no bits beyond the length; without ids no prefix twice either."""
    found: list[str] = []
    at = 0
    while at < len(data):
        at += 4 if with_ids else 0
        length = data[at] if at < len(data) else 255
        end = at + 1 + (length + 7) // 8
        if length > 32 or end > len(data):
            return None
        value = int.from_bytes(data[at + 1 : end].ljust(4, b"\0"))
        masked = value & (0xFFFFFFFF << (32 - length))
        if strict and value != masked:
            return None
        found.append(f"{IPv4Address(masked)}/{length}")
        at = end
    return None if strict and not with_ids and len(set(found)) < len(found) else tuple(found)
