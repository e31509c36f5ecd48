"""A business feed on real routers. Standard library only: it runs inside the namespaces.

`feed.py serve ADDRESS PORT` is the feed, in its cloud's hub. `feed.py relay ADDRESS PORT` carries one connection, its
stdin, from the plant to it: whoever asks goes the way that the plant's own packets go.
"""

from __future__ import annotations

import selectors
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8080
CONNECT_S = 10.0
CHUNK = 65536


class Forecast(BaseHTTPRequestHandler):
    """Answers every GET."""

    def do_GET(self) -> None:
        body = b'{"items": 1}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's own name
        """Nothing is logged."""


def relay(address: str, port: int) -> None:
    """Until either side closes. Without a way to the feed the connection is cut, as the plant's would be."""
    with socket.socket(fileno=sys.stdin.fileno()) as near:
        try:
            far = socket.create_connection((address, port), timeout=CONNECT_S)
        except OSError:  # refused, no way, nobody: the caller sees its connection end
            return
        with far, selectors.DefaultSelector() as selector:
            for here, there in ((near, far), (far, near)):
                selector.register(here, selectors.EVENT_READ, there)
            while _pump(selector):
                pass


def _pump(selector: selectors.BaseSelector) -> bool:
    for key, _ in selector.select():
        try:
            data = key.fileobj.recv(CHUNK)  # type: ignore[union-attr]  # both are sockets
            key.data.sendall(data)
        except OSError:  # reset on one side ends both
            return False
        if not data:
            return False
    return True


if __name__ == "__main__":
    word, host, number = sys.argv[1:]
    if word == "serve":
        ThreadingHTTPServer((host, int(number)), Forecast).serve_forever()
    else:
        relay(host, int(number))
