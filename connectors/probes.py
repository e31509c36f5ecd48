"""Probes: is traffic carried, path by path. STAMP packets from each path's own source address.

Sent by a thread of this process (`sender: local`; a loop of its own keeps the timing) or by a host behind the
edges (`sender: host`), over SSH, with nothing installed there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from connectors.errors import BadReply, Unreachable
from connectors.ports import Clock
from connectors.routers.ssh import BytesIn, Connection, Host, Login, Sign
from connectors.sizes import Sizes
from connectors.stamp_script import Sender
from network.inventory import Site
from network.measured import LossCount, ProbeResult
from network.observation import Kind, Observation
from network.surroundings import ProbeHost

#: A path that dies is seen within the interval + 0.2 s (overdue) + these two + a second without any answer at a higher
#: rate than one a second: 1.5 s either way.
REPORT_S, READ_S = 0.1, 0.2
FIRST_S = 4.0  # for the first report after a start
LOOKS = 10  # at a sender that says nothing new, before it is started anew


class LongRow(BaseModel):
    """The probes that count for grey trouble; `age_s` is that of the first lost one."""

    sent: int
    lost: int
    times: int
    lost_out: int | None
    lost_back: int | None
    age_s: float | None


class MtuRow(BaseModel):
    """The largest packet that came back whole, and how long ago that was found."""

    passes: int | None
    age_s: float


class ResultRow(BaseModel):
    """One path's window as the sender reports it."""

    model_config = ConfigDict(frozen=True)

    path: str
    sent: int
    received: int
    rtt_ms: float | None
    pinned: bool
    why: str
    lost_out: int | None
    lost_back: int | None
    median_ms: float | None
    usual_ms: float | None
    step_out_ms: float | None
    step_age_s: float | None
    long: LongRow
    mtu: MtuRow | None


_ROWS: TypeAdapter[list[ResultRow]] = TypeAdapter(list[ResultRow])
Report = tuple[float, list[ResultRow]]  # monotonic seconds, one row a path


class Prober(Protocol):
    """Something that sends probes."""

    async def latest(self) -> Report:
        """The newest report; starts the sender, and waits only for its first one. Raises Unreachable, BadReply."""

    async def close(self) -> None: ...


class ProbeSource:
    """The probes of every path as a status source. It reads the newest report and never waits for a probe.

    A ProbeResult's window is the site's `window_s` (at least 3 probes); when nothing came back for a second it is just
    the lost ones, so `received` 0 and `rtt_ms` None mean dead. `pinned` False: the source address is not there.
    """

    name = "probes"
    kind = "probes"

    def __init__(
        self,
        site: Site,
        login: Login | None = None,
        clock: Clock = lambda: datetime.now(UTC),
        sizes: Sizes | None = None,
    ) -> None:
        probes = site.probes
        self._sizes = sizes or Sizes(site)
        self.cadence_s = min(probes.interval_s, READ_S)
        self.deadline_s = 15.0 if probes.sender == "host" else 5.0
        self._clock = clock
        self._fresh_s = 2 * probes.interval_s + probes.timeout_s
        self._prober = _prober(site, login)

    async def collect(self) -> Sequence[Observation]:
        """The newest result of every path. Raises Unreachable, BadReply, or what logging in to the host raises."""
        read_at, rows = await self._newest()
        now = self._clock() - timedelta(seconds=time.monotonic() - read_at)
        sizes = (self._size(row.path, row.mtu, now) for row in rows if row.mtu is not None)
        return [*(self._observation(row, now) for row in rows), *sizes]

    async def close(self) -> None:
        await self._prober.close()

    async def _newest(self) -> Report:
        """A report that still holds. Where there is none, this process may have stood still: what came is read first.

        Counted in looks and not in seconds, for it may stand still again.
        """
        age_s = 0.0
        for _ in range(LOOKS):
            report = await self._prober.latest()
            age_s = time.monotonic() - report[0]
            if age_s <= self._fresh_s:
                return report
            await asyncio.sleep(self.cadence_s)
        await self._prober.close()
        raise _silent(f"nothing from the probe sender for {age_s:.1f} s")

    def _observation(self, row: ResultRow, at: datetime) -> Observation:
        fact = ProbeResult(
            row.sent,
            row.received,
            row.rtt_ms,
            pinned=row.pinned,
            why=row.why,
            lost_out=row.lost_out,
            lost_back=row.lost_back,
            usual_ms=row.usual_ms,
            median_ms=row.median_ms,
            step_out_ms=row.step_out_ms,
            step_since=_ago(at, row.step_age_s),
            long=LossCount(
                row.long.sent,
                row.long.lost,
                row.long.times,
                row.long.lost_out,
                row.long.lost_back,
                _ago(at, row.long.age_s),
            ),
        )
        evidence = "STAMP from the path's own source address"
        return Observation(Kind.PROBE, row.path, fact, self.name, at, self._fresh_s, evidence, row.model_dump_json())

    def _size(self, path: str, mtu: MtuRow, at: datetime) -> Observation:
        seen_at, fact = at - timedelta(seconds=mtu.age_s), self._sizes.passed(path, mtu.passes)
        evidence = "STAMP packets of that size, not to be fragmented, there and back"
        return Observation(
            Kind.MTU, path, fact, self.name, seen_at, self._sizes.fresh_s, evidence, mtu.model_dump_json()
        )


