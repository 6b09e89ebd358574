"""What pydantic says, as problems at their place in a file."""

from __future__ import annotations

from collections.abc import Callable, Collection

from pydantic import ValidationError

from config.errors import Location, Problem
from config.spelling import Spelling

_HINTS = {
    "missing": "add it",
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "int_parsing": "write a whole number without unit",
    "int_type": "write a whole number without unit",
    "int_from_float": "write a whole number",
    "float_parsing": "write a number without unit",
    "float_type": "write a number without unit",
    "string_type": "put it in quotes",
}


def problems_of(
    error: ValidationError,
    locate: Callable[[tuple[str | int, ...]], Location],
    known: Collection[str] | Callable[[tuple[str | int, ...]], Collection[str]] = (),
) -> list[Problem]:
    """Each mistake of `error` at the place `locate` gives for its path.

    `known` are the valid names to suggest for an unknown key, or says them for the path of the mapping around it.
    """
    spelling = Spelling()
    problems = []
    for detail in error.errors(include_url=False):
        path = detail["loc"]
        name = ".".join(map(str, path)) or "value"
        kind = detail["type"]
        if kind == "extra_forbidden":
            valid = sorted(known(path[:-1]) if callable(known) else known)
            key = str(path[-1])
            what, hint = f"{key!r} is no key here", spelling.hint(key, valid, none="leave it out")
        elif kind == "missing":
            what, hint = f"{name} is missing", _HINTS[kind]
        else:
            message = detail["msg"].removeprefix("Value error, ")
            what = f"{name}: {message[:1].lower()}{message[1:]}"
            hint = _HINTS.get(kind, "")
        problems.append(Problem.at(locate(path), what, hint or "see docs/configuration.md"))
    return problems
