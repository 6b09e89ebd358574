"""Endpoints, the server's own certificate, and secured channels."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from asyncua import Client, ua
from asyncua.crypto.cert_gen import generate_private_key, generate_self_signed_app_certificate
from asyncua.crypto.security_policies import (
    SecurityPolicyAes128Sha256RsaOaep,
    SecurityPolicyAes256Sha256RsaPss,
    SecurityPolicyBasic256Sha256,
)
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from server.opcua import OpcUaOptions
from server.opcua.certificates import host_names, own_certificate
from server.opcua.errors import CertificateProblem
from tests.server.opcua.wire import Wire

_NOW = 1_800_000_000_000_000_000
_URI = "urn:joulehub:test"
_POLICIES = (SecurityPolicyBasic256Sha256, SecurityPolicyAes128Sha256RsaOaep, SecurityPolicyAes256Sha256RsaPss)


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A client's own certificate and key."""
    folder = tmp_path_factory.mktemp("client")
    key = generate_private_key()
    certificate = generate_self_signed_app_certificate(
        key,
        "client",
        {"organizationName": "test"},
        [x509.UniformResourceIdentifier("urn:example.org:FreeOpcUa:opcua-asyncio")],
        [ExtendedKeyUsageOID.CLIENT_AUTH],
    )
    (folder / "cert.der").write_bytes(certificate.public_bytes(serialization.Encoding.DER))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.der", folder / "key.pem"


@pytest.mark.asyncio(loop_scope="session")
class TestEndpoints:
    async def test_three_policies_in_two_modes_and_none_only_where_allowed(self, hub) -> None:
        endpoints = await hub.client().connect_and_get_server_endpoints()
        offered = {(one.SecurityPolicyUri.rpartition("#")[2], one.SecurityMode.name) for one in endpoints}
        modes = ("Sign", "SignAndEncrypt")
        policies = ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
        assert offered == {(policy, mode) for policy in policies for mode in modes} | {("None", "None_")}
        assert all(one.ServerCertificate for one in endpoints)
        assert {one.Server.ApplicationUri for one in endpoints} == {hub.options.application_uri}

    async def test_clients_are_told_the_address_they_used(self, hub) -> None:
        endpoints = await hub.client().connect_and_get_server_endpoints()
        assert {one.EndpointUrl for one in endpoints} == {hub.url}

    @pytest.mark.parametrize("policy", _POLICIES)
    @pytest.mark.parametrize("mode", [ua.MessageSecurityMode.Sign, ua.MessageSecurityMode.SignAndEncrypt])
    async def test_values_are_read_over_a_secured_channel(self, hub, identity, policy, mode, point) -> None:
        hub.read("m00.ActivePower", 21.0)
        certificate, key = identity
        client = hub.client()
        await client.set_security(policy, certificate, key, mode=mode)
        async with client:
            assert await client.get_node(point).read_value() == 21.0
            nodes = [client.get_node(ua.NodeId(f"m{n:02d}.ActivePower", 2)) for n in range(30)] * 100
            params = ua.ReadParameters(0, ua.TimestampsToReturn.Both, [])
            params.NodesToRead = [ua.ReadValueId(node.nodeid, ua.AttributeIds.Value) for node in nodes]
            assert len(await client.uaclient.read(params)) == 3000

    async def test_a_secured_channel_goes_on_with_the_keys_of_each_renewal(self, hub, identity, point) -> None:
        hub.read("m00.ActivePower", 22.0)
        certificate, key = identity
        client = hub.client()
        await client.set_security(SecurityPolicyBasic256Sha256, certificate, key)
        async with client:
            for _ in range(3):
                for _ in range(3):
                    assert await client.get_node(point).read_value() == 22.0
                await client.open_secure_channel(renew=True)
            assert await client.get_node(point).read_value() == 22.0

    async def test_a_session_is_not_taken_over_from_a_channel_with_another_certificate(self, hub, identity) -> None:
        certificate, key = identity
        owner = hub.client()
        await owner.set_security(SecurityPolicyBasic256Sha256, certificate, key)
        async with owner:
            async with hub.client() as thief:
                own = thief.uaclient.protocol.authentication_token
                thief.uaclient.protocol.authentication_token = owner.uaclient.protocol.authentication_token
                request = ua.ActivateSessionRequest()
                request.Parameters.UserIdentityToken = ua.AnonymousIdentityToken("anonymous")
                with pytest.raises(ua.uaerrors.BadSecurityChecksFailed):
                    await thief.uaclient.protocol.send_request(request)
                thief.uaclient.protocol.authentication_token = own
            await owner.get_node(ua.NodeId(2258)).read_value()

    async def test_advertised_addresses_are_told_instead_and_none_is_refused_where_it_is_not_allowed(
        self, make_hub
    ) -> None:
        urls = ("opc.tcp://hub.example:4841/joulehub", "opc.tcp://10.1.2.3:4842/joulehub")
        natted = make_hub(advertised_urls=urls, allow_none=False)
        await natted.server.start()
        try:
            with pytest.raises((ua.UaError, ConnectionError, TimeoutError)):
                await Client(natted.url, timeout=2).connect()
            async with Wire(natted.server.port) as wire:
                # without security there is discovery, and no session
                await wire.greet()
                await wire.open()
                assert await wire.code(ua.GetEndpointsRequest()) == 0
                assert await wire.code(ua.FindServersRequest()) == 0
                assert await wire.code(ua.CreateSessionRequest()) == ua.StatusCodes.BadSecurityPolicyRejected
            told = await natted.server._iserver.get_endpoints(ua.GetEndpointsParameters())
            assert {one.EndpointUrl for one in told} == {urls[0]}
            assert ua.MessageSecurityMode.None_ not in {one.SecurityMode for one in told}
            asked = ua.GetEndpointsParameters()
            asked.EndpointUrl = "opc.tcp://10.1.2.3:4842"
            told = await natted.server._iserver.get_endpoints(asked)
            assert {one.EndpointUrl for one in told} == {urls[1]}
            assert all(one.Server.DiscoveryUrls == list(urls) for one in told)
        finally:
            await natted.server.stop()

    async def test_a_taken_port_is_an_error_and_leaves_nothing_running(self, hub, make_hub) -> None:
        second = make_hub(port=hub.server.port)
        with pytest.raises(OSError, match="address"):
            await second.server.start()
        await second.server.stop()


