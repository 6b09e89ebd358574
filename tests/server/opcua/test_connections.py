"""The port itself: nothing is believed before it is checked, and nothing grows without bound."""

from __future__ import annotations

import asyncio
import contextlib
import struct

import pytest
from asyncua import ua
from hypothesis import given, settings
from hypothesis import strategies as st

from server.opcua.request import parse

_HELLO = b"HELF" + struct.pack("<I", 32) + struct.pack("<IIIII", 0, 65536, 65536, 0, 0) + struct.pack("<i", -1)


class Raw:
    """A bare connection."""

    def __init__(self, hub: object) -> None:
        self._port = hub.server.port  # type: ignore[attr-defined]

    async def __aenter__(self) -> Raw:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def answer(self) -> tuple[bytes, int]:
        """Kind of the next message and, for an Error, its code."""
        async with asyncio.timeout(60):
            head = await self.reader.readexactly(8)
            kind, _, size = struct.unpack("<3scI", head)
            body = await self.reader.readexactly(size - 8)
        return kind, struct.unpack_from("<I", body)[0]

    async def closed(self) -> bool:
        async with asyncio.timeout(60):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True


@pytest.mark.asyncio(loop_scope="session")
class TestThePort:
    async def test_a_header_that_announces_two_gigabytes_is_refused_at_once(self, hub) -> None:
        async with Raw(hub) as raw:
            raw.writer.write(b"OPNF" + struct.pack("<II", 0x7FFF_FFFF, 0))
            assert await raw.answer() == (b"ERR", ua.StatusCodes.BadTcpMessageTooLarge)
            assert await raw.closed()

    async def test_a_hello_larger_than_any_hello_is_refused(self, hub) -> None:
        async with Raw(hub) as raw:
            raw.writer.write(b"HELF" + struct.pack("<I", 60_000))
            assert await raw.answer() == (b"ERR", ua.StatusCodes.BadTcpMessageTooLarge)

    async def test_something_that_is_not_opc_ua_is_refused(self, hub) -> None:
        async with Raw(hub) as raw:
            raw.writer.write(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n")
            assert await raw.answer() == (b"ERR", ua.StatusCodes.BadTcpMessageTypeInvalid)
            assert await raw.closed()

    async def test_a_size_smaller_than_its_own_header_is_refused(self, hub) -> None:
        async with Raw(hub) as raw:
            raw.writer.write(b"MSGF" + struct.pack("<I", 3))
            assert (await raw.answer())[0] == b"ERR"

    async def test_a_client_without_a_session_cannot_go_on_sending(self, hub) -> None:
        async with Raw(hub) as raw:
            raw.writer.write(_HELLO)
            assert (await raw.answer())[0] == b"ACK"
            chunk = b"MSGC" + struct.pack("<III", 32_000, 0, 13) + b"\0" * (32_000 - 16)
            with contextlib.suppress(ConnectionError):
                for _ in range(64):
                    raw.writer.write(chunk)
                    await raw.writer.drain()
            with contextlib.suppress(ConnectionError):
                assert (await raw.answer())[0] == b"ERR"
            assert await raw.closed()

    async def test_a_message_outside_a_secure_channel_closes_the_connection(self, hub) -> None:
        async with Raw(hub) as raw:
            raw.writer.write(_HELLO)
            await raw.answer()
            raw.writer.write(b"MSGF" + struct.pack("<IIIII", 24 + 4, 77, 13, 1, 1) + b"\x01\x00\x77\x02")
            assert (await raw.answer())[0] == b"ERR"
            assert await raw.closed()

    async def test_a_wrong_sequence_number_closes_the_connection(self, hub) -> None:
        client = hub.client()
        await client.connect()
        client.uaclient.protocol._connection._sequence_number += 5
        with pytest.raises((ua.UaError, ConnectionError, TimeoutError)):
            await asyncio.wait_for(client.get_node(ua.NodeId(2258)).read_value(), 2)
        client.disconnect_socket()

    async def test_a_truncated_request_is_undecodable_and_the_connection_lives(self, hub, client) -> None:
        protocol = client.uaclient.protocol
        whole = ua.ReadRequest()
        whole.Parameters.NodesToRead = [ua.ReadValueId(ua.NodeId("m00.ActivePower", 2), ua.AttributeIds.Value)]
        whole.RequestHeader.AuthenticationToken = protocol.authentication_token
        written = ua.ua_binary.struct_to_binary(whole)
        for end in range(80, len(written)):
            protocol._request_id += 1
            waiting = asyncio.get_running_loop().create_future()
            protocol._callbackmap[protocol._request_id] = waiting
            protocol.transport.write(
                protocol._connection.message_to_binary(written[:end], request_id=protocol._request_id)
            )
            answer = await asyncio.wait_for(waiting, 60)
            kind = ua.ua_binary.nodeid_from_binary(answer)
            assert kind.Identifier == ua.ObjectIds.ServiceFault_Encoding_DefaultBinary
        await client.get_node(ua.NodeId(2258)).read_value()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_either_a_request_or_undecodable(body: bytes) -> None:
    with contextlib.suppress(ua.uaerrors.BadDecodingError):
        request = parse(body, 7)
        assert request.request_id == 7
        assert request.offset <= len(body)


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(
        st.builds(ua.NodeId, st.integers(0, 2**32 - 1), st.integers(0, 9)),
        st.builds(ua.NodeId, st.text(max_size=9), st.integers(0, 9)),
        st.builds(lambda raw: ua.NodeId(raw, 0, ua.NodeIdType.ByteString), st.binary(max_size=33)),
    ),
    st.integers(0, 2**32 - 1),
    st.one_of(st.none(), st.text(max_size=5)),
)
def test_headers_that_asyncua_writes_are_read_whole(token: ua.NodeId, handle: int, audit: str | None) -> None:
    request = ua.ReadRequest()
    request.RequestHeader = ua.RequestHeader(token, RequestHandle=handle, AuditEntryId=audit, TimeoutHint=4321)
    request.Parameters.MaxAge = 17.5
    parsed = parse(ua.ua_binary.struct_to_binary(request), 1)
    assert parsed.kind == ua.ObjectIds.ReadRequest_Encoding_DefaultBinary
    assert parsed.token == ua.ua_binary.nodeid_to_binary(token)
    assert (parsed.handle, parsed.timeout_ms) == (handle, 4321)
    assert parsed.decode(ua.ReadParameters).MaxAge == 17.5
