"""Fake routers in a process of their own: what a bench measures must not wait for the far end it measures against.

Reads one line of JSON from stdin (`mode` shell or line, `count`, `sessions`, CA keys), prints one line with the ports.
Answers come from memory; their shapes are those of captures of a real FRR 8.4.4, and move as a quiet router's do.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh

DATA = Path(__file__).parents[1] / "data/frr"
SUMMARY = (DATA / "20-forty-peers/edge__show_bgp_summary_json.json").read_text()
PROMPT = b"edge-1#"
KEEPALIVE_S = 10.0


def captured(name: str) -> Any:
    return json.loads((DATA / "01-established" / f"edge__{name}.json").read_text())


class Shell(asyncssh.SSHServerSession[bytes]):
    """A command line that echoes every letter, ignores comments, and answers every show with the same summary."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._reply = SUMMARY.replace("\n", "\r\n").encode()

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def pty_requested(self, *_: object) -> bool:
        return True

    def shell_requested(self) -> bool:
        return True

    def session_started(self) -> None:
        self._channel.write(PROMPT)

    def data_received(self, data: bytes, _: asyncssh.DataType) -> None:
        out = []
        for piece in data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").splitlines(keepends=True):
            self._line += piece
            out.append(piece.replace(b"\n", b"\r\n"))
            if self._line.endswith(b"\n"):
                out += [self._reply if self._line.startswith(b"show") else b"", PROMPT]
                self._line.clear()
        self._channel.write(b"".join(out))


class Edge:
    """One router of the watch bench: its answers by command, with what moves filled in when asked."""

    def __init__(self, peers: list[str], tunnels: dict[str, str], interfaces: list[str]) -> None:
        self.began = time.time()
        self._phase = {peer: index * KEEPALIVE_S / len(peers) for index, peer in enumerate(peers)}
        self._whole = {
            "show bgp summary json": self._text(self._summary(peers)),
            "show bfd peers json": self._text([captured("show_bfd_peers_json")[0] | self._bfd(p) for p in peers]),
            "show bfd peers counters json": self._text(
                [captured("show_bfd_peers_counters_json")[0] | {"peer": peer} for peer in peers]
            ),
            "show interface json": self._text(
                {name: captured("show_interface_json")["vlan101"] for name in interfaces}
            ),
            "show running-config": (DATA / "01-established/edge__show_running-config.txt").read_text(),
            "show version": (DATA / "01-established/edge__show_version.txt").read_text(),
            "ip -j -s link": json.dumps([self._link(name) for name in interfaces]),
        }
        neighbor = captured("show_bgp_neighbors_json")["169.254.10.2"]
        stats = neighbor["messageStats"] | {"totalSent": "@MSG@", "totalRecv": "@MSG@"}
        table = {"advertised-routes": "advertised-routes", "routes": "routes", "filtered-routes": "filtered-routes"}
        for peer in peers:
            self._whole[f"show bgp neighbors {peer} json"] = self._text({peer: neighbor | {"messageStats": stats}})
            for word, name in table.items():
                reply = captured(f"show_bgp_ipv4_unicast_neighbors_169.254.10.2_{name}_json")
                self._whole[f"show bgp ipv4 unicast neighbors {peer} {word} json"] = self._text(reply)
        for peer, interface in tunnels.items():
            entry = captured("show_ip_route_json")["10.0.0.0/30"]
            entry[0]["nexthops"][0]["interfaceName"] = interface
            self._whole[f"show ip route {peer} json"] = self._text({f"{peer}/30": entry})
        path = captured("show_bgp_ipv4_unicast_10.50.0.0-16_json")
        for prefix in ("10.50.0.0/16", "10.51.0.0/16", "10.60.0.0/16", "10.61.0.0/16"):
            paths = [path["paths"][0] | {"peer": path["paths"][0]["peer"] | {"peerId": peer}} for peer in peers]
            for other in paths[1:]:
                other.pop("bestpath", None)
            self._whole[f"show bgp ipv4 unicast {prefix} json"] = self._text(path | {"prefix": prefix, "paths": paths})

    def answer(self, command: str) -> bytes:
        """The reply of the line protocol."""
        text = self._whole[command]
        if "@" in text:
            up = int(time.time() - self.began)
            text = text.replace('"@UP@"', str(1000 + up)).replace('"@UPMS@"', str(1000 * (1000 + up)))
            text = text.replace('"@RX@"', str(up * 1_000_000)).replace('"@MSG@"', str(10 + int(up / KEEPALIVE_S)))
            for peer, phase in self._phase.items():
                text = text.replace(f'"@MSG {peer}@"', str(10 + int((up + phase) / KEEPALIVE_S)))
        body = text.encode()
        return b"0 %d\n" % len(body) + body

    @staticmethod
    def _text(value: Any) -> str:
        return json.dumps(value, indent=2, separators=(",", ":")) + "\n"

    @staticmethod
    def _summary(peers: list[str]) -> Any:
        summary = captured("show_bgp_summary_json")
        row = summary["ipv4Unicast"]["peers"]["169.254.10.2"] | {"peerUptimeMsec": "@UPMS@"}
        rows = {peer: row | {"msgRcvd": f"@MSG {peer}@", "msgSent": f"@MSG {peer}@"} for peer in peers}
        summary["ipv4Unicast"]["peers"] = rows
        return summary

    @staticmethod
    def _bfd(peer: str) -> dict[str, object]:
        return {"peer": peer, "uptime": "@UP@"}

    @staticmethod
    def _link(name: str) -> dict[str, object]:
        way = {"bytes": "@RX@", "packets": 1000, "errors": 0, "dropped": 0, "over_errors": 0, "multicast": 0}
        return {"ifindex": 2, "ifname": name, "flags": ["UP", "LOWER_UP"], "mtu": 1500, "operstate": "UP",
                "link_type": "ether", "stats64": {"rx": way, "tx": way}}  # fmt: skip


class Line(asyncssh.SSHServerSession[bytes]):
    """The line protocol."""

    def __init__(self, edge: Edge) -> None:
        self._edge, self._rest = edge, b""

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def exec_requested(self, command: str) -> bool:
        return command == "line"

    def data_received(self, data: bytes, _: asyncssh.DataType) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._channel.write(b"".join(self._edge.answer(line.decode()) for line in lines))


def door(make: Callable[[], asyncssh.SSHServerSession[bytes]]) -> type[asyncssh.SSHServer]:
    class Server(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, *_: str) -> bool:
            return True

        def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
            return make()

    return Server


async def main() -> None:
    wanted = json.loads(sys.stdin.readline())
    host_ca, user_ca = (asyncssh.import_private_key(wanted[name]) for name in ("host_ca", "user_ca"))
    users = asyncssh.import_authorized_keys(f"cert-authority {user_ca.export_public_key('openssh').decode()}")
    key = asyncssh.generate_private_key("ssh-ed25519")
    certificate = host_ca.generate_host_certificate(key, "host", principals=wanted["names"])
    if wanted["mode"] == "shell":
        makers: list[Callable[[], asyncssh.SSHServerSession[bytes]]] = [Shell for _ in wanted["names"]]
    else:
        edges = [Edge(**each) for each in wanted["edges"]]
        makers = [lambda edge=edge: Line(edge) for edge in edges]
    ports = []
    for make in makers:
        listener = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=door(make),
            server_host_keys=[(key, certificate)],
            authorized_client_keys=users,
            encoding=None,
            backlog=1000,
        )
        ports.append(listener.get_port())
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until the bench hangs up


if __name__ == "__main__":
    asyncio.run(main())
