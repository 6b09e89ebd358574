"""The server's own application instance certificate (Part 6 6.2.2), made on first run."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from address_space.model.clock import to_datetime
from server.opcua.errors import CertificateProblem

_VALID = timedelta(days=3650)
_BACKDATED = timedelta(hours=1)
_RENEW_BEFORE = timedelta(days=30)
_KEY_BITS = 2048
_KEY_MODE, _CERTIFICATE_MODE = 0o600, 0o644


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """Where certificate (DER) and private key (PEM) lie."""

    certificate: Path
    key: Path


def own_certificate(pki: Path, application_uri: str, hosts: Iterable[str], now_ns: int) -> OwnCertificate:
    """The certificate below `pki/own`; made anew where none fits the application URI and `hosts` or it ends soon.

    Raises CertificateProblem where the folder cannot be written or holds something that is no certificate.
    """
    folder = pki / "own"
    own = OwnCertificate(folder / "joulehub.der", folder / "joulehub.key.pem")
    names = sorted({host for host in hosts if host})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not _fits(own, application_uri, names, now_ns):
            _make(own, application_uri, names, now_ns)
    except OSError as problem:
        raise CertificateProblem(
            f"the server's certificate in {folder} cannot be written: {problem}",
            hint="make the data directory writable for the hub's user",
        ) from problem
    except ValueError as problem:
        raise CertificateProblem(
            f"{own.certificate} or {own.key} is damaged: {problem}",
            hint="remove both files to have new ones made; clients must then trust the new certificate",
        ) from problem
    return own


def host_names(hostname: str) -> list[str]:
    """Names and addresses of this machine: the host name given, its full name, its own addresses."""
    names = {hostname, "localhost", "127.0.0.1"}
    names.add(socket.getfqdn(hostname))
    with contextlib.suppress(OSError):
        names.update(str(entry[4][0]) for entry in socket.getaddrinfo(hostname, None, type=socket.SOCK_STREAM))
    return sorted(name for name in names if name and "%" not in name)


def _fits(own: OwnCertificate, application_uri: str, names: list[str], now_ns: int) -> bool:
    if not own.certificate.exists() or not own.key.exists():
        return False
    certificate = x509.load_der_x509_certificate(own.certificate.read_bytes())
    key = serialization.load_pem_private_key(own.key.read_bytes(), None)
    if certificate.public_key() != key.public_key():
        return False  # whoever made them anew was stopped between the two
    san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    held = {str(name) for name in san.get_values_for_type(x509.DNSName)}
    held |= {str(address) for address in san.get_values_for_type(x509.IPAddress)}
    fresh = certificate.not_valid_after_utc > to_datetime(now_ns) + _RENEW_BEFORE
    return fresh and san.get_values_for_type(x509.UniformResourceIdentifier) == [application_uri] and held >= set(names)


def _make(own: OwnCertificate, application_uri: str, names: list[str], now_ns: int) -> None:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=_KEY_BITS)
    now = to_datetime(now_ns)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "JouleHub"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "JouleHub"),
        ]
    )
    alternative: list[x509.GeneralName] = [x509.UniformResourceIdentifier(application_uri)]
    alternative += [_general_name(name) for name in names]
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName(alternative), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(own.key, secret, _KEY_MODE)
    _write(own.certificate, certificate.public_bytes(serialization.Encoding.DER), _CERTIFICATE_MODE)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(path: Path, content: bytes, mode: int) -> None:
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    fresh.replace(path)
