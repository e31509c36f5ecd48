"""One error tree for every outside system. Exit codes are mapped where commands end, not here."""

from connectors.redact import redactor

EVIDENCE_LIMIT = 200  # characters: enough to tell a login page from a proxy error


class InterlockError(Exception):
    """What happened, where (system and path), and what the operator does next. Never holds a secret."""

    def __init__(self, what: str, *, where: str, do_next: str) -> None:
        self.what, self.where, self.do_next = (
            redactor.text(what),
            redactor.text(where),
            redactor.text(do_next),
        )
        super().__init__(f"{self.where}: {self.what}. {self.do_next}")


class Unreachable(InterlockError):
    """No connection: refused, no route, unknown name, untrusted TLS, or a front with nothing behind it."""


class TimedOut(InterlockError):
    """No answer before the deadline. For a write, see OutcomeUnknown."""


class Throttled(InterlockError):
    """Asked to slow down; `retry_after_s` in seconds when the system said so."""

    def __init__(self, what: str, *, where: str, do_next: str, retry_after_s: float | None = None) -> None:
        super().__init__(what, where=where, do_next=do_next)
        self.retry_after_s = retry_after_s


class Denied(InterlockError):
    """Understood and refused: 401, 403, or a refusal by a role. `login_again`: the login itself is gone."""

    def __init__(self, what: str, *, where: str, do_next: str, login_again: bool = False) -> None:
        super().__init__(what, where=where, do_next=do_next)
        self.login_again = login_again


class NotFound(InterlockError):
    """The thing asked for does not exist there, or may not be known to exist."""


class BadReply(InterlockError):
    """An answer of an unknown shape: HTML, cut JSON, a server fault. `evidence`: a short redacted excerpt."""

    def __init__(self, what: str, *, where: str, do_next: str, evidence: str = "") -> None:
        self.evidence = redactor.text(evidence)[:EVIDENCE_LIMIT]
        shown = f"{what}, got {self.evidence!r}" if self.evidence else what
        super().__init__(shown, where=where, do_next=do_next)


class Sealed(InterlockError):
    """The secret store runs but is sealed: nothing can be read or signed until its keepers unseal it."""


class NotSent(InterlockError):
    """Proof that nothing left this console: repeating is safe."""


class TooEarly(NotSent):
    """Not taken yet: the system asks to wait. `wait_s` when it said so."""

    def __init__(self, what: str, *, where: str, do_next: str, wait_s: float | None) -> None:
        super().__init__(what, where=where, do_next=do_next)
        self.wait_s = wait_s


class OutcomeUnknown(InterlockError):
    """A write without a clear answer: it may or may not have happened. Read back before anything else."""
