"""A plant folder to a `PlantConfig`: every file is read and everything checked before the first mistake is told."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from address_space.model.hierarchy import HierarchyNode
from address_space.model.ids import MAX_UID_LENGTH, NodeUid, is_uid
from address_space.model.quantity import LOCALES
from config.columns import COLUMN_NAMES, REQUIRED_COLUMNS
from config.document import Mapping as MappingTree
from config.document import Scalar, Sequence, Tree, plain_value, read_document
from config.errors import ConfigErrors, Location, Report
from config.fields import Fields, kind_of
from config.hierarchy import HierarchyReader
from config.identity import Identities
from config.metering import MeterReader
from config.plant import ChannelConfig, PlantConfig
from config.plant import Path as KeyPath
from config.polling import PollGroupConfig, PollingReader
from config.sheets import Progress, Tally, read_sheet
from config.spelling import Spelling

PLANT_FILE = "plant.yaml"
PLANT_KEYS = {
    "name": "name of the plant; the folder's name where there is none",
    "time_zone": "IANA time zone of days, months and tariffs",
    "locale": "language of `name` where a node has names in several",
    "hierarchy": "nodes of the distribution hierarchy",
    "include": "further YAML files with `hierarchy`, `channels` and `metering_units`",
    "channels": "buses and sockets by id",
    "schedules": "schedules by id, for `polling`",
    "polling": "schedules and periods of poll classes, for all meters",
    "poll_groups": "meters that are read at their own schedules and periods, by id of the group",
    "meters": "meter lists in CSV",
    "metering_units": "metering units given here instead of in a meter list",
    "simulation": "for the simulators; kept as written",
}
"""Top-level keys of `plant.yaml`, with their meaning."""
INCLUDED_KEYS = ("hierarchy", "channels", "metering_units")
CHANNEL_KEYS = {
    "driver": "name of the driver",
    "options": "the driver's own options",
    "polling": "schedules and periods of poll classes, for the meters of this channel",
}
"""Keys of a channel, with their meaning."""


def load_plant(
    folder: Path, *, profiles: Collection[str], drivers: Collection[str], progress: Progress | None = None
) -> PlantConfig:
    """The plant described in `folder`; `profiles` and `drivers` are the names it may use.

    Raises ConfigErrors with every mistake found.
    """
    return _Load(folder, profiles, drivers, progress).run()


def time_zone_of(folder: Path) -> ZoneInfo:
    """The time zone of the plant described in `folder`, without reading the rest; raises ConfigErrors."""
    report = Report()
    path = folder / PLANT_FILE
    tree = read_document(path, report)
    name = "UTC"
    if isinstance(tree, MappingTree):
        main = Fields(tree, str(path), "", report, Spelling())
        name = main.choice("time_zone", available_timezones(), name)
    report.raise_any()
    return ZoneInfo(name)


class _Load:
    def __init__(
        self, folder: Path, profiles: Collection[str], drivers: Collection[str], progress: Progress | None
    ) -> None:
        self._folder = folder
        self._profiles = profiles
        self._drivers = drivers
        self._progress = progress
        self._report = Report()
        self._spelling = Spelling()
        self._identities = Identities(self._report)
        self._polling = PollingReader(self._report, self._spelling)
        self._files: list[str] = []

    def run(self) -> PlantConfig:
        path = self._folder / PLANT_FILE
        main = self._open(path)
        if main is None:
            if not self._report.problems:
                self._report.add(Location(str(path)), "the file is empty", "describe the plant in it, or restore it")
            raise ConfigErrors(self._report.problems)
        main.reject_unknown(PLANT_KEYS, PLANT_FILE)
        locale = main.choice("locale", LOCALES, "en")
        parts = [main, *self._included(main)]
        hierarchy = HierarchyReader(self._report, self._spelling, self._identities, locale)
        for part in parts:
            hierarchy.read(part.items("hierarchy"), part.file)
        nodes = hierarchy.settle()
        self._polling.read_schedules(main)
        channels: dict[str, ChannelConfig] = {}
        for part in parts:
            self._read_channels(part, channels)
        polling = self._polling.rates(main)
        groups = self._polling.groups(main, channels, nodes)
        meters = self._read_meters(main, parts, nodes, channels, groups)
        simulation = main.mapping_at("simulation")
        config = PlantConfig(
            name=main.text("name") or self._folder.resolve().name,
            time_zone=self._time_zone(main),
            locale=locale,
            nodes=list(nodes.values()),
            channels=list(channels.values()),
            meters=meters.meters,
            simulation=plain_value(simulation.mapping) if simulation is not None else {},
            files=tuple(self._files),
            schedules=list(self._polling.schedules.values()),
            polling=polling,
            poll_groups=groups,
        )
        self._report.raise_any()
        return config

    def _open(self, path: Path) -> Fields | None:
        tree = read_document(path, self._report)
        self._files.append(str(path))
        if tree is None:
            return None
        if not isinstance(tree, MappingTree):
            place = Location(str(path), tree.line, tree.column)
            self._report.add(place, f"the file must hold a mapping, not {kind_of(tree)}", "write `key: value` lines")
            return None
        return Fields(tree, str(path), "", self._report, self._spelling)

    def _included(self, main: Fields) -> Iterator[Fields]:
        for path in self._matches(main, "include"):
            part = self._open(path)
            if part is not None:
                part.reject_unknown(INCLUDED_KEYS, "an included file")
                yield part

    def _matches(self, main: Fields, key: str) -> list[Path]:
        """Files named by a pattern or a list of patterns, each once."""
        found: dict[Path, None] = {}
        for pattern, at in main.texts(key):
            if Path(pattern).is_absolute() or ".." in Path(pattern).parts or not Path(pattern).parts:
                self._report.add(
                    at, f"{pattern!r} leads out of the plant folder", "name files inside it: `meters/*.csv`"
                )
                continue
            try:
                matches = sorted(path for path in self._folder.glob(pattern) if path.is_file())
            except ValueError as error:
                self._report.add(at, f"{pattern!r} is no file pattern: {error}", "write it as `meters/*.csv`")
                continue
            if not matches:
                self._report.add(at, f"no file in {self._folder} matches {pattern!r}", "correct it, or add the file")
            found.update(dict.fromkeys(matches))
        return list(found)

    def _time_zone(self, main: Fields) -> str:
        zones = available_timezones()
        return main.choice("time_zone", zones, "UTC") if zones else main.text("time_zone", "UTC")

    def _read_channels(self, part: Fields, channels: dict[str, ChannelConfig]) -> None:
        below = part.mapping_at("channels")
        if below is None:
            return
        folded = {name.lower(): name for name in channels}
        for name in below.mapping.entries:
            at = below.at_key(name)
            if not is_uid(name):
                self._report.add(
                    at,
                    f"{name!r} is not a valid id of a channel",
                    f"use 1 to {MAX_UID_LENGTH} Latin letters, digits, '_' or '-'",
                )
            if name.lower() in folded:
                other = channels[folded[name.lower()]]
                self._report.add(
                    at, f"the channel {name!r} is already described at {other.location}", "choose another id"
                )
                continue
            folded[name.lower()] = name
            channels[name] = self._channel(name, below, at)

    def _channel(self, name: str, below: Fields, at: Location) -> ChannelConfig:
        fields = below.mapping_at(name)
        if fields is None:
            if below.value(name) is None:
                self._report.add(at, f"the channel {name!r} is empty", "give it a `driver` and its `options`")
            return ChannelConfig(name, "", {}, at)
        fields.reject_unknown(CHANNEL_KEYS, "a channel; what is the driver's stands below `options`")
        driver = fields.required_text("driver", "name the driver: " + ", ".join(sorted(self._drivers)))
        if driver and driver not in self._drivers:
            fields.wrong(
                "driver",
                f"there is no driver {driver!r}",
                self._spelling.hint(driver, self._drivers, none="no driver is installed"),
            )
        options = fields.mapping_at("options")
        marks = dict(_marks(fields.mapping, ()))
        given = plain_value(options.mapping) if options is not None else {}
        return ChannelConfig(name, driver, given, at, marks, self._polling.rates(fields))

    def _read_meters(
        self,
        main: Fields,
        parts: list[Fields],
        nodes: dict[NodeUid, HierarchyNode],
        channels: dict[str, ChannelConfig],
        groups: list[PollGroupConfig],
    ) -> MeterReader:
        reader = MeterReader(
            self._report,
            self._spelling,
            self._identities,
            nodes,
            sorted(self._profiles),
            channels.keys(),
            [group.id for group in groups],
        )
        for part in parts:
            for tree in part.items("metering_units"):
                self._inline_unit(part, tree, reader)
        sheets = self._matches(main, "meters")
        tally = Tally(sheets, self._progress)
        for path in sheets:
            self._files.append(str(path))
            read_sheet(path, reader, self._report, self._spelling, tally)
        return reader

    def _inline_unit(self, part: Fields, tree: Tree, reader: MeterReader) -> None:
        if not isinstance(tree, MappingTree):
            place = Location(part.file, tree.line, tree.column, "metering_units")
            self._report.add(
                place, f"a metering unit must be a mapping, not {kind_of(tree)}", "write `- id: …` and so on"
            )
            return
        fields = Fields(tree, part.file, "metering_units", self._report, self._spelling)
        fields.reject_unknown(COLUMN_NAMES, "a metering unit")
        missing = [name for name in REQUIRED_COLUMNS if name not in fields]
        for name in missing:
            self._report.add(
                fields.here(), f"{name} is missing", f"a metering unit needs {', '.join(REQUIRED_COLUMNS)}"
            )
        if not missing:
            cells = [fields.text(name) for name in COLUMN_NAMES]
            place = fields.here()
            reader.add(cells, part.file, place.line, place.column, locate=fields.at_value)


def _marks(tree: Tree, path: KeyPath) -> Iterator[tuple[KeyPath, tuple[int, int]]]:
    """Place of every key and list item below a mapping, by path."""
    if isinstance(tree, MappingTree):
        for key, entry in tree.entries.items():
            yield (*path, key), (entry.line, entry.column)
            yield from _marks(entry.value, (*path, key))
    elif isinstance(tree, Sequence):
        for index, item in enumerate(tree.items):
            if not isinstance(item, Scalar):
                yield from _marks(item, (*path, index))
            yield (*path, index), (item.line, item.column)
