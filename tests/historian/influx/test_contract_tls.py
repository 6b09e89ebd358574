"""TLS to InfluxDB: a server with a certificate of the plant's own authority, and one that anybody may have made."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from historian.errors import StoreUnreachable
from historian.forwarder import Answer, Reply
from historian.influx import Credentials, InfluxReader, InfluxServer, InfluxSink, ServerOptions, Version
from tests.historian.influx.answers import V2, V18, Kind, Replayed, Said

SECRET = "s3cr3t-t0k3n"  # noqa: S105 - a made-up one
Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def signed(name: str, issuer: Pair | None) -> Pair:
    """A certificate for 127.0.0.1, or one of an authority where nobody signs it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(names, critical=False)
    )
    return builder.sign(issuer[1] if issuer is not None else key, hashes.SHA256()), key


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates: the authority's, a foreign one's, and the server's with its key."""
    made = tmp_path_factory.mktemp("tls")
    authority, foreign = signed("works authority", None), signed("another authority", None)
    server, key = signed("influx", authority)
    (made / "authority.pem").write_bytes(pem(authority[0]))
    (made / "foreign.pem").write_bytes(pem(foreign[0]))
    plain = serialization.NoEncryption()
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (made / "server.pem").write_bytes(pem(server) + text)
    return made


@pytest.fixture(params=[V18, V2], ids=["1.8", "2"])
def server(request: pytest.FixtureRequest, folder: Path) -> Iterator[Replayed]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    kind: Kind = request.param
    with Replayed(kind, context) as made:
        made.on("POST", "/api/v2/write", Said(204))
        made.on("POST", "/query", Said(200, b'{"results":[{"statement_id":0}]}'))
        yield made


async def posted(options: ServerOptions) -> Reply:
    sink = InfluxSink("influx", options)
    try:
        return await sink.post(b"energy q=0i 1")
    finally:
        await sink.close()


async def test_a_certificate_of_the_plants_own_authority_is_trusted_when_it_is_named(
    server: Replayed, folder: Path
) -> None:
    options = ServerOptions(server.url, "plant", "works", Credentials(SECRET), ca_file=str(folder / "authority.pem"))
    assert (await posted(options)).answer is Answer.STORED
    assert InfluxServer(options).version()[0] in (Version.V1, Version.V2)
    reader = InfluxReader(options)
    assert await reader.kept() == {}
    await reader.close()


@pytest.mark.parametrize("trusted", ["", "foreign.pem"])
async def test_nothing_not_even_the_token_goes_to_a_server_that_another_authority_vouches_for(
    server: Replayed, folder: Path, trusted: str
) -> None:
    ca_file = str(folder / trusted) if trusted else ""
    options = ServerOptions(server.url, "plant", "works", Credentials(SECRET), ca_file=ca_file)
    reply = await posted(options)
    assert reply.answer is Answer.LATER
    assert "certificate" in reply.detail.lower()
    assert SECRET not in reply.detail
    with pytest.raises(StoreUnreachable, match=r"(?i)certificate"):
        InfluxServer(options).version()
    assert server.asked == []


async def test_a_file_of_certificates_that_is_not_there_is_a_clear_error(server: Replayed, tmp_path: Path) -> None:
    reply = await posted(ServerOptions(server.url, "plant", ca_file=str(tmp_path / "nothing.pem")))
    assert reply.answer is Answer.LATER
    assert "nothing.pem" in reply.detail
    assert server.asked == []


async def test_a_server_without_tls_at_an_address_with_it_is_an_outage_and_no_crash(folder: Path) -> None:
    with Replayed(V2) as plain:
        url = plain.url.replace("http:", "https:")
        reply = await posted(ServerOptions(url, "plant", ca_file=str(folder / "authority.pem")))
    assert reply.answer is Answer.LATER
    assert plain.asked == []
