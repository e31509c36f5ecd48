"""Which site this is about: --site, INTERLOCK_SITE, the user's config folder, else the lab that is up."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from console.fail import UsageError
from console.folders import config_dir, state_dir
from network.inventory import Site
from network.sitefile import SiteFile, load


@dataclass(frozen=True, slots=True)
class Chosen:
    """The site file in use and, when it is a running lab's own, the lab's folder."""

    file: Path
    loaded: SiteFile
    lab_folder: Path | None

    @property
    def site(self) -> Site:
        return self.loaded.site


def choose(asked: Path | None) -> Chosen:
    """Find and load the site file. Raises UsageError when there is none, SiteError when it is wrong."""
    from lab.state import lab_folder, read

    folder = lab_folder(state_dir())
    lab = read(folder)
    file = asked or _from_environment() or _from_config()
    if file is None:
        if lab is None:
            raise UsageError(
                "no site: give --site FILE or INTERLOCK_SITE, write "
                f"{config_dir() / 'site.yaml'}, or start a lab with `interlock lab up --detach`"
            )
        file = Path(lab.site)
        print(f"interlock: using the lab's site {file}", file=sys.stderr)
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot be read: {error}") from error
    of_lab = lab is not None and Path(lab.site).resolve() == file.resolve()
    return Chosen(file, load(text, str(file)), folder if of_lab else None)


def _from_environment() -> Path | None:
    value = os.environ.get("INTERLOCK_SITE")
    return Path(value) if value else None


def _from_config() -> Path | None:
    file = config_dir() / "site.yaml"
    return file if file.exists() else None
