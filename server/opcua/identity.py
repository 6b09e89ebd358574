"""The password of a user name token (Part 4 7.41.4): never in the open, never a replayed one.

asyncua takes plain passwords over channels without encryption, takes RSA 1.5, and does not look whether the secret
ends with the nonce that it sent, so that a recorded token can be sent again.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from struct import Struct
from typing import Any

from asyncua import ua
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from server.opcua.request import fault

_U32 = Struct("<I")
_BLOCKS = 4
"""RSA blocks of a secret; each costs a private key operation."""
_LONGEST_NAME = 256
_OAEP: dict[str, Callable[[], hashes.HashAlgorithm]] = {
    "http://www.w3.org/2001/04/xmlenc#rsa-oaep": hashes.SHA1,
    "http://opcfoundation.org/UA/security/rsa-oaep-sha2-256": hashes.SHA256,
}


def credentials(token: Any, nonce: bytes, key: Any, mode: ua.MessageSecurityMode) -> tuple[str, str]:
    """User name and password.

    Raises BadIdentityTokenInvalid where they cannot be read or the secret was made for another nonce, and
    BadIdentityTokenRejected where the password came in the open or in a way that is not safe.
    """
    name = token.UserName or ""
    secret = token.Password or b""
    if not name or len(name) > _LONGEST_NAME:
        raise fault(ua.StatusCodes.BadIdentityTokenInvalid)
    if not token.EncryptionAlgorithm:
        if mode != ua.MessageSecurityMode.SignAndEncrypt:
            raise fault(ua.StatusCodes.BadIdentityTokenRejected)
        return name, _text(secret)
    digest = _OAEP.get(token.EncryptionAlgorithm)
    if digest is None:
        raise fault(ua.StatusCodes.BadIdentityTokenRejected)
    return name, _text(_fresh(_decrypted(secret, key, digest), nonce))


def _decrypted(secret: bytes, key: Any, digest: Callable[[], hashes.HashAlgorithm]) -> bytes:
    block = key.key_size // 8
    if not secret or len(secret) % block or len(secret) > _BLOCKS * block:
        raise fault(ua.StatusCodes.BadIdentityTokenInvalid)
    oaep = padding.OAEP(padding.MGF1(digest()), digest(), None)
    try:
        return b"".join(key.decrypt(secret[at : at + block], oaep) for at in range(0, len(secret), block))
    except ValueError as broken:
        raise fault(ua.StatusCodes.BadIdentityTokenInvalid) from broken


def _fresh(plain: bytes, nonce: bytes) -> bytes:
    """The secret without its length and the server's nonce behind it."""
    if len(plain) < _U32.size:
        raise fault(ua.StatusCodes.BadIdentityTokenInvalid)
    (length,) = _U32.unpack_from(plain)
    held = plain[_U32.size : _U32.size + length]
    if len(held) != length or length < len(nonce) or not hmac.compare_digest(held[length - len(nonce) :], nonce):
        raise fault(ua.StatusCodes.BadIdentityTokenInvalid)
    return held[: length - len(nonce)]


def _text(secret: bytes) -> str:
    try:
        return secret.decode()
    except UnicodeDecodeError as broken:
        raise fault(ua.StatusCodes.BadIdentityTokenInvalid) from broken
