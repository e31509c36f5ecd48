"""What a person types at the lab's control, turned into ServiceNow's values."""

import difflib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from lab.errors import UnknownThing

STAMP = "%Y-%m-%d %H:%M:%S"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


class UnknownNameError(UnknownThing):
    """A field, value, change or CI that does not exist. The message names the nearest one that does."""

    def __init__(self, kind: str, given: str, valid: Iterable[str]) -> None:
        names = sorted(valid)
        near = difflib.get_close_matches(given, names, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"one of: {', '.join(names) or 'none exist yet'}"
        super().__init__(f"ServiceNow lab: no {kind} {given!r}; {hint}")


def stamp(at: datetime) -> str:
    """A date-time as ServiceNow stores it: `YYYY-MM-DD HH:MM:SS`, UTC."""
    return at.astimezone(UTC).strftime(STAMP)


def unstamp(text: str) -> datetime:
    return datetime.strptime(text, STAMP).replace(tzinfo=UTC)


def choice(kind: str, given: str, choices: Mapping[str, str]) -> str:
    """A code from a code or a label: "-1", "Implement", "implement", "cancelled", "not_requested"."""
    word = given.strip().casefold().replace("_", " ").replace("cancelled", "canceled")
    for code, label in choices.items():
        if word in (code, label.casefold()):
            return code
    raise UnknownNameError(kind, word, {label.lower() for label in choices.values()} | set(choices))


def truth(field: str, given: str) -> str:
    word = given.strip().casefold()
    if word not in _TRUE + _FALSE:
        raise UnknownNameError(f"value for {field}", word, _TRUE[:3] + _FALSE[:3])
    return "true" if word in _TRUE else "false"


def moment(field: str, given: str, now: datetime) -> str:
    """A date-time from a shift against now ("+5m", "-2h", "now"), ISO 8601 or ServiceNow's own form."""
    shift = re.fullmatch(r"([+-])(\d+)([smhd])", given.strip())
    if given.strip() == "now":
        return stamp(now)
    if shift:
        seconds = int(shift[2]) * _UNITS[shift[3]]
        return stamp(now + timedelta(seconds=seconds if shift[1] == "+" else -seconds))
    try:
        at = datetime.fromisoformat(given.strip())
    except ValueError as error:
        raise UnknownNameError(f"value for {field}", given, ("now", "+5m", "-2h", stamp(now))) from error
    return stamp(at if at.tzinfo else at.replace(tzinfo=UTC))


def window(given: str, now: datetime) -> tuple[str, str]:
    """Start and end of a window that is open, closed (over) or future (not begun)."""
    spans = {"open": (-1, 120), "closed": (-180, -60), "future": (60, 180)}
    word = given.strip().casefold()
    if word not in spans:
        raise UnknownNameError("value for window", word, spans)
    first, last = spans[word]
    return stamp(now + timedelta(minutes=first)), stamp(now + timedelta(minutes=last))
