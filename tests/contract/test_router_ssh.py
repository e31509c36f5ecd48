"""SSH to a router: whom we trust, how we log in, and what the line protocol promises."""

from __future__ import annotations

import asyncio
import getpass
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.errors import (
    BadReply,
    Denied,
    NotSent,
    OutcomeUnknown,
    TimedOut,
    Unreachable,
)
from connectors.routers.channel import EXEC_CHANNELS, CommandFailed, InjectionRefused, Reply, ShowsOnly
from connectors.routers.session import RouterSession
from connectors.routers.ssh import Host, HostCaMissing, HostNotTrusted
from network.inventory import Router
from tests.contract.line_router import (
    Answer,
    Authority,
    LineRouter,
    black_hole,
    jumping,
    listening,
    openssh,
    shown,
    until,
)


async def echo(request: str) -> Answer | None:
    if request.startswith("refuse"):
        return 77, "not on the list"
    if request.startswith("unknown"):
        return 1, "% Unknown command: unknown\n"
    return None if request.startswith("silent") else (0, f"you said {request}")


def session(router: LineRouter, channel: str = "line", **deadlines: float) -> RouterSession:
    declared = Router(name=router.name, address="127.0.0.1", ssh_port=router.port, channel=channel)
    return RouterSession(declared, router.authority.login(), **{"show_s": 30.0} | deadlines)


async def test_a_show_and_a_batch_come_back_in_order_over_one_connection() -> None:
    async with listening(LineRouter(echo)) as router:
        over = session(router)
        assert await over.show("show version") == Reply(0, "you said show version")
        replies = await over.shows([f"show {n}" for n in range(50)])
        assert [reply.text for reply in replies] == [f"you said show {n}" for n in range(50)]
        assert len(router.connections) == 1
        await over.close()


async def test_replies_of_any_length_and_letters_are_cut_exactly() -> None:
    async def answer(request: str) -> Answer:
        return 0, {"long": "x" * 3_000_000, "none": "", "lines": "0 5\nfalse\n0 1\n", "wide": "größe €"}[request]

    async with listening(LineRouter(answer)) as router:
        over = session(router)
        texts = [reply.text for reply in await over.shows(["long", "none", "lines", "wide"])]
        assert texts == ["x" * 3_000_000, "", "0 5\nfalse\n0 1\n", "größe €"]
        await over.close()


async def test_concurrent_batches_never_mix() -> None:
    async with listening(LineRouter(echo)) as router:
        over = session(router)

        async def batch(who: str) -> list[str]:
            return [reply.text for reply in await over.shows([f"{who} {n}" for n in range(20)])]

        found = await asyncio.gather(*(batch(who) for who in "abcd"))
        assert found == [[f"you said {who} {n}" for n in range(20)] for who in "abcd"]
        assert [request[0] for request in router.asked] == [who for who in "abcd" for _ in range(20)]
        await over.close()


async def test_refusals_and_failures_are_named() -> None:
    async with listening(LineRouter(echo)) as router:
        over = session(router)
        with pytest.raises(Denied, match="not on the list"):
            await over.show("refuse me")
        with pytest.raises(CommandFailed, match="Unknown command") as failed:
            await over.show("unknown")
        assert failed.value.command == "unknown"
        assert (await over.show("show version")).status == 0
        await over.close()


async def test_a_configuration_group_is_one_request() -> None:
    async with listening(LineRouter(echo)) as router:
        over = session(router)
        await over.configure(["route-map IN permit 10", " set local-preference 120"])
        assert router.asked == ["configure terminal\troute-map IN permit 10\tset local-preference 120"]
        await over.close()


@pytest.mark.parametrize(
    "bad", ["show\nconfigure terminal", "a\rb", "a\tb", "a\x00b", "a\x1bb", "a\u2028b", "", "\ud800"]
)
async def test_a_control_character_is_refused_before_anything_is_sent(bad: str) -> None:
    async with listening(LineRouter(echo)) as router:
        over = session(router)
        for attempt in (over.exec(bad), over.configure(["router bgp 65010", bad]), over.configure([bad])):
            with pytest.raises(InjectionRefused):
                await attempt
        with pytest.raises(InjectionRefused):
            await over.shows(["show version", bad])
        assert router.asked == []
        assert router.connections == []


