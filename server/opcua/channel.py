"""The secure channel (Part 6 6.7): who opened it, how long it lives, and which chunks belong to it.

asyncua's own takes any second OpenSecureChannel, falls back to no security where that is not offered, never ends a
channel, and gives way to token 0. The cryptography and the chunks on the way out stay asyncua's.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from struct import Struct, error
from typing import TYPE_CHECKING, Any

from asyncua import ua
from asyncua.common.connection import MessageChunk, SecureConnection, TransportLimits
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.crypto.uacrypto import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa

from address_space.model.clock import NS, Clock
from server.opcua.request import fault, undecodable
from server.opcua.sealing import Keys, keys_of, opened, opened_whole, sealed

if TYPE_CHECKING:
    from server.opcua.options import Limits

_I32 = Struct("<i")
_U32 = Struct("<I")
_HEAD = Struct("<3scIII")
_TYPE = Struct("<BBH")
_FOUR_BYTE = 1
_GRACE = 1.25
"""Share of its lifetime for which a token still counts (Part 4 5.5.2.1)."""
_LONGEST_CERTIFICATE = 16_384
_KEY_BITS = (2048, 4096)
_LAST_SEQUENCE = 0xFFFF_FFFF
_WRAP = 1024
_ISSUE = ua.SecurityTokenRequestType.Issue


class Assembly:
    """Bytes of unfinished messages, all connections together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    def take(self, size: int) -> None:
        """Raises BadTcpNotEnoughResources where no room is left."""
        if self.used + size > self._limit:
            raise fault(ua.StatusCodes.BadTcpNotEnoughResources)
        self.used += size

    def give(self, size: int) -> None:
        """Room again."""
        self.used -= size


