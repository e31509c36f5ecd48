r"""What an SSH account of a router may do: sshd's forced command, on the system's python3, standard library only.

`guard.py PATHSPACE read|run [PREFIX,…]`; only those prefixes may be originated.
SSH_ORIGINAL_COMMAND is one command, or `line` for the line protocol: one request a line; the reply is
`STATUS LENGTH\n` and LENGTH bytes (stdout, then stderr). STATUS is vtysh's exit code, or 77 with the reason when
refused. A request is an exec command, or `configure terminal` and its lines, TAB between.
Every line is matched as a whole against a list; a line feed inside a vtysh argument would be a second command.
`deadman …` (deadman.py, beside this file) arms a timer that puts lines back when the console falls silent; the timer
is this program too: `guard.py PATHSPACE timer ID`.
"""

# ruff: noqa: PTH100, PTH110, PTH118, PTH120, PTH123 -- started for every SSH connection: what pathlib does here, os.path does without its import

import base64
import importlib.util
import json
import os
import re
import socket
import struct
import subprocess
import sys
from types import ModuleType

REFUSED = 77
LONGEST = 16 * 1024
TIMEOUT_S = 20
TELL_S = 10
VTYSH = "/usr/bin/vtysh"
IP = "/usr/sbin/ip" if os.path.exists("/usr/sbin/ip") else "/sbin/ip"
RUN = "/var/run/frr"
END = b"\0\0\0"
Reply = tuple[int, bytes]

NAME = r"[A-Za-z0-9_.-]{1,64}"
ADDRESS = r"\d{1,3}(?:\.\d{1,3}){3}"
PREFIX = ADDRESS + r"/\d{1,2}"
NUMBER = r"\d{1,10}"
COMMUNITY = r"(?:\d{1,5}:\d{1,5}|graceful-shutdown|no-export|no-advertise)"
TEXT = r"[A-Za-z0-9][A-Za-z0-9 .,:;_/()#@+=-]{0,127}"
AFI = r"(?:ipv4|ipv6) unicast"
ROUTES_OF = r"(?:advertised-routes|received-routes|filtered-routes|routes|prefix-counts)"

SHOWS = [
    rf"show (?:bgp|ip bgp|bgp {AFI}) summary(?: (?:failed|established))?(?: json)?",
    rf"show bgp neighbors(?: {ADDRESS})?(?: json)?",
    rf"show bgp {AFI}(?: json)?",
    rf"show bgp {AFI} {ADDRESS}(?:/\d{{1,2}})?(?: (?:bestpath|multipath|longer-prefixes))?(?: json)?",
    rf"show bgp {AFI} neighbors {ADDRESS} {ROUTES_OF}(?: json)?",
    r"show bfd peers(?: (?:counters|brief))?(?: json)?",
    rf"show bfd peer {ADDRESS}(?: counters)?(?: json)?",
    rf"show ip route(?: (?:summary|{PREFIX}|{ADDRESS}))?(?: json)?",
    rf"show interface(?: {NAME})?(?: (?:brief|json))?",
    rf"show route-map(?: {NAME})?(?: json)?",
    rf"show ip prefix-list(?: {NAME})?(?: json)?",
    rf"show bgp (?:as-path-access-list|community-list)(?: {NAME})?(?: json)?",
    r"show bmp",
    r"show version",
    r"show daemons",
    r"show modules",
    r"show running-config",
    r"ip -j -s link",
    # Linux's ping, since vtysh's takes no bounds: five at most, three seconds, numeric, by one address of the router.
    rf"ping -n -c [1-5] -i 0\.2 -w [1-3](?: -t \d{{1,2}}| -M do -s \d{{2,4}})? -I {ADDRESS} {ADDRESS}",
]
CLEARS = [rf"clear bgp ipv4 unicast {ADDRESS} soft(?: (?:in|out))?"]
SETS = [
    rf"set local-preference {NUMBER}",
    rf"set as-path prepend {NUMBER}(?: {NUMBER}){{0,15}}",
    rf"set community (?:none|{COMMUNITY}(?: {COMMUNITY}){{0,7}}(?: additive)?)",
    rf"set metric {NUMBER}",
]
MATCHES = [
    rf"match ip address prefix-list {NAME}",
    rf"match as-path {NAME}",
    rf"match community {NAME}(?: exact-match)?",
]
PREFIX_LIST = rf"ip prefix-list {NAME}(?: seq {NUMBER})? (?:permit|deny) {PREFIX}(?: ge \d{{1,2}})?(?: le \d{{1,2}})?"
CONFIGURES = [
    *SETS,
    *(f"no {line}" for line in SETS),
    r"no set (?:local-preference|as-path prepend|community|metric)",
    *MATCHES,
    *(f"no {line}" for line in MATCHES),
    rf"(?:no )?route-map {NAME} (?:permit|deny) {NUMBER}",
    rf"(?:no )?{PREFIX_LIST}",
    rf"router bgp {NUMBER}",
    rf"address-family {AFI}",
    r"exit-address-family",
    r"exit",
    rf"neighbor {ADDRESS} shutdown(?: message {TEXT})?",
    rf"no neighbor {ADDRESS} shutdown",
    rf"interface {NAME}",
    r"(?:no )?shutdown",
]
ORIGINATE = rf"(?:no )?network ({PREFIX})"
DAEMONS = [("show bgp", "bgpd"), ("show bfd", "bfdd"), ("show ip route", "zebra"), ("show interface", "zebra")]
#: What vtysh says to every unprivileged user, whatever the command: neither is about the command.
NOISE = re.compile(rb"^(?:% Can't open configuration file /etc/frr/|vtysh_pam: ).*(?:\n|\Z)", re.MULTILINE)


