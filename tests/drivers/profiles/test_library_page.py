"""The table of the library in docs/profiles.md."""

from __future__ import annotations

from pathlib import Path

from drivers.profiles import load_library

PAGE = Path(__file__).parents[3] / "docs" / "profiles.md"
HEAD = "| profile | device | protocol | medium | commands |\n|---|---|---|---|---|\n"


def table() -> str:
    library = load_library()
    rows = []
    for profile in map(library.get, library.names):
        commands = ", ".join(f"`{command.name}`" for command in profile.commands)
        medium = profile.medium.name.lower()
        rows.append(
            f"| `{profile.name}` | {profile.vendor} {profile.model} | {profile.protocol} | {medium} | {commands} |"
        )
    return "".join(f"{row}\n" for row in rows)


def test_the_page_lists_the_library() -> None:
    shown = PAGE.read_text(encoding="utf-8").split(HEAD, 1)[1].split("\n\n", 1)[0] + "\n"
    assert shown == table(), f"the table in {PAGE.name} should be:\n\n{HEAD}{table()}"
