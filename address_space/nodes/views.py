"""The hub's own folders: the root, and units a second and a third time by medium and by line, in groups of 500.

Which groups there are is known from the numbers of units alone; who is in them is found when somebody looks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from address_space.model.hierarchy import MeteringUnit
from address_space.model.plant import ROOT_CODE, Plant
from address_space.model.quantity import LOCALES, Names
from address_space.nodes.catalogue import Catalogue
from address_space.nodes.nodeids import BY_LINE, BY_MEDIUM, DRIVERS, ROOT, SYSTEM, line_id
from address_space.nodes.shapes import Folder
from address_space.nodes.standard import SUBSCRIBE_TO_EVENTS
from address_space.nodes.types_values import MEDIUM_FIELDS

GROUP_SIZE = 500
"""Most children of a folder; clients and their tree views suffer beyond."""
LINE_TYPE = "ChannelType"
"""Type of the nodes that tell how lines are doing."""
_DRIVERS_FOLDER = f"{SYSTEM}.{DRIVERS}"


class Views:
    """Folders of one plant by identifier, and what each organizes."""

    def __init__(self, plant: Plant, catalogue: Catalogue) -> None:
        self._plant = plant
        self._units: dict[str, tuple[str, ...]] = {}
        self._counts = Counter(_medium_folder(unit) for unit in plant.units)
        self._counts.update(_line_folder(unit) for unit in plant.units if unit.channel)
        self.folders = {folder.id: folder for folder in self._make(catalogue)}
        self._below: dict[str, list[str]] = {}
        for folder in self.folders.values():
            self._below.setdefault(folder.parent, []).append(folder.id)

    def organized(self, folder: Folder) -> Sequence[str]:
        """Identifiers that a folder organizes, sorted: folders, or else units."""
        if folder.id == ROOT:
            return (BY_MEDIUM, BY_LINE)
        below = self._below.get(folder.id)
        if below is not None:
            return below
        if folder.type_name == LINE_TYPE:
            return ()
        grouped = folder.id not in self._counts
        units = self._sorted_units().get(folder.parent if grouped else folder.id, ())
        if not grouped:
            return units
        first = self._below[folder.parent].index(folder.id) * GROUP_SIZE
        return units[first : first + GROUP_SIZE]

    @property
    def lines(self) -> Sequence[str]:
        """Identifiers of what stands in the folder of the lines, sorted."""
        return self._below.get(_DRIVERS_FOLDER, ())

    def named(self, folder: str, browse_name: str) -> str | None:
        """The folder below the one with the identifier `folder` that has this browse name."""
        below = self._below.get(folder, ())
        return next((found for found in below if self.folders[found].browse_name == browse_name), None)

    def organizers(self, unit: MeteringUnit) -> list[str]:
        """Identifiers of the folders that organize a unit."""
        above = [_medium_folder(unit)]
        if unit.channel:
            above.append(_line_folder(unit))
        return [self._group_of(folder, unit) for folder in above]

    def _group_of(self, folder: str, unit: MeteringUnit) -> str:
        groups = self._below.get(folder)
        if groups is None:
            return folder
        return groups[bisect_left(self._sorted_units()[folder], unit.id) // GROUP_SIZE]

    def _sorted_units(self) -> dict[str, tuple[str, ...]]:
        """Units of every medium and line, sorted; found in one pass when first asked for."""
        if not self._units:
            found: dict[str, list[str]] = {folder: [] for folder in self._counts}
            for unit in self._plant.units:
                found[_medium_folder(unit)].append(unit.id)
                if unit.channel:
                    found[_line_folder(unit)].append(unit.id)
            self._units = {folder: tuple(sorted(units)) for folder, units in found.items()}
        return self._units

    def _make(self, catalogue: Catalogue) -> Iterator[Folder]:
        yield Folder(ROOT, "", catalogue.folder(ROOT), ROOT_CODE, SUBSCRIBE_TO_EVENTS)
        yield Folder(SYSTEM, ROOT, catalogue.folder(SYSTEM), "System")
        yield Folder(BY_MEDIUM, ROOT, catalogue.folder(BY_MEDIUM), "ByMedium")
        yield Folder(BY_LINE, ROOT, catalogue.folder(BY_LINE), "ByLine")
        for medium in sorted({unit.medium for unit in self._plant.units}):
            field = MEDIUM_FIELDS[medium]
            yield from self._with_groups(
                Folder(f"{BY_MEDIUM}.{field}", BY_MEDIUM, catalogue.field("MediumEnum", field), field)
            )
        lines = sorted({unit.channel for unit in self._plant.units} - {""})
        for above, own_type in ((BY_LINE, ""), (_DRIVERS_FOLDER, LINE_TYPE)):
            groups = _line_groups(above, len(lines))
            yield from groups
            for index, line in enumerate(lines):
                parent = groups[index // GROUP_SIZE].id if groups else above
                if own_type:
                    yield Folder(line_id(line), parent, _same(line), line, type_name=own_type)
                else:
                    yield from self._with_groups(Folder(f"{above}.{line}", parent, _same(line), line))

    def _with_groups(self, folder: Folder) -> Iterator[Folder]:
        yield folder
        count = self._counts[folder.id]
        if count > GROUP_SIZE:
            for name in _group_names(count):
                yield Folder(f"{folder.id}.{name}", folder.id, _same(name), name)


def _group_names(count: int) -> list[str]:
    """Names of the groups of `count` children: 0001-0500, 0501-0873."""
    digits = max(len(str(count)), 4)
    bounds = [*range(0, count, GROUP_SIZE), count]
    return [f"{first + 1:0{digits}}-{last:0{digits}}" for first, last in pairwise(bounds)]


def _line_groups(above: str, count: int) -> list[Folder]:
    """Folders for groups of lines below `above`, none where all fit in one."""
    if count <= GROUP_SIZE:
        return []
    # behind the second dot stands a number where the folder holds units
    return [Folder(f"{above}.{name}.lines", above, _same(name), name) for name in _group_names(count)]


def _medium_folder(unit: MeteringUnit) -> str:
    return f"{BY_MEDIUM}.{MEDIUM_FIELDS[unit.medium]}"


def _line_folder(unit: MeteringUnit) -> str:
    return f"{BY_LINE}.{unit.channel}"


def _same(text: str) -> Names:
    return Names(*(text,) * len(LOCALES))
