"""Line and column of every key of a TOML text, which `tomllib` does not tell.

The text must be valid TOML (`tomllib` has accepted it): this reader only keeps count, by TOML 1.0.
"""

from __future__ import annotations

import re

from config.document import position_of

Path = tuple[str | int, ...]
Marks = dict[Path, tuple[int, int]]

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")|\'\'\'.*?\'{3,5}(?!\')|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL
)
_OTHER = re.compile(r"[^\s,\]}#]+(?: [0-9][^\s,\]}#]*)?")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


def toml_marks(text: str) -> Marks:
    """Place of each key and array item by its path; a table's place is its header."""
    return _Marker(text).run()


class _Marker:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._marks: Marks = {}
        self._arrays: dict[Path, int] = {}

    def run(self) -> Marks:
        table: Path = ()
        self._space()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._space()
        return self._marks

    def _header(self) -> Path:
        array = self._text.startswith("[[", self._at)
        self._at += 2 if array else 1
        self._space()
        start = self._at
        path = self._resolved(self._key())
        if array:
            index = self._arrays[path] = self._arrays.get(path, -1) + 1
            self._mark(path, start)
            path = (*path, index)
        self._mark(path, start)
        self._space()
        self._at += 2 if array else 1
        return path

    def _resolved(self, key: tuple[str, ...]) -> Path:
        """A header's path with the number of the current element after each array of tables above it."""
        path: Path = ()
        for part in key[:-1]:
            path = (*path, part)
            if path in self._arrays:
                path = (*path, self._arrays[path])
        return (*path, key[-1])

    def _pair(self, table: Path) -> None:
        start = self._at
        key = self._key()
        for length in range(1, len(key) + 1):
            self._mark((*table, *key[:length]), start)
        self._space()
        self._at += 1  # the equals sign
        self._space()
        self._value((*table, *key))

    def _key(self) -> tuple[str, ...]:
        parts = [self._part()]
        self._space()
        while self._text.startswith(".", self._at):
            self._at += 1
            self._space()
            parts.append(self._part())
            self._space()
        return tuple(parts)

    def _part(self) -> str:
        bare = _BARE.match(self._text, self._at)
        if bare is not None:
            self._at = bare.end()
            return bare.group()
        quoted = self._take(_STRING)
        return _ESCAPE.sub(_unescape, quoted[1:-1]) if quoted[0] == '"' else quoted[1:-1]

    def _value(self, path: Path) -> None:
        first = self._text[self._at]
        if first in "\"'":
            self._take(_STRING)
        elif first == "[":
            self._at += 1
            self._space()
            index = 0
            while self._text[self._at] != "]":
                self._mark((*path, index), self._at)
                self._value((*path, index))
                index += 1
                self._comma()
            self._at += 1
        elif first == "{":
            self._at += 1
            self._space()
            while self._text[self._at] != "}":
                self._pair(path)
                self._comma()
            self._at += 1
        else:
            self._take(_OTHER)

    def _comma(self) -> None:
        self._space()
        if self._text[self._at] == ",":
            self._at += 1
            self._space()

    def _space(self) -> None:
        self._take(_SPACE)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            line, column = position_of(self._text[: self._at])
            raise ValueError(f"line {line}, column {column}: unexpected TOML")
        self._at = match.end()
        return match.group()

    def _mark(self, path: Path, at: int) -> None:
        self._marks.setdefault(path, position_of(self._text[:at]))


def _unescape(match: re.Match[str]) -> str:
    code = match.group(1) or match.group(2)
    return chr(int(code, 16)) if code else _ESCAPES.get(match.group(3), match.group(3))
