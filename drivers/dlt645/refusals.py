"""What a meter means by an error answer: a byte of bits that may combine (clause 7), or two after control code 03."""

from __future__ import annotations

from typing import Final

from address_space.model.quality import Reason
from drivers.dlt645.frame import Frame
from drivers.dlt645.status import error_names, security_error_names
from drivers.errors import DeviceRefused

NO_SUCH_DATA: Final = 0x02
UNAUTHORISED: Final = 0x04
SECURITY: Final = 0x03
_WORDS: Final = {"password_or_unauthorised": "wrong password or not authorised"}
_UNAUTHORISED_HINT: Final = "check level, password and operator code; the meter may allow it only with its program key"
_MISSING_HINT: Final = "the meter does not have this data: use a profile that fits it"
_SECURITY_HINT: Final = "look at balance and purchase count before anything is sent again"


def refusal(frame: Frame, where: str) -> DeviceRefused:
    """The error for an error answer. Its code is the error byte, or both of them, the first one low."""
    secured = frame.function == SECURITY and len(frame.data) > 1
    code = int.from_bytes(frame.data[: 2 if secured else 1], "little")
    names = security_error_names(code) if secured else error_names(code)
    said = ", ".join(_WORDS.get(name, name.replace("_", " ")) for name in names) or "no error bit"
    missing = code == NO_SUCH_DATA and frame.function != SECURITY
    return DeviceRefused(
        f"the meter answered error {code:02X} ({said})",
        code=code,
        reason=Reason.NOT_SUPPORTED if missing else Reason.DEVICE_ERROR,
        where=where,
        hint=_hint(frame.function, code),
    )


def _hint(function: int, code: int) -> str:
    if function == SECURITY:
        return _SECURITY_HINT
    if code & UNAUTHORISED:
        return _UNAUTHORISED_HINT
    return _MISSING_HINT if code & NO_SUCH_DATA else ""
