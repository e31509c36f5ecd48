"""The configuration commands: what each context takes and what a line sets, in the words of FRR 8.4.4."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from lab.embedded.config import Slot
from lab.embedded.grammar import Values, VtyError

if TYPE_CHECKING:
    from lab.embedded.editor import Editor


@dataclass(frozen=True)
class Rule:
    """One command of a context: its pattern and what it does (`no` tells whether the line began with it)."""

    context: str
    pattern: str
    act: Callable[[Editor, Values, bool], None]
    no: bool | None = None


#: Ranks of `neighbor X …` lines, in the order in which FRR 8.4.4 prints them.
_ROUTER_RANK = ("remote-as", "description", "shutdown", "bfd", "bfd profile", "timers", "timers connect")
_UNICAST_RANK = ("activate", "addpath-tx-all-paths", "next-hop-self force", "remove-private-AS all",
                 "soft-reconfiguration inbound", "maximum-prefix", "in", "out")  # fmt: skip
_BFD_DEFAULT = {"detect-multiplier": "3", "transmit-interval": "300", "receive-interval": "300"}


def put(lines: dict[Slot, str], slot: Slot, text: str, no: bool) -> None:
    """Set the slot's line, or with `no` take it away (taking away what is not there is silent, as in FRR)."""
    if no:
        lines.pop(slot, None)
    else:
        lines[slot] = text


def _route_map(editor: Editor, values: Values, no: bool) -> None:
    name, action, sequence = values["<word>"], values["permit|deny"], int(values["<seq>"])
    maps = editor.config.route_maps
    if no:
        maps.get(name, {}).pop(sequence, None)
        if name in maps and not maps[name]:
            del maps[name]
        editor.enter("config")
    else:
        lines = maps.setdefault(name, {}).get(sequence, ("", {}))[1]
        maps[name][sequence] = (action, lines)
        editor.enter("route-map", name, number=sequence)
    editor.touched.add("policy")


def _no_route_map(editor: Editor, values: Values, no: bool) -> None:
    del no
    editor.config.route_maps.pop(values["<word>"], None)
    editor.touched.add("policy")


def _clause(words: str, key: str, value: str) -> Callable[[Editor, Values, bool], None]:
    """A line of a route-map clause; setting it again replaces it, `no` ignores the value given, as FRR does."""

    def act(editor: Editor, values: Values, no: bool) -> None:
        text = _community(values[value]) if key == "community" and words == "set" and not no else None
        text = text or values.get(value, "")
        slot = (0 if words == "match" else 1, 0, 0, key)
        put(editor.clause, slot, f"{words} {key} {text}", no)
        editor.touched.add("policy")

    return act


def _community(text: str) -> str:
    """Communities in FRR's order, `additive` last. Raises VtyError on a malformed one."""
    words = text.split()
    values = [word for word in words if word != "additive"]
    for word in values:
        found = re.match(r"^(\d+):(\d+)$", word)
        if word not in ("graceful-shutdown", "no-export", "no-advertise") and not (
            found and int(found[1]) <= 65535 and int(found[2]) <= 65535
        ):
            raise VtyError(f"% Malformed communities attribute '{word}'")
    ordered = sorted(set(values), key=_community_key)
    return " ".join([*ordered, *(["additive"] if "additive" in words else [])])


def _community_key(word: str) -> tuple[int, ...]:
    return tuple(int(part) for part in word.split(":")) if word[0].isdigit() else (65535, 0)


def _comm_list_delete(editor: Editor, values: Values, no: bool) -> None:
    put(editor.clause, (1, 0, 0, "comm-list"), f"set comm-list {values.get('<word>', '')} delete", no)
    editor.touched.add("policy")


def _prefix_list(editor: Editor, values: Values, no: bool) -> None:
    name = values["<word>"]
    entries = editor.config.prefix_lists.setdefault(name, {})
    what = f"{values['permit|deny']} {values['<...text>']}"
    if not re.match(r"^(permit|deny) (any|\d+\.\d+\.\d+\.\d+/\d+)( ge \d+)?( le \d+)?$", what):
        raise VtyError(f"% Unknown command: ip prefix-list {name} {what}")
    sequence = int(values.get("<seq>", 0)) or _next_sequence(entries, what, no)
    put(entries, (sequence, 0, 0, ""), f"ip prefix-list {name} seq {sequence} {what}", no)
    if not entries:
        del editor.config.prefix_lists[name]
    editor.enter("config")
    editor.touched.add("policy")


