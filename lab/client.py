"""Talking to a running lab over its control socket. Used by the command line; blocking, with a deadline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from lab.errors import LabError, NoLab, UnknownThing
from lab.state import LabState, read

#: The slowest request is `down` on real routers: ten daemons' worth of processes to end.
DEADLINE_S = 60.0


class LabClient:
    """One running lab. Raises NoLab, UnknownThing for a word it does not know, else LabError in the lab's own words."""

    def __init__(self, folder: Path) -> None:
        state = read(folder)
        if state is None:
            raise NoLab
        self.state: LabState = state

    def call(self, verb: str, **body: Any) -> Any:
        """POST a verb to the lab and return its answer."""
        transport = httpx.HTTPTransport(uds=self.state.socket)
        try:
            with httpx.Client(transport=transport, timeout=DEADLINE_S, trust_env=False) as client:
                reply = client.post(f"http://lab/{verb}", json=body)
        except httpx.HTTPError as error:
            raise LabError(f"the lab (pid {self.state.pid}) does not answer: {error!r}") from error
        answer = reply.json()
        if reply.is_error:
            kind = UnknownThing if answer.get("usage") else LabError
            raise kind(str(answer.get("error", answer)))
        return answer
