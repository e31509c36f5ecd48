"""What the guard lets through: whole lines from its lists, and nothing that could be a second command."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.frr import doors, guard
from lab.ledger import Ledger
from tests.contract.line_router import until

READABLE = [
    "show bgp summary json",
    "show bgp neighbors json",
    "show bgp neighbors 10.255.1.2 json",
    "show bgp ipv4 unicast json",
    "show bgp ipv4 unicast 10.50.0.0/16 json",
    "show bgp ipv4 unicast neighbors 10.255.1.2 advertised-routes json",
    "show bgp ipv4 unicast neighbors 10.255.1.2 received-routes json",
    "show bgp ipv4 unicast neighbors 10.255.1.2 filtered-routes json",
    "show bgp ipv4 unicast neighbors 10.255.1.2 prefix-counts json",
    "show bfd peers json",
    "show bfd peers counters json",
    "show ip route json",
    "show ip route 10.50.0.0/16 json",
    "show ip route summary json",
    "show interface json",
    "show route-map json",
    "show ip prefix-list json",
    "show version",
    "show daemons",
    "show running-config",
    "ip -j -s link",
    "ping -n -c 5 -i 0.2 -w 3 -I 10.255.1.1 10.255.1.2",
    "ping -n -c 1 -i 0.2 -w 1 -M do -s 1472 -I 10.255.1.1 10.255.1.2",
    "ping -n -c 1 -i 0.2 -w 1 -t 8 -I 10.255.1.1 10.50.255.1",
]
LINES = [
    "route-map OUT-msee-primary permit 10",
    "set local-preference 120",
    "no set local-preference",
    "set as-path prepend 65010 65010 65010 65010",
    "no set as-path prepend",
    "set community 7224:7100",
    "set community 7224:7100 additive",
    "match ip address prefix-list ANNOUNCE-er-primary",
    "router bgp 65010",
    "address-family ipv4 unicast",
    "neighbor 10.255.1.2 shutdown message CHG0030001 port-a maintenance",
    "no neighbor 10.255.1.2 shutdown",
    "interface vxc-azure-a",
    "shutdown",
    "no shutdown",
    "ip prefix-list HALVES seq 5 permit 10.10.0.0/17",
]
DANGEROUS = [
    "ping 10.255.1.2",
    "ping -f 10.255.1.2",
    "ping -n -c 9 -i 0.2 -w 3 -I 10.255.1.1 10.255.1.2",
    "ping -n -c 5 -i 0 -w 3 -I 10.255.1.1 10.255.1.2",
    "ping -n -c 5 -i 0.2 -w 60 -I 10.255.1.1 10.255.1.2",
    "ping -n -c 1 -i 0.2 -w 1 -M do -s 65000 -I 10.255.1.1 10.255.1.2",
    "ping -n -c 1 -i 0.2 -w 1 -I lo localhost",
    "no router bgp 65010",
    "no neighbor 10.255.1.2",
    "neighbor 10.255.1.2 remote-as 1",
    "network 10.200.0.0/16",
    "bgp graceful-shutdown",
    "do write memory",
    "end",
    "write memory",
    "line vty",
    "log file /tmp/x",
    "ip route 0.0.0.0/0 10.255.1.2",
    "route-map X permit 10 | include x",
    "neighbor 10.255.1.2 shutdown message x`id`",
    "no ip prefix-list NEVER",
    " set local-preference 120",
    "set local-preference 120 ",
]


@pytest.mark.parametrize("command", READABLE)
def test_both_accounts_may_read(command: str) -> None:
    assert guard.permitted(command, "read") is None
    assert guard.permitted(command, "run") is None


def test_only_the_run_account_may_clear_and_configure() -> None:
    clear = "clear bgp ipv4 unicast 10.255.1.2 soft out"
    assert guard.permitted(clear, "run") is None
    assert "refused" in str(guard.permitted(clear, "read"))
    assert guard.may_configure(LINES, "run") is None
    assert "may not configure" in str(guard.may_configure(LINES, "read"))


@pytest.mark.parametrize("line", DANGEROUS)
def test_a_line_that_is_not_listed_refuses_its_whole_group(line: str) -> None:
    assert "refused" in str(guard.may_configure([*LINES, line], "run"))


@pytest.mark.parametrize("line", ["network 10.10.0.0/17", "no network 10.10.0.0/17"])
def test_only_the_prefixes_named_at_the_door_are_originated_or_withdrawn(line: str) -> None:
    group = ["router bgp 65010", "address-family ipv4 unicast", line]
    assert guard.may_configure(group, "run", frozenset({"10.10.0.0/17"})) is None
    assert "refused" in str(guard.may_configure(group, "run", frozenset({"10.10.128.0/17"})))
    assert "refused" in str(guard.may_configure(group, "run"))
    assert "may not configure" in str(guard.may_configure(group, "read", frozenset({"10.10.0.0/17"})))


@pytest.mark.parametrize(
    "command", ["clear bgp *", "clear bgp ipv4 unicast 10.255.1.2", "show bgp json | include x", ""]
)
def test_a_command_that_is_not_listed_is_refused(command: str) -> None:
    assert "refused" in str(guard.permitted(command, "run"))


@settings(max_examples=100)
@given(
    st.sampled_from([*READABLE, *LINES]),
    st.sampled_from(["\n", "\r", "\x00", "\x0b", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u0660"]),
    st.integers(0, 100),
    st.sampled_from(["", "configure terminal", "write memory"]),
)
def test_a_control_character_anywhere_is_refused(text: str, char: str, at: int, tail: str) -> None:
    at = min(at, len(text))
    spoiled = text[:at] + char + tail + text[at:]
    for request in (spoiled, f"configure terminal\t{spoiled}"):
        status, output = guard.answer(request, "run", "nowhere")
        assert status == guard.REFUSED
        assert b"control character" in output


@settings(max_examples=100)
@given(
    st.sampled_from(guard.SHOWS + guard.CLEARS + guard.CONFIGURES).flatmap(lambda p: st.from_regex(p, fullmatch=True))
)
def test_whatever_the_lists_let_through_is_one_line_without_a_pipe_or_shell_word(text: str) -> None:
    printable = re.fullmatch(r"[ -~]*", text)
    if printable:  # a pattern's \d also matches the digits of other scripts: those must not pass
        assert not set("|`$&<>\\'\"\n\r\t") & set(text)
    else:
        assert guard.answer(text, "run", "nowhere")[0] == guard.REFUSED


async def test_the_ledger_misses_no_line_of_a_large_group_though_the_lab_stands_still(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("installed", doors.install_guard(tmp_path))
    assert spec is not None
    assert spec.loader is not None
    installed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(installed)
    ledger, lines = Ledger(), [f"ip prefix-list X seq {n} permit 10.10.0.0/17" for n in range(40)]
    writes = doors.Writes(tmp_path / "writes", "il-1-", ledger)
    for _ in range(3):  # in the loop's own time: nobody reads meanwhile
        installed.tell("il-1-edge-1", lines, 0, "alice")
    await until(lambda: len(ledger.entries) == 3 * len(lines), "every line is in the ledger")
    assert [(w.where, w.what, w.by) for w in ledger.entries] == [("edge-1", line, "alice") for line in lines] * 3
    writes.close()