def _next_sequence(entries: dict[Slot, str], what: str, no: bool) -> int:
    same = [slot[0] for slot, text in entries.items() if text.endswith(f" {what}")]
    if same or no:
        return same[0] if same else 0
    return max((slot[0] for slot in entries), default=0) + 5


def _no_prefix_list(editor: Editor, values: Values, no: bool) -> None:
    del no
    name = values["<word>"]
    lists = editor.config.prefix_lists
    if "<seq>" in values:
        lists.get(name, {}).pop((int(values["<seq>"]), 0, 0, ""), None)
    if "<seq>" not in values or not lists.get(name):
        lists.pop(name, None)
    editor.touched.add("policy")


def _bgp_list(kind: str, head: str) -> Callable[[Editor, Values, bool], None]:
    """`bgp as-path access-list` and `bgp community-list standard` entries."""

    def act(editor: Editor, values: Values, no: bool) -> None:
        lists: dict[str, dict[Slot, str]] = getattr(editor.config, kind)
        name, sequence = values["<word>"], int(values["<seq>"])
        entries = lists.setdefault(name, {})
        text = f"{head} {name} seq {sequence} {values['permit|deny']} {values['<...text>']}"
        put(entries, (sequence, 0, 0, ""), text, no)
        if not entries:
            del lists[name]
        editor.enter("config")
        editor.touched.add("policy")

    return act


def _router(editor: Editor, values: Values, no: bool) -> None:
    del no
    asn = int(values["<num>"])
    if editor.config.asn not in (0, asn):
        raise VtyError(f"BGP is already running; AS is {editor.config.asn}")
    editor.config.asn = asn
    editor.enter("router")


def _option(rank: int, text: str) -> Callable[[Editor, Values, bool], None]:
    """A router-level line. `text` may hold one value; lines that are themselves negations start with `no`."""

    def act(editor: Editor, values: Values, no: bool) -> None:
        negative = text.startswith("no ")
        filled = " ".join(values.get(word, word) for word in text.split())
        put(editor.config.bgp, (0, rank, 0, ""), filled, no != negative)
        editor.touched.add("bgp")

    return act


def _remote_as(editor: Editor, values: Values, no: bool) -> None:
    number = int(IPv4Address(values["<ip>"]))
    if no:
        for lines in (editor.config.bgp, editor.config.unicast):
            for slot in [slot for slot in lines if slot[:2] == (1, number)]:
                del lines[slot]
    else:
        editor.config.bgp[1, number, 0, ""] = f"neighbor {values['<ip>']} remote-as {values['<num>']}"
    editor.touched.add("bgp")


def _neighbor(key: str, value: str = "") -> Callable[[Editor, Values, bool], None]:
    """A `neighbor X …` line of the router context."""

    def act(editor: Editor, values: Values, no: bool) -> None:
        number = editor.neighbor(values["<ip>"])
        slot = (1, number, _ROUTER_RANK.index(key), "")
        put(editor.config.bgp, slot, f"neighbor {values['<ip>']} {key} {values.get(value, '')}".rstrip(), no)
        editor.touched.add("bgp")

    return act


def _timers(editor: Editor, values: Values, no: bool) -> None:
    number = editor.neighbor(values["<ip>"])
    keepalive, hold = values.get("<num>", ""), values.get("<...text>", "")
    slot = (1, number, _ROUTER_RANK.index("timers"), "")
    put(editor.config.bgp, slot, f"neighbor {values['<ip>']} timers {keepalive} {hold}", no)
    editor.touched.add("bgp")


def _shutdown(editor: Editor, values: Values, no: bool) -> None:
    """`shutdown` after `shutdown message` keeps the text; `no … shutdown` clears both (trap of FRR 8.4)."""
    number = editor.neighbor(values["<ip>"])
    slot = (1, number, _ROUTER_RANK.index("shutdown"), "")
    text = f"neighbor {values['<ip>']} shutdown"
    if "<...text>" in values:
        text += f" message {values['<...text>']}"
    elif not no:
        text = editor.config.bgp.get(slot, text)
    put(editor.config.bgp, slot, text, no)
    editor.touched.add("bgp")


def _unicast(key: str, value: str = "") -> Callable[[Editor, Values, bool], None]:
    """A `neighbor X …` line of the address family."""

    def act(editor: Editor, values: Values, no: bool) -> None:
        number = editor.neighbor(values["<ip>"])
        slot = (1, number, _UNICAST_RANK.index(key), "")
        text = f"neighbor {values['<ip>']} {key} {values.get(value, '')}".rstrip()
        put(editor.config.unicast, slot, text, no)
        editor.touched.add("bgp")

    return act


