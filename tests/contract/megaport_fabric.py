"""The lab's fabric behind its fault gate, and a source that polls and asks it."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any

from connectors.megaport import MegaportSource
from connectors.megaport_telemetry import series_of
from lab.announcements import Announcements
from lab.faults import FaultGate
from lab.ledger import Ledger
from lab.megaport import MegaportLab
from lab.telemetry import Telemetry
from network.inventory import Site
from network.observation import Kind, Observation
from tests.contract.fake_world import World, reference, with_mcr

SITE = with_mcr(reference())
MCR = SITE.mcrs[0]
PEER = SITE.session(SITE.path("azure/er-primary").session).peer
#: Longer than any call: what is tested is what is said, not how soon.
PATIENT_S = 30.0


class Cut:
    """An app whose answers break off in the middle once `cutting`; the token endpoint stays whole."""

    def __init__(self, app: Any) -> None:
        self.app, self.cutting, self.asked = app, False, list[str]()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        if not self.cutting or scope["path"] == "/oauth2/token":
            await self.app(scope, receive, send)
            return
        start: dict[str, Any] = {}

        async def halve(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            body = message["body"][: len(message["body"]) // 2]
            headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
            await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
            await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, halve)


class Fabric:
    """`fetched` counts how often the credential was asked for; `wire.asked` are the paths of every request."""

    def __init__(self, *, slow_s: float = 8.0, writers: Mapping[str, str] | None = None) -> None:
        self.world, self.fetched, self.secret = World(SITE), 0, "secret-of-the-fabric"
        self.announcements = Announcements(SITE)
        self.ledger = Ledger()
        self.lab = MegaportLab(
            SITE,
            self.world,
            "interlock",
            self.secret,
            Telemetry(SITE),
            self.announcements,
            writers=writers,
            ledger=self.ledger,
        )
        self.wire = Cut(self.lab.app)
        self.gate = FaultGate("megaport", self.wire, self.lab.refuse, slow_s=slow_s)
        self.source: MegaportSource

    async def credentials(self) -> dict[str, str]:
        self.fetched += 1
        return {"client_id": "interlock", "client_secret": self.secret}

    async def start(self, site: Site = SITE) -> None:
        await self.gate.start()
        self.source = self.source_of(site)
        self.deadline(PATIENT_S)

    def source_of(self, site: Site) -> MegaportSource:
        system = {"address": self.gate.address, "token_address": f"{self.gate.address}/oauth2/token"}
        systems = site.systems.model_copy(update={"megaport": site.systems.megaport.model_copy(update=system)})
        source = MegaportSource(
            site.model_copy(update={"systems": systems}), lambda: datetime.now(UTC), self.credentials
        )
        source.glass._first_pause_s = 0.01
        return source

    def deadline(self, seconds: float) -> None:
        self.source.client.polled.deadline_s = self.source.client.asked.deadline_s = seconds

    async def collect(self) -> dict[tuple[Kind, str], Observation]:
        return {item.key: item for item in await self.source.collect()}

    async def stop(self) -> None:
        await self.source.close()
        await self.gate.stop()

    def questions(self) -> dict[str, Callable[[], Awaitable[Any]]]:
        """Everything that can be asked on demand."""
        source, vxc, lane = self.source, SITE.vxc("vxc-azure-a"), self.source.client.asked
        an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
        return {
            "ip routes": lambda: source.glass.ip_routes(MCR),
            "bgp routes": lambda: source.glass.bgp_routes(MCR),
            "sessions": lambda: source.glass.sessions(MCR),
            "neighbour": lambda: source.glass.neighbour_routes(MCR, PEER, "received"),
            "ping": lambda: source.glass.ping(MCR, IPv4Address("10.50.0.1")),
            "traceroute": lambda: source.glass.traceroute(MCR, IPv4Address("10.50.0.1")),
            "azure key": lambda: source.lookups.azure_key("a-key-of-somebody-else"),
            "hosted": source.lookups.aws_hosted_connection,
            "service key": lambda: source.lookups.service_key(self.lab.offers.partner_key),
            "partner ports": lambda: source.lookups.partner_ports("AWSHC"),
            "locations": source.lookups.locations,
            "price": lambda: source.prices.resize(vxc, 2000),
            "series": lambda: series_of(lane, vxc, ("BITS", "PACKETS"), start=an_hour_ago),
        }
