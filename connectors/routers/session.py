"""A session on one router: connects when first used, drops what broke, and reconnects on the next use."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from connectors.errors import NotSent, TimedOut, Unreachable
from connectors.routers.channel import Channel, Reply, checked, group, judged
from connectors.routers.deadmen import DEADMEN, Armed, armed
from connectors.routers.ssh import LOGIN_S, Connection, Host, Login
from network.inventory import Router

#: Seconds for a batch of shows, and for a change (vtysh takes a lock while another one configures).
SHOW_S, CHANGE_S = 5.0, 15.0


class RouterSession:
    """Commands to one router under one login. Polls use the read login, a run brings its own.

    `show_s`, `change_s` and `login_s` (until a shell shows its prompt) are deadlines in seconds; connecting has its
    own (ssh.CONNECT_S, ssh.LOGIN_S). `connections` counts those made so far: what is true for one is asked anew.
    """

    def __init__(
        self,
        router: Router,
        login: Login,
        *,
        show_s: float = SHOW_S,
        change_s: float = CHANGE_S,
        login_s: float = LOGIN_S,
    ) -> None:
        self.router = router
        self.connections = 0
        self._login, self._show_s, self._change_s, self._login_s = login, show_s, change_s, login_s
        self._connection: Connection | None = None
        self._channel: Channel | None = None
        self._connecting = asyncio.Lock()

    @property
    def connected(self) -> bool:
        return self._connection is not None and not self._connection.closed

    async def show(self, command: str) -> Reply:
        """One show. Raises Denied, CommandFailed, Unreachable, TimedOut, BadReply, InjectionRefused."""
        reply = (await self.shows([command]))[0]
        return judged(reply, command, self.router.name)

    async def shows(self, commands: Sequence[str]) -> list[Reply]:
        """The replies in order, unjudged: one refused command does not hide the others' answers."""
        # A tab is refused too: it would make a show a configuration group.
        return await self._ask([checked(command) for command in commands], self._show_s, changes=False)

    async def configure(self, lines: Sequence[str]) -> Reply:
        """`configure terminal` and the lines as one group.

        Raises NotSent (nothing happened), Denied, CommandFailed (the lines before the error stay applied),
        OutcomeUnknown (read back first).
        """
        request = group(lines)
        reply = (await self._change(request))[0]
        return judged(reply, request, self.router.name)

    async def exec(self, command: str) -> Reply:
        """One exec command that acts, such as a soft clear. Raises as `configure`."""
        reply = (await self._change(checked(command)))[0]
        return judged(reply, command, self.router.name)

    async def arm(self, timer: str, seconds: float, lines: Sequence[str], clears: Sequence[str]) -> None:
        """Have the router put the lines back by itself, and clear softly, unless `confirm` comes within so long.

        Raises as `configure`. Arming the same again only extends it.
        """
        parts = [f"deadman arm {timer} {math.ceil(seconds)}", *(checked(part.strip()) for part in (*lines, *clears))]
        request = "\t".join(parts)
        judged((await self._change(request))[0], request, self.router.name)

    async def extend(self, timer: str, seconds: float) -> str:
        """Put it off; what the router says of it: armed, fired or absent. Raises as `configure`."""
        return (await self.exec(f"deadman extend {timer} {math.ceil(seconds)}")).text.strip()

    async def confirm(self, timer: str) -> str:
        """What was armed is over; what the router says that it was. Raises as `configure`."""
        return (await self.exec(f"deadman confirm {timer}")).text.strip()

    async def armed(self) -> list[Armed]:
        """The dead-men that are armed on the router now. Raises as `show`, and BadReply."""
        return armed(await self.show(DEADMEN))

    async def close(self) -> None:
        """Hang up; the next command would connect again."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            await connection.close()

    def _drop(self) -> None:
        """Let go of a broken connection without waiting for a far end that may be gone."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            connection.abort()

    async def _change(self, request: str) -> list[Reply]:
        try:
            return await self._ask([request], self._change_s, changes=True)
        except (Unreachable, TimedOut) as error:
            # A change that fails so has not left: after sending, the channel says OutcomeUnknown.
            raise NotSent(error.what, where=error.where, do_next="Nothing was sent: repeating is safe.") from error

    async def _ask(self, commands: Sequence[str], deadline_s: float, *, changes: bool) -> list[Reply]:
        channel = await self._open()
        try:
            return await channel.ask(commands, deadline_s, changes=changes)
        finally:
            if channel.broken and self._channel is channel:
                self._drop()

    async def _open(self) -> Channel:
        async with self._connecting:
            if self._connection is not None and self._connection.closed:
                self._drop()
            if self._channel is None:
                self._channel = await self._connect()
            return self._channel

    async def _connect(self) -> Channel:
        router = self.router
        self._connection = await self._login.connect(Host(router.name, router.address, router.ssh_port, router.jump))
        self.connections += 1
        if router.channel == "exec":
            return self._connection.exec_channel()
        try:
            if router.channel == "shell":
                return await self._connection.shell_channel(self._login_s)
            return await self._connection.line_channel()
        except BaseException:
            self._drop()
            raise