class HubChannel(SecureConnection):  # type: ignore[misc]
    """The server's side of one secure channel."""

    _incoming_size: int
    _peer_sequence_number: int | None

    _sequence_number: int

    def __init__(self, transport: TransportLimits, limits: Limits, assembly: Assembly, clock: Clock) -> None:
        super().__init__(SecurityPolicyNone(), transport)
        self._bounds = limits
        self._assembly = assembly
        self._clock = clock
        self._expires_ns: int | None = None
        self._next_expires_ns = 0
        self._next_issued = False
        self.offered = False
        self._numbers = self._count()
        self._ready: Keys | None = None

    @property
    def secured(self) -> bool:
        """Whether chunks are signed."""
        return type(self.security_policy) is not SecurityPolicyNone

    @property
    def peer_certificate(self) -> bytes | None:
        """The certificate whose key the peer has proven to hold; None without security, whatever it sent."""
        held: bytes | None = self.security_policy.peer_certificate if self.secured else None
        return held

    @property
    def security(self) -> tuple[object, ...]:
        """Policy and mode; a session stays with them."""
        return (self.security_policy.URI, self.security_policy.Mode)

    @property
    def expired(self) -> bool:
        """Whether the token in use has outlived its lifetime."""
        return self._expires_ns is not None and self._clock.monotonic_ns() > self._expires_ns

    def receive_from_header_and_body(self, header: Any, body: Any) -> ua.Message | None:
        """A whole message, or None where more chunks follow; raises the status that closes the connection."""
        if header.MessageType == ua.MessageType.SecureOpen:
            self._check_open(header, body)
        else:
            self._check_token(header, body)
        keys = self._keys() if header.MessageType != ua.MessageType.SecureOpen else None
        if keys is not None:
            return self._receive(opened(keys, header, body))
        return self._receive(MessageChunk.from_header_and_body(self.security_policy, header, body))

    def next_whole(self, chunk: bytes, kinds: frozenset[int]) -> tuple[int, bytes] | None:
        """Request id and body of a secured chunk that is a whole message, the next, and of these kinds: it is received.

        None leaves the chunk to `receive_from_header_and_body`, which also says what is wrong with it.
        """
        keys, held, last = self._keys(), self.security_token, self._peer_sequence_number
        kind, final, size, channel, token = _HEAD.unpack_from(chunk)
        if (
            kind != b"MSG"
            or final != b"F"
            or size != len(chunk)
            or token != held.TokenId
            or channel != held.ChannelId
            or last is None
            or self._incoming_parts
            or keys is None
            or not self.is_open()
        ):
            return None
        try:
            number, request_id, body = opened_whole(keys, chunk)
        except (InvalidSignature, ua.UaStatusCodeError):
            return None
        if number != last + 1 or len(body) < _TYPE.size:
            return None
        form, space, asked = _TYPE.unpack_from(body)
        if form != _FOUR_BYTE or space or asked not in kinds:
            return None
        self._peer_sequence_number = number
        return request_id, body

    def message_to_binary(
        self, message: bytes, message_type: ua.MessageType = ua.MessageType.SecureMessage, request_id: int = 0
    ) -> bytes:
        """A message in chunks, signed and encrypted as agreed."""
        keys = self._keys() if message and message_type == ua.MessageType.SecureMessage else None
        if keys is None:
            written: bytes = super().message_to_binary(message, message_type, request_id)
            return written
        limit = self._limits.max_send_buffer
        return sealed(keys, message, limit, self.security_token, self._numbers, request_id)

    def _keys(self) -> Keys | None:
        """The keys of the token in use; new ones after it was renewed."""
        crypto, held = self.security_policy.symmetric_cryptography, self._ready
        if held is None or held.signer is not crypto.Signer or held.verifier is not crypto.Verifier:
            held = self._ready = keys_of(self.security_policy)
        return held

    def _count(self) -> Iterator[int]:
        """Sequence numbers of what is sent, also by asyncua's way."""
        while True:
            self._sequence_number = self._sequence_number % _LAST_SEQUENCE + 1
            yield self._sequence_number

    def open(self, params: Any, server: Any) -> ua.OpenSecureChannelResult:
        """Issue or renew (Part 4 5.5.2), with a lifetime that is neither nothing nor for ever."""
        issue = params.RequestType == _ISSUE
        if issue == self.is_open():
            raise fault(ua.StatusCodes.BadRequestTypeInvalid)
        if params.SecurityMode != self.security_policy.Mode:
            raise fault(ua.StatusCodes.BadSecurityModeRejected)
        if self.secured:
            nonce = params.ClientNonce or b""
            if len(nonce) != self.security_policy.secure_channel_nonce_length or nonce == self.remote_nonce:
                raise fault(ua.StatusCodes.BadNonceInvalid)
        lifetime_s = params.RequestedLifetime / 1000 or self._bounds.channel_max_s
        lifetime_s = min(max(lifetime_s, self._bounds.channel_min_s), self._bounds.channel_max_s)
        params.RequestedLifetime = round(lifetime_s * 1000)
        expires_ns = self._clock.monotonic_ns() + round(lifetime_s * _GRACE * NS)
        result: ua.OpenSecureChannelResult = super().open(params, server)
        if issue:
            self._expires_ns = expires_ns
        else:
            self._next_expires_ns = expires_ns
            self._next_issued = True
        return result

    def choose(self, uri: str, certificate: bytes, mode: ua.MessageSecurityMode | None = None) -> None:
        """Take the offered policy; without security always, for discovery (Part 4 5.4.1)."""
        factory = next((one for one in self._policies if one.matches(uri, mode)), None)
        self.offered = factory is not None
        if factory is None:
            if uri != SecurityPolicyNone.URI:
                known = any(one.matches(uri) for one in self._policies)
                raise fault(
                    ua.StatusCodes.BadSecurityModeRejected if known else ua.StatusCodes.BadSecurityPolicyRejected
                )
            if mode not in (None, ua.MessageSecurityMode.None_):
                raise fault(ua.StatusCodes.BadSecurityModeRejected)
            self.security_policy = SecurityPolicyNone()
        elif uri == SecurityPolicyNone.URI:
            self.security_policy = factory.create(None)
        else:
            self.security_policy = _checked(factory, certificate)

    def release(self) -> None:
        """Drop what was received of an unfinished message."""
        self._drop_incoming_parts()

    def _check_open(self, header: Any, body: Any) -> None:
        if header.ChunkType != ua.ChunkType.Single:
            raise fault(ua.StatusCodes.BadTcpMessageTypeInvalid)
        uri, certificate, thumbprint = _asymmetric_header(body.copy(header.body_size).read(header.body_size))
        if not self.is_open():
            if header.ChannelId:
                raise fault(ua.StatusCodes.BadTcpSecureChannelUnknown)
            self.choose(uri, certificate)
        elif header.ChannelId != self.security_token.ChannelId:
            raise fault(ua.StatusCodes.BadTcpSecureChannelUnknown)
        elif uri != self.security_policy.URI or not certificate.startswith(self.peer_certificate or b""):
            raise fault(ua.StatusCodes.BadSecurityChecksFailed)
        if self.secured:
            own = hashlib.sha1(self.security_policy.host_certificate, usedforsecurity=False).digest()
            if not hmac.compare_digest(own, thumbprint):
                raise fault(ua.StatusCodes.BadCertificateInvalid)

    def _check_token(self, header: Any, body: Any) -> None:
        if not self.is_open() or header.ChannelId != self.security_token.ChannelId:
            raise fault(ua.StatusCodes.BadTcpSecureChannelUnknown)
        (token,) = _U32.unpack(body.copy(_U32.size).read(_U32.size))
        if token == self.security_token.TokenId:
            return
        if not self._next_issued or token != self.next_security_token.TokenId:
            raise fault(ua.StatusCodes.BadSecureChannelTokenUnknown)
        self.revolve_tokens()
        self._expires_ns, self._next_issued = self._next_expires_ns, False

    def _receive(self, msg: MessageChunk) -> ua.Message | None:
        self._check_order(msg)
        kind = msg.MessageHeader.ChunkType
        if kind == ua.ChunkType.Abort:
            self._drop_incoming_parts()
            return None
        if kind not in (ua.ChunkType.Single, ua.ChunkType.Intermediate):
            raise fault(ua.StatusCodes.BadTcpMessageTypeInvalid)
        if self._incoming_parts and msg.MessageHeader.MessageType != ua.MessageType.SecureMessage:
            self._drop_incoming_parts()
        size = self._incoming_size + len(msg.Body)
        if size > self._limits.max_message_size or len(self._incoming_parts) >= self._limits.max_chunk_count:
            raise fault(ua.StatusCodes.BadRequestTooLarge)
        if kind == ua.ChunkType.Intermediate:
            self._assembly.take(len(msg.Body))
            self._incoming_parts.append(msg)
            self._incoming_size = size
            return None
        message = ua.Message([*self._incoming_parts, msg])
        self._drop_incoming_parts()
        return message

    def _check_order(self, msg: MessageChunk) -> None:
        """Sequence numbers rise by one, and may begin anew near the end of 32 bits (Part 6 6.7.2.4)."""
        number, last = msg.SequenceHeader.SequenceNumber, self._peer_sequence_number
        wrapped = last is not None and last > _LAST_SEQUENCE - _WRAP and number < _WRAP
        if last is not None and number != last + 1 and not wrapped:
            raise fault(ua.StatusCodes.BadSequenceNumberInvalid)
        parts = self._incoming_parts
        if parts and parts[0].SequenceHeader.RequestId != msg.SequenceHeader.RequestId:
            raise fault(ua.StatusCodes.BadSecurityChecksFailed)
        self._peer_sequence_number = number

    def _drop_incoming_parts(self) -> None:
        self._assembly.give(self._incoming_size)
        super()._drop_incoming_parts()


