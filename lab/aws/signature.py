"""Signature Version 4, checked: who signed, and whether with the right secret."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable

from starlette.requests import Request

from lab.aws.wire import AwsError

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<headers>[^,]+), ?Signature=(?P<signature>[0-9a-f]+)"
)
_UNKNOWN_KEY = {
    "directconnect": ("UnrecognizedClientException", "The security token included in the request is invalid.", 400),
    "health": ("UnrecognizedClientException", "The security token included in the request is invalid.", 400),
    "monitoring": ("InvalidClientTokenId", "The security token included in the request is invalid.", 403),
    "ec2": ("AuthFailure", "AWS was not able to validate the provided access credentials", 401),
}
_MISMATCH = "The request signature we calculated does not match the signature you provided."
_Secret = Callable[[str], str | None]


def check(request: Request, body: bytes, service: str, secret: _Secret) -> None:
    """Raises AwsError in the service's words: no signature, a key that `secret` does not know, a wrong secret."""
    found = _AUTHORIZATION.match(request.headers.get("authorization", ""))
    if found is None:
        code = "AuthFailure" if service == "ec2" else "MissingAuthenticationTokenException"
        raise AwsError(code, "Request is missing Authentication Token", 401 if service == "ec2" else 400)
    known = secret(found["key"])
    if known is None:
        raise AwsError(*_UNKNOWN_KEY[service])
    if not hmac.compare_digest(_signature(request, body, found, known), found["signature"]):
        code = "AuthFailure" if service == "ec2" else "InvalidSignatureException"
        raise AwsError(code, _MISMATCH, 401 if service == "ec2" else 400)


def _signature(request: Request, body: bytes, found: re.Match[str], secret: str) -> str:
    """What the signature should be, computed by botocore: the lab has no cryptography of its own."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    signed = {name: request.headers.get(name, "") for name in found["headers"].split(";")}
    again = AWSRequest(request.method, str(request.url), headers=signed, data=body)
    again.context["timestamp"] = request.headers.get("x-amz-date", "")
    auth = SigV4Auth(Credentials(found["key"], secret), found["service"], found["region"])
    return str(auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again))
