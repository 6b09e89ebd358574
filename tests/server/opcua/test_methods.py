"""Calling methods over the wire: what is checked before a callback runs, and what it is told (OPC 10000-4 5.12)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, ua
from asyncua.crypto.cert_gen import generate_private_key, generate_self_signed_app_certificate
from asyncua.crypto.permission_rules import UserRole
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from address_space.model.errors import HubError
from drivers.errors import DeviceRefused, NoAnswer
from server.opcua import CallContext, CallRefused, HubServer, HubUser, Limits, Protection, Right, SessionPolicy
from server.opcua.calls import current_call
from server.opcua.methods import status_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

_S = ua.StatusCodes
_T = ua.VariantType
UNIT, READ_NOW, SYNC_CLOCK = ua.NodeId("m07", 2), ua.NodeId("m07.ReadNow", 2), ua.NodeId("m07.SyncClock", 2)
TYPE_READ_NOW = ua.NodeId(7002, 3)
WORD = "open sesame"
READ_AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Staff:
    """One operator, who may call methods, and one guest, who may not."""

    def authenticate(self, username: str, password: str) -> HubUser | None:
        if password != WORD:
            return None
        rights = {Right.LOOK, Right.CONTROL} if username == "operator" else {Right.LOOK}
        return HubUser(role=UserRole.User, name=username, identity=(username,), rights=frozenset(rights))


class Desk:
    """What the callbacks of these tests do, and what they saw."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, CallContext, tuple[Any, ...]]] = []
        self.answer: Callable[[], Any] = lambda: None
        self.capable = {"m07"}

    async def serve(self, owner: str, context: CallContext, *inputs: Any) -> Any:
        self.calls.append((owner, context, inputs))
        assert current_call.get() is context
        answer = self.answer()
        return await answer if asyncio.iscoroutine(answer) else answer


@pytest.fixture(scope="session")
def client_identity(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("operator")
    key = generate_private_key()
    names = [x509.UniformResourceIdentifier("urn:example.org:FreeOpcUa:opcua-asyncio")]
    certificate = generate_self_signed_app_certificate(key, "c", {}, names, [ExtendedKeyUsageOID.CLIENT_AUTH])
    (folder / "cert.der").write_bytes(certificate.public_bytes(serialization.Encoding.DER))
    plain = serialization.NoEncryption()
    written = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "key.pem").write_bytes(written)
    return folder / "cert.der", folder / "key.pem"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def manned(tmp_path_factory: pytest.TempPathFactory, hub: Any) -> AsyncIterator[Any]:
    """A hub with users."""
    made = type(hub)(tmp_path_factory.mktemp("manned"), Limits(call_s=0.3, calls_per_session=2))
    policy = SessionPolicy(allow_anonymous=True, users=Staff())
    made.server = HubServer(made.plant, made.live, made.options, made.history, made.clock, policy)
    made.desk = Desk()
    made.server.bind("ReadNow", made.desk.serve, protection=Protection.NONE)
    made.server.bind("SyncClock", made.desk.serve, executable=lambda owner: owner in made.desk.capable)
    await made.server.start()
    yield made
    await made.server.stop()


@pytest.fixture
def desk(manned: Any) -> Desk:
    manned.desk.calls.clear()
    manned.desk.answer = lambda: (True, READ_AT)
    return manned.desk  # type: ignore[no-any-return]


@pytest_asyncio.fixture(loop_scope="session")
async def operator(manned: Any, client_identity: tuple[Path, Path]) -> AsyncIterator[Client]:
    """An operator on an encrypted channel."""
    client = manned.client()
    certificate, key = client_identity
    await client.set_security(SecurityPolicyBasic256Sha256, certificate, key)
    client.set_user("operator")
    client.set_password(WORD)
    client.set_locale(["ru"])
    async with client:
        yield client


async def call(client: Client, object_id: ua.NodeId, method_id: ua.NodeId, *inputs: ua.Variant) -> Any:
    request = ua.CallMethodRequest(object_id, method_id, list(inputs))
    return (await client.uaclient.call([request]))[0]


async def sync(client: Client, *inputs: ua.Variant) -> Any:
    return await call(client, UNIT, SYNC_CLOCK, *inputs)


async def test_a_method_runs_with_the_unit_and_the_caller_and_gives_its_outputs(operator, desk) -> None:
    result = await call(operator, UNIT, READ_NOW)
    assert result.StatusCode.is_good()
    assert [one.VariantType for one in result.OutputArguments] == [_T.Boolean, _T.DateTime]
    assert [one.Value for one in result.OutputArguments] == [True, READ_AT]
    ((owner, context, inputs),) = desk.calls
    assert (owner, inputs) == ("m07", ())
    assert context.user.name == "operator"
    assert (context.encrypted, context.locale, context.object_id) == (True, "ru", UNIT)
    assert current_call.get() is None