def test_the_certificate_names_application_and_hosts_and_its_key_is_private(tmp_path: Path) -> None:
    own = own_certificate(tmp_path, _URI, ["hub", "192.0.2.7", "hub.example"], _NOW)
    san = (
        x509.load_der_x509_certificate(own.certificate.read_bytes())
        .extensions.get_extension_for_class(x509.SubjectAlternativeName)
        .value
    )
    assert san.get_values_for_type(x509.UniformResourceIdentifier) == [_URI]
    assert san.get_values_for_type(x509.DNSName) == ["hub", "hub.example"]
    assert [str(address) for address in san.get_values_for_type(x509.IPAddress)] == ["192.0.2.7"]
    assert stat.S_IMODE(own.key.stat().st_mode) == 0o600


def test_a_certificate_that_fits_is_kept_and_one_that_does_not_is_made_anew(tmp_path: Path) -> None:
    first = own_certificate(tmp_path, _URI, ["hub"], _NOW).certificate.read_bytes()
    assert own_certificate(tmp_path, _URI, ["hub"], _NOW).certificate.read_bytes() == first
    second = own_certificate(tmp_path, _URI, ["hub", "other"], _NOW).certificate.read_bytes()
    assert second != first
    third = own_certificate(tmp_path, "urn:joulehub:else", ["hub", "other"], _NOW).certificate.read_bytes()
    assert third != second
    ten_years = 10 * 366 * 86_400 * 1_000_000_000
    assert own_certificate(tmp_path, "urn:joulehub:else", ["hub"], _NOW + ten_years).certificate.read_bytes() != third


def test_a_start_that_is_killed_while_it_makes_them_leaves_no_odd_pair(tmp_path: Path, monkeypatch) -> None:
    replace, written = Path.replace, []

    def killed_before_the_certificate(path: Path, target: Path) -> Path:
        if target.suffix == ".der":
            written.append(path.read_bytes())
            raise KeyboardInterrupt
        return replace(path, target)

    held = own_certificate(tmp_path, _URI, ["hub"], _NOW).certificate.read_bytes()
    with monkeypatch.context() as killed:
        killed.setattr(Path, "replace", killed_before_the_certificate)
        with pytest.raises(KeyboardInterrupt):
            own_certificate(tmp_path, _URI, ["hub", "other"], _NOW)
    assert written
    own = own_certificate(tmp_path, _URI, ["hub"], _NOW)  # the name has gone again: the old certificate would do
    assert own.certificate.read_bytes() not in (held, *written)
    key = serialization.load_pem_private_key(own.key.read_bytes(), None)
    assert x509.load_der_x509_certificate(own.certificate.read_bytes()).public_key() == key.public_key()


def test_a_damaged_certificate_is_reported_and_not_overwritten(tmp_path: Path) -> None:
    own = own_certificate(tmp_path, _URI, ["hub"], _NOW)
    own.certificate.write_bytes(b"not a certificate")
    with pytest.raises(CertificateProblem, match="damaged"):
        own_certificate(tmp_path, _URI, ["hub"], _NOW)
    assert own.certificate.read_bytes() == b"not a certificate"


def test_a_place_that_is_no_folder_is_reported(tmp_path: Path) -> None:
    blocked = tmp_path / "pki"
    blocked.write_text("")
    with pytest.raises(CertificateProblem, match="cannot be written"):
        own_certificate(blocked, _URI, ["hub"], _NOW)


def test_the_wildcard_address_is_never_told(tmp_path: Path) -> None:
    assert OpcUaOptions(tmp_path, hostname="hub").url == "opc.tcp://hub:4840/joulehub"
    assert "0.0.0.0" not in host_names("hub-that-does-not-resolve.invalid")
