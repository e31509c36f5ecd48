from datetime import UTC, datetime, timedelta

import pytest

from lab.announcements import Announcements
from lab.errors import UnknownThing
from tests.contract.fake_world import reference

NOW = datetime(2026, 1, 7, 12, 0, tzinfo=UTC)


class Clock:
    at = NOW

    def __call__(self) -> datetime:
        return self.at


def test_an_announcement_follows_the_clock_until_it_is_ended():
    clock = Clock()
    told = Announcements(reference(), clock)
    entry = told.add("megaport", "maintenance", ["port-b"], in_s=60, lasts_s=600)
    assert entry.state(clock()) == "announced"
    clock.at = NOW + timedelta(seconds=61)
    assert entry.state(clock()) == "running"
    told.end(entry.number)
    assert told.of("megaport")[0].state(clock()) == "done"
    assert told.of("azure") == []


def test_one_that_has_not_begun_is_cancelled():
    told = Announcements(reference(), Clock())
    told.end(told.add("aws", "maintenance", ["dx-1"], in_s=60, lasts_s=600).number)
    assert told.of("aws")[0].state(NOW) == "cancelled"


@pytest.mark.parametrize(
    ("system", "kind", "thing", "hint"),
    [
        ("megaprt", "outage", "port-a", "megaport"),
        ("azure", "mainte", "er-primary", "maintenance"),
        ("aws", "outage", "dx-9", "dx-"),
    ],
)
def test_a_wrong_name_is_told_with_the_nearest(system, kind, thing, hint):
    with pytest.raises(UnknownThing, match=hint):
        Announcements(reference(), Clock()).add(system, kind, [thing], in_s=0, lasts_s=1)
