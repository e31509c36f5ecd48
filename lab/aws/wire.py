"""How the four services speak: JSON with `__type` errors, or EC2's query form and XML."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree as ET

from starlette.requests import Request
from starlette.responses import Response

JSON = dict[str, Any]

_TARGETS = {
    "OvertureService": "directconnect",
    "GraniteServiceVersion20100801": "monitoring",
    "AWSHealth_20160804": "health",
}
EC2_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


class AwsError(Exception):
    """A request that AWS refuses: its error code, its message, its HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def service_of(request: Request) -> str:
    """directconnect, monitoring (CloudWatch), health or ec2, by the request's target header."""
    target = request.headers.get("x-amz-target", "").partition(".")[0]
    return _TARGETS.get(target, "ec2")


def version_of(service: str) -> str:
    """The JSON protocol that a service speaks."""
    return "1.0" if service == "monitoring" else "1.1"


def json_answer(content: JSON, version: str, status: int = 200) -> Response:
    headers = {"x-amzn-RequestId": str(uuid4())}
    return Response(json.dumps(content), status, headers, f"application/x-amz-json-{version}")


def refusal(service: str, error: AwsError) -> Response:
    """The error in the service's own shape."""
    if service != "ec2":
        content = {"__type": error.code, "message": str(error)}
        return json_answer(content, version_of(service), error.status)
    response = ET.Element("Response")
    one = ET.SubElement(ET.SubElement(response, "Errors"), "Error")
    ET.SubElement(one, "Code").text = error.code
    ET.SubElement(one, "Message").text = str(error)
    ET.SubElement(response, "RequestID").text = str(uuid4())
    return _xml(response, error.status)


def ec2_answer(action: str, content: Mapping[str, Any]) -> Response:
    """<ActionResponse> with a request id; lists become <item> elements."""
    root = ET.Element(f"{action}Response", xmlns=EC2_NAMESPACE)
    ET.SubElement(root, "requestId").text = str(uuid4())
    _fill(root, content)
    return _xml(root, 200)


def page(rows: list[Any], size: int, token: str | None) -> tuple[list[Any], str | None]:
    """One page and the token of the next. Raises ValueError for a token that was not given out here."""
    try:
        start = int(base64.b64decode(token, validate=True).removeprefix(b"from ")) if token else 0
    except (ValueError, binascii.Error) as error:
        raise ValueError(f"The token is not valid: {token}") from error
    end = start + size
    return rows[start:end], base64.b64encode(f"from {end}".encode()).decode() if end < len(rows) else None


def wire_time(moment: datetime) -> str:
    """As EC2 writes a time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def without_none(content: JSON) -> JSON:
    return {name: value for name, value in content.items() if value is not None}


def _fill(element: ET.Element, value: Any) -> None:
    if isinstance(value, Mapping):
        for name, child in value.items():
            if child is not None:
                _fill(ET.SubElement(element, name), child)
    elif isinstance(value, list | tuple):
        for child in value:
            _fill(ET.SubElement(element, "item"), child)
    elif isinstance(value, bool):
        element.text = str(value).lower()
    elif isinstance(value, datetime):
        element.text = wire_time(value)
    else:
        element.text = str(value)


def _xml(root: ET.Element, status: int) -> Response:
    body = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return Response(body, status, media_type="text/xml;charset=UTF-8")
