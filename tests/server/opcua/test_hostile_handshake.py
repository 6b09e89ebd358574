"""Hello and secure channel against clients that break the rules (OPC 10000-6 6.7, 7.1; OPC 10000-4 5.5)."""

from __future__ import annotations

import asyncio
import struct

import pytest
from asyncua import ua

from tests.server.opcua.wire import Wire, chunk, hello

pytestmark = pytest.mark.asyncio(loop_scope="session")

_STATUS = ua.StatusCodes
_BASIC = "http://opcfoundation.org/UA/SecurityPolicy#Basic256Sha256"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (hello(recv=8_191), _STATUS.BadConnectionRejected),
        (hello(send=100), _STATUS.BadConnectionRejected),
        (hello(url=b"opc.tcp://" + b"a" * 4_087), _STATUS.BadTcpEndpointUrlInvalid),
        (hello(url=b"\xff\xfe"), _STATUS.BadTcpEndpointUrlInvalid),
        (hello()[:28] + struct.pack("<i", 2**31 - 1) + hello()[32:], _STATUS.BadTcpEndpointUrlInvalid),
        (hello()[:28] + struct.pack("<i", -4) + hello()[32:], _STATUS.BadTcpEndpointUrlInvalid),
        (b"HELC" + hello()[4:], _STATUS.BadTcpMessageTypeInvalid),
        (hello() + hello(), _STATUS.BadTcpMessageTypeInvalid),
        (b"HELF" + struct.pack("<I", 31), _STATUS.BadTcpMessageTypeInvalid),
        (b"ACKF" + struct.pack("<I", 28) + b"\0" * 20, _STATUS.BadTcpMessageTypeInvalid),
        (chunk(b"\0" * 60, channel=0, token=0, sequence=1, request=1), _STATUS.BadTcpMessageTypeInvalid),
    ],
)
async def test_a_hello_that_breaks_the_rules_is_told_why(hub, sent: bytes, code: int) -> None:
    async with Wire(hub.server.port) as wire:
        wire.say(sent)
        if sent.startswith(hello()):
            assert (await wire.message())[0] == b"ACK"
        assert await wire.error() == code


async def test_any_version_and_no_url_at_all_are_welcome(hub) -> None:
    async with Wire(hub.server.port) as wire:
        wire.say(hello(url=None, version=77))
        kind, data = await wire.message()
        assert (kind, struct.unpack_from("<I", data, 8)[0]) == (b"ACK", 0)


async def test_what_each_side_can_take_is_not_mixed_up(hub) -> None:
    async with Wire(hub.server.port) as wire:
        wire.say(hello(recv=8_192, send=30_000))
        _, data = await wire.message()
        receives, sends, largest, chunks = struct.unpack_from("<IIII", data, 12)
        assert (receives, sends) == (30_000, 8_192)
        assert largest == hub.options.limits.message_bytes
        assert chunks > 0
        await wire.open()
        endpoints = ua.GetEndpointsRequest()
        wire.say(wire.ask(wire.written(endpoints)))
        sizes = []
        while True:
            _, data = await wire.message()
            sizes.append(len(data))
            if data[3:4] == b"F":
                break
        assert len(sizes) > 1
        assert max(sizes) <= 8_192


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"uri": "http://example.org/NoSuchPolicy"}, _STATUS.BadSecurityPolicyRejected),
        ({"uri": "http://opcfoundation.org/UA/SecurityPolicy#Basic128Rsa15"}, _STATUS.BadSecurityPolicyRejected),
        ({"mode": 2}, _STATUS.BadSecurityModeRejected),
        ({"mode": 3}, _STATUS.BadSecurityModeRejected),
        ({"mode": 0}, _STATUS.BadSecurityModeRejected),
        ({"renew": True}, _STATUS.BadRequestTypeInvalid),
        ({"uri": _BASIC, "mode": 3}, _STATUS.BadCertificateInvalid),
        ({"uri": _BASIC, "mode": 3, "certificate": b"\x30\x82nonsense"}, _STATUS.BadCertificateInvalid),
        ({"uri": _BASIC, "mode": 3, "certificate": b"x" * 20_000}, _STATUS.BadDecodingError),
    ],
)
async def test_a_channel_that_is_not_offered_is_refused(hub, asked: dict, code: int) -> None:
    async with Wire(hub.server.port) as wire:
        await wire.greet()
        wire.say(wire.opening(**asked))
        assert await wire.error() == code


async def test_a_channel_lives_as_long_as_is_sensible(hub) -> None:
    limits = hub.options.limits
    for asked, revised in (
        (0, limits.channel_max_s),
        (1, limits.channel_min_s),
        (60_000, 60.0),
        (2**32 - 1, limits.channel_max_s),
    ):
        async with Wire(hub.server.port) as wire:
            await wire.greet()
            assert (await wire.open(lifetime_ms=asked)).SecurityToken.RevisedLifetime == revised * 1000


async def test_a_channel_that_was_not_renewed_is_closed(tight) -> None:
    async with Wire(tight.server.port) as wire:
        await wire.greet()
        await wire.open(lifetime_ms=1)
        assert await wire.error() == _STATUS.BadSecureChannelClosed


async def test_a_renewed_channel_goes_over_to_its_new_token_and_forgets_the_old_one(hub) -> None:
    async with Wire(hub.server.port) as wire:
        await wire.greet()
        await wire.open()
        old, channel = wire.token, wire.channel
        for _ in range(3):
            before = wire.token
            await wire.open(renew=True)
            assert (wire.channel, wire.token) == (channel, before + 1)
            assert await wire.code(ua.FindServersRequest()) == 0
        wire.token = old
        wire.say(wire.ask(wire.written(ua.FindServersRequest())))
        assert await wire.error() == _STATUS.BadSecureChannelTokenUnknown


