"""Which FRR a router runs, and what that release can do: from the table frr_capabilities.yaml beside this file."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

import yaml

from connectors.routers.frr_json import bad_reply
from network.observation import Capabilities

VERSION = "show version"
_FIRST_LINE = re.compile(r"^FRRouting (\S+) \((.+)\) on ")
_RELEASE = re.compile(r"(\d{1,3})\.(\d{1,3})")


def capabilities(text: str) -> Capabilities:
    """From the reply to `show version`. Raises BadReply when it names no FRR."""
    version, _ = version_and_host(text)
    found = _RELEASE.match(version)
    release = (int(found[1]), int(found[2])) if found else (0, 0)
    return Capabilities("frr", version, frozenset(flag for flag, since in _table().items() if release >= since))


def version_and_host(text: str) -> tuple[str, str]:
    """FRR version and host name from `show version`. Raises BadReply."""
    found = _FIRST_LINE.match(text)
    if found is None:
        raise bad_reply("no FRRouting version in the reply", VERSION, text)
    return found[1], found[2]


@cache
def _table() -> dict[str, tuple[int, int]]:
    text = (resources.files("connectors.routers") / "frr_capabilities.yaml").read_text()
    releases = {flag: str(since).partition(".") for flag, since in yaml.safe_load(text).items()}
    return {flag: (int(major), int(minor)) for flag, (major, _, minor) in releases.items()}
