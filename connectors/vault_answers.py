"""What Vault answers: the records handed out, the readings of its JSON, and what each status code means. Pure."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from connectors.errors import BadReply, Denied, NotFound, Sealed, Throttled, Unreachable

SecretT = TypeVar("SecretT")


@dataclass(frozen=True, slots=True)
class Operator:
    """Who the token belongs to. `expires_at` is None for a token without an end."""

    name: str
    entity_id: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class TokenInfo:
    operator: Operator
    ttl_s: int
    policies: tuple[str, ...]
    renewable: bool


@dataclass(frozen=True, slots=True)
class Certificate:
    """A signed OpenSSH certificate (public text). `key_id` is what the router's log will show."""

    text: str
    expires_at: datetime
    serial: str
    key_id: str
    principals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AwsKeys:
    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class AzureSecret:
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Lease(Generic[SecretT]):
    """A dynamic credential. `lease_id` is empty when Vault keeps no lease: it then ends at `expires_at`."""

    lease_id: str
    renewable: bool
    expires_at: datetime
    secret: SecretT


@dataclass(frozen=True, slots=True)
class Renewal:
    """`capped`: less was granted than asked, so the maximum is near: get a new credential, in time."""

    lease_id: str
    renewable: bool
    expires_at: datetime
    capped: bool


@dataclass(frozen=True, slots=True)
class VaultHealth:
    sealed: bool
    initialized: bool
    standby: bool
    version: str
    server_time: datetime


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer. `body`: the JSON object, None when there was none; texts are redacted already."""

    status: int
    body: dict[str, Any] | None
    reasons: str
    excerpt: str = ""
    retry_after: str = ""

    def checked(self, where: str) -> dict[str, Any]:
        """The body of a success ({} for 204); otherwise raises what the status code means."""
        said = f": {self.reasons}" if self.reasons else ""
        match self.status:
            case 200 if self.body is not None:
                return self.body
            case 204:
                return {}
            case 400 if any(word in said.lower() for word in ("unknown role", "invalid lease", "not found")):
                what, do_next = self.reasons, "Check the role's or lease's name in the site file"
                raise NotFound(what, where=where, do_next=do_next)
            case 400 | 401 | 403:
                what, do_next = f"refused ({self.status}){said}", "Compare what was asked with what is allowed"
                raise Denied(what, where=where, do_next=do_next)
            case 404:
                do_next = "Check the path and its mount; a deleted version is not found either"
                raise NotFound(f"nothing is there{said}", where=where, do_next=do_next)
            case 429:
                wait = float(self.retry_after) if self.retry_after.isdigit() else None
                do_next = "Wait; the quota is the Vault keepers' to raise"
                raise Throttled("too many requests", where=where, do_next=do_next, retry_after_s=wait)
            case 503 if "sealed" in said.lower():
                raise Sealed("Vault is sealed", where=where, do_next="Ask the Vault keepers to unseal it")
            case 502 | 503 | 504:
                do_next = "Look at what stands before or behind Vault"
                raise Unreachable(f"answered {self.status}{said}", where=where, do_next=do_next)
        raise bad_shape(f"answered {self.status}", where, self.excerpt)


def bad_shape(what: str, where: str, evidence: str = "") -> BadReply:
    do_next = "Check that the address is Vault's own and not a proxy or login page"
    return BadReply(what, where=where, do_next=do_next, evidence=evidence)


def reasons(body: dict[str, Any] | None) -> str:
    """The `errors` of an answer on one line; empty when it has none."""
    errors = (body or {}).get("errors")
    return "; ".join(" ".join(str(e).split()) for e in errors) if isinstance(errors, list) else ""


def text_of(data: dict[str, Any], name: str, where: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise bad_shape(f"no field {name!r}", where)
    return value


def seconds_of(data: dict[str, Any], name: str, where: str) -> int:
    value = data.get(name)
    if not isinstance(value, int):
        raise bad_shape(f"field {name!r} is not a number of seconds", where)
    return value


def token_info(data: dict[str, Any], where: str) -> TokenInfo:
    """Read a lookup-self. `id` in it is the token itself and is left there."""
    expires = _moment(data, "expire_time", where) if data.get("expire_time") else None
    operator = Operator(_name(data), str(data.get("entity_id", "")), expires)
    named = data.get("policies")
    policies = tuple(str(policy) for policy in named) if isinstance(named, list) else ()
    return TokenInfo(operator, seconds_of(data, "ttl", where), policies, bool(data.get("renewable")))


def health(body: dict[str, Any], where: str) -> VaultHealth:
    seconds = seconds_of(body, "server_time_utc", where)
    return VaultHealth(
        sealed=bool(body["sealed"]),
        initialized=bool(body["initialized"]),
        standby=bool(body.get("standby")),
        version=str(body.get("version", "")),
        server_time=_instant(seconds),
    )


def certificate(text: str, public_key_line: str, serial: str) -> Certificate | None:
    """Read back what was signed; None when it is not a user certificate of this key."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import ssh

    try:
        identity = ssh.load_ssh_public_identity(text.encode())
        ours = ssh.load_ssh_public_key(public_key_line.encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(identity, ssh.SSHCertificate) or identity.public_key() != ours:
        return None
    if identity.type is not ssh.SSHCertificateType.USER:
        return None
    return Certificate(
        text=text,
        expires_at=_instant(identity.valid_before),
        serial=serial,
        key_id=identity.key_id.decode("utf-8", "replace"),
        principals=tuple(principal.decode("utf-8", "replace") for principal in identity.valid_principals),
    )


def object_of(body: dict[str, Any], name: str) -> dict[str, Any]:
    """The object under `name`; empty when there is none, so that its missing fields are what is reported."""
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def data_of(body: dict[str, Any]) -> dict[str, Any]:
    return object_of(body, "data")


def _instant(unix_s: int) -> datetime:
    """An OpenSSH "forever" (2**64 - 1) is the last day Python knows."""
    try:
        return datetime.fromtimestamp(unix_s, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC)


def _moment(data: dict[str, Any], name: str, where: str) -> datetime:
    """RFC 3339 with nanoseconds, of which Python keeps microseconds."""
    try:
        moment = datetime.fromisoformat(data[name])
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise bad_shape(f"field {name!r} is not a time with its zone", where)
    return moment


def _name(data: dict[str, Any]) -> str:
    """The person: AppRole's display name is only the mount, there the login's metadata or its role tells."""
    meta = object_of(data, "meta")
    for found in (meta.get("operator"), meta.get("username"), meta.get("role_name"), data.get("display_name")):
        if found:
            return str(found)
    return "unknown"