def _asymmetric_header(data: bytes) -> tuple[str, bytes, bytes]:
    """Policy URI, sender's certificate, thumbprint of the receiver's (Part 6 6.7.2.3)."""
    pieces: list[bytes] = []
    at = 0
    try:
        for longest in (255, _LONGEST_CERTIFICATE, 20):
            (length,) = _I32.unpack_from(data, at)
            at += _I32.size
            if length > longest or length < -1 or at + length > len(data):
                raise undecodable()
            pieces.append(data[at : at + max(length, 0)])
            at += max(length, 0)
        return pieces[0].decode(), pieces[1], pieces[2]
    except (error, UnicodeDecodeError) as broken:
        raise undecodable() from broken


def _checked(factory: Any, certificate: bytes) -> Any:
    """The policy for this peer; raises BadCertificateInvalid where its key cannot be used."""
    try:
        policy = factory.create(certificate)
        public = policy.asymmetric_cryptography.Verifier.peer_cert.public_key()
    except (ValueError, TypeError, AttributeError, IndexError) as broken:
        raise fault(ua.StatusCodes.BadCertificateInvalid) from broken
    if not isinstance(public, rsa.RSAPublicKey) or not _KEY_BITS[0] <= public.key_size <= _KEY_BITS[1]:
        raise fault(ua.StatusCodes.BadCertificateInvalid)
    return policy
