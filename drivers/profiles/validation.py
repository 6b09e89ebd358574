"""Text against a schema: the checked model, or every mistake in it in words for a person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

SEE = "see docs/profiles.md"

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: keys and indexes down to it, what is wrong, what to do."""

    path: tuple[str | int, ...]
    what: str
    hint: str


def validated(
    model: type[_Model], data: Any, *, known: Iterable[str] = (), transparent: Iterable[str] = ()
) -> tuple[_Model | None, list[Mistake]]:
    """`data` as `model`, or None and what is wrong with it.

    known        keys that may be meant beside the model's own
    transparent  keys of the model that no file contains, left out of paths
    """
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        hidden = {"[key]", *transparent}
        names = [*(field.alias or name for name, field in model.model_fields.items()), *known]
        return None, [_mistake(detail, hidden, names) for detail in error.errors()]


def _mistake(detail: Any, hidden: set[str], names: list[str]) -> Mistake:
    path = tuple(part for part in detail["loc"] if part not in hidden)
    key = str(path[-1]) if path else ""
    if detail["type"] == "extra_forbidden":
        close = get_close_matches(key, [name for name in names if name != key], n=1)
        return Mistake(path, f"unknown key {key!r}", f"did you mean {close[0]!r}?" if close else SEE)
    if detail["type"] == "missing":
        return Mistake(path, f"{key} is missing", SEE)
    message = str(detail["msg"]).removeprefix("Value error, ")
    return Mistake(path, f"{key}: {message}" if key else message, SEE)
