"""Endpoints, certificates and addresses: what discovery tells, and that each one works (Part 6 6.2.2)."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509

from foreign import ForeignClient, Town, until
from relay import Relay

pytestmark = pytest.mark.interop

POLICIES = ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
SECURED = [(policy, mode) for policy in POLICIES for mode in ("Sign", "SignAndEncrypt")]
POWER = "ns=2;s=m0000.ActivePower"
BEHIND_NAT = ("opc.tcp://hub.example.org:14840/joulehub", "opc.tcp://192.0.2.7:4840")


@pytest.fixture(scope="module")
def finder() -> Iterator[ForeignClient]:
    """A client that only looks for endpoints."""
    foreign = ForeignClient()
    try:
        yield foreign
    finally:
        foreign.close()


@pytest.fixture(scope="module")
def offered(calm_town: Town, finder: ForeignClient) -> list[dict[str, Any]]:
    """Endpoints as they are shown to a client that came by address."""
    endpoints: list[dict[str, Any]] = finder("endpoints", url=calm_town.url)["endpoints"]
    return endpoints


@pytest.fixture(scope="module")
def guarded_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A hub behind NAT that takes nobody without security; its meters are silent."""
    place = Town(
        tmp_path_factory.mktemp("guarded_town"),
        opcua=f"allow_none_security = false\nadvertised_urls = {list(BEHIND_NAT)}",
    )
    try:
        place.start_hub()
        yield place
    finally:
        place.stop()


def certificate_of(endpoint: dict[str, Any]) -> x509.Certificate:
    return x509.load_der_x509_certificate(base64.b64decode(endpoint["certificate"]))


def alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_all_current_policies_are_offered_signed_and_encrypted_and_no_old_ones(offered: list[dict[str, Any]]) -> None:
    shown = {(one["policy"], one["mode"]) for one in offered}
    assert shown == {*SECURED, ("None", "None")}
    levels = {(one["policy"], one["mode"]): one["level"] for one in offered}
    assert levels["None", "None"] == min(levels.values())
    for policy in POLICIES:
        assert levels[policy, "SignAndEncrypt"] > levels[policy, "Sign"] > levels["None", "None"]


def test_the_certificate_carries_the_application_uri_and_is_on_every_endpoint(offered: list[dict[str, Any]]) -> None:
    assert all(one["certificate"] for one in offered), "also without security"
    assert len({one["certificate"] for one in offered}) == 1
    (uri,) = {one["applicationUri"] for one in offered}
    names = alternative_names(certificate_of(offered[0]))
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [uri]
    hosts = {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}
    assert {"localhost", "127.0.0.1"} <= hosts


def test_the_application_uri_is_the_same_wherever_it_is_shown(caller: ForeignClient, finder: ForeignClient) -> None:
    server_array, namespaces = (one["value"] for one in caller("read", nodeIds=["i=2254", "i=2255"])["answers"])
    assert len(server_array) == 1
    assert namespaces[1] == server_array[0]


def test_servers_found_are_this_one(calm_town: Town, finder: ForeignClient, offered: list[dict[str, Any]]) -> None:
    found = finder("endpoints", url=calm_town.url)["servers"]
    assert [one["applicationUri"] for one in found] == [offered[0]["applicationUri"]]
    assert all("0.0.0.0" not in url for one in found for url in one["discoveryUrls"])


@pytest.mark.parametrize("way", ["address", "name", "port-forward"])
def test_endpoints_show_the_address_by_which_the_client_came(
    calm_town: Town, finder: ForeignClient, relay: Relay, way: str
) -> None:
    url = {
        "address": f"opc.tcp://127.0.0.1:{calm_town.port}",
        "name": f"opc.tcp://localhost:{calm_town.port}",
        "port-forward": relay.url,
    }[way]
    shown = {one["url"] for one in finder("endpoints", url=url)["endpoints"]}
    assert {one.removeprefix("opc.tcp://").split("/")[0] for one in shown} == {url.removeprefix("opc.tcp://")}


@pytest.mark.parametrize(("policy", "mode"), SECURED)
def test_a_secured_client_connects_reads_and_subscribes(
    calm_town: Town, finder: ForeignClient, policy: str, mode: str
) -> None:
    try:
        finder("connect", url=calm_town.url, securityPolicy=policy, securityMode=mode)
        answer = finder("read", nodeIds=[POWER])["answers"][0]
        assert answer["statusName"] == "Good"
        subscription = finder("subscribe", nodeIds=[POWER], publishingInterval=100)
        assert finder("notes", id=subscription["id"], atLeast=1, timeoutMs=60_000)["notes"]
        assert finder("browse", nodeIds=["ns=2;s=root"])["answers"][0]["status"] == "Good"
    finally:
        finder("disconnect")


def test_a_secured_client_comes_back_after_its_line_was_cut(finder: ForeignClient, relay: Relay) -> None:
    try:
        finder("connect", url=relay.url, securityPolicy="Basic256Sha256", securityMode="SignAndEncrypt")
        subscription = finder("subscribe", nodeIds=[POWER], publishingInterval=100)
        assert finder("notes", id=subscription["id"], atLeast=2, timeoutMs=60_000)["notes"]
        relay.cut()
        assert finder("notes", id=subscription["id"], atLeast=3, timeoutMs=60_000)["notes"]
        assert relay.connections >= 2
    finally:
        finder("disconnect")


def test_advertised_addresses_are_told_and_are_in_the_certificate(guarded_town: Town, finder: ForeignClient) -> None:
    found = finder("endpoints", url=guarded_town.url)
    shown = {one["url"].removesuffix("/") for one in found["endpoints"]}
    assert shown == {BEHIND_NAT[0]}
    assert all(one["discoveryUrls"] == list(BEHIND_NAT) for one in found["endpoints"])
    names = alternative_names(certificate_of(found["endpoints"][0]))
    assert "hub.example.org" in names.get_values_for_type(x509.DNSName)
    assert "192.0.2.7" in map(str, names.get_values_for_type(x509.IPAddress))


def test_without_leave_there_is_no_endpoint_without_security_but_discovery(
    guarded_town: Town, finder: ForeignClient
) -> None:
    endpoints = finder("endpoints", url=guarded_town.url)["endpoints"]
    assert {(one["policy"], one["mode"]) for one in endpoints} == set(SECURED)
    with pytest.raises(AssertionError, match="End point must exist"):
        finder("connect", url=guarded_town.url)
    finder("disconnect")
    finder("connect", url=guarded_town.url, securityPolicy="Aes256_Sha256_RsaPss", securityMode="SignAndEncrypt")
    level = until(lambda: finder("read", nodeIds=["i=2267"])["answers"], 60, "service level")
    assert level[0]["statusName"] == "Good"
    finder("disconnect")
