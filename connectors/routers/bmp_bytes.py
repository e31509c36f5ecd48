"""Reading bytes that a stranger sent: every read is checked, and what does not fit is one named error."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from connectors.errors import BadReply

EVIDENCE_BYTES = 32
LONGEST_TEXT = 255  # characters of a stranger's words that are kept


class BmpMalformed(BadReply):
    """What came is no BMP, or is cut or twisted: that one stream cannot be read any further."""

    def __init__(self, what: str, evidence: bytes = b"") -> None:
        super().__init__(
            what,
            where="BMP stream",
            do_next="The connection is closed and made anew; if it goes on, capture it and check the router's release.",
            evidence=evidence[:EVIDENCE_BYTES].hex(" "),
        )


class Bytes:
    """A cursor over bytes. Every method raises BmpMalformed when they end too early; `what` names the whole."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data, self._at, self._what = data, 0, what

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise BmpMalformed(f"{self._what} is cut: {count} bytes wanted, {self.left} left", self._data)
        self._at += count
        return self._data[self._at - count : self._at]

    def rest(self) -> bytes:
        return self.take(self.left)

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def inner(self, count: int, what: str) -> Bytes:
        """The next bytes as a whole of their own."""
        return Bytes(self.take(count), what)

    def ipv4(self) -> str:
        return str(IPv4Address(self.take(4)))

    def address(self, *, ipv6: bool) -> str:
        """An address in 16 bytes; an IPv4 one stands in the last four."""
        raw = self.take(16)
        return str(IPv6Address(raw)) if ipv6 else str(IPv4Address(raw[12:]))


def words(raw: bytes) -> str:
    """Text from outside as it may be shown: no control characters, not endless."""
    text = raw.decode("utf-8", errors="replace")[:LONGEST_TEXT]
    return "".join(character if character.isprintable() else " " for character in text).strip()
