"""One VXC: its product object as far as a change of rate needs it, and that change.

Accepted is not recorded is not effective: after the answer a read shows the old rate for up to minutes. So an answer is
never taken for the state; a change is proven by reading back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import Field

from connectors.errors import Denied, InterlockError, NotFound, NotSent, OutcomeUnknown, Throttled, TooEarly
from connectors.megaport_client import BadRequest, Lane, content
from connectors.megaport_products import Approval, CloudEnd
from connectors.reply import Flag, Rows, Shape, Text, read

LIVE = "LIVE"
READ_BACK = "Read the VXC back before anything else: the change may come yet."
#: A clear "no" of the fabric: it did not take the change.
REFUSALS = (Throttled, Denied, BadRequest, NotFound)
#: The connection never came to be, so nothing was on the wire.
NOT_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class _Vll(Shape):
    rate_limit_mbps: int | None = Field(alias="rate_limit_mbps", default=None)


class _Resources(Shape):
    csp_connection: CloudEnd | Rows[CloudEnd] = Field(alias="csp_connection", default=())
    vll: _Vll | tuple[()] | None = None  # [] once decommissioned


class _End(Shape):
    product_name: Text = ""
    location_id: int | None = None


class VxcDetails(Shape):
    """A VXC as its own product object tells it, as far as a change of rate needs it."""

    product_uid: str
    provisioning_status: Text = ""
    rate_limit: int
    maximum_rate: int | None = None
    contract_term_months: int | None = None
    locked: Flag = False
    admin_locked: Flag = False
    vxc_approval: Approval | None = None
    a_end: _End = _End()
    b_end: _End = _End()
    resources: _Resources | tuple[()] | None = None

    @property
    def cloud_ends(self) -> tuple[CloudEnd, ...]:
        """The fabric gives one object or a list of them: always a list here."""
        found = self.resources.csp_connection if isinstance(self.resources, _Resources) else ()
        return found if isinstance(found, tuple) else (found,)

    @property
    def most_mbps(self) -> int | None:
        """The least of what it is said to be able to carry: its own maximum, and its ExpressRoute key's bandwidth."""
        keys = [end.bandwidth for end in self.cloud_ends if end.connect_type == "AZURE"]
        return min((mbps for mbps in (self.maximum_rate, *keys) if mbps is not None), default=None)

    @property
    def effective_mbps(self) -> int | None:
        """What the network shapes to; None where the fabric does not say it."""
        vll = self.resources.vll if isinstance(self.resources, _Resources) else None
        return vll.rate_limit_mbps if isinstance(vll, _Vll) else None

    @property
    def against_change(self) -> tuple[str, ...]:
        """Everything that forbids a change as it stands."""
        return tuple(self._against())

    def _against(self) -> Iterator[str]:
        if self.locked or self.admin_locked:
            yield "it is locked" if self.locked else "the fabric has locked it"
        if self.vxc_approval and self.vxc_approval.waiting:
            yield f"it waits already: {self.vxc_approval.waiting}"
        if self.provisioning_status != LIVE:
            yield f"it is {self.provisioning_status or 'of no status'}, not {LIVE}"


def parse_vxc(data: Any, where: str) -> VxcDetails:
    """`data` of GET /v2/product/{uid} of a VXC. Raises BadReply."""
    return read(VxcDetails, data, where)


async def vxc_details(lane: Lane, uid: str) -> VxcDetails:
    """The VXC as the fabric records it now. Raises an InterlockError."""
    path = f"/v2/product/{uid}"
    return parse_vxc(await lane.data(path), lane.where(path))


@dataclass(frozen=True, slots=True)
class Sent:
    """The last change that this console sent to a VXC: to how many Mbps, how many seconds ago."""

    mbps: int
    age_s: float


class VxcWrites:
    """Changes of rate, one field in one update, under the run's credential."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._sent: dict[str, tuple[int, float]] = {}

    async def vxc(self, uid: str) -> VxcDetails:
        """The VXC as recorded now. Raises an InterlockError."""
        return await vxc_details(self._lane, uid)

    def sent(self, uid: str) -> Sent | None:
        """What this console sent last, accepted or of unknown outcome; None when it sent nothing."""
        known = self._sent.get(uid)
        return Sent(known[0], _now() - known[1]) if known else None

    async def set_rate(self, uid: str, mbps: int, send_allowed: Callable[[], None]) -> None:
        """Ask for another rate, once; `send_allowed` is called directly before the send and may raise.

        Raises NotSent (TooEarly) when nothing left or the fabric clearly did not take it, else OutcomeUnknown.
        """
        path = f"/v3/product/vxc/{uid}"
        where = self._lane.where(path)
        if mbps <= 0:
            raise NotSent(f"{mbps} Mbps is no rate", where=where, do_next="Give a whole number of Mbps above 0.")
        await self._ready(where)
        send_allowed()
        before, self._sent[uid] = self._sent.get(uid), (mbps, _now())
        try:
            reply = await self._lane.send("PUT", path, json={"rateLimit": mbps})
            content(self._lane.json(reply), where)  # a page that somebody put in between is no answer
        except InterlockError as error:
            if (proof := _not_taken(error)) is None:
                raise OutcomeUnknown(error.what, where=where, do_next=READ_BACK) from error
            self._forget(uid, before)
            raise proof from error

    async def _ready(self, where: str) -> None:
        """The token is fetched before the send is allowed: it must not take the send's time."""
        try:
            await self._lane.login()
        except InterlockError as error:
            raise NotSent(f"no token: {error.what}", where=where, do_next=error.do_next) from error

    def _forget(self, uid: str, before: tuple[int, float] | None) -> None:
        self._sent.pop(uid)
        if before is not None:
            self._sent[uid] = before


def _not_taken(error: InterlockError) -> NotSent | None:
    """The proof that a change was not taken; None when there is none."""
    if isinstance(error, Throttled):
        return TooEarly(error.what, where=error.where, do_next=error.do_next, wait_s=error.retry_after_s)
    if isinstance(error, REFUSALS) or isinstance(error.__cause__, NOT_CONNECTED):
        return NotSent(error.what, where=error.where, do_next=error.do_next)
    return None


def _now() -> float:
    return asyncio.get_running_loop().time()
