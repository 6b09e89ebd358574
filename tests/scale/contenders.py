"""The servers that are measured beside one another: the hub, stock asyncua, node-opcua, and any that runs already."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from asyncua import ua
from asyncua.sync import Client

from tests.ports import free_port
from tests.scale.client import Identity
from tests.scale.measure import ROOT, Child, cpu_s
from tests.scale.plants import QUANTITIES, PlantFiles

OURS, STOCK, NODE, OPEN = "ours", "stock asyncua", "node-opcua", "open62541"
_NODE_CHILD = ROOT / "tests" / "scale" / "peers" / "node_child.js"
_NODE_READY = _NODE_CHILD.parent / "node_modules" / "node-opcua-server"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Model:
    """What a server must hold: so many metering points below one feeder or folder, of 20 variables or of none."""

    units: int
    variables: bool = True


class Measured(Protocol):
    """A running server. Commands: `pace(every_s, units)`, and `counters()` with how many values were `updated`."""

    @property
    def url(self) -> str: ...

    @property
    def cpu_s(self) -> float: ...

    def __call__(self, do: str, **arguments: Any) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Contender:
    """A server that can be started, or None where it cannot be had here, with the reason why."""

    name: str
    start: Callable[[Model], contextlib.AbstractContextManager[Measured]] | None
    absent: str = ""


@contextlib.contextmanager
def hub(model: Model) -> Iterator[Measured]:
    """The hub with a plant of that size, filled once."""
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        plant = PlantFiles(model.units, free_port(), meters_a_node=model.units, polled=False, history=False)
        with Child("hub_child", config=str(plant.write(Path(folder) / "plant"))) as server:
            server("fill")
            yield server


@contextlib.contextmanager
def stock(model: Model) -> Iterator[Measured]:
    """Stock asyncua with the same model in one flat folder."""
    variables = len(QUANTITIES) if model.variables else 0
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        own = Identity.make(Path(folder), "urn:joulehub:bench:stock")
        secured = {"application_uri": own.application_uri, "certificate": str(own.certificate), "key": str(own.key)}
        with Child("stock_child", port=free_port(), objects=model.units, variables=variables, **secured) as server:
            yield server


@contextlib.contextmanager
def node(model: Model) -> Iterator[Measured]:
    """node-opcua with the same model in one flat folder."""
    names = list(QUANTITIES) if model.variables else []
    given = {"port": free_port(), "objects": model.units, "names": names}
    with Child(["node", str(_NODE_CHILD)], **given) as server:
        yield server


class Running:
    """A server that somebody else started; obeys by its variables `bench.every_s`, `bench.units`, `bench.updated`."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self._pid = pid

    @property
    def cpu_s(self) -> float:
        """Processor seconds it has used."""
        return cpu_s(self._pid)

    def __call__(self, do: str, **arguments: Any) -> Mapping[str, Any]:
        """`pace` and `counters`, as the children have them."""
        with Client(self.url) as client:
            space = client.get_namespace_index("urn:bench")
            if do == "counters":
                return {"updated": client.get_node(f"ns={space};s=bench.updated").read_value()}
            units = ua.Variant(int(arguments["units"]), ua.VariantType.Int32)
            every = ua.Variant(float(arguments["every_s"]), ua.VariantType.Double)
            client.get_node(f"ns={space};s=bench.units").write_value(ua.DataValue(units))
            client.get_node(f"ns={space};s=bench.every_s").write_value(ua.DataValue(every))
        return {}


def running(text: str) -> Contender:
    """The contender that `NAME=URL,PID` names; raises ValueError where it is of another form."""
    name, _, rest = text.partition("=")
    url, _, pid = rest.rpartition(",")
    if not (name and url.startswith("opc.tcp://") and pid.isdigit()):
        raise ValueError(f"{text!r} is not NAME=opc.tcp://HOST:PORT,PID")
    return Contender(name, lambda _: contextlib.nullcontext(Running(url, int(pid))))


def contenders(external: Sequence[Contender] = ()) -> list[Contender]:
    """All of them, the hub first."""
    absent = ""
    if not shutil.which("node"):
        absent = "no Node.js"
    elif not _NODE_READY.exists():
        absent = "not installed"
    return [Contender(OURS, hub), Contender(STOCK, stock), Contender(NODE, None if absent else node, absent), *external]


@dataclass(slots=True)
class Lineup:
    """Who is measured, and what went wrong on the way: the others are measured all the same."""

    members: Sequence[Contender] = field(default_factory=contenders)
    problems: list[str] = field(default_factory=list)

    def measure(self, model: Callable[[str], Model], work: Callable[[str, Measured], T]) -> dict[str, T]:
        """What `work` finds of each that can be started, by name; raises where the hub itself fails."""
        found: dict[str, T] = {}
        for one in self.members:
            if one.start is None:
                continue
            try:
                with one.start(model(one.name)) as server:
                    found[one.name] = work(one.name, server)
            except Exception as error:
                if one.name == OURS:
                    raise
                self.problems.append(f"{one.name}: {type(error).__name__}: {error}")
        return found

    @property
    def absent(self) -> dict[str, str]:
        """Why each that is not measured is not."""
        return {one.name: one.absent for one in self.members if one.start is None}
