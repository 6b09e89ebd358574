"""Sessions and users against those who would be somebody else."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from asyncua import ua
from asyncua.crypto import uacrypto
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from address_space.model.clock import ManualClock
from server.opcua.faults import Faults
from server.opcua.identity import credentials
from tests.server.opcua.wire import Wire

_STATUS = ua.StatusCodes
_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
_OAEP = "http://www.w3.org/2001/04/xmlenc#rsa-oaep"
_OAEP_256 = "http://opcfoundation.org/UA/security/rsa-oaep-sha2-256"
_NONCE = bytes(range(32))
_SIGN = ua.MessageSecurityMode.Sign
_ENCRYPT = ua.MessageSecurityMode.SignAndEncrypt


def _code(token: Any, mode: Any = _SIGN) -> int:
    with pytest.raises(ua.UaStatusCodeError) as refused:
        credentials(token, _NONCE, _KEY, mode)
    return int(refused.value.code)


def _sealed(plain: bytes, algorithm: str = _OAEP) -> Any:
    seal = uacrypto.encrypt_rsa_oaep if algorithm == _OAEP else uacrypto.encrypt_rsa_oaep_sha256
    return ua.UserNameIdentityToken("username", "ada", seal(_KEY.public_key(), plain), algorithm)


@pytest.mark.parametrize("algorithm", [_OAEP, _OAEP_256])
@pytest.mark.parametrize("password", ["", "lovelace", "пароль", "x" * 100])
def test_an_encrypted_password_is_read(algorithm: str, password: str) -> None:
    secret = password.encode() + _NONCE
    token = _sealed(struct.pack("<I", len(secret)) + secret, algorithm)
    assert credentials(token, _NONCE, _KEY, _SIGN) == ("ada", password)


def test_a_plain_password_is_taken_only_where_the_channel_hides_it() -> None:
    plain = ua.UserNameIdentityToken("username", "ada", b"lovelace")
    assert credentials(plain, _NONCE, _KEY, _ENCRYPT) == ("ada", "lovelace")
    for mode in (ua.MessageSecurityMode.None_, _SIGN):
        assert _code(plain, mode) == _STATUS.BadIdentityTokenRejected


def test_unsafe_and_unknown_encryption_is_refused() -> None:
    for algorithm in ("http://www.w3.org/2001/04/xmlenc#rsa-1_5", "urn:none", "x" * 10_000):
        token = ua.UserNameIdentityToken("username", "ada", b"\1" * 256, algorithm)
        assert _code(token, _ENCRYPT) == _STATUS.BadIdentityTokenRejected


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"abc",
        struct.pack("<I", 2**31 - 1) + _NONCE,
        struct.pack("<I", 10) + b"0123456789",
        struct.pack("<I", 40) + b"lovelace" + b"o" * 32,
        struct.pack("<I", 33) + b"\xff" + _NONCE,
        struct.pack("<I", 31) + _NONCE[1:],
    ],
)
def test_a_secret_that_is_not_password_and_nonce_is_invalid(plain: bytes) -> None:
    assert _code(_sealed(plain)) == _STATUS.BadIdentityTokenInvalid


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=600))
def test_any_bytes_for_a_password_are_invalid(secret: bytes) -> None:
    assert _code(ua.UserNameIdentityToken("username", "ada", secret, _OAEP)) == _STATUS.BadIdentityTokenInvalid


def test_a_secret_of_many_blocks_costs_no_decryption() -> None:
    token = ua.UserNameIdentityToken("username", "ada", b"\1" * 256 * 4_000, _OAEP)
    assert _code(token) == _STATUS.BadIdentityTokenInvalid


def test_a_nameless_user_is_invalid() -> None:
    for name in (None, "", "a" * 257):
        assert _code(ua.UserNameIdentityToken("username", name, b"x"), _ENCRYPT) == _STATUS.BadIdentityTokenInvalid


@pytest.mark.asyncio(loop_scope="session")
class TestSessions:
    async def test_tokens_of_users_are_refused_where_there_are_none_and_trying_ends_the_session(self, hub) -> None:
        async with Wire(hub.server.port) as wire:
            await wire.greet()
            await wire.open()
            await wire.create_session()
            request = ua.ActivateSessionRequest()
            for token in (
                ua.UserNameIdentityToken("username", "admin", b"admin"),
                ua.X509IdentityToken("certificate", b"\0" * 100),
                ua.IssuedIdentityToken("issued", b"token", None),
                ua.LiteralOperand(ua.Variant(1)),
                ua.UserNameIdentityToken("username", "root", b"root"),
            ):
                request.Parameters.UserIdentityToken = token
                assert await wire.code(request) == _STATUS.BadIdentityTokenRejected
            assert await wire.code(wire.activation()) == _STATUS.BadSessionIdInvalid

    async def test_a_certificate_that_was_only_shown_and_not_proven_is_nobodys(self, hub) -> None:
        certificate = hub.server._iserver.endpoints[0].ServerCertificate
        async with Wire(hub.server.port) as wire:
            await wire.greet()
            await wire.open(certificate=certificate)
            await wire.create_session()
            (session,) = [one for one in hub.server._iserver.sessions() if one.auth_token == wire.auth]
            assert session.client_certificate is None

    async def test_a_session_is_not_continued_with_less_security(self, hub) -> None:
        async with Wire(hub.server.port) as owner, Wire(hub.server.port) as thief:
            await owner.enter()
            (session,) = [one for one in hub.server._iserver.sessions() if one.auth_token == owner.auth]
            session.security = ("http://opcfoundation.org/UA/SecurityPolicy#Basic256Sha256", _ENCRYPT)
            await thief.greet()
            await thief.open()
            thief.auth = owner.auth
            assert await thief.code(thief.activation()) == _STATUS.BadSecurityChecksFailed
            assert await owner.code(ua.ReadRequest()) == _STATUS.BadNothingToDo

    async def test_every_activation_gives_another_nonce(self, hub) -> None:
        async with Wire(hub.server.port) as wire:
            await wire.greet()
            await wire.open()
            seen = {(await wire.create_session()).ServerNonce}
            for _ in range(3):
                _, code, body = await wire.call(wire.activation())
                assert code == 0
                answer = ua.ua_binary.struct_from_binary(ua.ActivateSessionResponse, ua.utils.Buffer(body))
                seen.add(answer.Parameters.ServerNonce)
            assert len(seen) == 4
            assert all(len(nonce) == 32 for nonce in seen)


async def test_repeated_faults_are_logged_at_their_start_and_end_and_counted_between(caplog) -> None:
    clock = ManualClock()
    faults = Faults(clock)
    for number in range(5_000):
        faults.note("BadDecodingError", ("198.51.100.7", number))
        faults.note(f"kind {number}", None)
    assert len(caplog.records) <= 102
    await clock.advance(11)
    faults.sweep()
    ended = [one.getMessage() for one in caplog.records if "ended" in one.getMessage()]
    assert "broken traffic ended kind=BadDecodingError count=5000" in ended
    assert faults.total == 10_000
