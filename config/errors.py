"""What is wrong with a configuration, and where.

HubError
└── ConfigErrors    all mistakes of one load, each a `Problem` with its `Location`
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from address_space.model.errors import HubError


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file. Lines, rows and columns count from 1; 0 is the file as a whole.

    key          dotted path of the key (`channels.north.options.port`), or the column name of a sheet
    column_name  set in a sheet only: `line` is then the row, as a spreadsheet counts it
    """

    file: str
    line: int = 0
    column: int = 0
    key: str = ""
    column_name: str = ""

    def __str__(self) -> str:
        if self.column_name:
            return f"{self.file}:{self.line}:{self.column_name}"
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it stands, what is wrong, and what to do about it."""

    file: str
    line: int
    column: int
    key: str
    what: str
    hint: str = ""
    column_name: str = ""

    @classmethod
    def at(cls, location: Location, what: str, hint: str = "") -> Problem:
        """A mistake at `location`."""
        return cls(location.file, location.line, location.column, location.key, what, hint, location.column_name)

    @property
    def location(self) -> Location:
        """Where it stands."""
        return Location(self.file, self.line, self.column, self.key, self.column_name)

    def __str__(self) -> str:
        text = f"{self.location}: {self.what}"
        return f"{text}; {self.hint}" if self.hint else text

    def to_json(self) -> dict[str, str | int]:
        """As JSON data; a mistake in a sheet has `row` and `column_name`, any other `line` and `column`."""
        place: dict[str, str | int] = (
            {"row": self.line, "column_name": self.column_name}
            if self.column_name
            else {"line": self.line, "column": self.column}
        )
        return {"file": self.file, **place, "key": self.key, "what": self.what, "hint": self.hint}


class ConfigErrors(HubError):
    """A configuration that cannot be used; `problems` holds the mistakes found, in the order of the files: all of them,
    or the first and how many `more` were only counted."""

    def __init__(self, problems: Iterable[Problem], more: int = 0) -> None:
        self.problems = tuple(sorted(problems, key=_place))
        self.more = more
        count = len(self.problems) + more
        super().__init__(f"{count} mistake{'' if count == 1 else 's'} in the configuration")

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)

    def to_json(self) -> list[dict[str, str | int]]:
        """All mistakes as JSON data."""
        return [problem.to_json() for problem in self.problems]


class Report:
    """Collects the mistakes of one load; where `most` is given, those behind so many are counted as `more`."""

    def __init__(self, most: int | None = None) -> None:
        self.problems: list[Problem] = []
        self.more = 0
        self._most = most

    def add(self, location: Location, what: str, hint: str = "") -> None:
        """Note a mistake."""
        if self._most is not None and len(self.problems) >= self._most:
            self.more += 1
        else:
            self.problems.append(Problem.at(location, what, hint))

    def raise_any(self) -> None:
        """Raise ConfigErrors where there are mistakes."""
        if self.problems:
            raise ConfigErrors(self.problems, self.more)


def _place(problem: Problem) -> tuple[str, int, int]:
    return problem.file, problem.line, problem.column
