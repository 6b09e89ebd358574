"""What the clients of the soak share: identity, connection, and the count of what they did."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from asyncua import Client, ua
from asyncua.crypto.cert_gen import generate_private_key, generate_self_signed_app_certificate
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.ua.ua_binary import struct_from_binary
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

PLANT = 2
"""Index of the namespace of the plant."""
TIMEOUT_S = 15.0
CHANNEL_MS = 120_000
SESSION_MS = 60_000
PAUSE_S = 1.0
END_S = 5.0
USABLE_BUT = 0x4094_0000
"""Uncertain, with a value that the history has too."""
_SEVERITY = 0xC000_0000
_CODE = 0xFFFF_0000
_APPLICATION = "urn:example.org:FreeOpcUa:opcua-asyncio"


@dataclass(slots=True)
class Tally:
    """What the clients have done, and what went wrong with them."""

    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    last: dict[str, str] = field(default_factory=dict)

    def fail(self, who: str, error: BaseException) -> None:
        """Count a failure of the client itself."""
        self.failed[f"{who}: {type(error).__name__}"] += 1
        self.last[who] = repr(error)[:300]


@dataclass(frozen=True, slots=True)
class Identity:
    """A client's certificate and key."""

    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> Self:
        """A fresh one."""
        key = generate_private_key()
        certificate = generate_self_signed_app_certificate(
            key,
            "soak",
            {"organizationName": "soak"},
            [x509.UniformResourceIdentifier(_APPLICATION)],
            [ExtendedKeyUsageOID.CLIENT_AUTH],
        )
        made = cls(folder / "client.der", folder / "client.pem")
        made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.DER))
        made.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return made


async def client_of(url: str, identity: Identity | None = None, session_ms: int = SESSION_MS) -> Client:
    """A client that is not connected yet; with an identity it signs and encrypts, and renews its channel often."""
    client = Client(url, timeout=TIMEOUT_S, watchdog_intervall=TIMEOUT_S)
    client.session_timeout = session_ms
    if identity is not None:
        client.secure_channel_timeout = CHANNEL_MS
        await client.set_security(SecurityPolicyBasic256Sha256, str(identity.certificate), str(identity.key))
    return client


async def forever(who: str, tally: Tally, work: Callable[[], Awaitable[None]]) -> None:
    """Do it again and again; failures are counted."""
    while True:
        try:
            await work()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a client of the library raises is counted, not hidden
            tally.fail(who, error)
            await asyncio.sleep(PAUSE_S)


def node(point: str) -> ua.NodeId:
    """Node id of something of the plant."""
    return ua.NodeId(point, PLANT)


async def ask(client: Client, request: Any, response: type[Any]) -> Any:
    """A service that the library does not offer; raises ua.UaStatusCodeError."""
    answer = struct_from_binary(response, await client.uaclient._send_request(request))
    answer.ResponseHeader.ServiceResult.check()
    return answer


def abort(client: Client) -> None:
    """Break the connection without a word."""
    protocol = client.uaclient.protocol
    if protocol is not None and protocol.transport is not None:
        protocol.transport.abort()


async def break_off(client: Client) -> None:
    """Break the connection without a word, then let the library tidy up on its side."""
    abort(client)
    with contextlib.suppress(Exception):  # the connection is gone; the library says so in many ways
        await asyncio.wait_for(client.disconnect(), END_S)


def usable(status: ua.StatusCode | None) -> int | None:
    """The code of a status that comes with a sampled value, None for all others."""
    code = (status.value if status is not None else 0) & _CODE
    return code if not code & _SEVERITY or code == USABLE_BUT else None
