"""What the shell offers for TAB: runbooks, their parameters, and names of the site that fit. It fails silently."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from network.inventory import Site
    from runbooks.language import Book


def books(incomplete: str) -> list[str]:
    """The runbooks of the library."""
    from runbooks.book import names

    return [name for name in names() if name.startswith(incomplete)]


def words(context: typer.Context, incomplete: str) -> list[str]:
    """`key=` for what is still to be given, then the values. Without a site there are none to offer."""
    from console.sites import choose
    from runbooks.book import found

    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(Exception):
        book = found(context.params["book"])
        site = None
        with contextlib.suppress(Exception):
            site = choose(context.params.get("site_file")).site
        return offers(book, site, context.params.get("words") or [], incomplete)
    return []


def offers(book: Book, site: Site | None, before: Sequence[str], incomplete: str) -> list[str]:
    """What may stand in the place of `incomplete`. bash takes `port=po` for three words: `port`, `=` and `po`."""
    if incomplete == "=" and before:
        return _values(book, site, before[-1], "")
    if len(before) > 1 and before[-1] == "=":
        return _values(book, site, before[-2], incomplete)
    name, equals, begun = incomplete.partition("=")
    if equals:
        return [f"{name}={value}" for value in _values(book, site, name, begun)]
    given = {word.partition("=")[0] for word in before}
    return [f"{each}=" for each in book.parameters if each not in given and each.startswith(name)]


def _values(book: Book, site: Site | None, name: str, begun: str) -> list[str]:
    from runbooks.parameters import things

    if site is None or name not in book.parameters:
        return []
    return [value for value in things(book.parameters[name], site) if value.startswith(begun)]
