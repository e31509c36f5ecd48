"""How much of a cloud's load the survivor must carry, and what goes on over a drained path anyway."""

import pytest

from runbooks.checks.standby_carries import _share

SURVIVOR = "azure/er-secondary"


@pytest.mark.parametrize(
    ("survivor", "elsewhere", "ok"),
    [
        (400.0, 3.0, True),  # 99.3 %
        (400.0, 20.0, False),
        (2.1, 0.06, True),  # probes and pings on the drained path weigh more where little is carried
        (2.1, 0.2, False),
        (0.05, 2.0, False),
    ],
)
def test_the_survivor_carries_nearly_all_or_all_but_probes(survivor: float, elsewhere: float, ok: bool) -> None:
    said, found = _share({SURVIVOR: survivor, "azure/er-primary": elsewhere}, SURVIVOR, 2.0)
    assert found is ok, said
    assert f"{elsewhere:.2f} Mbps elsewhere" in said