async def test_a_request_longer_than_the_protocol_carries_is_not_sent() -> None:
    async with listening(LineRouter(echo)) as router:
        over = session(router)
        with pytest.raises(NotSent, match="16384"):
            await over.show("x" * 16_384)
        assert (await over.show("x" * 16_383)).status == 0
        await over.close()


async def test_a_late_reply_is_never_taken_for_anothers_answer() -> None:
    late = asyncio.Event()

    async def answer(request: str) -> Answer:
        if request == "show slow":
            await late.wait()
        return 0, request

    async with listening(LineRouter(answer)) as router:
        over = session(router, show_s=0.1)
        with pytest.raises(TimedOut, match=r"0\.1 s"):
            await over.show("show slow")
        late.set()
        assert await shown(over, "show next") == "show next"
        await over.close()


async def test_a_cancelled_batch_closes_its_channel() -> None:
    async with listening(LineRouter(echo)) as router:
        over = session(router)
        asking = asyncio.create_task(over.shows(["show one", "silent"]))
        await until(lambda: "silent" in router.asked, "the batch is on its way")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await over.show("show two")).text == "you said show two"
        await over.close()


async def test_a_change_without_an_answer_is_unknown_and_one_that_never_left_is_not() -> None:
    async with listening(LineRouter(echo)) as router:
        over = session(router, change_s=0.1)
        with pytest.raises(OutcomeUnknown, match="read the configuration lines back"):
            await over.exec("silent clear")
        running = asyncio.create_task(session(router, change_s=60).exec("silent again"))
        await until(lambda: "silent again" in router.asked, "the change is on its way")
        router.drop()
        with pytest.raises(OutcomeUnknown):
            await running
    with pytest.raises(NotSent):
        await over.configure(["router bgp 65010"])


async def test_a_broken_connection_is_rebuilt_at_the_next_use() -> None:
    async with listening(LineRouter(echo)) as router:
        over = session(router)
        await over.show("show one")
        asking = asyncio.create_task(over.show("silent"))
        await until(lambda: "silent" in router.asked, "the show is on its way")
        router.drop()
        with pytest.raises(Unreachable):
            await asking
        assert (await over.show("show two")).text == "you said show two"
        await over.close()


async def test_nobody_there_is_unreachable() -> None:
    async with listening(LineRouter(echo)) as router:
        over = session(router)
    with pytest.raises(Unreachable, match="edge-1"):
        await over.show("show version")


@pytest.mark.parametrize("garbage", [b"<html>\n", b"Welcome to edge-1\n", b"0 99999999999\n", b"x" * 4096 + b"\n"])
async def test_what_is_not_the_line_protocol_is_a_bad_reply_with_evidence(garbage: bytes) -> None:
    async with listening(LineRouter(echo, garble=garbage)) as router:
        with pytest.raises(BadReply, match="no line protocol header"):
            await session(router).show("show version")


async def test_a_host_without_our_name_on_its_certificate_is_not_trusted() -> None:
    async with listening(LineRouter(echo), certified_as="edge-2") as router:
        with pytest.raises(HostNotTrusted):
            await session(router).show("show version")
        assert router.asked == []


async def test_a_host_of_another_ca_is_not_trusted() -> None:
    async with listening(LineRouter(echo)) as router:
        declared = Router(name="edge-1", address="127.0.0.1", ssh_port=router.port)
        login = router.authority.login(host_ca=Authority().host_line)
        with pytest.raises(HostNotTrusted):
            await RouterSession(declared, login).show("show version")


@pytest.mark.parametrize(("line", "error"), [("", HostCaMissing), (" ", HostCaMissing), ("no key", HostNotTrusted)])
async def test_without_a_usable_host_ca_there_is_no_login_at_all(line: str, error: type[Exception]) -> None:
    async with listening(LineRouter(echo)) as router:
        declared = Router(name="edge-1", address="127.0.0.1", ssh_port=router.port)
        with pytest.raises(error, match=r"host_ca|not trusted"):
            await RouterSession(declared, router.authority.login(host_ca=line)).show("show version")
        assert router.asked == []


async def test_a_login_that_the_router_refuses_is_denied() -> None:
    async with listening(LineRouter(echo, Authority(principals=("someone-else",)))) as router:
        with pytest.raises(Denied, match="interlock-read refused"):
            await session(router).show("show version")


