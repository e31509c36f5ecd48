"""One endpoint for the four AWS services, over the lab's world."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lab.announcements import Announcements
from lab.aws import signature
from lab.aws.cloudwatch import CloudWatch
from lab.aws.directconnect import DirectConnect
from lab.aws.ec2 import Ec2
from lab.aws.habits import Habits
from lab.aws.health import Health
from lab.aws.side import Side
from lab.aws.wire import JSON, AwsError, ec2_answer, json_answer, refusal, service_of, version_of
from lab.facts import Facts
from lab.telemetry import Telemetry
from network.inventory import Site

_FAULTS = {
    ("directconnect", 429): ("ThrottlingException", "Rate exceeded"),
    ("monitoring", 429): ("ThrottlingException", "Rate exceeded"),
    ("health", 429): ("ThrottlingException", "Rate exceeded"),
    ("ec2", 429): ("RequestLimitExceeded", "Request limit exceeded."),
    ("directconnect", 500): ("DirectConnectServerException", "A server-side error occurred."),
    ("health", 500): ("InternalFailure", "The request processing has failed because of an unknown error."),
    ("monitoring", 500): ("InternalServiceFault", "The request processing has failed due to an internal error."),
    ("ec2", 500): ("InternalError", "An internal error has occurred."),
}


def utc_now() -> datetime:
    return datetime.now(UTC)


class AwsLab:
    """AWS. `secret(access_key)` gives the secret key that belongs to an access key, None when unknown.

    Signatures are verified in full. `app` serves Direct Connect and Health (JSON 1.1), EC2 (query, XML) and
    CloudWatch (JSON 1.0) at `/`. `secrets` are the canaries that the answers show; `habits` are what a test may
    change while it runs.
    """

    def __init__(
        self,
        site: Site,
        facts: Facts,
        secret: Callable[[str], str | None],
        telemetry: Telemetry,
        announcements: Announcements | None = None,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        side, self.habits = Side(site), Habits()
        told = announcements or Announcements(site)
        self._secret = secret
        self._direct_connect = DirectConnect(side, facts, self.habits, now)
        self._ec2 = Ec2(side, facts, self.habits, told, now)
        cloudwatch = CloudWatch(side, facts, telemetry, self.habits, now)
        self._operations = {
            "directconnect": self._direct_connect.operations,
            "monitoring": cloudwatch.operations,
            "health": Health(side, told, self.habits, now).operations,
        }
        self.secrets = self._direct_connect.secrets | self._ec2.secrets
        self.app = Starlette(routes=[Route("/", self._answer, methods=["POST"])])

    def refuse(self, request: Request, status: int) -> Response:
        """The service's own error, for the fault gate. AWS throttles with 400 or 503; the lab keeps 429."""
        service = service_of(request)
        return refusal(service, AwsError(*_FAULTS[service, status], status))

    async def _answer(self, request: Request) -> Response:
        service, body = service_of(request), await request.body()
        try:
            signature.check(request, body, service, self._secret)
            if service == "ec2":
                form = dict(parse_qsl(body.decode(), keep_blank_values=True))
                action = form.get("Action", "")
                return ec2_answer(action, self._act(action, form))
            return json_answer(*self._operate(request, service, json.loads(body or b"{}")))
        except AwsError as error:
            return refusal(service, error)
        except (json.JSONDecodeError, UnicodeDecodeError):
            return refusal(service, AwsError("SerializationException", "The request body is not valid."))

    def _act(self, action: str, form: dict[str, str]) -> JSON:
        if action not in self._ec2.actions:
            raise AwsError("InvalidAction", f"The action {action} is not valid for this web service.")
        self._refused(action)
        if action in self.habits.odd:
            return self.habits.odd[action]
        if form.get("DryRun", form.get("dryRun")) == "true":
            raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
        return self._ec2.actions[action](form)

    def _operate(self, request: Request, service: str, asked: JSON) -> tuple[JSON, str]:
        operation = request.headers["x-amz-target"].rpartition(".")[2]
        known = self._operations[service]
        if operation not in known:
            raise AwsError("UnknownOperationException", f"The operation {operation} is not known here.")
        self._refused(operation)
        if operation in self.habits.odd:
            return self.habits.odd[operation], version_of(service)
        return known[operation](asked), version_of(service)

    def _refused(self, operation: str) -> None:
        self.habits.asked[operation] += 1
        if operation in self.habits.refused:
            raise self.habits.refused[operation]
