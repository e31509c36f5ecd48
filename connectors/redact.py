"""No secret leaves: by value (as soon as one is met) and by pattern (for those never met).

Lives in the connectors because this is the lowest room that meets a secret. Every sink (screen, log,
journal, exception text, evidence) passes through a Redactor. Redaction errs towards too much.
"""

import base64
import html
import json
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "[***]"
MIN_LENGTH = 6  # shorter values are words and numbers: masking them would blind the operator

_NAMES = (
    r"pass(?:word|wd|phrase)|secret(?:[_-]?(?:id|key|access[_-]?key))?|"
    r"(?:auth|shared|pre[_-]?shared|service|pairing|private|api|unseal)[_-]?key|"
    r"(?:security|session|client|access|refresh|id|wrapping|root|vault)[_-]?token"
)
_SECRET_NAME = re.compile(rf"(?:{_NAMES}|^token)$", re.IGNORECASE)
# A field in JSON, JSON inside a JSON string, YAML, a query string, or name=value text.
_FIELD = re.compile(
    rf"((?:{_NAMES})[\\\"']{{0,2}}\s*[:=]\s*)"
    r"(\\\"(?:(?!\\\").)*\\\"|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s,;&}\]<\"'{\[][^\s,;&}\]<\"']*)",
    re.IGNORECASE,
)
# A cut-off key is a key too: without its end line, all that follows goes.
_PEM_KEY = r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
#: Parts of words (case folded; where case does not count without an i, which has odd relatives), one of which every
#: match of a pattern holds: looking for them costs a hundredth of the pattern, and most text holds none.
_NAME_PARTS = ("passw", "passp", "secret", "key", "token")
_PATTERNS: tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...] = (
    (("-----beg",), re.compile(_PEM_KEY, re.DOTALL), MASK),
    (
        ("author",),
        re.compile(r"((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?)[^\"'\r\n]+", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    (("token",), re.compile(r"(x-vault-token[\"']?\s*[:=]\s*[\"']?)[^\s\"',]+", re.IGNORECASE), rf"\1{MASK}"),
    (("bearer",), re.compile(r"(\bbearer\s+)[\w.~+/=-]{16,}", re.IGNORECASE), rf"\1{MASK}"),
    (
        ("s.", "b.", "r."),
        re.compile(r"(?<![\w.])(?:hv[sbr]\.[\w-]{20,}|[sbr]\.[\w-]{24,})(?:\.\w+)?"),
        MASK,
    ),
    (("akia", "asia"), re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), MASK),
    (("eyj",), re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)*"), MASK),
    (("passw",), re.compile(r"(\bneighbor\s+\S+\s+password\s+(?:\d\s+)?)\S+", re.IGNORECASE), rf"\1{MASK}"),
    (
        _NAME_PARTS,
        re.compile(rf"(<(?:\w+:)?\w*(?:{_NAMES})(?:\s[^<>]*)?>)[^<]+", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    (_NAME_PARTS, _FIELD, rf'\1"{MASK}"'),
)


def _base64_cores(value: bytes) -> Iterator[str]:
    """The part of each of the three base64 alignments that depends on `value` alone.

    "user:password" in a Basic header shifts the password by any number of bytes.
    """
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + value).decode()
        start = (shift * 8 + 5) // 6
        core = encoded[start : (shift + len(value)) * 8 // 6]
        yield core
        yield core.translate(str.maketrans("+/", "-_"))


def _forms(value: str) -> set[str]:
    """Spellings under which `value` may reach a sink."""
    raw = value.encode("utf-8", "surrogatepass")
    spelled = {
        value,
        quote(raw, safe=""),
        quote(raw),
        quote(raw, safe="").lower(),
        quote_plus(raw),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        html.escape(value),
        raw.hex(),
        *_base64_cores(raw),
    }
    return {form for form in spelled if len(form) >= MIN_LENGTH}


class Redactor:
    """Masks registered values (also base64, URL-quoted, JSON-escaped) and known secret shapes.

    `add` wants whole values of at least MIN_LENGTH characters; a value that contains the mask itself
    cannot be told from a masked text and is not supported.
    """

    def __init__(self) -> None:
        self._forms: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Redactor({len(self._forms)} forms)"

    def add(self, value: str) -> str:
        """Register a secret; returns it, so that it can be registered where it is read."""
        text = value.strip()
        if len(text) >= MIN_LENGTH:
            known = {*self._forms, *_forms(text)}
            # Longest first: a value inside another must not leave the longer one's tail readable.
            self._forms = tuple(sorted(known, key=len, reverse=True))
        return value

    def text(self, text: str) -> str:
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        folded = text.casefold()
        for parts, pattern, mask in _PATTERNS:
            if any(part in folded for part in parts):
                text = pattern.sub(mask, text)
        return text

    def data(self, obj: Any) -> Any:
        """A redacted copy of JSON-like data; the value of a secret-named key is masked whole.

        Tuples and sets come back as lists; bytes as text; what is not JSON-like as its redacted str().
        """
        if obj is None or isinstance(obj, bool | int | float):
            return self._number(obj)
        if isinstance(obj, str):
            return self.text(obj)
        if isinstance(obj, bytes | bytearray):
            return self.text(bytes(obj).decode("utf-8", "backslashreplace"))
        if isinstance(obj, Mapping):
            return {self.text(str(key)): self._field(str(key), value) for key, value in obj.items()}
        if isinstance(obj, list | tuple | set | frozenset):
            return [self.data(item) for item in obj]
        return self.text(str(obj))

    def _field(self, name: str, value: Any) -> Any:
        if _SECRET_NAME.search(name) and value not in (None, "", True, False):
            return MASK
        return self.data(value)

    def _number(self, value: float | None) -> Any:
        """A number stays a number, unless its digits are a registered secret."""
        return MASK if any(form in str(value) for form in self._forms) else value


class RedactingFilter(logging.Filter):
    """For handlers: the record is redacted as it will be printed, message, traceback and all."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._redactor.text(record.getMessage()), None
        if record.exc_info:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
            record.exc_info = None  # a handler that formats tracebacks itself would print the secret
        if record.exc_text:
            record.exc_text = self._redactor.text(record.exc_text)
        if record.stack_info:
            record.stack_info = self._redactor.text(record.stack_info)
        return True


redactor = Redactor()
