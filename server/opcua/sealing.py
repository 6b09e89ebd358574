"""Signing and encrypting MSG chunks (Part 6 6.7.2), as asyncua does it and in half of the time.

The policies offered all sign with HMAC-SHA256 and encrypt with AES-CBC; anything else stays asyncua's. Chunks are
padded to the block of AES; asyncua pads to the length of the key, which is read here too.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from struct import Struct
from typing import Any

from asyncua import ua
from asyncua.common.connection import MessageChunk
from asyncua.crypto.security_policies import (
    DecryptorAesCbc,
    EncryptorAesCbc,
    SignerHMac256,
    VerifierHMac256,
)
from asyncua.crypto.uacrypto import InvalidSignature

from server.opcua.request import undecodable

_HEAD = Struct("<3scIII")
_TOKEN = Struct("<I")
_SEQUENCE = Struct("<II")
_BLOCK = 16
_SIGNATURE = 32
_HASH_BLOCK = 64
_OVERHEAD = _HEAD.size + _SEQUENCE.size + _BLOCK + _SIGNATURE
"""The most by which a chunk is longer than what it carries."""


class Keys:
    """The keys of one token, made ready once: setting up a cipher or a hash costs more than using it.

    A cipher in CBC mode is kept going from chunk to chunk. What each chunk begins with, the initialisation vector in
    place of the chunk before, is brought about by what the cipher is fed.
    """

    def __init__(self, crypto: Any) -> None:
        self.signer, self.verifier = crypto.Signer, crypto.Verifier
        self.crypto = crypto
        self.encrypted: bool = crypto.is_encrypted
        self._signing, self._verifying = _hashes(self.signer.key), _hashes(self.verifier.key)
        if self.encrypted:
            out, into = crypto.Encryptor.cipher, crypto.Decryptor.cipher
            self._encryptor, self._decryptor = out.encryptor(), into.decryptor()
            self._start: bytes = into.mode.initialization_vector
            self._first = self._mixed = int.from_bytes(out.mode.initialization_vector, "little")
            self._fresh = True

    def signature(self, *parts: bytes | memoryview) -> bytes:
        """Signs what is sent."""
        return _signed(self._signing, parts)

    def proven(self, signature: bytes, *parts: bytes | memoryview) -> bool:
        """Whether the peer has signed that."""
        return hmac.compare_digest(_signed(self._verifying, parts), signature)

    def encrypt(self, plain: bytes) -> bytes:
        """A chunk of whole blocks, as a new cipher would encrypt it."""
        if not self._fresh:
            # the cipher mixes the last block that it wrote into this one
            head = int.from_bytes(plain[:_BLOCK], "little") ^ self._mixed
            plain = head.to_bytes(_BLOCK, "little") + plain[_BLOCK:]
        secret: bytes = self._encryptor.update(plain)
        self._mixed = self._first ^ int.from_bytes(secret[-_BLOCK:], "little")
        self._fresh = False
        return secret

    def decrypt(self, secret: bytes | memoryview) -> bytes:
        """A chunk of whole blocks, as a new cipher would decrypt it."""
        self._decryptor.update(self._start)
        plain: bytes = self._decryptor.update(secret)
        return plain


def keys_of(policy: Any) -> Keys | None:
    """The keys of a channel with this policy; None where its messages are asyncua's to seal and open."""
    crypto = policy.symmetric_cryptography
    if type(getattr(crypto, "Signer", None)) is not SignerHMac256 or type(crypto.Verifier) is not VerifierHMac256:
        return None
    if crypto.is_encrypted and not (
        type(crypto.Encryptor) is EncryptorAesCbc and type(crypto.Decryptor) is DecryptorAesCbc
    ):
        return None
    return Keys(crypto)


def sealed(keys: Keys, message: bytes, limit: int, token: Any, numbers: Iterator[int], request_id: int) -> bytes:
    """A message in chunks of at most `limit` bytes, each with the next of `numbers`."""
    if len(message) + _OVERHEAD <= limit:
        return _chunk(keys, b"F", message, token, next(numbers), request_id)
    most = MessageChunk.max_body_size(keys.crypto, limit)
    parts = [message[start : start + most] for start in range(0, len(message), most)]
    kinds = [b"C"] * (len(parts) - 1) + [b"F"]
    return b"".join(
        _chunk(keys, kind, part, token, next(numbers), request_id) for kind, part in zip(kinds, parts, strict=True)
    )


def opened(keys: Keys, header: Any, body: Any) -> MessageChunk:
    """A chunk decrypted and verified; raises InvalidSignature, or BadDecodingError where it is too short."""
    raw = body.read(header.body_size)
    (token,) = _TOKEN.unpack_from(raw)
    size = header.header_size + header.body_size
    head = _HEAD.pack(header.MessageType, header.ChunkType, size, header.ChannelId, token)
    plain, end = _verified(keys, head, raw[_TOKEN.size :])
    chunk = MessageChunk(keys.crypto)
    chunk.MessageHeader = header
    chunk.SecurityHeader = ua.SymmetricAlgorithmHeader(token)
    chunk.SequenceHeader = ua.SequenceHeader(*_SEQUENCE.unpack_from(plain))
    chunk.Body = plain[_SEQUENCE.size : end]
    return chunk


def opened_whole(keys: Keys, chunk: bytes) -> tuple[int, int, bytes]:
    """Sequence number, request id and body of a whole MSG chunk as it came; raises as `opened`."""
    view = memoryview(chunk)
    plain, end = _verified(keys, view[: _HEAD.size], view[_HEAD.size :])
    sequence, request_id = _SEQUENCE.unpack_from(plain)
    return sequence, request_id, plain[_SEQUENCE.size : end]


def _verified(keys: Keys, head: bytes | memoryview, raw: bytes | memoryview) -> tuple[bytes, int]:
    """Sequence header and body out of what stands behind `head`, and where the body ends."""
    if keys.encrypted:
        if not raw or len(raw) % _BLOCK:
            raise undecodable()
        plain = keys.decrypt(raw)
    else:
        plain = bytes(raw)
    end = len(plain) - _SIGNATURE
    if end < _SEQUENCE.size:
        raise undecodable()
    if not keys.proven(plain[end:], head, memoryview(plain)[:end]):
        raise InvalidSignature
    if keys.encrypted:
        end -= plain[end - 1] + 1
    if end < _SEQUENCE.size:
        raise undecodable()
    return plain, end


def _chunk(keys: Keys, kind: bytes, part: bytes, token: Any, number: int, request_id: int) -> bytes:
    plain = _SEQUENCE.pack(number, request_id) + part
    if keys.encrypted:
        rest = -(len(plain) + 1 + _SIGNATURE) % _BLOCK
        plain += bytes((rest,)) * (rest + 1)
    head = _HEAD.pack(b"MSG", kind, _HEAD.size + len(plain) + _SIGNATURE, token.ChannelId, token.TokenId)
    plain += keys.signature(head, plain)
    return head + (keys.encrypt(plain) if keys.encrypted else plain)


def _hashes(key: bytes) -> tuple[Any, Any]:
    """Inner and outer hash of HMAC (RFC 2104) after the key, which is no longer than a block of SHA-256."""
    padded = key.ljust(_HASH_BLOCK, b"\0")
    return hashlib.sha256(bytes(byte ^ 0x36 for byte in padded)), hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))


def _signed(hashes: tuple[Any, Any], parts: tuple[bytes | memoryview, ...]) -> bytes:
    inner, outer = hashes[0].copy(), hashes[1].copy()
    for part in parts:
        inner.update(part)
    outer.update(inner.digest())
    signature: bytes = outer.digest()
    return signature
