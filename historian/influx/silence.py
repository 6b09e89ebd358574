"""Why a server gave no answer, in words for a person instead of a library's."""

from __future__ import annotations

import os
import socket
import ssl
from http.client import BadStatusLine, IncompleteRead, RemoteDisconnected

from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)


def why_silent(error: HTTPError) -> str:
    """What happened to a request that had no answer."""
    if isinstance(error, MaxRetryError) and isinstance(error.reason, HTTPError):
        return why_silent(error.reason)
    if isinstance(error, NameResolutionError):
        return "the name of its machine cannot be resolved"
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return "no connection within the time allowed"
    if isinstance(error, ReadTimeoutError):
        return "nothing came within the time allowed"
    for inner in _inside(error):
        told = _told(inner)
        if told:
            return told
    return str(error).rpartition("): ")[2] or type(error).__name__


def _inside(error: BaseException) -> list[BaseException]:
    """The errors that stand behind one, as its arguments or its cause, innermost first."""
    found: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is None or one in found:
            continue
        found.append(one)
        left += [one.__cause__, *(each for each in one.args if isinstance(each, BaseException))]
    return found[::-1]


def _told(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"no encrypted connection can be made ({(error.reason or str(error)).replace('_', ' ').lower()})"
    if isinstance(error, RemoteDisconnected):
        return "it closed the connection without an answer"
    if isinstance(error, BadStatusLine):
        return "what it sent is not HTTP"
    if isinstance(error, IncompleteRead):
        return "its answer was cut short"
    if isinstance(error, socket.gaierror):
        return "the name of its machine cannot be resolved"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return ""
