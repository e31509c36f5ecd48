"""What an answer of ServiceNow means, or its absence: one of the named errors, or nothing to complain of.

A write that was neither taken nor refused in so many words is unknown: a proxy's page, a 5xx, a broken
connection and silence all leave it open whether the record has changed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.errors import (
    BadReply,
    Denied,
    InterlockError,
    NotFound,
    NotSent,
    OutcomeUnknown,
    Throttled,
    TimedOut,
    Unreachable,
)
from connectors.servicenow_rows import Row, value_of

if TYPE_CHECKING:
    import requests


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Errors of one instance; `where` names it in every message."""

    where: str
    deadline_s: float

    def judge(self, response: "requests.Response", *_: Any, **__: Any) -> None:
        """Session hook: raises for every answer that is not a plain 2xx JSON `result`."""
        status = response.status_code
        body = _json(response)
        said = _message(body) or f"HTTP {status}"
        if status == 401:
            do_next = "Check the login that Vault holds."
            raise Denied(said, where=self.where, do_next=do_next, login_again=True)
        if status == 403:
            do_next = "Open the record in ServiceNow: the rule that refused explains itself there."
            raise Denied(said, where=self.where, do_next=do_next)
        if status == 429:
            raise self._throttled(said, response.headers.get("Retry-After", ""))
        if body is not None and status == 404:
            raise NotFound(said, where=self.where, do_next="Check the record; a role may hide it.")
        if body is None or not 200 <= status < 300 or body.get("error") or "result" not in body:
            raise self._unclear(response, body, said)

    def broken(self, error: Exception, *, writes: bool) -> InterlockError:
        """The meaning of an error that requests raised."""
        said = _reason(error)
        if _never_connected(error):
            kind = NotSent if writes else Unreachable
            do_next = "Check the name, the port and the way there."
            return kind(f"no connection: {said}", where=self.where, do_next=do_next)
        if _timed_out(error):
            return self.silent(written=writes)
        if writes:
            return self.unknown(f"the connection broke: {said}")
        return Unreachable(f"the connection broke: {said}", where=self.where, do_next="Try again.")

    def silent(self, *, written: bool) -> InterlockError:
        if written:
            return self.unknown("no answer to the write before the deadline")
        return TimedOut(
            f"no answer within {self.deadline_s:g} s",
            where=self.where,
            do_next="Check ServiceNow and the way there; the console works on without it.",
        )

    def unknown(self, what: str) -> OutcomeUnknown:
        do_next = "Look at the change's work notes before anything is written again."
        return OutcomeUnknown(what, where=self.where, do_next=do_next)

    def bad(self, what: str, evidence: str) -> BadReply:
        do_next = "Not ServiceNow's API, or a new form of it: look for a proxy or login page on the way."
        return BadReply(what, where=self.where, do_next=do_next, evidence=evidence)

    def _unclear(self, response: "requests.Response", body: Row | None, said: str) -> InterlockError:
        """An answer that does not tell what happened; a JSON 4xx does tell: it was refused."""
        status = response.status_code
        refused = body is not None and 400 <= status < 500
        if response.request.method != "GET" and not refused:
            return self.unknown(f"unclear answer: {said}")
        if status in (502, 503, 504):
            do_next = "The instance is starting, asleep or gone: look at it in a browser."
            return Unreachable(said, where=self.where, do_next=do_next)
        return self.bad(f"HTTP {status}" if body is None else said, "" if body else response.text)

    def _throttled(self, said: str, retry_after: str) -> Throttled:
        seconds = float(retry_after) if re.fullmatch(r"\d{1,6}", retry_after, re.ASCII) else None
        do_next = f"Wait {seconds:g} s." if seconds is not None else "Wait: the limit is counted per hour."
        return Throttled(said, where=self.where, do_next=do_next, retry_after_s=seconds)


def _json(response: "requests.Response") -> Row | None:
    """The body as an object; None for anything else, such as a login page with status 200."""
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, Mapping) else None


def _message(body: Row | None) -> str:
    error = (body or {}).get("error")
    if not isinstance(error, Mapping):
        return value_of(error)
    return ": ".join(part for part in (value_of(error.get(name)) for name in ("message", "detail")) if part)


def _never_connected(error: Exception) -> bool:
    """True only when urllib3 proves that no connection was made, so no byte was sent."""
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", cause), ConnectTimeoutError | NewConnectionError)


def _timed_out(error: Exception) -> bool:
    """Also a body that stops half way, which requests calls a ConnectionError."""
    import requests
    from urllib3.exceptions import ReadTimeoutError

    cause = error.args[0] if error.args else None
    return isinstance(error, requests.exceptions.Timeout) or isinstance(cause, ReadTimeoutError)


def _reason(error: Exception) -> str:
    cause = error.args[0] if error.args else error
    return str(getattr(cause, "reason", cause))