async def test_the_types_method_stands_for_the_instances(operator, desk) -> None:
    assert (await call(operator, UNIT, TYPE_READ_NOW)).StatusCode.is_good()
    assert desk.calls[0][0] == "m07"
    assert desk.calls[0][1].method_id == READ_NOW


@pytest.mark.parametrize(
    ("object_id", "method_id", "code"),
    [
        (ua.NodeId("m99", 2), READ_NOW, _S.BadNodeIdUnknown),
        (ua.NodeId(), READ_NOW, _S.BadNodeIdInvalid),
        (UNIT, ua.NodeId(), _S.BadNodeIdInvalid),
        (ua.NodeId("m07.ActivePower", 2), READ_NOW, _S.BadNodeIdInvalid),
        (UNIT, ua.NodeId("m08.ReadNow", 2), _S.BadMethodInvalid),
        (ua.NodeId("north", 2), READ_NOW, _S.BadMethodInvalid),
        (ua.NodeId("north", 2), TYPE_READ_NOW, _S.BadMethodInvalid),
        (UNIT, ua.NodeId("m07.ActivePower", 2), _S.BadMethodInvalid),
        (UNIT, ua.NodeId("m07.NoSuch", 2), _S.BadMethodInvalid),
        (UNIT, ua.NodeId(11492), _S.BadMethodInvalid),
        (ua.NodeId(2253), READ_NOW, _S.BadMethodInvalid),
        (ua.NodeId(2253), ua.NodeId(12873), _S.BadNotExecutable),
        (ua.NodeId(2782), ua.NodeId(3875), _S.BadNotExecutable),
        (ua.NodeId("m08", 2), ua.NodeId("m08.SyncClock", 2), _S.BadNotExecutable),
    ],
)
async def test_wrong_objects_and_methods_are_told_apart(operator, desk, object_id, method_id, code) -> None:
    assert (await call(operator, object_id, method_id)).StatusCode.value == code
    assert desk.calls == []


async def test_executable_shows_where_a_method_can_run(operator, desk) -> None:
    async def executable(name: str) -> bool:
        node = operator.get_node(ua.NodeId(name, 2))
        return bool((await node.read_attribute(ua.AttributeIds.Executable)).Value.Value)

    assert [await executable(f"{unit}.SyncClock") for unit in ("m07", "m08")] == [True, False]
    assert await executable("m08.ReadNow")
    refresh = await operator.get_node(ua.NodeId(3875)).read_attribute(ua.AttributeIds.Executable)
    assert refresh.Value.Value is False


async def test_what_a_user_may_call_is_shown_to_that_user(manned, operator, desk) -> None:
    async def told(client: Client, attribute: ua.AttributeIds) -> bool:
        return bool((await client.get_node(READ_NOW).read_attribute(attribute)).Value.Value)

    assert await told(operator, ua.AttributeIds.UserExecutable)
    async with manned.client() as anonymous:
        assert await told(anonymous, ua.AttributeIds.Executable)
        assert not await told(anonymous, ua.AttributeIds.UserExecutable)


async def test_too_few_and_too_many_arguments_are_told(operator, desk) -> None:
    reason = ua.Variant("drift", _T.String)
    assert (await sync(operator)).StatusCode.value == _S.BadArgumentsMissing
    assert (await sync(operator, reason, reason)).StatusCode.value == _S.BadTooManyArguments
    assert desk.calls == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (ua.Variant(7, _T.Int32), _S.BadTypeMismatch),
        (ua.Variant(["drift"], _T.String, is_array=True), _S.BadTypeMismatch),
        (ua.Variant("x" * 201, _T.String), _S.BadOutOfRange),
    ],
)
async def test_a_wrong_argument_is_told_by_its_place(operator, desk, given: ua.Variant, code: int) -> None:
    result = await sync(operator, given)
    assert result.StatusCode.value == _S.BadInvalidArgument
    assert [one.value for one in result.InputArgumentResults] == [code]
    assert desk.calls == []


async def test_a_null_text_is_taken_and_outputs_are_of_the_declared_type(operator, desk) -> None:
    desk.answer = lambda: (1500,)
    result = await sync(operator, ua.Variant(None, _T.String))
    assert [(one.Value, one.VariantType) for one in result.OutputArguments] == [(1500.0, _T.Double)]
    assert desk.calls[0][2] == (None,)


async def test_callers_without_the_right_are_refused_before_their_arguments_are_looked_at(manned, desk) -> None:
    for user in ("guest", None):
        client = manned.client()
        if user:
            client.set_user(user)
            client.set_password(WORD)
        async with client:
            for method in (READ_NOW, SYNC_CLOCK):
                assert (await call(client, UNIT, method)).StatusCode.value == _S.BadUserAccessDenied
    assert desk.calls == []