def _ago(at: datetime, age_s: float | None) -> datetime | None:
    return None if age_s is None else at - timedelta(seconds=age_s)


def probe_source(site: Site, clock: Clock, sign: Sign, sizes: Sizes | None = None) -> ProbeSource:
    """The site's probes; `sign` certifies the key for the probe host and is not called when this machine sends.

    Raises HostCaMissing when a host sends and the site names no host CA.
    """
    if site.probes.sender == "local":
        return ProbeSource(site, None, clock, sizes)
    vault = site.systems.vault
    return ProbeSource(site, Login(vault.probe_principal, vault.host_ca, sign), clock, sizes)


class LocalProber:
    """The sender in a thread of its own."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._thread: threading.Thread | None = None
        self._wake = -1
        self._first = asyncio.Event()
        self._report: Report | None = None
        self._failure = "it ended"

    async def latest(self) -> Report:
        if self._thread is None:
            self._start(asyncio.get_running_loop())
        await _within(self._first, FIRST_S)
        if self._report is None or self._thread is None or not self._thread.is_alive():
            await self.close()
            raise _silent(f"the probe thread stopped: {self._failure}")
        return self._report

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            os.close(self._wake)  # the thread holds the other end of the pipe and wakes on its end
            await asyncio.to_thread(thread.join, 2.0)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        stop, self._wake = os.pipe()
        self._first, self._report = asyncio.Event(), None
        self._thread = threading.Thread(target=self._run, args=(stop, loop), name="probes", daemon=True)
        self._thread.start()

    def _run(self, stop: int, loop: asyncio.AbstractEventLoop) -> None:
        def report(results: list[dict[str, Any]]) -> bool:
            first = self._report is None
            self._report = time.monotonic(), _ROWS.validate_python(results)
            if first:
                loop.call_soon_threadsafe(self._first.set)
            return True

        try:
            Sender(self._config, report, stop).run()
        except Exception as error:  # noqa: BLE001 -- a thread has no caller: it is told at the next collect
            self._failure = f"{type(error).__name__}: {error}"
        finally:
            os.close(stop)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(self._first.set)


class HostProber:
    """The sender on a host behind the edges: the script goes to its `python3 -`, JSON lines come back."""

    def __init__(self, config: dict[str, Any], host: ProbeHost, login: Login) -> None:
        self._login, self._host = login, Host(host.name, host.address, host.ssh_port)
        self._script = script(config)
        self._connection: Connection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._first = asyncio.Event()
        self._report: Report | None = None

    async def latest(self) -> Report:
        if self._reading is None:
            await self._start()
        await _within(self._first, FIRST_S)
        reading, report = self._reading, self._report
        failure = reading.exception() if reading is not None and reading.done() else None
        if failure is not None or report is None:
            await self.close()
            raise failure or _silent(f"no report from {self._host.name} within {FIRST_S:g} s")
        return report

    async def close(self) -> None:
        reading, self._reading = self._reading, None
        connection, self._connection = self._connection, None
        if reading is not None and not reading.cancel() and not reading.cancelled():
            reading.exception()  # it has been told already, or nobody is left to be told
        if connection is not None:
            await connection.close()

    async def _start(self) -> None:
        self._first, self._report = asyncio.Event(), None
        self._connection = await self._login.connect(self._host)
        try:
            reader = await self._connection.feed("python3 -", self._script)
        except BaseException:
            await self.close()
            raise
        self._reading = asyncio.create_task(self._read(reader, self._first), name="probe-host")

    async def _read(self, reader: BytesIn, first: asyncio.Event) -> None:
        try:
            while True:
                line = await reader.readuntil(b"\n")
                self._report = time.monotonic(), _rows(line, self._host.name)
                first.set()
        except (OSError, asyncio.IncompleteReadError) as error:
            raise _silent(f"the probe script on {self._host.name} ended ({error})") from error
        finally:
            first.set()


def script(config: dict[str, Any]) -> bytes:
    """The sender as one text for `python3 -`: its modules, made there from their sources, and the call of its main."""
    names = ("connectors", "connectors.stamp_figures", "connectors.stamp_script")
    folder = files("connectors")
    texts = ["", *(folder.joinpath(f"{name.partition('.')[2]}.py").read_text("utf-8") for name in names[1:])]
    return _BOOTSTRAP.format(modules=dict(zip(names, texts, strict=True)), config=json.dumps(config)).encode()


_BOOTSTRAP = """
import json, sys, types
for name, text in {modules!r}.items():
    sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), sys.modules[name].__dict__)