async def test_no_agent_and_no_configuration_of_the_operator_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/nonexistent/agent")
    monkeypatch.setenv("HOME", os.devnull)
    async with listening(LineRouter(echo)) as router:
        over = session(router)
        assert (await over.show("show version")).status == 0
        await over.close()


async def test_the_certificate_is_renewed_before_its_end_for_new_connections_only() -> None:
    now = [datetime.now(UTC)]
    async with listening(LineRouter(echo)) as router:
        login = router.authority.login(clock=lambda: now[0])
        declared = Router(name="edge-1", address="127.0.0.1", ssh_port=router.port)
        over = RouterSession(declared, login)
        await over.show("one")
        now[0] += timedelta(seconds=290)
        await over.show("two")
        assert (router.authority.signed, len(router.connections)) == (1, 1)
        await over.close()
        await over.show("three")
        assert router.authority.signed == 2
        await over.close()


async def test_through_a_jump_host() -> None:
    authority = Authority()
    async with listening(LineRouter(echo, authority)) as router, jumping(authority) as port:
        declared = Router(name="edge-1", address="127.0.0.1", ssh_port=router.port, jump=f"localhost:{port}")
        over = RouterSession(declared, authority.login())
        assert (await over.show("show version")).text == "you said show version"
        await over.close()


@pytest.mark.frr  # root, and /run/sshd, which the labs of real routers count
async def test_through_a_jump_host_that_is_openssh(tmp_path: Path) -> None:
    user = getpass.getuser()
    authority = Authority(principals=(user,))
    async with listening(LineRouter(echo, authority)) as router, openssh(authority, tmp_path) as port:
        for channel in ("line", "exec", "shell"):
            declared = Router(
                name="edge-1", address="127.0.0.1", ssh_port=router.port, jump=f"localhost:{port}", channel=channel
            )
            over = RouterSession(declared, authority.login(username=user))
            assert (await over.show("show version")).text == "you said show version", channel
            await over.close()
        stranger = RouterSession(declared, Authority(principals=(user,)).login(username=user))
        with pytest.raises(HostNotTrusted):
            await stranger.show("show version")


async def test_a_far_end_that_fell_silent_is_noticed_by_keepalives_and_the_next_use_connects_anew() -> None:
    async with listening(LineRouter(echo)) as router, black_hole(router.port) as (port, gone):
        declared = Router(name="edge-1", address="127.0.0.1", ssh_port=port)
        over = RouterSession(declared, router.authority.login(keepalive_s=0.1))
        await over.show("show version")
        gone.set()
        await until(lambda: not over.connected, "the keepalives went unanswered")
        gone.clear()
        assert (await over.show("show two")).text == "you said show two"
        assert over.connections == 2
        await over.close()


async def test_a_router_that_opens_no_channel_is_timed_out() -> None:
    async with listening(LineRouter(echo)) as router, black_hole(router.port) as (port, gone):
        login = router.authority.login(keepalive_s=30)
        connection = await login.connect(Host("edge-1", "127.0.0.1", port))
        gone.set()
        with pytest.raises(TimedOut, match="edge-1"):
            await connection.line_channel(0.1)
        connection.abort()


async def test_exec_carries_shows_at_most_eight_at_once_and_no_change() -> None:
    gate = asyncio.Event()

    async def answer(request: str) -> Answer | None:
        await gate.wait()
        return await echo(request)

    async with listening(LineRouter(answer)) as router:
        over = session(router, "exec")
        asking = asyncio.create_task(over.shows([f"show {n}" for n in range(20)]))
        await until(lambda: router.open_now == EXEC_CHANNELS, "eight channels are open")
        gate.set()
        assert [reply.text for reply in await asking] == [f"you said show {n}" for n in range(20)]
        assert router.most_open == EXEC_CHANNELS
        with pytest.raises(Denied, match="not on the list"):
            await over.show("refuse me")
        with pytest.raises(ShowsOnly, match="line"):
            await over.configure(["router bgp 65010"])
        await over.close()


def test_asyncssh_is_loaded_only_when_a_router_is_reached() -> None:
    code = "import sys, connectors.probes, connectors.routers.source; sys.exit('asyncssh' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
