"""Everything a lab consists of, wired together over one world: routers, secrets, fabric, clouds, tickets."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lab.announcements import Announcements
from lab.errors import UnknownThing
from lab.facts import Facts
from lab.faults import FaultGate
from lab.ledger import Ledger
from lab.signing import Keys
from network.index import Named
from network.inventory import Site
from network.sitecheck import nearest


class World(Facts, Protocol):
    """A network that can be broken and mended: the embedded model or real routers."""

    @property
    def endpoints(self) -> dict[str, tuple[str, int]]: ...
    @property
    def bmp_endpoints(self) -> dict[str, tuple[str, int]]: ...
    @property
    def failed(self) -> tuple[str, ...]: ...
    @property
    def feeds(self) -> dict[str, str]: ...
    async def fail(
        self,
        thing: str,
        *,
        silent: bool,
        oneway: bool,
        supernet: bool,
        loss: float | None,
        delay_ms: float | None,
        mtu: int | None,
    ) -> None: ...
    async def heal(self, thing: str | None) -> None: ...


@runtime_checkable
class CarriesTraffic(Protocol):
    """A world through which real packets pass, and that counts them."""

    async def traffic(self, *, reset: bool = False) -> dict[str, dict[str, float]]: ...


class Systems:
    """A started lab. `verbs` is what its control socket offers; `addresses` what its site file needs to know."""

    def __init__(self, site: Site, ledger: Ledger) -> None:
        self._site, self._ledger = site, ledger
        self._announcements = Announcements(site)
        self._gates: dict[str, FaultGate] = {}
        self._keys = Keys()
        self._world: World
        self._vault: Any
        self._tickets: Any

    @classmethod
    async def start(cls, stack: AsyncExitStack, site: Site, routers: str, folder: Path) -> Systems:
        """Start everything; what was started is stopped by the stack, also when a later part fails."""
        systems = cls(site, Ledger())
        megaport = {"client_id": "lab-megaport", "client_secret": secrets.token_urlsafe(24)}
        megaport_run = {"client_id": "lab-megaport-run", "client_secret": secrets.token_urlsafe(24)}
        servicenow = {"user": "interlock", "password": secrets.token_urlsafe(24)}
        kv = {"megaport": megaport, "megaport-run": megaport_run, "servicenow": servicenow}
        await systems._start_vault(stack, folder, kv)
        await systems._start_world(stack, routers, folder)
        systems._start_tickets(servicenow)
        systems._add_clouds(megaport, megaport_run)
        for gate in systems._gates.values():
            await gate.start()
            stack.push_async_callback(gate.stop)
        return systems

    async def _start_vault(self, stack: AsyncExitStack, folder: Path, kv: dict[str, dict[str, str]]) -> None:
        from lab.vault import LabVault

        self._vault = await LabVault.start(
            folder / "vault", kv={f"interlock/{name}": secret for name, secret in kv.items()}
        )
        stack.push_async_callback(self._vault.stop)

        async def seal(closed: bool) -> None:
            await (self._vault.seal() if closed else self._vault.unseal())

        self._gates["vault"] = FaultGate("vault", self._vault.app, _refuse_vault, seal=seal)

    async def _start_world(self, stack: AsyncExitStack, routers: str, folder: Path) -> None:
        if routers == "frr":
            from lab.frr import FrrLab

            world: Any = FrrLab(self._site, self._ledger)
            await world.start(folder, self._vault.user_ca_line, self._vault.sign_host_key)
        else:
            from lab.embedded.lab import EmbeddedLab

            world = EmbeddedLab(self._site)
            await world.start(self._vault.user_ca_line, self._vault.sign_host_key, ledger=self._ledger)
        stack.push_async_callback(world.stop)
        self._world = world

    def _start_tickets(self, secret: dict[str, str]) -> None:
        from lab.servicenow import LabServiceNow

        self._tickets = LabServiceNow(ci_names(self._site), user=secret["user"], password=secret["password"])
        self._gates["servicenow"] = FaultGate("servicenow", self._tickets, _refuse_tickets)

    def _add_clouds(self, megaport: dict[str, str], run: dict[str, str]) -> None:
        from lab.aws import AwsLab
        from lab.azure import AzureLab
        from lab.circuit_bandwidth import CircuitBandwidth
        from lab.megaport import MegaportLab
        from lab.telemetry import Telemetry

        telemetry = Telemetry(self._site)
        site, world, vault, told = self._site, self._world, self._vault, self._announcements
        login, writers = (megaport["client_id"], megaport["client_secret"]), {run["client_id"]: run["client_secret"]}
        wide, ledger = CircuitBandwidth(site), self._ledger
        writes: dict[str, Any] = {"role_of": vault.role_of, "ledger": ledger, "bandwidth": wide}
        labs: dict[str, Any] = {
            "megaport": MegaportLab(site, world, *login, telemetry, told, writers=writers, ledger=ledger, circuit=wide),
            "azure": AzureLab(site, world, vault.valid_azure, telemetry, told, **writes),
            "aws": AwsLab(site, world, vault.aws_secret, telemetry, told),
        }
        for name, lab in labs.items():
            self._gates[name] = FaultGate(name, lab.app, lab.refuse)

    def verbs(self) -> dict[str, Any]:
        """What the control socket offers beside `down` and `status`."""
        return {
            "fail": self._fail,
            "heal": self._heal,
            "ledger": self._show_ledger,
            "change-new": self._change_new,
            "change-set": self._change_set,
            "change-show": self._change_show,
            "event-new": self._event_new,
            "event-end": self._event_end,
            "secret-id": self._secret_id,
            "sign": self._keys.sign,
            "traffic": self._traffic,
        }

    def status(self) -> dict[str, Any]:
        """What is broken on purpose, and where everything listens."""
        return {
            "failed": list(self._world.failed),
            "faults": {name: gate.fault for name, gate in self._gates.items() if gate.fault != "none"},
            "systems": {name: gate.address for name, gate in self._gates.items()},
            "routers_at": {name: f"{host}:{port}" for name, (host, port) in self._world.endpoints.items()},
        }

    def addresses(self) -> dict[str, Any]:
        """What the site file of this lab must say that the reference cannot know."""
        at = {name: gate.address for name, gate in self._gates.items()}
        return {
            "ssh": {name: list(endpoint) for name, endpoint in self._world.endpoints.items()},
            "systems": at,
            "tokens": {"megaport": f"{at['megaport']}/oauth2/token", "azure": at["azure"]},
            "bmp": {name: f"{host}:{port}" for name, (host, port) in self._world.bmp_endpoints.items()},
            "host_ca": self._vault.host_ca_line,
            "probe_ports": getattr(self._world, "probe_ports", {}),
            "feeds": self._world.feeds,
        }

    async def _fail(
        self,
        thing: str,
        *,
        silent: bool = False,
        oneway: bool = False,
        supernet: bool = False,
        fault: str | None = None,
        **grey: Any,
    ) -> dict[str, Any]:
        """`grey`: loss (percent), delay_ms, mtu (bytes)."""
        if fault is not None:
            await self._gate(thing).set(fault)
        else:
            figures = {"loss": None, "delay_ms": None, "mtu": None} | grey
            await self._world.fail(thing, silent=silent, oneway=oneway, supernet=supernet, **figures)
        return {}

    async def _heal(self, thing: str | None = None) -> dict[str, Any]:
        if thing in self._gates:
            await self._gates[thing].set("none")
            return {}
        await self._world.heal(thing)
        if thing is None:
            await asyncio.gather(*(gate.set("none") for gate in self._gates.values()))
        return {}

    def _gate(self, system: str) -> FaultGate:
        if system not in self._gates:
            raise UnknownThing(f"{system!r} is not a system of the lab; {nearest(system, self._gates)}")
        return self._gates[system]

    async def _show_ledger(self) -> dict[str, Any]:
        writes = [*self._ledger.entries, *self._tickets.ledger]
        rows = [{"at": stamp(w.at), "where": w.where, "what": w.what, "by": w.by} for w in writes]
        return {"schema": 1, "writes": sorted(rows, key=lambda row: row["at"])}

    async def _change_new(self, ci: list[str], window: int, state: str) -> dict[str, Any]:
        return {"number": self._tickets.new_change(ci, window, state)}

    async def _change_set(self, number: str, fields: dict[str, str]) -> dict[str, Any]:
        changed: dict[str, Any] = self._tickets.set_change(number, **fields)
        return changed

    async def _change_show(self, number: str) -> dict[str, Any]:
        shown: dict[str, Any] = self._tickets.show_change(number)
        return shown

    async def _event_new(self, system: str, kind: str, things: list[str], **when: Any) -> dict[str, Any]:
        return {"number": self._announcements.add(system, kind, things, **when).number}

    async def _event_end(self, number: int) -> dict[str, Any]:
        self._announcements.end(number)
        return {}

    async def _traffic(self, *, reset: bool = False) -> dict[str, Any]:
        if not isinstance(self._world, CarriesTraffic):
            raise UnknownThing("only a lab of real routers carries traffic of its own: `lab up --routers frr`")
        return {"schema": 1, "clouds": await self._world.traffic(reset=reset)}

    async def _secret_id(self, operator: str) -> dict[str, Any]:
        wrapped: dict[str, Any] = await self._vault.wrapped_secret_id(operator)
        return wrapped


def stamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ci_names(site: Site) -> list[str]:
    """The CI names in ServiceNow are the site's own names."""
    tables: tuple[Iterable[Named], ...] = (
        site.ports,
        site.vxcs,
        site.connections,
        site.tunnels,
        site.routers,
        site.clouds,
    )
    circuits = [cloud.azure.circuit for cloud in site.clouds if cloud.azure]
    return [*(thing.name for table in tables for thing in table), *circuits]


def _refuse_vault(_request: Request, status: int) -> Response:
    """Vault's own error envelope."""
    text = "request quota exceeded" if status == 429 else "internal error"
    return Response(f'{{"errors":["{text}"]}}', status, media_type="application/json")


def _refuse_tickets(_request: Request, status: int) -> Response:
    """ServiceNow's own error envelope."""
    message = "Rate limit exceeded" if status == 429 else "Internal server error"
    body = {"error": {"message": message, "detail": None}, "status": "failure"}
    return JSONResponse(body, status)
