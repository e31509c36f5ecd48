"""The embedded lab: the reference site in this process, unprivileged, ready in a fraction of a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from lab.embedded.bmp import BmpSpeaker
from lab.embedded.door import Door, SignHostKey
from lab.embedded.reflectors import Ways, open_reflectors
from lab.embedded.shows.view import EdgeView
from lab.embedded.things import How, Things
from lab.embedded.timers import Timers
from lab.embedded.timing import Clock
from lab.embedded.vty import Vty
from lab.embedded.world import World
from lab.facts import FarSession
from lab.feed import feed_app
from lab.grey import asked
from lab.ledger import Ledger
from lab.ports import ADDRESS
from lab.serve import Served
from network.inventory import Site


class EmbeddedLab:
    """Implements `lab.facts.Facts`.

    `endpoints` are the edges' SSH servers, `bmp_endpoints` where they accept BMP stations, `probe_ports` the paths'
    reflectors.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.endpoints: dict[str, tuple[str, int]] = {}
        self.bmp_endpoints: dict[str, tuple[str, int]] = {}
        self.probe_ports: dict[str, int] = {}
        self._speakers: dict[str, BmpSpeaker] = {}
        self._doors: dict[str, Door] = {}
        self._reflectors: dict[str, asyncio.DatagramTransport] = {}
        self._feeds: dict[str, Served] = {}
        self._timers: list[Timers] = []
        self.world: World
        self._things: Things

    async def start(self, user_ca_line: str, sign_host_key: SignHostKey, *, ledger: Ledger) -> None:
        """Every session is Established at once and claims to be a minute old. `user_ca_line` signs the users."""
        self.world = World(self.site, Clock(time.time()))
        self._things = Things(self.world)
        ways = Ways(self.world)
        for router in self.site.routers:
            view = EdgeView(self.world, router.name)
            vty = Vty(view, ledger, ways)
            self._timers.append(vty.timers)
            door = Door(router.name, vty, user_ca_line)
            await door.certify(sign_host_key)
            await door.open()
            self._doors[router.name] = door
            self.endpoints[router.name] = (ADDRESS, door.port)
            self._speakers[router.name] = speaker = BmpSpeaker(view)
            await speaker.open()
            self.bmp_endpoints[router.name] = (ADDRESS, speaker.port)
        for feed in self.site.feeds:
            served = self._feeds[feed.name] = Served(f"feed {feed.name}", feed_app(self, feed))
            await served.start()
        self._reflectors = await open_reflectors(self.world, ways)
        self.probe_ports = {name: t.get_extra_info("sockname")[1] for name, t in self._reflectors.items()}

    async def stop(self) -> None:
        """Close every port and stop every timer."""
        for transport in self._reflectors.values():
            transport.close()
        for served in self._feeds.values():
            await served.stop()
        for door in self._doors.values():
            await door.shut()
        for speaker in self._speakers.values():
            await speaker.shut()
        for timers in self._timers:
            timers.stop()
        self.world.clock.stop()

    @property
    def feeds(self) -> dict[str, str]:
        """Where each feed is asked for, by name."""
        return {name: f"{served.address}/" for name, served in self._feeds.items()}

    @property
    def failed(self) -> tuple[str, ...]:
        """What is broken now, in the order in which it was."""
        return tuple(self._things.failed)

    async def fail(
        self,
        thing: str,
        *,
        silent: bool = False,
        oneway: bool = False,
        supernet: bool = False,
        loss: float | None = None,
        delay_ms: float | None = None,
        mtu: int | None = None,
    ) -> None:
        """Break a thing (`lab fail THING`). Raises UnknownThing with the nearest name."""
        self._things.fail(thing, How(silent, oneway, supernet, asked(loss, delay_ms, mtu, oneway=oneway)))
        await self._follow_routers()

    async def heal(self, thing: str | None = None) -> None:
        """Mend one thing, or everything. Raises UnknownThing with the nearest name."""
        self._things.heal(thing)
        await self._follow_routers()

    async def _follow_routers(self) -> None:
        """A dead router answers nobody; a mended one listens again where it did."""
        for name, door in self._doors.items():
            up = self.world.links.router_up(name)
            if up and not door.is_open:
                await door.open()
                await self._speakers[name].open()
            elif not up and door.is_open:
                await door.shut(keep_port=True)
                await self._speakers[name].shut(keep_port=True)

    def shape(self, vxc: str, mbps: int) -> None:
        """From now on the VXC carries no more than `mbps`."""
        self.world.shape(vxc, mbps)

    # --- lab.facts.Facts, from the world ---

    def port_up(self, port: str) -> bool:
        return self.world.port_up(port)

    def vxc_up(self, vxc: str) -> bool:
        return self.world.vxc_up(vxc)

    def connection_up(self, connection: str) -> bool:
        return self.world.connection_up(connection)

    def tunnel_up(self, tunnel: str) -> bool:
        return self.world.tunnel_up(tunnel)

    def far_session(self, path: str) -> FarSession:
        return self.world.far_session(path)

    def chosen(self, cloud: str) -> Mapping[str, tuple[str, ...]]:
        return self.world.chosen(cloud)

    def mbps(self, path: str) -> tuple[float, float]:
        return self.world.mbps(path)
