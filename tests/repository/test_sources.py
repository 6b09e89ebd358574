"""What no module may do: read the wall clock, start a task nobody keeps, be public without a contract."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

CLOCK = "address_space/model/clock.py"
TASK_OWNERS = (
    "server/opcua/",
    "historian/recorder.py",
    "drivers/simulators/modbus.py",
    "drivers/simulators/ports.py",
    "drivers/simulators/datagrams.py",
)
"""Things with a life cycle of their own, opened and closed by hand, whose tasks no task group can span."""
CLOCK_READERS = frozenset(
    {
        "time.time",
        "time.time_ns",
        "time.monotonic",
        "time.monotonic_ns",
        "datetime.datetime.now",
        "datetime.datetime.utcnow",
        "datetime.datetime.today",
        "datetime.date.today",
    }
)
"""Readers of wall or monotonic time; `time.perf_counter` stays free, it measures our own speed and decides nothing."""

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def aliases(tree: ast.Module) -> dict[str, str]:
    """Full name behind each imported name of a module."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                known[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module:
            known.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return known


def full_name(node: ast.expr, known: dict[str, str]) -> str:
    """Dotted name of an expression with its import resolved; empty where it is no plain name."""
    if isinstance(node, ast.Name):
        return known.get(node.id, "")
    if isinstance(node, ast.Attribute):
        owner = full_name(node.value, known)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def clock_reads(tree: ast.Module) -> list[int]:
    """Lines on which a module reads a clock of its own, called or handed on."""
    known = aliases(tree)
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, (ast.Name, ast.Attribute)) and full_name(node, known) in CLOCK_READERS
    ]


def loose_tasks(tree: ast.Module, *, own_tasks: bool = False) -> list[int]:
    """Lines that start a task without a name or outside a task group.

    With `own_tasks` a named task may stand outside a group, if what `create_task` returns is kept.
    """
    known = aliases(tree)
    dropped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    lines = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = full_name(node.func, known) or ast.unparse(node.func)
        verb = called.rpartition(".")[2]
        if verb not in {"create_task", "ensure_future"}:
            continue
        in_group = verb == "create_task" and not called.startswith("asyncio.") and "loop" not in called.lower()
        kept = own_tasks and verb == "create_task" and id(node) not in dropped
        named = any(keyword.arg == "name" for keyword in node.keywords)
        if not (named and (in_group or kept)):
            lines.append(node.lineno)
    return lines


def is_public(node: ast.AST) -> bool:
    """Whether a syntax node is a class or function that others may use."""
    return isinstance(node, (ast.ClassDef, *FUNCTIONS)) and not node.name.startswith("_")


def methods(tree: ast.Module) -> Iterator[tuple[ast.ClassDef, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Public methods of public classes."""
    for owner in tree.body:
        if isinstance(owner, ast.ClassDef) and is_public(owner):
            for node in owner.body:
                if isinstance(node, FUNCTIONS) and is_public(node):
                    yield owner, node


def without_contract(trees: dict[str, ast.Module]) -> list[str]:
    """What is public and has no docstring; a method may have it in the protocol or base class that it fulfils."""
    classes = {node.name for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    promised = {node.name for tree in trees.values() for _, node in methods(tree) if ast.get_docstring(node)}
    silent: list[str] = []
    for path, tree in trees.items():
        if not ast.get_docstring(tree) and tree.body:
            silent.append(path)
        silent += [
            f"{path}:{node.lineno} {node.name}" for node in tree.body if is_public(node) and not ast.get_docstring(node)
        ]
        for owner, node in methods(tree):
            foreign = any(ast.unparse(base).rpartition(".")[2].partition("[")[0] not in classes for base in owner.bases)
            decorated = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
            fulfils = foreign or node.name in promised or decorated & {"override", "setter", "overload"}
            if not ast.get_docstring(node) and not fulfils:
                silent.append(f"{path}:{node.lineno} {owner.name}.{node.name}")
    return silent


def test_only_the_clock_reads_a_clock(trees: dict[str, ast.Module]) -> None:
    found = {path: clock_reads(tree) for path, tree in trees.items() if path != CLOCK}
    assert {path: lines for path, lines in found.items() if lines} == {}
    assert clock_reads(trees[CLOCK])


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "import time as t\nt.time_ns()",
        "from time import monotonic\nmonotonic()",
        "from datetime import datetime, UTC\ndatetime.now(UTC)",
        "import datetime as dt\ndt.datetime.utcnow()",
        "import time\ndef f(clock=time.monotonic_ns): ...",
        "from datetime import date as day\nday.today()",
    ],
)
def test_the_guard_of_the_clock_sees_every_way_to_read_it(source: str) -> None:
    assert clock_reads(ast.parse(source)) == [2]


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.perf_counter()",
        "from datetime import datetime, UTC\ndatetime.fromtimestamp(0, UTC)",
        "def f(self): return self.time()",
        "def f(clock): return clock.now()",
    ],
)
def test_the_guard_of_the_clock_lets_other_things_be(source: str) -> None:
    assert clock_reads(ast.parse(source)) == []


def test_every_task_has_a_name_and_somebody_who_waits_for_it(trees: dict[str, ast.Module]) -> None:
    found = {path: loose_tasks(tree, own_tasks=path.startswith(TASK_OWNERS)) for path, tree in trees.items()}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("source", "in_a_room", "in_opcua"),
    [
        ("group.create_task(f(), name='f')", 0, 0),
        ("group.create_task(f())", 1, 1),
        ("asyncio.create_task(f(), name='f')", 1, 1),
        ("t = asyncio.create_task(f(), name='f')", 1, 0),
        ("t = asyncio.create_task(f())", 1, 1),
        ("from asyncio import create_task; t = create_task(f(), name='f')", 1, 0),
        ("t = asyncio.get_running_loop().create_task(f(), name='f')", 1, 0),
        ("self._loop.create_task(f(), name='f')", 1, 1),
        ("t = asyncio.ensure_future(f())", 1, 1),
    ],
)
def test_the_guard_of_tasks_sees_what_it_should(source: str, in_a_room: int, in_opcua: int) -> None:
    tree = ast.parse(f"import asyncio\n{source}")
    assert (len(loose_tasks(tree)), len(loose_tasks(tree, own_tasks=True))) == (in_a_room, in_opcua)


def test_everything_public_has_a_contract(trees: dict[str, ast.Module]) -> None:
    assert without_contract(trees) == []


@pytest.mark.parametrize(
    ("source", "silent"),
    [
        ("x = 1", ["m.py"]),
        ("'''M.'''\ndef f(): ...", ["m.py:2 f"]),
        ("'''M.'''\nclass C: ...", ["m.py:2 C"]),
        ("'''M.'''\nclass C:\n  '''C.'''\n  async def m(self): ...", ["m.py:4 C.m"]),
        ("'''M.'''\nclass C:\n  '''C.'''\n  def __init__(self): ...\n  def _m(self): ...", []),
        ("'''M.'''\nclass P:\n  '''P.'''\n  def m(self): '''M.'''\nclass C:\n  '''C.'''\n  def m(self): ...", []),
        ("'''M.'''\nimport lib\nclass C(lib.B):\n  '''C.'''\n  def m(self): ...", []),
    ],
)
def test_the_guard_of_contracts_sees_what_it_should(source: str, silent: list[str]) -> None:
    assert without_contract({"m.py": ast.parse(source)}) == silent
