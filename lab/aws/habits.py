"""How the lab's AWS behaves beside the world that it reports: what a test may change while it runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lab.aws.wire import JSON, AwsError


@dataclass(frozen=True, slots=True)
class VifTest:
    """A BGP failover test of a VIF. `status` is a free text, as AWS has it."""

    vif: str
    starts: datetime
    minutes: int = 180
    status: str = "In progress"

    def running(self, now: datetime) -> bool:
        plain = "".join(self.status.split()).replace("_", "").lower()
        return plain == "inprogress" and self.starts <= now < self.starts + timedelta(minutes=self.minutes)


@dataclass
class Habits:
    """What the account and its services are like.

    `page` rows at most in one answer; `refused` operations by name, each with its error; `odd`: answers that
    are sent whatever is asked; `support_plan`: the account
    may use Health; `tests` as ListVirtualInterfaceTestHistory tells them; `blackholes`: static routes of the transit
    gateway that drop; `encrypted`: connections with MACsec, by name, and whether it is up; `unlisted`: ids of
    connections and VIFs that the lists do not have yet, or no more, though AWS knows them; `asked`: how often.
    """

    page: int = 1000
    refused: dict[str, AwsError] = field(default_factory=dict)
    odd: dict[str, JSON] = field(default_factory=dict)
    support_plan: bool = True
    tests: list[VifTest] = field(default_factory=list)
    blackholes: list[str] = field(default_factory=list)
    encrypted: dict[str, bool] = field(default_factory=dict)
    unlisted: set[str] = field(default_factory=set)
    asked: Counter[str] = field(default_factory=Counter)
