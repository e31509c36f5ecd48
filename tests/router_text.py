"""A running configuration in FRR's layout for the reference site's edges, for tests of plans and verbs."""

from __future__ import annotations

from network.inventory import Site


def running(site: Site, router: str) -> str:
    lines = [
        "Building configuration...",
        "",
        "Current configuration:",
        "!",
        "frr version 8.4.4",
        f"hostname {router}",
        "!",
    ]
    for session in site.sessions:
        if session.router != router or session.policy is None:
            continue
        policy = session.policy
        lines += [f"route-map {policy.import_map} permit 10", " match ip address prefix-list CLOUD"]
        lines += [f" set local-preference {policy.local_pref}", "exit", "!"]
        lines += [f"route-map {policy.export_map} permit 10", " match ip address prefix-list SANCTIONED"]
        if policy.prepend:
            lines.append(f" set as-path prepend {' '.join(['65010'] * policy.prepend)}")
        if policy.community:
            lines.append(f" set community {policy.community}")
        lines += ["exit", "!"]
    return "\n".join([*lines, "end", ""])
