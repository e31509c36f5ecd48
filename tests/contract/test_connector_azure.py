"""The Azure source over the lab's Azure, a virtual WAN: what it sees, and what each fault is called."""

from collections.abc import AsyncIterator

import pytest

from connectors.errors import Denied
from network.observation import (
    Advertised,
    Attachment,
    Circuit,
    HubPreference,
    Kind,
    SessionThere,
)
from tests.contract.azure_cloud import PATHS, PRIMARY, SECONDARY, SITE, Cloud, Secret, with_azure


@pytest.fixture
def gateway_hops() -> bool:
    return False


@pytest.fixture
async def cloud(gateway_hops: bool) -> AsyncIterator[Cloud]:
    made = Cloud(gateway_hops=gateway_hops)
    await made.start()
    yield made
    await made.stop()


async def test_a_poll_sees_every_layer_of_every_path(cloud: Cloud) -> None:
    seen = await cloud.collect()
    for kind in (Kind.CIRCUIT, Kind.SESSION_THERE, Kind.ATTACHMENT):
        assert {name: seen[kind, name].fact.up for name in PATHS} == dict.fromkeys(PATHS, True)  # type: ignore[attr-defined] # each of the three kinds of fact has `up`
    assert seen[Kind.HUB_PREFERENCE, "azure"].fact == HubPreference("ExpressRoute")
    accepted = seen[Kind.ACCEPTED, SECONDARY].fact
    assert isinstance(accepted, Advertised)
    assert {route.prefix: route.as_path for route in accepted.routes} == {
        "10.10.0.0/16": (65010, 65010, 65010),
        "10.11.0.0/16": (65010, 65010, 65010),
        "10.10.255.2/32": (65010, 65010, 65010),
    }
    session = seen[Kind.SESSION_THERE, PRIMARY]
    assert isinstance(session.fact, SessionThere)
    assert (session.fact.state, session.fact.received) == ("Established", 3)
    assert session.evidence.endswith("/peerings/AzurePrivatePeering/routeTablesSummary/primary")
    assert (session.source, session.fresh_s) == ("azure", 11.0)


async def test_no_secret_that_azure_shows_is_kept(cloud: Cloud) -> None:
    kept = " ".join(item.raw for item in (await cloud.collect()).values())
    assert cloud.lab.secrets
    assert not [secret for secret in cloud.lab.secrets if secret in kept]


async def test_a_dead_link_shows_in_its_circuit_and_session_and_moves_the_way_back(cloud: Cloud) -> None:
    assert await cloud.way_back() == (PRIMARY,)
    cloud.world.down = {"er-primary"}
    seen = await cloud.collect()
    circuit, session = seen[Kind.CIRCUIT, PRIMARY].fact, seen[Kind.SESSION_THERE, PRIMARY].fact
    assert isinstance(circuit, Circuit)
    assert isinstance(session, SessionThere)
    assert (circuit.up, circuit.state.rpartition(", ")[2]) == (False, "layer 2 incomplete")
    assert (session.up, session.state) == (False, "Idle")
    assert seen[Kind.CIRCUIT, SECONDARY].fact.up  # type: ignore[attr-defined] # a Circuit
    assert seen[Kind.ACCEPTED, PRIMARY].fact == Advertised(())
    assert await cloud.way_back() == (SECONDARY,)


async def test_a_dead_tunnel_and_a_dead_session_on_a_live_tunnel(cloud: Cloud) -> None:
    cloud.world.down = {"vpn-azure-1", "bgp azure/vpn-2"}
    seen = await cloud.collect()
    assert seen[Kind.CIRCUIT, "azure/vpn-1"].fact == Circuit(up=False, state="NotConnected")
    assert seen[Kind.ATTACHMENT, "azure/vpn-1"].fact == Attachment(up=True, state="Succeeded")
    assert seen[Kind.CIRCUIT, "azure/vpn-2"].fact == Circuit(up=True, state="Connected")
    for name in ("azure/vpn-1", "azure/vpn-2"):
        assert seen[Kind.SESSION_THERE, name].fact == SessionThere(up=False, state="down", received=0)


@pytest.mark.parametrize("gateway_hops", [False, True], ids=["hops name connections", "hops name gateways"])
async def test_over_vpn_the_way_back_is_by_the_tunnels(cloud: Cloud) -> None:
    cloud.world.down = {"vxc-azure-a", "vxc-azure-b", "vpn-azure-1"}
    assert await cloud.way_back() == ("azure/vpn-2",)


async def test_a_drain_by_microsoft_is_seen_although_the_legs_own_table_is_shorter(cloud: Cloud) -> None:
    cloud.world.chosen_by_cloud["azure"] = {"10.10.0.0/16": (SECONDARY,)}
    assert await cloud.way_back() == (SECONDARY,)


async def test_the_tables_are_kept_between_polls_and_read_anew_when_something_changed() -> None:
    cloud = Cloud(SITE.model_copy(update={"mode": "live"}))  # where they are kept for longer than any poll takes
    await cloud.start()
    first = await cloud.poll()
    again = await cloud.poll()
    assert again[Kind.CLOUD_ROUTES, "azure"] is first[Kind.CLOUD_ROUTES, "azure"]
    assert again[Kind.CIRCUIT, PRIMARY].at > first[Kind.CIRCUIT, PRIMARY].at
    assert (await cloud.collect())[Kind.CLOUD_ROUTES, "azure"].at > first[Kind.CLOUD_ROUTES, "azure"].at
    await cloud.stop()


async def test_a_revoked_token_is_replaced_once_for_all_calls(cloud: Cloud) -> None:
    await cloud.collect()
    cloud.lab.bearers.revoke_all()
    assert await cloud.collect()
    assert cloud.fetched == 2


async def test_a_wrong_secret_is_denied_and_not_told(cloud: Cloud) -> None:
    cloud.secret = Secret(client_secret="wrong-secret-value")
    with pytest.raises(Denied, match="invalid_client") as caught:
        await cloud.collect()
    assert "wrong-secret-value" not in str(caught.value)
    assert cloud.fetched == 1, "one secret is minted for a poll, not one for each of its calls"
    with pytest.raises(Denied, match="invalid_client"):
        await cloud.source._api.login()
    assert cloud.fetched == 1, "however late in the poll a call comes"
    with pytest.raises(Denied, match="invalid_client"):
        await cloud.collect()
    assert cloud.fetched == 2


async def test_a_part_that_may_not_be_read_leaves_the_rest_readable() -> None:
    other = Cloud(with_azure(hub="another-hub"), SITE)
    await other.start()
    seen, errors = await other.collect_some()
    assert "HTTP 404" in errors
    assert (Kind.SESSION_THERE, PRIMARY) in seen
    assert (Kind.CLOUD_ROUTES, "azure") not in seen
    await other.stop()
