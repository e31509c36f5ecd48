"""What the Vault connector makes of a Vault that is slow, gone, throttled, behind a login page, or lying."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncssh
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from connectors import vault_answers as answers
from connectors.errors import BadReply, Denied, InterlockError, NotFound, Sealed, Throttled, TimedOut, Unreachable
from connectors.redact import Redactor
from connectors.vault import Vault
from lab.serve import on_loopback

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@contextlib.asynccontextmanager
async def answering(response: Response) -> AsyncIterator[Vault]:
    """A server that says the same to everything, and a Vault connector pointed at it."""

    async def say(request: Request) -> Response:
        return response

    app = Starlette(routes=[Route("/{path:path}", say, methods=["GET", "POST"])])
    async with on_loopback(app) as url:
        yield Vault(url, timeout_s=60, redactor=Redactor(), clock=lambda: NOW)


@pytest.mark.parametrize(
    ("response", "expected", "words"),
    [
        (HTMLResponse("<html>Please sign in</html>"), BadReply, "Please sign in"),
        (JSONResponse(["not", "an object"]), BadReply, r"not.*an object"),
        (Response(b'{"data": {"da', media_type="application/json"), BadReply, "answered 200"),
        (JSONResponse({"errors": ["boom"]}, 500), BadReply, "boom"),
        (JSONResponse({"errors": []}, 404), NotFound, "nothing is there"),
        (JSONResponse({"errors": ["unsupported operation"]}, 405), BadReply, "405"),
        (JSONResponse({"errors": ["Vault is not initialized"]}, 501), BadReply, "501"),
        (JSONResponse({"errors": ["Vault is sealed"]}, 503), Sealed, "unseal"),
        (HTMLResponse("<h1>Service Unavailable</h1>", 503), Unreachable, "503"),
        (HTMLResponse("<h1>Bad Gateway</h1>", 502), Unreachable, "502"),
        (JSONResponse({"errors": ["permission denied"]}, 403), Denied, "Log in again"),
        (JSONResponse({"data": None}), BadReply, "data.data"),
        (HTMLResponse("<h1>slow down</h1>", 429), Throttled, "too many"),
    ],
)
async def test_each_bad_answer_has_its_name(response: Response, expected: type[InterlockError], words: str) -> None:
    async with answering(response) as vault:
        with pytest.raises(expected, match=words) as raised:
            await vault.kv("interlock/megaport")
    assert type(raised.value) is expected
    assert raised.value.where.startswith("Vault http://127.0.0.1:")
    assert raised.value.do_next


async def test_throttling_says_how_long() -> None:
    for header, seconds in (("7", 7.0), ("soon", None)):
        async with answering(JSONResponse({"errors": ["quota"]}, 429, headers={"Retry-After": header})) as vault:
            with pytest.raises(Throttled) as raised:
                await vault.azure("reader")
            assert raised.value.retry_after_s == seconds


async def test_a_refused_connection_is_unreachable() -> None:
    with socket.socket() as taken:  # bound, not listening: nobody else gets the port, and it refuses
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable, match=r"ConnectionRefused|NewConnection"):
            await Vault(f"http://127.0.0.1:{taken.getsockname()[1]}", timeout_s=60).health()


async def test_plain_http_behind_an_https_address_is_unreachable() -> None:
    async with answering(JSONResponse({})) as vault:
        with pytest.raises(Unreachable, match="SSL"):
            await Vault(vault.address.replace("http:", "https:"), timeout_s=60).health()


async def test_silence_times_out_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # accepts in the kernel, never answers
        vault = Vault(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=0.4)
        began = time.monotonic()
        with pytest.raises(TimedOut, match=r"0\.4 s"):
            await vault.health()
    assert 0.35 < time.monotonic() - began < 10


async def test_the_loop_stays_free_while_vault_is_silent() -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await answer.wait()
        writer.close()

    async with await asyncio.start_server(wait, "127.0.0.1", 0) as server:
        vault = Vault(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_s=60)
        asking = asyncio.create_task(vault.health())
        await asyncio.wait_for(asked.wait(), 60)  # this server shares the loop with the question
        assert not asking.done()
        answer.set()
        with pytest.raises(Unreachable):
            await asking


async def test_a_lost_link_in_the_middle_of_an_answer_is_not_an_answer() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises((BadReply, Unreachable)):
            await Vault(f"http://127.0.0.1:{port}", timeout_s=60).kv("x")


async def test_a_standby_node_is_healthy_and_says_so_with_429() -> None:
    body = {"initialized": True, "sealed": False, "standby": True, "server_time_utc": 1767225600, "version": "1.2"}
    async with answering(JSONResponse(body, 429)) as vault:
        health = await vault.health()
    assert (health.standby, health.sealed, health.version) == (True, False, "1.2")
    assert health.server_time == NOW


async def test_health_of_a_login_page_is_a_bad_reply() -> None:
    async with answering(HTMLResponse("<html>sign in</html>")) as vault:
        with pytest.raises(BadReply, match="sign in"):
            await vault.health()


async def test_long_cloud_errors_are_shown_without_their_secrets() -> None:
    text = "Error assuming role: client_secret=hunter2hunter2 refused for registered-canary"
    async with answering(JSONResponse({"errors": [text]}, 400)) as vault:
        vault._redactor.add("registered-canary")
        with pytest.raises(Denied, match="Error assuming role") as raised:
            await vault.azure("reader")
    assert "hunter2" not in str(raised.value)
    assert "registered-canary" not in str(raised.value)


async def test_keys_without_a_lease_end_with_their_own_ttl() -> None:
    data = {"access_key": "ASIA2", "secret_key": "s3cr3t-k3y", "session_token": "t0k3n-t0k3n", "ttl": 600}
    body = {"lease_id": "", "lease_duration": 0, "renewable": False, "data": data}
    async with answering(JSONResponse(body)) as vault:
        lease = await vault.aws("reader", endpoint="sts")
        assert lease.expires_at == NOW + timedelta(seconds=600)
        assert (lease.lease_id, lease.renewable, lease.secret.session_token) == ("", False, "t0k3n-t0k3n")
        assert "s3cr3t" not in repr(lease) + vault._redactor.text("s3cr3t-k3y t0k3n-t0k3n")
    async with answering(JSONResponse(body | {"data": data | {"ttl": None}})) as vault:
        with pytest.raises(BadReply, match="seconds"):
            await vault.aws("reader")


@pytest.mark.parametrize("lie", ["another key", "another principal", "a host certificate", "no certificate"])
async def test_a_certificate_that_is_not_what_was_asked_is_refused(lie: str) -> None:
    ca, ours, other = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(3))
    key = other if lie == "another key" else ours
    principals = ["interlock-run"] if lie == "another principal" else ["interlock-read"]
    make = ca.generate_host_certificate if lie == "a host certificate" else ca.generate_user_certificate
    text = make(key, "id", principals=principals, valid_before="+10m").export_certificate().decode()
    signed = "ssh-ed25519 AAAA" if lie == "no certificate" else text
    async with answering(JSONResponse({"data": {"signed_key": signed, "serial_number": "1"}})) as vault:
        with pytest.raises(BadReply, match="not for this key and these principals"):
            await vault.sign_ssh("edge-read", ours.export_public_key().decode(), ["interlock-read"], 600)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=5), inner, max_size=2)),
    max_leaves=5,
)
token_fields = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("expire_time", "ttl", "policies", "meta", "display_name", "entity_id"), json_values),
)
health_fields = st.fixed_dictionaries(dict.fromkeys(("sealed", "initialized", "server_time_utc"), json_values))


@settings(max_examples=100, deadline=None)
@given(token=token_fields, health=health_fields, status=st.integers(100, 599), body=json_values, text=st.text())
def test_whatever_json_comes_only_named_errors_leave(
    token: dict[str, Any], health: dict[str, Any], status: int, body: Any, text: str
) -> None:
    as_object = body if isinstance(body, dict) else None
    for read in (
        lambda: answers.token_info(token, "x"),
        lambda: answers.health(health, "x"),
        lambda: answers.Reply(status, as_object, answers.reasons(as_object), text).checked("x"),
    ):
        with contextlib.suppress(InterlockError):
            read()
    assert answers.certificate(text, text, "") is None


def test_a_certificate_without_an_end_has_a_far_one() -> None:
    ca, key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    text = ca.generate_user_certificate(key, "id", principals=["p"]).export_certificate().decode()
    certificate = answers.certificate(text, key.export_public_key().decode(), "1")
    assert certificate is not None
    assert certificate.expires_at.year == 9999
