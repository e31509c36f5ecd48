"""Who speaks to a run from a command line, and through which journal."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from console.commands.past import known, reading
from console.fail import Refused, UsageError
from console.journals import open_journal
from runbooks.journal import Journal, RunRow
from runbooks.orders import Orders


@dataclass(frozen=True, slots=True)
class Spoken:
    """A run, and somebody who may say something to it."""

    journal: Journal
    orders: Orders
    row: RunRow


@contextlib.asynccontextmanager
async def speaking(
    run_id: str, operator: str | None, site_file: Path | None, *, counts: bool = False
) -> AsyncIterator[Spoken]:
    """The journal in this person's name. The run itself says whether it is a lab's: no site is needed for that.

    `counts`: it counts who this is (a second person), so that outside a lab Vault must say so. Raises UsageError for an
    unknown run or operator, Refused when nobody vouches for who this is.
    """
    async with reading() as journal:
        row = await known(journal, run_id)
        mode = (await journal.events(run_id))[0].mode
    user = _lab_operator(operator) if mode == "LAB" else await _vouched(operator, site_file, counts=counts)
    named = await open_journal(user, mode)
    try:
        yield Spoken(named, Orders(named), row)
    finally:
        await named.close()


def _lab_operator(operator: str | None) -> str:
    from console.session import OPERATORS

    if operator is not None and operator not in OPERATORS:
        raise UsageError(f"--as {operator!r} is not known; allowed: {', '.join(OPERATORS)}")
    return operator or OPERATORS[0]


async def _vouched(operator: str | None, site_file: Path | None, *, counts: bool) -> str:
    """As Vault says where it counts; else the login, which needs nothing."""
    if operator is not None:
        raise UsageError("--as is for a lab only: elsewhere the operator is who Vault says")
    if not counts:
        return pwd.getpwuid(os.getuid()).pw_name
    if not os.environ.get("VAULT_TOKEN"):
        raise Refused("two people count only as Vault knows them: set VAULT_TOKEN for this command")
    from console.session import OperatorSession
    from console.sites import choose

    session = OperatorSession(choose(site_file).site, None, None)
    try:
        return (await session.operator()).name
    finally:
        await session.close()
