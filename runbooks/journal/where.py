"""Where a journal is: a file on this host, or a PostgreSQL database that several hosts share."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from runbooks.journal.errors import UnfitStorage

SCHEMES = ("postgresql", "postgres")
_SECRETS = frozenset({"password", "sslpassword"})
_HIDDEN = re.compile(r"(?P<scheme>\w+://)(?P<user>[^:@/?]*):[^@/?]*@")
_HIDDEN_OPTION = re.compile(r"(?P<name>\b(?:ssl)?password=)[^&\s]*")

Where = Path | str


def parse(text: str) -> Where:
    """Read what a person gave: a postgresql:// URL, a sqlite: URL, or a path.

    Raises UnfitStorage for another scheme, and for a password: arguments and variables are seen by others.
    """
    scheme, colon, rest = text.partition("://")
    if not colon:
        return Path(text).expanduser()
    if scheme == "sqlite":
        return Path(rest).expanduser()
    if scheme not in SCHEMES:
        raise UnfitStorage(f"journal {shown(text)}: {scheme}:// is not known; give postgresql://… or a file's path")
    url = urlsplit(text)
    if url.password is not None or _SECRETS & {name for name, _ in parse_qsl(url.query)}:
        raise UnfitStorage(
            f"journal {shown(text)} carries a password, which other users of this machine can read: take it out"
            " and put it into ~/.pgpass (PGPASSFILE) or a service file (postgresql:///?service=NAME)"
        )
    return text


def shown(where: Where) -> str:
    """Return the place as messages may show it: without a password."""
    hidden = _HIDDEN.sub(r"\g<scheme>\g<user>:[***]@", str(where))
    return _HIDDEN_OPTION.sub(r"\g<name>[***]", hidden)
