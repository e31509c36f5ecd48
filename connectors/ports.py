"""The ports that the product reaches the outside world through: what a connector promises, not who it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar, runtime_checkable

from connectors.errors import InterlockError
from network.observation import Observation
from network.snapshot import Snapshot

Secret_co = TypeVar("Secret_co", covariant=True)
Clock = Callable[[], datetime]


class StatusSource(Protocol):
    """One system that is polled. `cadence_s` and `deadline_s` are seconds; `kind` says of what sort."""

    name: str
    kind: str
    cadence_s: float
    deadline_s: float

    async def collect(self) -> Sequence[Observation]:
        """One poll: all facts that it can see now.

        Raises InterlockError when it sees nothing, PartlySeen when a part of it could not be read.
        """

    async def close(self) -> None:
        """Let go of connections and threads; collecting again is an error."""


@runtime_checkable
class Remembers(Protocol):
    """A source that keeps costly readings for longer than its cadence (telemetry, route tables)."""

    def forget(self) -> None:
        """The next collect reads everything anew: something has changed."""


@runtime_checkable
class Lingers(Protocol):
    """A source of which a reading may outlast the poll that began it."""

    async def late(self) -> Sequence[Observation]:
        """What such a reading sees, once one has ended; it is cancelled when the next poll begins."""


class Sink(Protocol):
    """Where a stream's news go: folded into the snapshot at once, with a source asked for the rest."""

    @property
    def snapshot(self) -> Snapshot: ...
    def push(self, seen: Sequence[Observation]) -> None: ...
    def poke(self, source: str) -> None: ...
    async def wait(self, after_revision: int, timeout_s: float) -> Snapshot: ...


class Stream(Protocol):
    """A system that speaks by itself. It is no source: when it is gone, polling goes on as before."""

    name: str

    async def run(self, sink: Sink) -> None:
        """Listen until cancelled, telling `sink` what comes; connects again by itself. Lets go of all when it ends."""


class AzureSecret(Protocol):
    """A service principal's short-lived secret."""

    @property
    def client_id(self) -> str: ...
    @property
    def client_secret(self) -> str: ...


class AwsSecret(Protocol):
    """AWS credentials; the session token is None for a long-term key."""

    @property
    def access_key(self) -> str: ...
    @property
    def secret_key(self) -> str: ...
    @property
    def session_token(self) -> str | None: ...


class Credentials(Protocol[Secret_co]):
    """Gives a fresh short-lived credential at each call."""

    def __call__(self) -> Awaitable[Secret_co]: ...


class PartlySeen(InterlockError):
    """Some parts of a system answered and some did not: `seen` holds what did, `errors` what went wrong."""

    def __init__(self, seen: Sequence[Observation], errors: Sequence[InterlockError]) -> None:
        self.seen, self.errors = tuple(seen), tuple(errors)
        more = f" ({len(errors) - 1} more like it)" if len(errors) > 1 else ""
        super().__init__(f"{errors[0].what}{more}", where=errors[0].where, do_next=errors[0].do_next)


def deadline_for(cadence_s: float) -> float:
    """Seconds that one poll may take: the first one logs in, so 5 s at least; 15 s are what a slow API needs."""
    return min(max(5.0, cadence_s), 15.0)
