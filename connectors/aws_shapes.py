"""What the readers of AWS's replies share: how EC2 spells its keys, prefixes that are prefixes, our rows alone."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_pascal

from connectors.reply import Shape, mapping
from network.inventory import AwsSide, Cloud, Path, Site


def _utc(when: datetime) -> datetime:
    """Botocore gives the zone of this machine; a time at the edge of the calendar could not be reckoned with."""
    if not 1970 <= when.year < 9000:
        raise ValueError("a time of this age is expected")
    return when.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_utc)]


def _network(value: object) -> IPv4Network | IPv6Network:
    if not isinstance(value, str):
        raise ValueError("a prefix is expected")  # noqa: TRY004 - pydantic turns a ValueError into the field's fault
    return ip_network(value)


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]


class Ec2(Shape):
    """EC2 and CloudWatch spell their keys in PascalCase."""

    model_config = ConfigDict(alias_generator=to_pascal)


def side_of(cloud: Cloud) -> AwsSide:
    assert cloud.aws is not None, "the site file's model sees to it"
    return cloud.aws


def dx_paths(site: Site, cloud: Cloud) -> tuple[Path, ...]:
    return tuple(path for path in site.paths_of(cloud.name) if path.kind == "directconnect")


def vpn_paths(site: Site, cloud: Cloud) -> tuple[Path, ...]:
    return tuple(path for path in site.paths_of(cloud.name) if path.kind == "vpn")


def only(data: Any, key: str, wanted: Collection[str], identity: str, where: str) -> dict[str, Any]:
    """The reply with only those rows of `key` whose `identity` is `wanted`: others' oddities are not ours.

    A row that is no object stays: its reader refuses it.
    """
    reply = dict(mapping(data, where))
    rows = reply.get(key)
    if isinstance(rows, list):
        reply[key] = [row for row in rows if not isinstance(row, dict) or _one_of(row.get(identity), wanted)]
    return reply


def _one_of(identity: Any, wanted: Collection[str]) -> bool:
    return isinstance(identity, str) and identity in wanted
