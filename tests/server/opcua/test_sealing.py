"""Chunks are sealed and opened exactly as asyncua does it."""

from __future__ import annotations

import itertools
import os
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.connection import MessageChunk, SecureConnection, TransportLimits
from asyncua.common.utils import Buffer
from asyncua.crypto.security_policies import (
    Cryptography,
    DecryptorAesCbc,
    EncryptorAesCbc,
    SecurityPolicyNone,
    SignerHMac256,
    VerifierHMac256,
)
from asyncua.crypto.uacrypto import InvalidSignature
from asyncua.ua.ua_binary import header_from_binary
from asyncua.ua.uaerrors import UaStatusCodeError

from server.opcua.sealing import Keys, keys_of, opened, opened_whole, sealed

_MODES = [ua.MessageSecurityMode.Sign, ua.MessageSecurityMode.SignAndEncrypt]


def _policy(mode: Any) -> Any:
    crypto = Cryptography(mode)
    sign, key, start = os.urandom(32), os.urandom(32), os.urandom(16)
    crypto.Signer, crypto.Verifier = SignerHMac256(sign), VerifierHMac256(sign)
    crypto.Encryptor, crypto.Decryptor = EncryptorAesCbc(key, start), DecryptorAesCbc(key, start)
    policy = SecurityPolicyNone()
    policy.symmetric_cryptography = crypto
    return policy


def _keys(policy: Any) -> Keys:
    keys = keys_of(policy)
    assert keys is not None
    return keys


def _token() -> Any:
    return ua.ChannelSecurityToken(7, 13)


@pytest.mark.parametrize("mode", _MODES)
@pytest.mark.parametrize("size", [*range(1, 40), 8_000, 8_100, 8_190, 30_000])
def test_what_is_sealed_here_opens_there_and_the_other_way_round(mode: Any, size: int) -> None:
    policy, message = _policy(mode), os.urandom(size)
    keys = _keys(policy)
    stock = SecureConnection(policy, TransportLimits(8_192, 8_192, 100, 1 << 24))
    stock.security_token = _token()
    ours = sealed(keys, message, 8_192, _token(), itertools.count(1), 99)
    for wire in (ours, stock.message_to_binary(message, request_id=99)):
        got, numbers = b"", []
        for piece in _chunks(wire):
            assert len(piece) <= 8_192
            mine, theirs = Buffer(piece), Buffer(piece)
            chunk = opened(keys, header_from_binary(mine), mine)
            expected = MessageChunk.from_header_and_body(policy, header_from_binary(theirs), theirs)
            assert chunk.Body == expected.Body
            assert chunk.SequenceHeader == expected.SequenceHeader
            assert chunk.SecurityHeader == expected.SecurityHeader
            assert opened_whole(keys, piece) == (chunk.SequenceHeader.SequenceNumber, 99, chunk.Body)
            got += chunk.Body
            numbers.append(chunk.SequenceHeader.SequenceNumber)
        assert got == message
        assert numbers == list(range(1, len(numbers) + 1))


def _chunks(wire: bytes) -> list[bytes]:
    pieces = []
    while wire:
        size = int.from_bytes(wire[4:8], "little")
        pieces.append(wire[:size])
        wire = wire[size:]
    return pieces


@pytest.mark.parametrize("mode", _MODES)
def test_a_chunk_with_any_byte_changed_is_not_opened(mode: Any) -> None:
    keys = _keys(_policy(mode))
    wire = sealed(keys, b"a reading of a meter", 8_192, _token(), itertools.count(1), 5)
    for place in range(8, len(wire)):
        forged = bytearray(wire)
        forged[place] ^= 0x40
        buffer = Buffer(bytes(forged))
        with pytest.raises((InvalidSignature, UaStatusCodeError)):
            opened(keys, header_from_binary(buffer), buffer)
    assert opened_whole(keys, wire)[2] == b"a reading of a meter"


@pytest.mark.parametrize("mode", _MODES)
@pytest.mark.parametrize("kept", [16, 20, 32, 48, 56])
def test_a_chunk_cut_short_is_not_opened(mode: Any, kept: int) -> None:
    keys = _keys(_policy(mode))
    wire = bytearray(sealed(keys, b"a reading of a meter", 8_192, _token(), itertools.count(1), 5)[:kept])
    wire[4:8] = len(wire).to_bytes(4, "little")
    buffer = Buffer(bytes(wire))
    with pytest.raises((InvalidSignature, UaStatusCodeError)):
        opened(keys, header_from_binary(buffer), buffer)


def test_a_channel_without_security_is_left_alone() -> None:
    assert keys_of(SecurityPolicyNone()) is None
