"""What an account of an edge may ask, and the line protocol: the same lists and texts as on the real routers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from lab.embedded.programs import guard
from lab.embedded.vty import Vty

REFUSED = 77
LONGEST = 16 * 1024
ACCOUNTS = {"interlock-read": "read", "interlock-run": "run"}

Reply = tuple[int, bytes]


def answer(vty: Vty, request: str, account: str, by: str) -> Reply:
    """(status, output) of one request; 77 and the reason when it is refused."""
    command, *lines = request.split("\t")
    for part in (command, *lines):
        found = guard.controlled(part)
        if found:
            return REFUSED, f"refused: control character {found}\n".encode()
    if command.startswith("deadman "):
        return _deadman(vty, request, account)
    group = command == "configure terminal"
    reason = guard.may_configure(lines, account) if group else guard.permitted(command, account)
    if lines and not group:
        reason = "refused: only `configure terminal` takes lines"
    if reason:
        return REFUSED, f"{reason}\n".encode()
    status, output = vty.configure(lines, by) if group else vty.ask(command, by)
    return status, output.encode()


def _deadman(vty: Vty, request: str, account: str) -> Reply:
    _, word, reason = guard.deadman_word(request, account)
    if reason:
        return REFUSED, f"{reason}\n".encode()
    status, output = vty.timers.say(word)
    return status, output.encode()


def once(vty: Vty, command: str, account: str, by: str) -> Reply:
    """One exec command; any control character is refused, so that none can smuggle in a second command."""
    found = guard.controlled(command)
    if found:
        return REFUSED, f"refused: control character {found}\n".encode()
    if not command:
        return REFUSED, b"refused: no interactive session; send `line` or one command\n"
    return answer(vty, command, account, by)


async def converse(
    read: Callable[[int], Awaitable[bytes]], reply: Callable[[bytes], Awaitable[None]], ask: Callable[[str], Reply]
) -> int:
    """The line protocol until the channel closes; returns the channel's exit status.

    A reply is `STATUS LENGTH`, a line feed, and LENGTH bytes.
    """
    async for raw in _lines(read):
        if raw is None:
            refusal = b"refused: a request is one line of at most 16 KiB\n"
            await reply(b"%d %d\n" % (REFUSED, len(refusal)) + refusal)
            return REFUSED  # the rest of an over-long line must not be read as a request
        try:
            status, output = ask(raw.decode())
        except UnicodeDecodeError:
            status, output = REFUSED, b"refused: a request is UTF-8\n"
        await reply(b"%d %d\n" % (status, len(output)) + output)
    return 0


async def _lines(read: Callable[[int], Awaitable[bytes]]) -> AsyncIterator[bytes | None]:
    """Requests without their line feed; None for one that is too long or cut off."""
    buffer = b""
    while True:
        line, found, rest = buffer.partition(b"\n")
        if found and len(line) <= LONGEST:
            buffer = rest
            yield line
            continue
        chunk = b"" if found or len(buffer) > LONGEST else await read(4096)
        if not chunk:
            if buffer:
                yield None
            return
        buffer += chunk
