"""The site's AWS side: the cloud's paths by kind and the ids that AWS has for them."""

from __future__ import annotations

import hashlib

from network.inventory import AwsSide, Path, Site


class Side:
    """`side` is the cloud's part of the site file; `cloud` its name."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.cloud, self.side = _aws(site)
        self.dx_attachment = made_up("tgw-attach", self.side.dx_gateway_id)

    def dx_paths(self) -> list[Path]:
        return [path for path in self.site.paths_of(self.cloud) if path.kind == "directconnect"]

    def vpn_paths(self) -> list[Path]:
        return [path for path in self.site.paths_of(self.cloud) if path.kind == "vpn"]

    def vpn_connections(self) -> dict[str, list[Path]]:
        """VPN connection ids with the paths whose tunnels they hold."""
        found: dict[str, list[Path]] = {}
        for path in self.vpn_paths():
            found.setdefault(self.vpn_id(path), []).append(path)
        return found

    def vpn_id(self, path: Path) -> str:
        return self.side.vpn_connection_ids[path.tunnel or ""]

    def attachment(self, path: Path) -> tuple[str, str, str]:
        """A path's way into the transit gateway: attachment id, resource type, resource id."""
        if path.kind == "directconnect":
            return self.dx_attachment, "direct-connect-gateway", self.side.dx_gateway_id
        vpn = self.vpn_id(path)
        return made_up("tgw-attach", vpn), "vpn", vpn

    def vpcs(self) -> dict[str, tuple[str, str]]:
        """Prefix to (attachment id, VPC id) of the VPCs behind the transit gateway."""
        prefixes = [str(prefix.prefix) for prefix in self.site.cloud(self.cloud).prefixes]
        return {prefix: (made_up("tgw-attach", prefix), made_up("vpc", prefix)) for prefix in prefixes}


def made_up(kind: str, name: str) -> str:
    """An AWS id that is the same on every run."""
    return f"{kind}-0{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _aws(site: Site) -> tuple[str, AwsSide]:
    for cloud in site.clouds:
        if cloud.aws is not None:
            return cloud.name, cloud.aws
    raise ValueError(f"site {site.name} has no cloud of provider aws: the lab's AWS has nothing to serve")
