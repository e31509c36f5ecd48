"""The looking glass of an MCR: operations that are not ready at once, under either of the two contracts.

The lab's MCR stands beside the private paths: its neighbours are their far ends, and it knows what those announce.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from datetime import datetime
from ipaddress import ip_network
from typing import Any, Literal

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lab.facts import Facts, FarSession, Route
from lab.megaport.answers import JSON, TERMS, Answer, enveloped, no_such
from network.inventory import Path, Session

Contract = Literal["diagnostics", "lookingGlass", "none"]
_ASN = 133937


class Glass:
    """`contract` is what it speaks. A result is `pending` polls away; `not_ready` is how that is told.

    202 without data is what is told of it today; `empty` (200, empty data) what older clients wait out.
    """

    def __init__(self, facts: Facts, now: Callable[[], datetime]) -> None:
        self._facts, self._site, self._now = facts, facts.site, now
        self.contract: Contract = "diagnostics"
        self.pending = 1
        self.not_ready: Literal["202", "empty"] = "202"
        self._results: dict[str, list[Any]] = {}  # id: [polls still to wait, result]

    def routes(self) -> dict[str, Answer]:
        first, second = "/v2/product/mcr2/{uid}/diagnostics", "/v2/product/mcr2/{uid}/lookingGlass"
        return {
            f"{first}/routes/ip": self._known("diagnostics", self._operation(self._ip_rows)),
            f"{first}/routes/bgp": self._known("diagnostics", self._operation(self._bgp_rows)),
            f"{first}/routes/bgp/neighbor": self._known("diagnostics", self._operation(self._neighbour)),
            f"{first}/routes/operation": self._known("diagnostics", self._result),
            f"{first}/ping": self._known("diagnostics", self._operation(self._ping)),
            f"{first}/traceroute": self._known("diagnostics", self._operation(self._traceroute)),
            f"{second}/routes": self._known("lookingGlass", self._job(self._ip_rows)),
            f"{second}/bgp": self._known("lookingGlass", lambda r: ("BGP routes", _flat(self._bgp_rows(r)))),
            f"{second}/bgpSessions": self._known("lookingGlass", lambda _: ("BGP sessions", self._sessions())),
            f"{second}/{{of}}/async/{{job}}": self._known("lookingGlass", self._job_result),
            f"{second}/bgpSessions/{{session}}/{{way}}": self._known("lookingGlass", self._job(self._of_session)),
        }

    def _known(self, contract: Contract, answer: Answer) -> Answer:
        def known(request: Request) -> tuple[str, Any] | Response:
            if self.contract != contract:
                raise HTTPException(404, "Not found")
            if request.path_params["uid"] not in {mcr.uid for mcr in self._site.mcrs}:
                raise no_such(request.path_params["uid"])
            return answer(request)

        return known

    def _operation(self, rows: Callable[[Request], Any]) -> Answer:
        return lambda request: ("Please retrieve the result with the operation id", self._begin(rows(request)))

    def _job(self, rows: Callable[[Request], list[JSON]]) -> Answer:
        def begin(request: Request) -> tuple[str, Any]:
            if request.query_params.get("async") != "true":
                return "Routes", _flat(rows(request))
            return "Job accepted", {"jobId": self._begin(_flat(rows(request))), "status": "PENDING"}

        return begin

    def _begin(self, result: Any) -> str:
        name = secrets.token_hex(16)
        self._results[name] = [self.pending, result]
        return name

    def _done(self, name: str) -> tuple[bool, Any]:
        if name not in self._results:
            raise HTTPException(404, "Operation not found")
        entry = self._results[name]
        entry[0] -= 1
        return entry[0] < 0, entry[1]

    def _result(self, request: Request) -> Response:
        done, result = self._done(request.query_params.get("operationId", ""))
        if done:
            return enveloped("Diagnostic result retrieved successfully", result)
        if self.not_ready == "empty":
            return enveloped("MCR routes", [])
        return JSONResponse({"message": "Data result will be available soon", "terms": TERMS}, 202)

    def _job_result(self, request: Request) -> tuple[str, Any]:
        done, result = self._done(request.path_params["job"])
        job = {"jobId": request.path_params["job"], "status": "COMPLETE" if done else "PROCESSING"}
        return "Async job", job | ({"routes": result} if done else {})

    def _neighbours(self) -> Iterator[tuple[Path, Session, FarSession]]:
        for path in self._site.paths:
            if path.vxc is not None:
                yield path, self._site.session(path.session), self._facts.far_session(path.name)

    def _bgp_rows(self, request: Request) -> list[JSON]:
        rows: list[JSON] = []
        for path, session, far in self._neighbours():
            for route in far.advertised if far.established else ():
                best = all(row["prefix"] != route.prefix for row in rows)
                rows.append(self._row(path, session, route, best=best))
        return _towards(rows, request)

    def _ip_rows(self, request: Request) -> list[JSON]:
        wanted = ("prefix", "nextHop")
        best = [row for row in self._bgp_rows(request) if row["best"]]
        return [{key: row[key] for key in wanted} | {"protocol": "BGP", "distance": 20, "metric": 0} for row in best]

    def _neighbour(self, request: Request) -> list[JSON]:
        peer, way = request.query_params.get("peer_ip_address", ""), request.query_params.get("direction", "")
        if way not in {"RECEIVED", "ADVERTISED"}:
            raise HTTPException(400, "direction must be RECEIVED or ADVERTISED")
        return self._exchanged(peer, way.lower())

    def _of_session(self, request: Request) -> list[JSON]:
        name = request.path_params["session"]
        peer = next((str(s.peer) for _, s, _ in self._neighbours() if s.name == name), "")
        return self._exchanged(peer, request.path_params["way"])

    def _exchanged(self, peer: str, way: str) -> list[JSON]:
        for path, session, far in self._neighbours():
            if str(session.peer) == peer:
                routes = far.advertised if way == "received" else far.received
                return [self._row(path, session, route, best=True) for route in routes]
        return []

    def _row(self, path: Path, session: Session, route: Route, *, best: bool) -> JSON:
        vxc = self._site.vxc(path.vxc or "")
        return {
            "prefix": route.prefix,
            "best": best,
            "valid": True,
            "external": True,
            "med": 0,
            "weight": 0,
            "origin": "IGP",
            "source": str(session.peer),
            "localPref": route.local_pref,
            "asPath": " ".join(map(str, route.as_path)),
            "communities": list(route.communities),
            "nextHop": {"ip": str(session.peer), "vxc": {"id": vxc.uid, "name": vxc.name}},
        }

    def _sessions(self) -> list[JSON]:
        return [
            {
                "sessionId": session.name,
                "neighborAddress": str(session.peer),
                "neighborAsn": session.peer_asn,
                "localAsn": _ASN,
                "status": "UP" if far.established else "DOWN",
                "uptime": int((self._now() - far.since).total_seconds()) if far.established else None,
                "prefixesIn": len(far.advertised),
                "prefixesOut": len(far.received),
                "vxcId": 1,
                "vxcName": path.vxc,
                "lastStateChange": None,
                "description": "",
            }
            for path, session, far in self._neighbours()
        ]

    def _answers(self, address: str) -> bool:
        return any(str(session.peer) == address and far.established for _, session, far in self._neighbours())

    def _ping(self, request: Request) -> JSON:
        sent = int(request.query_params.get("packet_count", "5"))
        got = sent if self._answers(request.query_params.get("destination_address", "")) else 0
        times = {"rttMinMs": 1.1, "rttAvgMs": 1.4, "rttMaxMs": 2.0} if got else {}
        statistics = {"packetsTransmitted": sent, "packetsReceived": got, "packetLossPct": 100.0 * (sent - got) / sent}
        return {"rawOutput": "PING", "statistics": statistics | times}

    def _traceroute(self, request: Request) -> JSON:
        address = request.query_params.get("destination_address", "")
        probe = {"host": address, "rttMs": 1.4} if self._answers(address) else {}
        return {"rawOutput": "traceroute", "hops": [{"hop": "1", "probes": [probe] * 3}]}


def _towards(rows: list[JSON], request: Request) -> list[JSON]:
    asked = request.query_params.get("ip_address") or request.query_params.get("ip")
    if not asked:
        return rows
    return [row for row in rows if ip_network(asked).overlaps(ip_network(row["prefix"]))]


def _flat(rows: list[JSON]) -> list[JSON]:
    """The same rows in the other contract's shape."""
    return [
        row
        | {"nextHop": row["nextHop"]["ip"], "vxcName": row["nextHop"]["vxc"]["name"]}
        | ({"asPath": [int(asn) for asn in row["asPath"].split()]} if "asPath" in row else {})
        for row in rows
    ]