def _filter(editor: Editor, values: Values, no: bool) -> None:
    number, way = editor.neighbor(values["<ip>"]), values["in|out"]
    text = f"neighbor {values['<ip>']} route-map {values['<word>']} {way}"
    put(editor.config.unicast, (1, number, _UNICAST_RANK.index(way), ""), text, no)
    editor.touched |= {"bgp", "filter"}


def _network(editor: Editor, values: Values, no: bool) -> None:
    network = IPv4Network(values["<prefix>"])
    slot = (0, int(network.network_address), network.prefixlen, "")
    if no and slot not in editor.config.unicast:
        raise VtyError("% Can't find static route specified")
    put(editor.config.unicast, slot, f"network {network}", no)
    editor.touched.add("bgp")


def _enter(context: str, key: str = "") -> Callable[[Editor, Values, bool], None]:
    def act(editor: Editor, values: Values, no: bool) -> None:
        del no
        editor.enter(context, values.get(key, ""))

    return act


def _interface(editor: Editor, values: Values, no: bool) -> None:
    del no
    editor.config.interfaces.setdefault(values["<word>"], {})
    editor.enter("interface", values["<word>"])


def _interface_line(rank: int, key: str, value: str = "") -> Callable[[Editor, Values, bool], None]:
    def act(editor: Editor, values: Values, no: bool) -> None:
        text = f"{key} {values.get(value, '')}".rstrip()
        put(editor.config.interfaces[editor.here], (rank, 0, 0, ""), text, no)
        editor.touched.add("interface")

    return act


def _profile(editor: Editor, values: Values, no: bool) -> None:
    name = f"profile {values['<word>']}"
    if no:
        editor.config.bfd.pop(name, None)
        return
    editor.config.bfd.setdefault(name, {})
    editor.enter("bfd-profile", name)


def _bfd_peer(editor: Editor, values: Values, no: bool) -> None:
    name = f"peer {values['<ip>']}"
    if no:
        editor.config.bfd.pop(name, None)
        return
    editor.config.bfd.setdefault(name, {})
    editor.enter("bfd-profile", name)


def _bfd_line(rank: int, key: str) -> Callable[[Editor, Values, bool], None]:
    def act(editor: Editor, values: Values, no: bool) -> None:
        value = values.get("<num>", "")
        put(editor.config.bfd[editor.here], (rank, 0, 0, ""), f"{key} {value}", no or value == _BFD_DEFAULT[key])
        editor.touched.add("bfd")

    return act


def _leave(editor: Editor, values: Values, no: bool) -> None:
    del values, no
    editor.leave()


def _end(editor: Editor, values: Values, no: bool) -> None:
    del values, no
    editor.enter("config")


def _hostname(editor: Editor, values: Values, no: bool) -> None:
    if not no:
        editor.config.hostname = values["<word>"]


_as_path_list = _bgp_list("as_path_lists", "bgp as-path access-list")
_community_list = _bgp_list("community_lists", "bgp community-list standard")
_SETS = (
    ("as-path prepend", "<...asns>"),
    ("community", "<...text>"),
    ("local-preference", "<num>"),
    ("metric", "<num>"),
)
_MATCHES = (("as-path", "<word>"), ("community", "<word>"), ("ip address prefix-list", "<word>"))

