"""Dynamic cloud credentials in memory, with the leases a Vault gives them."""

import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

DEFAULT_TTL = timedelta(minutes=15)
MAX_TTL = timedelta(hours=1)
_UPPER = string.ascii_uppercase + "234567"  # the alphabet of AWS access key ids


@dataclass
class CloudLease:
    """One issued credential. `identity`: client_id or access_key; `holder`: digest of the Vault token."""

    lease_id: str
    identity: str
    secret: str = field(repr=False)
    session_token: str | None = field(repr=False)
    holder: str
    renewable: bool
    issued: datetime
    expires: datetime
    renewed: datetime | None = None


class CloudLeases:
    """Issues, renews and ends credentials. Times come from the injected clock (aware, UTC)."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._leases: dict[str, CloudLease] = {}
        self._identities: dict[str, CloudLease] = {}

    def issue_azure(self, role: str, holder: str) -> CloudLease:
        identity = f"{secrets.token_hex(4)}-{secrets.token_hex(2)}-4000-8000-{secrets.token_hex(6)}"
        return self._issue(f"azure/creds/{role}", identity, secrets.token_urlsafe(30), holder)

    def issue_aws_user(self, role: str, holder: str) -> CloudLease:
        """An IAM user's long-term key: renewable, gone when revoked."""
        return self._issue(f"aws/creds/{role}", _access_key("AKIA"), secrets.token_urlsafe(30), holder)

    def issue_aws_session(self, role: str, holder: str) -> CloudLease:
        """A session at AWS: not renewable, and nothing ends it before its time, not even a revoked lease."""
        token = secrets.token_urlsafe(60)
        return self._issue(f"aws/sts/{role}", _access_key("ASIA"), secrets.token_urlsafe(30), holder, token)

    def find(self, lease_id: str) -> CloudLease | None:
        lease = self._leases.get(lease_id)
        return lease if lease and lease.expires > self._clock() else None

    def renew(self, lease: CloudLease, increment: timedelta | None) -> timedelta:
        """The increment counts from now and is capped by the maximum TTL; returns the time granted."""
        now = self._clock()
        asked = increment or DEFAULT_TTL
        lease.expires, lease.renewed = min(now + asked, lease.issued + MAX_TTL), now
        return lease.expires - now

    def revoke(self, lease: CloudLease) -> None:
        self._leases.pop(lease.lease_id, None)
        if lease.session_token is None:
            self._identities.pop(lease.identity, None)

    def revoke_of(self, holder: str) -> None:
        """A revoked token takes its leases with it."""
        for lease in [lease for lease in self._leases.values() if lease.holder == holder]:
            self.revoke(lease)

    def valid(self, identity: str) -> CloudLease | None:
        """The live credential of this client_id or access_key, if there is one."""
        lease = self._identities.get(identity)
        return lease if lease and lease.expires > self._clock() else None

    def left(self, lease: CloudLease) -> int:
        """Whole seconds to live."""
        return max(0, round((lease.expires - self._clock()).total_seconds()))

    def _issue(
        self, path: str, identity: str, secret: str, holder: str, session_token: str | None = None
    ) -> CloudLease:
        now = self._clock()
        lease = CloudLease(
            lease_id=f"{path}/{secrets.token_hex(12)}",
            identity=identity,
            secret=secret,
            session_token=session_token,
            holder=holder,
            renewable=session_token is None,
            issued=now,
            expires=now + DEFAULT_TTL,
        )
        self._leases[lease.lease_id] = self._identities[identity] = lease
        return lease


def _access_key(prefix: str) -> str:
    return prefix + "".join(secrets.choice(_UPPER) for _ in range(16))
