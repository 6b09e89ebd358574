"""Read, as OPC 10000-4 5.11.2 has it."""

from __future__ import annotations

import asyncio

import pytest
from asyncua import Client, ua
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary
from asyncua.ua.uaerrors import UaStatusCodeError

pytestmark = pytest.mark.asyncio(loop_scope="session")

_VALUE = ua.AttributeIds.Value
_STATUS = ua.StatusCodes


async def _read(client: Client, *nodes: ua.ReadValueId, timestamps: int = 2, max_age: float = 0) -> list[ua.DataValue]:
    params = ua.ReadParameters(max_age, ua.TimestampsToReturn(timestamps), list(nodes))
    results: list[ua.DataValue] = await client.uaclient.read(params)
    return results


def _point(name: str, attribute: int = _VALUE, index_range: str | None = None) -> ua.ReadValueId:
    return ua.ReadValueId(ua.NodeId(name, 2), attribute, index_range)


def _standard(number: int, attribute: int = _VALUE, index_range: str | None = None) -> ua.ReadValueId:
    return ua.ReadValueId(ua.NodeId(number), attribute, index_range)


async def test_points_and_other_nodes_come_back_in_the_order_asked(hub, client) -> None:
    hub.read("m00.ActivePower", 41.5)
    hub.read("m01.ActivePower", 42.5)
    results = await _read(
        client,
        _point("m00.ActivePower"),
        _standard(ua.ObjectIds.Server_NamespaceArray),
        _point("m01.ActivePower"),
        _point("m01.ActivePower", ua.AttributeIds.BrowseName),
        _point("nowhere.ActivePower"),
    )
    assert results[0].Value.Value == 41.5
    assert results[1].Value.Value[2:4] == ["urn:joulehub:plant", "urn:joulehub:types"]
    assert results[2].Value.Value == 42.5
    assert results[3].Value.Value.Name == "ActivePower"
    assert results[4].StatusCode.value == _STATUS.BadNodeIdUnknown


@pytest.mark.parametrize(
    ("wanted", "source", "server"), [(0, True, False), (1, False, True), (2, True, True), (3, False, False)]
)
async def test_timestamps_are_returned_as_asked(hub, client, wanted: int, source: bool, server: bool) -> None:
    hub.read("m00.ActivePower", 1.0)
    nodes = [_point("m00.ActivePower"), _standard(ua.ObjectIds.Server_ServiceLevel)]
    for values in (await _read(client, *nodes, timestamps=wanted), await _read(client, *nodes[:1], timestamps=wanted)):
        for value in values:
            assert (value.SourceTimestamp is not None) is source
            assert (value.ServerTimestamp is not None) is server


async def test_a_point_never_polled_waits_for_initial_data_with_a_null_value(client) -> None:
    (value,) = await _read(client, _point("m29.VoltageL1"))
    assert value.StatusCode.value == _STATUS.BadWaitingForInitialData
    assert value.Value.Value is None
    assert value.ServerTimestamp is not None


async def test_an_uncertain_value_is_sent_and_a_bad_one_is_not(hub, client) -> None:
    hub.read("m00.ActivePower", 3.0, _STATUS.UncertainLastUsableValue)
    hub.read("m01.ActivePower", 3.0, _STATUS.BadNoCommunication)
    held, gone = await _read(client, _point("m00.ActivePower"), _point("m01.ActivePower"))
    assert (held.Value.Value, held.StatusCode.value) == (3.0, _STATUS.UncertainLastUsableValue)
    assert (gone.Value.Value, gone.StatusCode.value) == (None, _STATUS.BadNoCommunication)


async def test_an_attribute_that_a_node_does_not_have_is_refused(client) -> None:
    results = await _read(client, _standard(ua.ObjectIds.Server, _VALUE), _standard(ua.ObjectIds.Server, 99))
    assert [one.StatusCode.value for one in results] == [_STATUS.BadAttributeIdInvalid] * 2


async def test_index_ranges_cut_arrays_and_refuse_scalars(client) -> None:
    array = ua.ObjectIds.Server_NamespaceArray
    results = await _read(
        client,
        _standard(array, index_range="2:3"),
        _standard(array, index_range="1"),
        _standard(array, index_range="50:60"),
        _standard(array, index_range="3:2"),
        _point("m00.ActivePower", index_range="0"),
    )
    assert results[0].Value.Value == ["urn:joulehub:plant", "urn:joulehub:types"]
    assert len(results[1].Value.Value) == 1
    assert results[2].StatusCode.value == _STATUS.BadIndexRangeNoData
    assert results[3].StatusCode.value == _STATUS.BadIndexRangeInvalid
    assert not results[4].StatusCode.is_good()


async def test_data_encodings_other_than_binary_are_refused(client) -> None:
    node = ua.NodeId(ua.ObjectIds.Server_ServerStatus)
    results = await _read(
        client,
        ua.ReadValueId(node, _VALUE, None, ua.QualifiedName("Default XML")),
        ua.ReadValueId(node, _VALUE, None, ua.QualifiedName("nonsense")),
        ua.ReadValueId(node, ua.AttributeIds.DisplayName, None, ua.QualifiedName("Default Binary")),
        ua.ReadValueId(node, _VALUE, None, ua.QualifiedName("Default Binary")),
    )
    assert [one.StatusCode.value for one in results] == [
        _STATUS.BadDataEncodingUnsupported,
        _STATUS.BadDataEncodingInvalid,
        _STATUS.BadDataEncodingInvalid,
        _STATUS.Good,
    ]