async def test_until_the_new_token_is_used_the_old_one_counts(hub) -> None:
    async with Wire(hub.server.port) as wire:
        await wire.greet()
        await wire.open()
        old = wire.token
        await wire.open(renew=True)
        new, wire.token = wire.token, old
        assert await wire.code(ua.FindServersRequest()) == 0
        wire.token = new
        assert await wire.code(ua.FindServersRequest()) == 0


async def test_an_open_channel_is_neither_opened_again_nor_renewed_as_another(hub) -> None:
    for change, code in (
        ({"renew": False}, _STATUS.BadRequestTypeInvalid),
        ({"renew": True, "uri": _BASIC}, _STATUS.BadSecurityChecksFailed),
        ({"renew": True, "mode": 3}, _STATUS.BadSecurityModeRejected),
    ):
        async with Wire(hub.server.port) as wire:
            await wire.greet()
            await wire.open()
            wire.say(wire.opening(**change))
            assert await wire.error() == code
    async with Wire(hub.server.port) as wire:
        await wire.greet()
        await wire.open()
        wire.channel += 1
        wire.say(wire.opening(renew=True))
        assert await wire.error() == _STATUS.BadTcpSecureChannelUnknown


@pytest.mark.parametrize(
    ("channel", "token", "sequence", "code"),
    [
        (1, 0, 0, _STATUS.BadTcpSecureChannelUnknown),
        (0, 1, 0, _STATUS.BadSecureChannelTokenUnknown),
        (0, -13, 0, _STATUS.BadSecureChannelTokenUnknown),
        (0, 0, 1, _STATUS.BadSequenceNumberInvalid),
        (0, 0, -1, _STATUS.BadSequenceNumberInvalid),
    ],
)
@pytest.mark.parametrize("last", [b"F", b"C", b"A"])
async def test_a_chunk_that_does_not_belong_closes_the_connection(
    hub, channel: int, token: int, sequence: int, code: int, last: bytes
) -> None:
    async with Wire(hub.server.port) as wire:
        await wire.enter()
        wire.channel += channel
        wire.token += token
        wire.sequence += sequence
        wire.say(wire.ask(wire.written(ua.FindServersRequest()), last=last))
        assert await wire.error() == code


async def test_a_replayed_chunk_closes_the_connection(hub) -> None:
    async with Wire(hub.server.port) as wire:
        await wire.enter()
        sent = wire.ask(wire.written(ua.FindServersRequest()))
        wire.say(sent)
        assert (await wire.answer())[1] == 0
        wire.say(sent)
        assert await wire.error() == _STATUS.BadSequenceNumberInvalid


async def test_sequence_numbers_begin_anew_at_their_end(hub) -> None:
    async with Wire(hub.server.port) as wire:
        await wire.greet()
        wire.sequence = 2**32 - 4
        await wire.open()
        for _ in range(2):
            assert await wire.code(ua.FindServersRequest()) == 0
        wire.sequence = -1
        for _ in range(3):
            assert await wire.code(ua.FindServersRequest()) == 0


async def test_an_aborted_message_is_forgotten_and_the_next_one_answered(hub) -> None:
    async with Wire(hub.server.port) as wire:
        await wire.enter()
        for _ in range(50):
            wire.say(wire.ask(b"\1" * 500, last=b"C"))
            wire.say(wire.ask(struct.pack("<Ii", _STATUS.BadInternalError, -1), last=b"A", new=False))
        assert await wire.code(ua.FindServersRequest()) == 0
        assert hub.server._services.assembly.used == 0


async def test_chunks_of_two_requests_are_not_mixed(hub) -> None:
    async with Wire(hub.server.port) as wire:
        await wire.enter()
        wire.say(wire.ask(b"\1" * 50, last=b"C"))
        wire.say(wire.ask(b"\1" * 50, last=b"F"))
        assert await wire.error() == _STATUS.BadSecurityChecksFailed


async def test_an_unknown_kind_of_chunk_is_refused(hub) -> None:
    async with Wire(hub.server.port) as wire:
        await wire.enter()
        wire.say(wire.ask(b"\1" * 50, last=b"Z"))
        assert await wire.error() == _STATUS.BadTcpMessageTypeInvalid


async def test_a_message_without_end_is_cut_off_and_its_memory_given_back(tight) -> None:
    for size, count in ((30_000, 5), (0, 60)):
        async with Wire(tight.server.port) as wire:
            await wire.enter()
            for _ in range(count):
                wire.say(wire.ask(b"\1" * size, last=b"C", new=False))
            assert await wire.error() == _STATUS.BadRequestTooLarge
    assert tight.server._services.assembly.used == 0


async def test_unfinished_messages_share_one_room(tight) -> None:
    async with Wire(tight.server.port) as first, Wire(tight.server.port) as second:
        await first.enter()
        await second.enter()
        for wire in (first, second):
            for _ in range(3):
                wire.say(wire.ask(b"\1" * 30_000, last=b"C", new=False))
            async with asyncio.timeout(60):
                while tight.server._services.assembly.used < 90_000:  # noqa: ASYNC110  # it says nothing
                    await asyncio.sleep(0)
        assert await second.error() == _STATUS.BadTcpNotEnoughResources
        first.say(first.ask(b"", last=b"A", new=False))
        assert await first.code(ua.FindServersRequest()) == 0