sys.modules["connectors.stamp_script"].main(json.loads({config!r}))
"""


def _prober(site: Site, login: Login | None) -> Prober:
    probes = site.probes
    config = {
        "interval_s": probes.interval_s,
        "timeout_s": probes.timeout_s,
        "window_s": probes.window_s,
        "grey_s": probes.grey_s,
        "mtu_every_s": probes.mtu_every_s,
        "step_ms": site.policy.latency_step_ms,
        "step_pct": site.policy.latency_step_pct,
        "report_s": min(REPORT_S, probes.interval_s),
        "paths": [
            {
                "path": path.name,
                "source": str(path.probe.bind or path.probe.source),
                "target": str(path.probe.target),
                "port": path.probe.port,
                "mtu": path.probe.mtu,
            }
            for path in site.paths
            if path.probe is not None
        ],
    }
    if probes.sender == "local":
        return LocalProber(config)
    if probes.host is None or login is None:
        raise ValueError("probes.sender is `host`: the site names it in probes.host, and it needs a login")
    return HostProber(config, probes.host, login)


def _rows(line: bytes, host: str) -> list[ResultRow]:
    try:
        return _ROWS.validate_json(line)
    except ValidationError as error:
        raise BadReply(
            "no probe report",
            where=host,
            do_next="Check that the host has a python3 (3.8 or newer) and what its login prints.",
            evidence=line.decode("utf-8", "backslashreplace"),
        ) from error


async def _within(first: asyncio.Event, seconds: float) -> None:
    # Not wait_for: on Python 3.11 it swallows a cancellation that meets an event already set.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await first.wait()


def _silent(what: str) -> Unreachable:
    return Unreachable(what, where="probes", do_next="It is started anew at the next poll.")