async def test_a_request_for_nothing_or_with_a_negative_age_is_a_fault(client) -> None:
    with pytest.raises(UaStatusCodeError) as nothing:
        await _read(client)
    assert nothing.value.code == _STATUS.BadNothingToDo
    with pytest.raises(UaStatusCodeError) as aged:
        await _read(client, _point("m00.ActivePower"), max_age=-1)
    assert aged.value.code == _STATUS.BadMaxAgeInvalid


async def test_more_nodes_than_the_published_limit_are_a_fault(hub, client) -> None:
    (limit,) = await _read(client, _standard(ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead))
    assert limit.Value.Value == hub.options.limits.nodes_per_read
    node = _point("m00.ActivePower")
    assert len(await _read(client, *[node] * limit.Value.Value)) == limit.Value.Value
    with pytest.raises(UaStatusCodeError) as many:
        await _read(client, *[node] * (limit.Value.Value + 1))
    assert many.value.code == _STATUS.BadTooManyOperations


async def test_a_variable_without_current_read_is_not_readable(hub, client) -> None:
    node = ua.NodeId(ua.ObjectIds.Server_ServiceLevel)
    attributes = hub.server.aspace[node].attributes
    before = attributes[ua.AttributeIds.AccessLevel].value
    attributes[ua.AttributeIds.AccessLevel].value = ua.DataValue(ua.Variant(0, ua.VariantType.Byte))
    try:
        (value,) = await _read(client, ua.ReadValueId(node, _VALUE))
    finally:
        attributes[ua.AttributeIds.AccessLevel].value = before
    assert value.StatusCode.value == _STATUS.BadNotReadable


async def test_permission_is_asked_again_for_a_list_that_is_remembered(hub, client, monkeypatch) -> None:
    nodes = [_point("m00.ActivePower"), _point("m01.ActivePower")]
    await _read(client, *nodes)
    hidden = hub.handle("m01.ActivePower")
    monkeypatch.setattr(hub.server.policy, "visible", lambda _, handles: handles != hidden)
    seen, unseen = await _read(client, *nodes)
    assert seen.StatusCode.value != _STATUS.BadNodeIdUnknown
    assert unseen.StatusCode.value == _STATUS.BadNodeIdUnknown
    assert unseen.SourceTimestamp is None


async def test_anonymous_clients_may_call_nothing(client) -> None:
    call = ua.CallMethodRequest(ua.NodeId(ua.ObjectIds.Server), ua.NodeId(ua.ObjectIds.Server_GetMonitoredItems), [])
    (called,) = await client.uaclient.call([call])
    assert called.StatusCode.value in (_STATUS.BadUserAccessDenied, _STATUS.BadNotExecutable)


async def test_texts_come_in_the_language_of_the_session(hub) -> None:
    speaker = hub.client()
    speaker.set_locale(["ru-RU", "en"])
    await speaker.connect()
    try:
        (value,) = await _read(speaker, _point("m00.ActivePower", ua.AttributeIds.DisplayName))
    finally:
        await speaker.disconnect()
    assert value.Value.Value.Text != "Active power"
    assert value.Value.Value.Locale == "ru"


async def test_who_asks_for_no_language_of_the_hub_hears_the_configured_one(make_hub) -> None:
    own = make_hub(locale="uz")
    await own.server.start()
    try:
        for asked, heard in (
            ([], "uz"),
            (["de-DE"], "uz"),
            (["de", "zh-Hans-CN", "ru"], "zh"),
            (["ru-RU"], "ru"),
            (["EN"], "en"),
        ):
            speaker = own.client()
            speaker.set_locale(asked)
            await speaker.connect()
            (name,) = await _read(speaker, _point("m00.ActivePower", ua.AttributeIds.DisplayName))
            (told,) = await _read(speaker, ua.ReadValueId(ua.NodeId(2271), ua.AttributeIds.Value))
            below = await speaker.get_node("ns=2;s=m00").get_references(nodeclassmask=ua.NodeClass.Method)
            await speaker.disconnect()
            assert name.Value.Value.Locale == heard
            assert told.Value.Value == ["uz", "en", "ru", "zh"]
            assert {child.BrowseName.Name: child.DisplayName.Locale for child in below}["ReadNow"] == heard
    finally:
        await own.server.stop()


async def test_reads_that_come_in_one_packet_are_answered_each_and_in_order(hub, client) -> None:
    hub.read("m00.ActivePower", 41.0)
    protocol = client.uaclient.protocol
    packet, answers = b"", []
    for number in range(40):
        request = ua.ReadRequest()
        request.Parameters.NodesToRead = [_point("m00.ActivePower" if number % 3 else "nowhere")]
        protocol._setup_request_header(request.RequestHeader, 5)
        protocol._request_id += 1
        answer = asyncio.get_running_loop().create_future()
        protocol._callbackmap[protocol._request_id] = answer
        answers.append(answer)
        packet += protocol._connection.message_to_binary(struct_to_binary(request), request_id=protocol._request_id)
    protocol.transport.write(packet)
    order: list[int] = []
    for number, answer in enumerate(answers):
        answer.add_done_callback(lambda _, number=number: order.append(number))
    bodies = await asyncio.wait_for(asyncio.gather(*answers), 60)
    codes = [struct_from_binary(ua.ReadResponse, body).Results[0].StatusCode.value for body in bodies]
    assert codes == [0 if number % 3 else _STATUS.BadNodeIdUnknown for number in range(40)]
    assert order == list(range(40))
