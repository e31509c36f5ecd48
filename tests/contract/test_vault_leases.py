"""The lab's cloud credentials against a clock that the test moves."""

from datetime import UTC, datetime, timedelta

from lab.vault.leases import DEFAULT_TTL, MAX_TTL, CloudLeases


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, by: timedelta) -> None:
        self.now += by


SECOND = timedelta(seconds=1)


def test_a_credential_ends_with_its_time() -> None:
    clock = Clock()
    leases = CloudLeases(clock)
    for lease in (
        leases.issue_azure("reader", "h"),
        leases.issue_aws_user("reader", "h"),
        leases.issue_aws_session("reader", "h"),
    ):
        assert leases.valid(lease.identity) is lease
        assert leases.find(lease.lease_id) is lease
    issued = [leases.issue_azure("reader", "h"), leases.issue_aws_session("reader", "h")]
    clock.forward(DEFAULT_TTL - SECOND)
    assert all(leases.valid(lease.identity) for lease in issued)
    clock.forward(SECOND)
    assert not any(leases.valid(lease.identity) or leases.find(lease.lease_id) for lease in issued)


def test_renewal_counts_from_now_and_stops_at_the_maximum() -> None:
    clock = Clock()
    leases = CloudLeases(clock)
    lease = leases.issue_azure("reader", "h")
    clock.forward(timedelta(minutes=10))
    assert leases.renew(lease, timedelta(minutes=1)) == timedelta(minutes=1)
    assert leases.left(lease) == 60
    assert leases.renew(lease, None) == DEFAULT_TTL
    assert leases.renew(lease, timedelta(days=1)) == MAX_TTL - timedelta(minutes=10)


def test_a_holder_takes_only_his_own_leases_with_him() -> None:
    leases = CloudLeases(Clock())
    his, hers = leases.issue_azure("reader", "his"), leases.issue_azure("reader", "hers")
    session = leases.issue_aws_session("reader", "his")
    leases.revoke_of("his")
    assert leases.valid(his.identity) is None
    assert leases.find(session.lease_id) is None
    assert leases.valid(session.identity) is session  # at AWS a session lives to its end
    assert leases.valid(hers.identity) is hers


def test_secrets_stay_out_of_repr() -> None:
    lease = CloudLeases(Clock()).issue_aws_session("reader", "h")
    assert lease.secret not in repr(lease)
    assert str(lease.session_token) not in repr(lease)