def permitted(command: str, account: str) -> str | None:
    """None when the exec command may run, else the reason."""
    shows = SHOWS if account == "read" else SHOWS + CLEARS
    if any(re.fullmatch(pattern, command) for pattern in shows):
        return None
    return f"refused: not in the list of account {account}: {command[:120]}"


def may_configure(lines: list[str], account: str, originates: frozenset[str] = frozenset()) -> str | None:
    """None when every configuration line may run, else the reason. Only `originates` may be originated."""
    if account != "run":
        return f"refused: account {account} may not configure"
    if not lines:
        return "refused: an empty configuration group"
    for line in lines:
        origin = re.fullmatch(ORIGINATE, line)
        if origin and origin[1] in originates:
            continue
        if not any(re.fullmatch(pattern, line) for pattern in CONFIGURES):
            return f"refused: not in the list of configuration lines: {line[:120]}"
    return None


def controlled(text: str) -> str | None:
    """The first character that is not printable ASCII, as its repr; None when there is none."""
    return next((ascii(char) for char in text if not " " <= char <= "~"), None)


def answer(request: str, account: str, pathspace: str, originates: frozenset[str] = frozenset()) -> Reply:
    """(status, output bytes) of one request."""
    command, *lines = request.split("\t")
    for part in (command, *lines):
        found = controlled(part)
        if found:
            return REFUSED, f"refused: control character or not ASCII: {found}\n".encode()
    if command.startswith("deadman "):
        return deadman(request, account, pathspace, originates)
    group = command == "configure terminal"
    reason = may_configure(lines, account, originates) if group else permitted(command, account)
    if lines and not group:
        reason = "refused: only `configure terminal` takes lines"
    if reason:
        return REFUSED, reason.encode() + b"\n"
    if group or command.startswith("clear "):
        status, output = vtysh([command, *lines], pathspace)
        tell(pathspace, lines or [command], status)
        return status, output
    if command == "ip -j -s link":
        return execute([IP, "-j", "-s", "link"])
    if command.startswith("ping "):
        return execute(command.split())
    return ask(command, pathspace) or vtysh([command], pathspace)


def beside(name: str) -> ModuleType:
    """A program beside this one, loaded when it is needed."""
    file = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    spec = importlib.util.spec_from_file_location(f"guard_{name.removesuffix('.py')}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def deadman_word(
    request: str, account: str, originates: frozenset[str] = frozenset()
) -> tuple[ModuleType, object, str | None]:
    """The dead-man's module, the word that the request is, and why the account may not say it."""
    module = beside("deadman.py")
    try:
        word = module.Word(request)
    except module.Refused as refusal:
        return module, None, f"refused: {refusal}"
    return (
        module,
        word,
        module.permitted(word, account, lambda lines: may_configure(lines, account, originates), may_clear),
    )


def may_clear(commands: list[str]) -> str | None:
    """None when every one is a soft clear from the list."""
    for command in commands:
        if not any(re.fullmatch(pattern, command) for pattern in CLEARS):
            return f"refused: not in the list of soft clears: {command[:120]}"
    return None


def deadman(request: str, account: str, pathspace: str, originates: frozenset[str]) -> Reply:
    """A dead-man's word; status 1 when the router cannot do it now."""
    module, word, reason = deadman_word(request, account, originates)
    if reason:
        return REFUSED, reason.encode() + b"\n"
    itself = os.path.abspath(__file__)

    def start(name: str) -> None:
        module.detached([sys.executable, "-I", "-S", itself, pathspace, "timer", name])

    try:
        return 0, module.answered(word, module.Spool(timers(pathspace)), start).encode() + b"\n"
    except (module.Refused, OSError) as error:
        return 1, f"% deadman: {error}\n".encode()


def timers(pathspace: str) -> str:
    """Where a router keeps its dead-men: the run account's folder."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "timers", pathspace)


def be_timer(pathspace: str, name: str) -> int:
    """Wait in the background for a dead-man's moment."""
    module = beside("deadman.py")

    def restore(lines: list[str], command: str) -> bool:
        group = command == "configure terminal"
        status, _ = vtysh([command, *lines] if group else [command], pathspace)
        tell(pathspace, lines, status, f"deadman {name}")
        return status == 0

    module.Spool(timers(pathspace)).watch(name, module.say_ready, restore)
    return 0


