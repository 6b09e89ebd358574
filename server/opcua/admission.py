"""CreateSession, ActivateSession and CloseSession (Part 4 5.7.2 to 5.7.4)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from asyncua import ua
from asyncua.server.internal_session import SessionState

from server.opcua.request import Request, fault

if TYPE_CHECKING:
    from server.opcua.processor import HubProcessor
    from server.opcua.session import HubSession

_SMALLEST_NONCE = 32
_FAILURES = 5
"""Activations of one session that may fail."""


async def create_session(processor: HubProcessor, request: Request) -> Any:
    """A session on this connection, to be activated."""
    asked = request.decode(ua.CreateSessionParameters)
    policy, channel = processor.policy, processor.channel
    if not channel.offered:
        raise fault(ua.StatusCodes.BadSecurityPolicyRejected)
    peer = channel.peer_certificate
    if channel.secured:
        if len(asked.ClientNonce or b"") < _SMALLEST_NONCE:
            raise fault(ua.StatusCodes.BadNonceInvalid)
        if not (asked.ClientCertificate or b"").startswith(peer or b"-"):
            raise fault(ua.StatusCodes.BadCertificateInvalid)
    if not math.isfinite(asked.RequestedSessionTimeout):
        asked.RequestedSessionTimeout = 0.0
    iserver = processor.iserver
    for waiting in processor.unactivated():
        processor.forget(waiting)
        iserver.end(waiting, delete=True)
    session = iserver.create_session(str(processor.name), external=True)
    session.channel = processor
    session.client_certificate = peer
    session.security = channel.security
    session.application_uri = asked.ClientDescription.ApplicationUri or ""
    try:
        result = await session.create_session(asked, sockname=processor.sockname)
    except Exception:
        iserver.end(session, delete=True)
        raise
    processor.adopt(session)
    iserver.cumulated_sessions += 1
    iserver.subscription_service.publisher.wake()
    result.MaxRequestMessageSize = iserver.limits.message_bytes
    result.ServerCertificate = policy.host_certificate
    signed = (peer or b"") + (asked.ClientNonce or b"")
    result.ServerSignature.Signature = policy.asymmetric_cryptography.signature(signed)
    result.ServerSignature.Algorithm = policy.AsymmetricSignatureURI
    response = ua.CreateSessionResponse()
    response.Parameters = result
    return response


def activate_session(processor: HubProcessor, request: Request) -> Any:
    """Activate, or take over from a lost connection by proof of the same application and user."""
    asked = request.decode(ua.ActivateSessionParameters)
    session = processor.iserver.session_of(request.token)
    if session is None or session.state is SessionState.Closed:
        raise fault(ua.StatusCodes.BadSessionIdInvalid)
    former = session.channel
    try:
        policy = processor.policy
        challenge = (policy.host_certificate or b"") + session.nonce
        policy.asymmetric_cryptography.verify(challenge, asked.ClientSignature.Signature or b"")
        result = session.bind(processor, asked)
    except Exception:
        if former is processor:
            _failed(processor, session)
        raise
    session.failures = 0
    if former is not None and former is not processor:
        former.forget(session)
    processor.adopt(session)
    response = ua.ActivateSessionResponse()
    response.Parameters = result
    return response


async def close_session(processor: HubProcessor, request: Request) -> bytes:
    """End the session and, as asked, its subscriptions."""
    session = processor.own(request.token)
    if session is None:
        raise fault(ua.StatusCodes.BadSessionIdInvalid)
    if len(request.body) <= request.offset:
        raise fault(ua.StatusCodes.BadDecodingError)
    processor.forget(session)
    processor.iserver.end(session, delete=bool(request.body[request.offset]))
    return b""


def _failed(processor: HubProcessor, session: HubSession) -> None:
    """Passwords cannot be tried for ever in one session."""
    session.failures += 1
    if session.failures >= _FAILURES and session.state is SessionState.Created:
        processor.forget(session)
        processor.iserver.end(session, delete=True)
