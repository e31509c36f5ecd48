"""Approvals in a lab are signed by the key that the lab keeps of each operator."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

from runbooks.journal.signing import Signature


class LabSigner:
    """Asks the lab of a folder, which has its own deadline. Raises LabError when it does not answer."""

    def __init__(self, folder: Path, who: str) -> None:
        self._folder, self._who = folder, who

    async def sign(self, statement: bytes) -> Signature:
        return await asyncio.to_thread(self._signed, base64.b64encode(statement).decode())

    def _signed(self, statement: str) -> Signature:
        from lab.client import LabClient

        answer = LabClient(self._folder).call("sign", who=self._who, statement=statement)
        return Signature(answer["key"], answer["sig"])