RULES: tuple[Rule, ...] = (
    Rule("config", "hostname <word>", _hostname),
    Rule("config", "interface <word>", _interface, no=False),
    Rule("config", "router bgp <num>", _router, no=False),
    Rule("config", "route-map <word> permit|deny <seq>", _route_map),
    Rule("config", "route-map <word>", _no_route_map, no=True),
    Rule("config", "ip prefix-list <word> seq <seq> permit|deny <...text>", _prefix_list),
    Rule("config", "ip prefix-list <word> permit|deny <...text>", _prefix_list),
    Rule("config", "ip prefix-list <word> seq <seq>", _no_prefix_list, no=True),
    Rule("config", "ip prefix-list <word>", _no_prefix_list, no=True),
    Rule("config", "bgp as-path access-list <word> seq <seq> permit|deny <...text>", _as_path_list),
    Rule("config", "bgp community-list standard <word> seq <seq> permit|deny <...text>", _community_list),
    Rule("config", "bfd", _enter("bfd"), no=False),
    Rule("config", "exit|quit", _leave, no=False),
    Rule("config", "end", _end, no=False),
    Rule("interface", "description <...text>", _interface_line(0, "description", "<...text>")),
    Rule("interface", "description", _interface_line(0, "description"), no=True),
    Rule("interface", "shutdown", _interface_line(1, "shutdown")),
    Rule("interface", "exit|quit", _leave, no=False),
    Rule("router", "bgp router-id <ip>", _option(0, "bgp router-id <ip>")),
    Rule("router", "bgp log-neighbor-changes", _option(1, "bgp log-neighbor-changes")),
    Rule("router", "bgp ebgp-requires-policy", _option(2, "no bgp ebgp-requires-policy")),
    Rule("router", "bgp default ipv4-unicast", _option(3, "no bgp default ipv4-unicast")),
    Rule("router", "bgp bestpath as-path multipath-relax", _option(4, "bgp bestpath as-path multipath-relax")),
    Rule("router", "bgp network import-check", _option(5, "no bgp network import-check")),
    Rule("router", "neighbor <ip> remote-as <num>", _remote_as),
    Rule("router", "neighbor <ip> description <...text>", _neighbor("description", "<...text>")),
    Rule("router", "neighbor <ip> description", _neighbor("description"), no=True),
    Rule("router", "neighbor <ip> shutdown message <...text>", _shutdown),
    Rule("router", "neighbor <ip> shutdown", _shutdown),
    Rule("router", "neighbor <ip> bfd profile <word>", _neighbor("bfd profile", "<word>")),
    Rule("router", "neighbor <ip> bfd profile", _neighbor("bfd profile"), no=True),
    Rule("router", "neighbor <ip> bfd", _neighbor("bfd")),
    Rule("router", "neighbor <ip> timers connect <num>", _neighbor("timers connect", "<num>")),
    Rule("router", "neighbor <ip> timers connect", _neighbor("timers connect"), no=True),
    Rule("router", "neighbor <ip> timers <num> <...text>", _timers),
    Rule("router", "neighbor <ip> timers", _timers, no=True),
    Rule("router", "address-family ipv4 unicast", _enter("unicast"), no=False),
    Rule("router", "exit|quit", _leave, no=False),
    Rule("unicast", "network <prefix>", _network),
    Rule("unicast", "neighbor <ip> activate", _unicast("activate")),
    Rule("unicast", "neighbor <ip> addpath-tx-all-paths", _unicast("addpath-tx-all-paths")),
    Rule("unicast", "neighbor <ip> next-hop-self force", _unicast("next-hop-self force")),
    Rule("unicast", "neighbor <ip> remove-private-AS all", _unicast("remove-private-AS all")),
    Rule("unicast", "neighbor <ip> soft-reconfiguration inbound", _unicast("soft-reconfiguration inbound")),
    Rule("unicast", "neighbor <ip> maximum-prefix <num>", _unicast("maximum-prefix", "<num>")),
    Rule("unicast", "neighbor <ip> maximum-prefix", _unicast("maximum-prefix"), no=True),
    Rule("unicast", "neighbor <ip> route-map <word> in|out", _filter),
    Rule("unicast", "exit-address-family|exit|quit", _leave, no=False),
    *(Rule("route-map", f"match {key} {value}", _clause("match", key, value)) for key, value in _MATCHES),
    *(Rule("route-map", f"match {key}", _clause("match", key, value), no=True) for key, value in _MATCHES),
    Rule("route-map", "set comm-list <word> delete", _comm_list_delete),
    *(Rule("route-map", f"set {key} {value}", _clause("set", key, value)) for key, value in _SETS),
    *(Rule("route-map", f"set {key}", _clause("set", key, value), no=True) for key, value in _SETS),
    Rule("route-map", "exit|quit", _leave, no=False),
    Rule("bfd", "profile <word>", _profile),
    Rule("bfd", "peer <ip>", _bfd_peer),
    Rule("bfd", "exit|quit", _leave, no=False),
    *(Rule("bfd-profile", f"{key} <num>", _bfd_line(rank, key)) for rank, key in enumerate(_BFD_DEFAULT)),
    *(Rule("bfd-profile", key, _bfd_line(rank, key), no=True) for rank, key in enumerate(_BFD_DEFAULT)),
    Rule("bfd-profile", "exit|quit", _leave, no=False),
)  # fmt: skip
