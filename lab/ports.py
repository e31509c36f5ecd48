"""Ports of loopback for servers that are shut and opened again."""

from __future__ import annotations

import socket

ADDRESS = "127.0.0.1"


class Port:
    """Drawn the first time and the same afterwards: while it is kept nobody listens, and no other process is given it.

    `number` is 0 until it is drawn.
    """

    def __init__(self) -> None:
        self.number = 0
        self._kept: socket.socket | None = None

    def taken(self) -> socket.socket:
        """Bound, for its server to listen on and to close."""
        bound, self._kept = self._kept or self._bound(), None
        return bound

    def shut(self, *, keep: bool) -> None:
        """Its server has closed. Kept: whoever connects is refused."""
        if keep and self._kept is None and self.number:
            self._kept = self._bound()
        elif not keep and self._kept is not None:
            self._kept.close()
            self._kept = None

    def _bound(self) -> socket.socket:
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # its connections may not be over yet
        bound.setblocking(False)
        try:
            bound.bind((ADDRESS, self.number))
        except OSError:
            bound.close()
            raise
        self.number = bound.getsockname()[1]
        return bound
