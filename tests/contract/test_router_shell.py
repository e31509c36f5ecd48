"""The shell channel: a prompt learned, echo cut, and no reply that ends early, late, or in another's place."""

from __future__ import annotations

import asyncio

import pytest

from connectors.errors import BadReply, TimedOut, Unreachable
from connectors.routers.channel import CommandFailed, InjectionRefused, ShowsOnly
from connectors.routers.session import RouterSession
from network.inventory import Router
from tests.contract.line_router import Answer, LineRouter, listening, shown, until, until_async

BOXES = 'a\nedge-1# \nb\nedge-1# ! 00000000.1\nedge-1# {"x": 1}\n'


async def echo(request: str) -> Answer | None:
    if request.startswith("unknown"):
        return 1, f"% Unknown command: {request}\n"
    if request == "show boxes":
        return 0, BOXES
    if request == "show long":
        return 0, "x" * 79 + "\n" + "y" * 3_000_000
    return None if request.startswith("silent") else (0, f"you said {request}\n")


def session(router: LineRouter, **deadlines: float) -> RouterSession:
    declared = Router(name=router.name, address="127.0.0.1", ssh_port=router.port, channel="shell")
    return RouterSession(declared, router.authority.login(), **{"show_s": 30.0, "login_s": 30.0} | deadlines)


async def test_shows_go_one_at_a_time_over_one_shell_and_come_back_without_echo_or_prompt() -> None:
    async with listening(LineRouter(echo)) as router:
        over = session(router)
        found = await asyncio.gather(*(over.shows([f"show {who}{n}" for n in range(5)]) for who in "ab"))
        assert [[reply.text for reply in batch] for batch in found] == [
            [f"you said show {who}{n}\n" for n in range(5)] for who in "ab"
        ]
        assert (len(router.connections), router.most_open) == (1, 1)
        await over.close()


@pytest.mark.parametrize("piece", [1, 2, 7, 32_000])
@pytest.mark.parametrize("prompt", ["edge-1# ", "edge-1>", "admin@edge-1(maint-mode)# "])
async def test_a_line_that_looks_like_the_prompt_ends_nothing_however_the_output_is_split(
    prompt: str, piece: int
) -> None:
    async with listening(LineRouter(echo, prompt=prompt, piece=piece)) as router:
        over = session(router)
        assert (await over.show("show boxes")).text == BOXES
        assert (await over.show("show next")).text == "you said show next\n"
        await over.close()


async def test_a_long_reply_is_neither_paged_nor_cut() -> None:
    async with listening(LineRouter(echo)) as router:
        over = session(router)
        assert len((await over.show("show long")).text) == 3_000_080
        await over.close()


async def test_what_the_router_does_not_know_is_a_failed_command_with_its_words() -> None:
    async with listening(LineRouter(echo)) as router:
        over = session(router)
        with pytest.raises(CommandFailed, match="Unknown command: unknown thing"):
            await over.show("unknown thing")
        assert (await over.show("show version")).text == "you said show version\n"
        await over.close()


async def test_a_command_without_an_answer_closes_the_shell_and_the_next_one_gets_a_new_one() -> None:
    async with listening(LineRouter(echo)) as router:
        over = session(router, show_s=0.2)
        with pytest.raises(TimedOut, match=r"0\.2 s"):
            await over.shows(["show one", "silent", "show never"])
        assert await shown(over, "show two") == "you said show two\n"
        assert "show never" not in router.asked
        await over.close()


async def test_a_cancelled_show_closes_the_shell_and_a_lost_one_is_unreachable() -> None:
    async with listening(LineRouter(echo)) as router:
        over = session(router)
        for lose in (True, False):
            asking = asyncio.create_task(over.show("silent"))
            await until(lambda: router.asked[-1:] == ["silent"], "the show is on its way")
            if lose:
                router.drop()
            else:
                asking.cancel()
            with pytest.raises(Unreachable if lose else asyncio.CancelledError):
                await asking
            assert (await over.show("show two")).text == "you said show two\n"
        await over.close()


async def test_a_shell_carries_no_change_and_no_control_character() -> None:
    async with listening(LineRouter(echo)) as router:
        over = session(router)
        with pytest.raises(ShowsOnly, match="Nothing was sent"):
            await over.configure(["router bgp 65010"])
        with pytest.raises(ShowsOnly):
            await over.exec("clear bgp ipv4 unicast 10.255.1.2 soft")
        with pytest.raises(InjectionRefused):
            await over.shows(["show version\nconfigure terminal"])
        assert router.asked == []
        await over.close()


async def test_a_shell_that_is_no_command_line_is_a_bad_reply_with_what_it_said() -> None:
    async with listening(LineRouter(echo, prompt="Accept the terms (y/n)?")) as router:

        async def refused() -> bool:
            try:
                await session(router, login_s=0.2).show("show version")
            except BadReply as error:
                return "Accept the terms" in str(error) and "no prompt within 0.2 s" in str(error)
            except TimedOut:  # nothing had come yet
                return False
            return False

        await until_async(refused, "the refusal, with what the shell said")


async def test_paging_that_cannot_be_turned_off_is_said_at_once() -> None:
    async with listening(LineRouter(echo, pages_for_ever=True)) as router:
        with pytest.raises(BadReply, match="paging would cut replies"):
            await session(router).show("show version")
