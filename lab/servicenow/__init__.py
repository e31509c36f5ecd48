"""ServiceNow for the lab: the Table, Change Management and Attachment APIs over records in memory."""

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lab.servicenow.attachment_api import AttachmentApi
from lab.servicenow.change_api import ChangeApi
from lab.servicenow.control import ChangeControl
from lab.servicenow.store import Store, Write
from lab.servicenow.table_api import TableApi
from lab.servicenow.web import FAULTS, Gate, failure
from lab.servicenow.words import UnknownNameError

__all__ = ["FAULTS", "LabServiceNow", "UnknownNameError", "Write"]

API_USER = "interlock"
GROUP = "Network Operations"


class LabServiceNow(ChangeControl):
    """One instance: an ASGI app, and the lab's direct hand on its changes.

    `names` are the site's CI names. `fault` names one of FAULTS, or None. `ledger` holds what the API wrote.
    State lives in the event loop that serves the app: call the direct methods from there.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        password: str,
        user: str = API_USER,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        store = Store(clock, new_id)
        super().__init__(store, names)
        _seed(store, names, user)
        apis = (TableApi(store, user), ChangeApi(store, user), AttachmentApi(store, user))
        routes = [route for api in apis for route in api.routes()]
        app = Starlette(routes=routes, exception_handlers={HTTPException: _unrouted})
        self._gate = Gate(app, user, password)

    @property
    def ledger(self) -> list[Write]:
        return self._store.ledger

    @property
    def closed_tables(self) -> set[str]:
        """Tables that the API user's role may not query: 403. Add names to close them."""
        return self._store.closed

    def set_fault(self, fault: str | None, *, writes_only: bool = False) -> None:
        """Switch one of FAULTS on, for writes only if so wished, or off with None. Raises UnknownNameError."""
        self._gate.set_fault(fault, writes_only=writes_only)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._gate(scope, receive, send)


async def _unrouted(request: Request, error: Exception) -> Response:
    """No such path, or a verb that the path does not take."""
    code = error.status_code if isinstance(error, HTTPException) else 500
    if code == 405:
        return failure(405, "Method not supported", f"{request.method} is not allowed here")
    return failure(code, "Requested URI does not represent any resource", request.url.path)


def _seed(store: Store, names: Sequence[str], user: str) -> None:
    for name in names:
        store.insert("cmdb_ci", {"name": name, "operational_status": "1"}, "lab")
    store.insert("sys_user", {"user_name": user, "name": user, "active": "true"}, "lab")
    store.insert("sys_user_group", {"name": GROUP, "active": "true"}, "lab")
    for model in ("Normal", "Standard", "Emergency"):
        store.insert("chg_model", {"name": model, "active": "true"}, "lab")
