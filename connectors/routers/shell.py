"""A command reaches a router through its interactive shell: a PTY, an exact prompt, echo, no statuses. Shows only.

Every command is followed by a comment line of our own (`! 5f3a9c01.7`), in the same write. The router echoes it after
its prompt, so a reply ends where `prompt`, that comment and `prompt` stand: a line inside the output that looks like
the prompt ends nothing, nothing is guessed from silence, and no answer can be taken for another's.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
from collections.abc import Sequence

from connectors.errors import BadReply, TimedOut
from connectors.routers.channel import REPLY_LIMIT, Reader, Reply, Serial, ShowsOnly, Writer, checked

#: Turns paging off where the platform pages; vtysh answers it with nothing.
PAGING_OFF = "terminal length 0"
#: Columns of the PTY: a longer line would come back wrapped by the router's line editor.
COLUMNS, ROWS = 511, 100

_PROMPT = rb"([^\r\n]{1,100}[>#] ?)"


class ShellChannel(Serial):
    """One interactive shell. `open` learns its prompt; commands go one at a time, each after the last one's end."""

    def __init__(self, reader: Reader, writer: Writer, where: str) -> None:
        super().__init__(reader, writer, where)
        self._prompt = b""
        self._marks = (f"! {secrets.token_hex(4)}.{number}" for number in itertools.count())

    async def open(self, deadline_s: float) -> None:
        """Learn the prompt and turn paging off.

        Raises BadReply (with what came instead of a prompt), TimedOut when nothing came at all, Unreachable.
        """
        try:
            async with asyncio.timeout(deadline_s):
                await self._learn()
                said = (await self._one(PAGING_OFF)).text
        except TimeoutError as error:
            self.poison()
            raise self._no_prompt(deadline_s) from error
        except (OSError, BadReply) as error:
            self.poison()
            raise self._failure(error, deadline_s) from error
        if said.strip():
            self.poison()
            raise self._bad(f"`{PAGING_OFF}` is not understood: paging would cut replies", said.encode())

    async def ask(self, requests: Sequence[str], deadline_s: float, *, changes: bool = False) -> list[Reply]:
        """The replies in the order of the requests; their status is 0, for a shell tells none.

        Raises ShowsOnly, Unreachable, TimedOut, BadReply. A failure or a cancellation closes the channel.
        """
        if changes:
            raise ShowsOnly(
                "this router's channel is `shell`, which carries shows only: it has no allow-list and no statuses",
                where=self._where,
                do_next="Nothing was sent. Set `channel: line` for the router and install its line protocol guard.",
            )
        return await super().ask([checked(request) for request in requests], deadline_s)

    async def _carry(self, requests: Sequence[str]) -> list[Reply]:
        return [await self._one(request) for request in requests]

    async def _learn(self) -> None:
        mark = next(self._marks)
        self._writer.write(f"{mark}\n".encode())
        # The terminal may have echoed the mark by itself before the shell was ready: only one after a prompt counts.
        wanted = re.compile(_PROMPT + re.escape(mark.encode()) + rb"\r\n\1\Z")
        while (found := wanted.search(self._seen)) is None:
            await self._more()
        self._prompt = found[1]
        self._seen.clear()

    async def _one(self, command: str) -> Reply:
        mark, echo = next(self._marks), command.encode() + b"\r\n"
        end = b"".join((self._prompt, mark.encode(), b"\r\n", self._prompt))
        self._writer.write(f"{command}\n{mark}\n".encode())
        while not self._seen.endswith(end):
            await self._more()
        said = bytes(self._seen[: -len(end)])
        self._seen.clear()
        if not said.startswith(echo):
            raise self._bad(f"the reply does not begin with the echo of `{command}`", said)
        return Reply(0, said[len(echo) :].replace(b"\r\n", b"\n").decode("utf-8", "backslashreplace"))

    async def _more(self) -> None:
        await super()._more()
        if len(self._seen) > REPLY_LIMIT:
            raise self._bad("a reply without end", bytes(self._seen[:1000]))

    def _no_prompt(self, deadline_s: float) -> BadReply | TimedOut:
        if self._seen:
            return self._bad(f"no prompt within {deadline_s:g} s", bytes(self._seen[-200:]))
        do_next = "Check that the account's shell on the router is its command line (for FRR: vtysh)."
        return TimedOut(f"no prompt within {deadline_s:g} s", where=self._where, do_next=do_next)

    def _bad(self, what: str, evidence: bytes) -> BadReply:
        return BadReply(
            what,
            where=self._where,
            do_next="Log in as that account by hand: its shell must be the router's command line (for FRR: vtysh).",
            evidence=evidence.decode("utf-8", "backslashreplace"),
        )