async def test_control_needs_a_channel_that_nobody_can_listen_to(manned, desk) -> None:
    client = manned.client()
    client.set_user("operator")
    client.set_password(WORD)
    async with client:
        assert (await call(client, UNIT, READ_NOW)).StatusCode.is_good()
        refused = await sync(client, ua.Variant("drift", _T.String))
    assert refused.StatusCode.value == _S.BadSecurityModeInsufficient
    assert not desk.calls[0][1].encrypted


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CallRefused(_S.BadInvalidState, "in maintenance"), _S.BadInvalidState),
        (NoAnswer("silent"), _S.BadNoCommunication),
        (DeviceRefused("no", code=2), _S.BadDeviceFailure),
        (HubError("no"), _S.BadInvalidState),
        (TimeoutError(), _S.BadTimeout),
        (ZeroDivisionError(), _S.BadInvalidState),
    ],
)
async def test_failures_become_status_codes_that_mean_something(operator, desk, error: Exception, code: int) -> None:
    def fail() -> Any:
        raise error

    desk.answer = fail
    assert (await call(operator, UNIT, READ_NOW)).StatusCode.value == code


@pytest.mark.parametrize("answer", [(), (True,), (1, READ_AT), (True, "now"), [True, READ_AT], None])
async def test_outputs_that_are_not_as_declared_never_reach_the_client(operator, desk, answer: Any) -> None:
    desk.answer = lambda: answer
    result = await call(operator, UNIT, READ_NOW)
    assert result.StatusCode.value == _S.BadInvalidState
    assert not result.OutputArguments


async def test_refusals_of_single_arguments_come_from_callbacks_too(operator, desk) -> None:
    def refuse() -> Any:
        raise CallRefused(_S.BadInvalidArgument, "not today", arguments=[_S.BadOutOfRange])

    desk.answer = refuse
    result = await sync(operator, ua.Variant("drift", _T.String))
    assert [one.value for one in result.InputArgumentResults] == [_S.BadOutOfRange]


async def test_a_slow_method_ends_with_a_timeout_and_holds_up_nothing(manned, operator, desk) -> None:
    ended = asyncio.Event()

    async def forever() -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    desk.answer = forever
    slow = asyncio.ensure_future(call(operator, UNIT, READ_NOW))
    read = await operator.get_node(ua.NodeId(2259)).read_value()
    assert read == 0
    assert not slow.done()
    assert (await slow).StatusCode.value == _S.BadTimeout
    assert ended.is_set()


async def test_one_client_has_only_so_many_calls_under_way(operator, desk) -> None:
    async def forever() -> Any:
        await asyncio.Event().wait()

    desk.answer = forever
    ended = await asyncio.gather(*(call(operator, UNIT, READ_NOW) for _ in range(3)), return_exceptions=True)
    refused = [one for one in ended if isinstance(one, ua.uaerrors.BadResourceUnavailable)]
    assert len(refused) == 1
    assert [one.StatusCode.value for one in ended if one is not refused[0]] == [_S.BadTimeout] * 2


async def test_one_request_may_call_several_methods_and_each_has_its_result(operator, desk) -> None:
    requests = [ua.CallMethodRequest(UNIT, method, []) for method in (READ_NOW, SYNC_CLOCK, TYPE_READ_NOW)]
    results = await operator.uaclient.call(requests)
    assert [one.StatusCode.value for one in results] == [_S.Good, _S.BadArgumentsMissing, _S.Good]


async def test_clients_that_ask_for_it_are_told_in_words(operator, desk) -> None:
    request = ua.CallRequest()
    request.RequestHeader.ReturnDiagnostics = 0x80
    request.Parameters.MethodsToCall = [ua.CallMethodRequest(UNIT, SYNC_CLOCK, [])]
    data = await operator.uaclient.protocol.send_request(request)
    response = ua.ua_binary.struct_from_binary(ua.CallResponse, data)
    assert "1 arguments are needed" in response.DiagnosticInfos[0].AdditionalInfo


async def test_argument_descriptions_come_in_the_language_of_the_session(operator, desk) -> None:
    arguments = await operator.get_node(ua.NodeId("m07.SyncClock.InputArguments", 2)).read_value()
    assert [(one.Name, one.Description.Text) for one in arguments] == [("Reason", "Причина команды")]


async def test_status_codes_of_drivers_are_never_good_or_uncertain() -> None:
    class Held(HubError):
        """An error that names a reason for an uncertain value."""

        reason = NoAnswer.reason.__class__.HELD

    assert status_of(Held("held")) == _S.BadDeviceFailure
