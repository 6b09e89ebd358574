"""The Method service set (Part 4 5.12): one dispatcher in front of every callback.

asyncua calls whatever callback stands on the method's node, for any object, with any arguments and for any user. Here
a call passes, in this order: the object exists and the user sees it, the method is the object's, it can run, the user
may run it, the channel is protected enough, the arguments are as declared. Only then its callback is awaited, in a
task of its own, so that a slow device does not hold up the client's other requests.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from asyncua import ua

from address_space.model.errors import HubError
from address_space.model.quality import Quality, Reason
from address_space.nodes.standard import NS_PLANT, SERVER, standard
from server.opcua.access import Right, SessionPolicy
from server.opcua.arguments import accept, outputs
from server.opcua.calls import Binding, CallContext, current_call, protection_of
from server.opcua.datatypes import DataTypes
from server.opcua.errors import CallRefused
from server.opcua.method_nodes import Method, MethodNodes
from server.opcua.request import fault, written

if TYPE_CHECKING:
    from asyncua.crypto.permission_rules import User

    from address_space.nodes import VirtualAddressSpace
    from server.opcua.options import Limits
    from server.opcua.processor import HubProcessor
    from server.opcua.request import Request
    from server.opcua.session import HubSession

_logger = logging.getLogger(__name__)

_S = ua.StatusCodes
_ADDITIONAL_INFO = 0x80
"""Bit of ReturnDiagnostics that asks for AdditionalInfo of each operation (Part 4 7.33)."""
_HOLDERS = (SERVER, standard(ua.ObjectIds.ConditionType))
"""Objects and types of namespace 0 whose methods a client may find and try."""
_MS_PER_S = 1000


class CallService:
    """Methods by what they are bound to, and calls under way."""

    def __init__(self, aspace: VirtualAddressSpace, policy: SessionPolicy, limits: Limits) -> None:
        self._aspace = aspace
        self._policy = policy
        self._limits = limits
        self._nodes = MethodNodes(aspace)
        self._types = DataTypes(aspace)
        self._bindings: dict[str | ua.NodeId, Binding] = {}
        self._running: dict[asyncio.Task[None], ua.NodeId] = {}

    def bind(self, method: str | ua.NodeId, binding: Binding) -> None:
        """Bind a method of the plant by its path below its owner (`ReadNow`, `Switch.Trip`), another by its node id."""
        self._bindings[method] = binding
        if isinstance(method, str):
            self._aspace.bind_method(method, binding.callback, binding.executable)
        else:
            self._show_executable(method, executable=True)

    def prepare(self) -> None:
        """Let methods of namespace 0 that nothing stands behind say so; call when the nodes are there."""
        for holder in _HOLDERS:
            for method in self._nodes.real_methods(holder):
                self._show_executable(method, executable=method in self._bindings)

    def serve(self, processor: HubProcessor, request: Request) -> None:
        """Answer a CallRequest when its methods have run; raises where the session has too many calls under way."""
        asked = request.decode(ua.CallParameters).MethodsToCall
        session = request.owner
        if not asked:
            raise fault(_S.BadNothingToDo)
        if len(asked) > self._limits.nodes_per_call:
            raise fault(_S.BadTooManyOperations)
        if sum(1 for owner in self._running.values() if owner == session.session_id) >= self._limits.calls_per_session:
            raise fault(_S.BadResourceUnavailable)

        async def answer() -> None:
            response = await self.call(session, asked, request.timeout_ms, request.diagnostics)
            processor.send(request, written(response, request.handle))

        task = asyncio.create_task(answer(), name="opcua call")
        self._running[task] = session.session_id
        task.add_done_callback(self._running.pop)

    async def call(
        self, session: HubSession, asked: list[ua.CallMethodRequest], timeout_ms: int = 0, diagnostics: int = 0
    ) -> ua.CallResponse:
        """Call methods one after the other, all of them within the time that one may take."""
        loop = asyncio.get_running_loop()
        patience_s = min(self._limits.call_s, timeout_ms / _MS_PER_S or self._limits.call_s)
        deadline = loop.time() + patience_s
        response = ua.CallResponse()
        told: list[str] = []
        for one in asked:
            result, text = await self._guarded(session, one, deadline)
            response.Results.append(result)
            told.append(text)
        if diagnostics & _ADDITIONAL_INFO and any(told):
            response.DiagnosticInfos = [ua.DiagnosticInfo(AdditionalInfo=text or None) for text in told]
        return response

    async def close(self) -> None:
        """End the calls under way."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def may_execute(self, user: User, method_id: ua.NodeId) -> bool:
        """Whether a user may run a method of the plant where it can run: its UserExecutable."""
        place = self._aspace.resolve(str(method_id.Identifier)) if method_id.NamespaceIndex == NS_PLANT else None
        binding = self._bindings.get(place.member.path if place is not None else method_id)
        return binding is not None and self._policy.may(user, binding.right)

    async def _guarded(
        self, session: HubSession, asked: ua.CallMethodRequest, deadline: float
    ) -> tuple[ua.CallMethodResult, str]:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._call(session, asked), ""
        except TimeoutError:
            return _failed(_S.BadTimeout), "the method did not end in time"
        except CallRefused as refused:
            result = _failed(refused.status)
            if refused.status == _S.BadInvalidArgument:
                result.InputArgumentResults = [ua.StatusCode(code) for code in refused.arguments]
            return result, str(refused)
        except HubError as error:
            return _failed(status_of(error)), str(error)
        except Exception as error:
            _logger.exception("method failed method=%s object=%s", asked.MethodId, asked.ObjectId)
            return _failed(_S.BadInvalidState), f"the hub failed: {type(error).__name__}"

    async def _call(self, session: HubSession, asked: ua.CallMethodRequest) -> ua.CallMethodResult:
        self._check_visible(session.user, asked.ObjectId)
        method = self._nodes.find(asked.ObjectId, asked.MethodId)
        binding = self._binding(method)
        context = self._context(session, method, asked.ObjectId)
        if not self._policy.may(session.user, binding.right):
            raise CallRefused(_S.BadUserAccessDenied, "the user has no right to call this method")
        if context.protection < binding.protection:
            raise CallRefused(
                _S.BadSecurityModeInsufficient, "this method is called over a better secured channel only"
            )
        inputs = accept(method.inputs, asked.InputArguments or [], self._types)
        token = current_call.set(context)
        try:
            returned = await binding.callback(method.owner, context, *inputs)
        finally:
            current_call.reset(token)
        made = outputs(method.outputs, returned, self._types, context.locale)
        return ua.CallMethodResult(ua.StatusCode(), OutputArguments=made)

    def _check_visible(self, user: User, object_id: ua.NodeId) -> None:
        """An object that the user may not see does not exist for him."""
        unseen = not self._policy.may(user, Right.LOOK)
        unit = self._aspace.plant.unit_of.get(self._aspace.owner_of(object_id))  # type: ignore[call-overload]
        if unit is not None:
            unseen = unseen or not self._policy.sees(user, [self._aspace.plant.first_handle(unit)])
        if unseen:
            raise CallRefused(_S.BadNodeIdUnknown, "there is no such object", where=object_id.to_string())

    def _binding(self, method: Method) -> Binding:
        binding = self._bindings.get(method.key)
        if binding is None or (binding.executable is not None and not binding.executable(method.owner)):
            raise CallRefused(_S.BadNotExecutable, "this method cannot run here", where=method.node_id.to_string())
        return binding

    def _context(self, session: HubSession, method: Method, object_id: ua.NodeId) -> CallContext:
        mode = session.channel.policy.Mode if session.channel is not None else ua.MessageSecurityMode.None_
        return CallContext(
            session.user,
            protection_of(mode),
            session.locale,
            method.owner,
            object_id,
            method.node_id,
            session.session_id,
        )

    def _show_executable(self, method: ua.NodeId, *, executable: bool) -> None:
        node = self._aspace.get(method)
        for attribute in (ua.AttributeIds.Executable, ua.AttributeIds.UserExecutable):
            held = None if node is None else node.attributes.get(attribute)
            if held is not None:
                held.value = ua.DataValue(ua.Variant(executable, ua.VariantType.Boolean), ua.StatusCode())


def status_of(error: HubError) -> int:
    """What a failure of the hub or of a device is to a client: a driver's reason tells, else BadInvalidState."""
    reason = getattr(error, "reason", None)
    if isinstance(reason, Reason):
        return reason.status if reason.quality is Quality.BAD else int(_S.BadDeviceFailure)
    return int(_S.BadInvalidState)


def _failed(code: int) -> ua.CallMethodResult:
    return ua.CallMethodResult(ua.StatusCode(code))
