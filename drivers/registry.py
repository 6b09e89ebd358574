"""Which protocols this installation speaks: the entry-point group `joulehub.drivers`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from drivers.api import DriverPlugin
from drivers.errors import DriverError

GROUP = "joulehub.drivers"
_OFFERS = (
    "name",
    "speaks",
    "options",
    "compile",
    "factors",
    "command",
    "check_address",
    "protocol",
    "line",
    "create",
)


class BrokenPlugin(DriverError):
    """An installed driver cannot be used: it does not load, offers too little, or its name is taken."""


def load_drivers(found: Iterable[EntryPoint] | None = None) -> Mapping[str, DriverPlugin]:
    """Every installed driver by its name; `found` replaces the installed entry points. Raises BrokenPlugin."""
    drivers: dict[str, DriverPlugin] = {}
    origins: dict[str, str] = {}
    for entry in sorted(entry_points(group=GROUP) if found is None else found, key=lambda entry: entry.name):
        origin = _origin(entry)
        if origins.get(entry.name) == origin:
            continue
        if entry.name in drivers:
            raise BrokenPlugin(
                f"two installed packages offer a driver {entry.name!r}: {origins[entry.name]} and {origin}",
                hint="uninstall one of them",
            )
        drivers[entry.name] = _load(entry, origin)
        origins[entry.name] = origin
    return drivers


def _load(entry: EntryPoint, origin: str) -> DriverPlugin:
    where = f"driver {entry.name!r} from {origin}"
    try:
        plugin: Any = entry.load()
    except Exception as error:
        hint = "reinstall the package that offers it"
        raise BrokenPlugin(f"cannot be loaded ({type(error).__name__}: {error})", where=where, hint=hint) from error
    missing = [offer for offer in _OFFERS if not hasattr(plugin, offer)]
    if missing:
        raise BrokenPlugin(
            f"lacks {', '.join(missing)}",
            where=where,
            hint="the entry point must name an object with all of drivers.api.DriverPlugin",
        )
    if plugin.name != entry.name:
        raise BrokenPlugin(
            f"calls itself {plugin.name!r}", where=where, hint="entry point and plug-in must carry the same name"
        )
    return cast(DriverPlugin, plugin)


def _origin(entry: EntryPoint) -> str:
    package = f"{entry.dist.name} " if entry.dist is not None else ""
    return f"{package}({entry.value})"