_vtys: dict[str, socket.socket] = {}


def ask(command: str, pathspace: str) -> Reply | None:
    """The daemon's own answer over its socket, or None: then vtysh is asked, whose error texts are FRR's."""
    daemon = next((name for words, name in DAEMONS if command.startswith(words)), None)
    if daemon is None or not command.endswith(" json"):
        return None
    try:
        if daemon not in _vtys:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(TIMEOUT_S)
            connection.connect(f"{RUN}/{pathspace}/{daemon}.vty")
            _vtys[daemon] = connection
            _exchange(connection, "enable")
        status, output = _exchange(_vtys[daemon], command)
    except OSError:
        broken = _vtys.pop(daemon, None)
        if broken:
            broken.close()
        return None
    return (status, output) if status == 0 else None


def _exchange(connection: socket.socket, command: str) -> Reply:
    connection.sendall(command.encode() + b"\0")
    reply = b""
    while reply[-4:-1] != END:
        chunk = connection.recv(65536)
        if not chunk:
            raise ConnectionResetError(command)
        reply += chunk
    return reply[-1], reply[:-4]


def vtysh(commands: list[str], pathspace: str) -> Reply:
    argv = [VTYSH, "-N", pathspace]
    for command in commands:
        argv += ["-c", command]
    return execute(argv)


def execute(argv: list[str]) -> Reply:
    clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "VTYSH_PAGER": "cat", "HOME": "/"}
    try:
        done = subprocess.run(
            argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT_S, env=clean, check=False
        )
    except subprocess.TimeoutExpired:
        return 1, f"% no answer from {argv[0]} in {TIMEOUT_S} s\n".encode()
    return done.returncode, done.stdout + NOISE.sub(b"", done.stderr)


def tell(pathspace: str, lines: list[str], status: int, by: str | None = None) -> None:
    """Let the lab's ledger know of a write that was tried with success; `by` is who, else the certificate's key id.

    One word for a whole group: the ledger's queue holds ten, and the lab may be busy.
    """
    if status:
        return
    word = json.dumps({"pathspace": pathspace, "lines": lines, "by": by or credential()})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(TELL_S)
        try:
            channel.sendto(word.encode(), os.path.join(os.path.dirname(os.path.abspath(__file__)), "writes"))
        except OSError:  # nobody keeps a ledger now; the router has accepted the write all the same
            return


def credential() -> str:
    """The key id of the certificate that opened this connection (sshd's ExposeAuthInfo), else the account's name."""
    try:
        with open(os.environ["SSH_USER_AUTH"]) as file:
            kind, blob = file.readline().split()[1:3]
        rest = base64.b64decode(blob)
        for _ in range(3 if "ed25519" in kind else 4):  # the kind, a nonce, and the key in one part or two
            _, rest = _string(rest)
        return _string(rest[12:])[0].decode()  # after the serial (8) and the type (4)
    except (KeyError, OSError, ValueError, IndexError, struct.error):
        return os.environ.get("USER", "unknown")


def _string(data: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack_from("!I", data)
    return data[4 : 4 + length], data[4 + length :]


def line_protocol(account: str, pathspace: str, originates: frozenset[str]) -> int:
    """Answer requests until the channel closes."""
    while True:
        raw = sys.stdin.buffer.readline(LONGEST + 1)
        if not raw:
            return 0
        if not raw.endswith(b"\n"):
            status, output = REFUSED, b"refused: a request is one line of at most 16 KiB\n"
        else:
            try:
                status, output = answer(raw[:-1].decode(), account, pathspace, originates)
            except UnicodeDecodeError:
                status, output = REFUSED, b"refused: a request is UTF-8\n"
        sys.stdout.buffer.write(b"%d %d\n" % (status, len(output)) + output)
        sys.stdout.buffer.flush()
        if not raw.endswith(b"\n"):
            return REFUSED  # the rest of an over-long line must not be read as a request


def once(command: str, account: str, pathspace: str) -> int:
    """Run one exec command; its output goes to stdout, a refusal to stderr."""
    found = controlled(command)
    if found:
        status, output = REFUSED, f"refused: control character or not ASCII: {found}\n".encode()
    elif not command:
        status, output = REFUSED, b"refused: no interactive session; send `line` or one command\n"
    else:
        status, output = answer(command, account, pathspace)
    stream = sys.stderr if status == REFUSED else sys.stdout
    stream.buffer.write(output)
    stream.buffer.flush()
    return status


def main() -> int:
    pathspace, account, *more = sys.argv[1:]
    if account == "timer":
        return be_timer(pathspace, more[0])
    originates = frozenset(more[0].split(",")) if more else frozenset()
    command = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    if command == "line":
        return line_protocol(account, pathspace, originates)
    return once(command, account, pathspace)


if __name__ == "__main__":
    sys.exit(main())
