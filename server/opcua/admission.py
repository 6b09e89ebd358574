"""CreateSession, ActivateSession and CloseSession (Part 4 5.7.2 to 5.7.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncua import ua
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.server.internal_session import SessionState

from server.opcua.request import Request, fault

if TYPE_CHECKING:
    from server.opcua.processor import HubProcessor

_SMALLEST_NONCE = 32


async def create_session(processor: HubProcessor, request: Request) -> Any:
    """A session on this connection, to be activated."""
    asked = request.decode(ua.CreateSessionParameters)
    policy = processor.policy
    peer = policy.peer_certificate
    if type(policy) is not SecurityPolicyNone:
        if len(asked.ClientNonce or b"") < _SMALLEST_NONCE:
            raise fault(ua.StatusCodes.BadNonceInvalid)
        if not (asked.ClientCertificate or b"").startswith(peer or b"-"):
            raise fault(ua.StatusCodes.BadCertificateInvalid)
    iserver = processor.iserver
    for waiting in processor.unactivated():
        iserver.end(waiting, delete=True)
    session = iserver.create_session(str(processor.name), external=True)
    session.channel = processor
    session.client_certificate = peer
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
    policy = processor.policy
    challenge = (policy.host_certificate or b"") + session.nonce
    policy.asymmetric_cryptography.verify(challenge, asked.ClientSignature.Signature)
    former = session.channel
    result = session.bind(processor, asked, policy.peer_certificate)
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
