"""`ping` on an edge, as the guard lets it be asked: iputils' own words, over the model's links. It takes no time."""

from __future__ import annotations

from lab.embedded.reflectors import HEADERS, Passage, Ways
from lab.embedded.shows.view import EdgeView
from network.inventory import Path

PAYLOAD, TTL = 56, 64


def ping(view: EdgeView, ways: Ways, words: list[str]) -> tuple[int, str]:
    """(exit status, output): 0 when something came back, 1 when nothing did, 2 when there is no way at all."""
    target, source = words[-1], words[-2]
    count, payload = int(words[words.index("-c") + 1]), PAYLOAD
    hops = int(words[words.index("-t") + 1]) if "-t" in words else TTL
    if "-s" in words:
        payload = int(words[words.index("-s") + 1])
    path = _path(view, source)
    if path is None:
        return 2, "ping: connect: Network is unreachable\n"
    peer = str(view.world.site.session(path.session).peer)
    size = payload + HEADERS
    lines = [f"PING {target} ({target}) from {source} : {payload}({size}) bytes of data."]
    came = 0
    for nth in range(1, count + 1):
        passage = ways.leg(path, size) if target == peer or hops == 1 else ways.passage(path, size)
        if passage is None or passage.lost_back:
            continue
        if target != peer and hops == 1:
            lines.append(f"From {peer} icmp_seq={nth} Time to live exceeded")
            continue
        came += 1
        lines.append(f"{payload + 8} bytes from {target}: icmp_seq={nth} ttl={TTL} time={_ms(passage):.2f} ms")
    lost = 100 * (count - came) // count
    lines += ["", f"--- {target} ping statistics ---"]
    lines.append(f"{count} packets transmitted, {came} received, {lost}% packet loss, time {200 * (count - 1)}ms")
    return int(came == 0), "\n".join(lines) + "\n"


def _path(view: EdgeView, source: str) -> Path | None:
    """The path whose session has this address of ours."""
    site = view.world.site
    mine = (path for path in site.paths if site.session(path.session).router == view.router)
    return next((path for path in mine if str(site.session(path.session).local) == source), None)


def _ms(passage: Passage) -> float:
    return 1000 * (passage.out_s + passage.back_s)
