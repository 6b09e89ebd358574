"""Settings of one hub: `hub.toml`, over it secret files, over these environment variables."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path
from re import search
from typing import Any

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from config.document import position_of
from config.errors import ConfigErrors, Location, Problem
from config.sections import HistorySettings, LogSettings, OpcUaSettings, PollingSettings
from config.spelling import Spelling
from config.toml_marks import Marks, toml_marks
from config.validation import problems_of

ENV_PREFIX = "JOULEHUB_"
ENV_DELIMITER = "__"
SECRETS_VARIABLE = "JOULEHUB_SECRETS_DIR"
"""Names the folder of secret files where the caller does not."""

KeyPath = tuple[str | int, ...]


class HubSettings(BaseSettings):
    """Settings of one hub. Environment variables win over secret files, these over `hub.toml` (the arguments)."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
        extra="forbid",
        frozen=True,
        secrets_nested_delimiter=ENV_DELIMITER,
        secrets_dir_missing="ok",
        validate_default=False,
    )

    plant: Path = Field(
        Path("plant"), description="Folder with `plant.yaml`; a relative path starts at the folder of `hub.toml`."
    )
    data_dir: Path = Field(
        Path("var"),
        description="Folder for history, certificates and other data of the running hub; a relative path starts at "
        "the folder the hub is started in.",
    )
    opcua: OpcUaSettings = Field(OpcUaSettings(), description="The OPC UA server.")
    history: HistorySettings = Field(HistorySettings(), description="The history: embedded, in InfluxDB, or both.")
    polling: PollingSettings = Field(PollingSettings(), description="Reading of the meters.")
    log: LogSettings = Field(LogSettings(), description="The log on standard error.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment, then secret files, then what was given."""
        return env_settings, NestedSecretsSettingsSource(file_secret_settings), init_settings


def load_settings(path: Path | None, *, secrets_dir: Path | None = None) -> HubSettings:
    """Settings from the file `path` (None: defaults), secret files and the environment; raises ConfigErrors.

    A secret file is named like an environment variable and holds one value. Relative to what paths are taken:
    see the fields of `HubSettings`.
    """
    given, marks = _read(path) if path is not None else ({}, {})
    if secrets_dir is None and os.environ.get(SECRETS_VARIABLE):
        secrets_dir = Path(os.environ[SECRETS_VARIABLE])
    sources = _Sources(path, marks, secrets_dir)
    unknown = sources.unknown()
    try:
        settings = HubSettings(_secrets_dir=secrets_dir, **given)
    except ValidationError as error:
        raise ConfigErrors([*unknown, *problems_of(error, sources.locate, _names_at)]) from error
    except SettingsError as error:
        raise ConfigErrors([*unknown, *sources.undecoded(str(error))]) from error
    exposed = [
        Problem.at(
            sources.locate(path),
            "a secret does not belong into a file that is copied and kept",
            f"remove it, and set the environment variable {_variable(path)} or a secret file of that name",
        )
        for path in _secrets(HubSettings)
        if not sources.outside(path) and _given_at(given, path)
    ]
    if unknown or exposed:
        raise ConfigErrors([*unknown, *exposed])
    if path is not None and not sources.outside(("plant",)):
        settings = settings.model_copy(update={"plant": path.parent / settings.plant})
    return settings


class _Sources:
    """Which variable, secret file or line of `hub.toml` a setting came from."""

    def __init__(self, path: Path | None, marks: Marks, secrets_dir: Path | None) -> None:
        self._file = str(path) if path is not None else "defaults"
        self._marks = marks
        self._given: dict[str, tuple[str, str]] = {}
        if secrets_dir is not None and secrets_dir.is_dir():
            for file in sorted(secrets_dir.iterdir()):
                if file.name.upper().startswith(ENV_PREFIX) and file.is_file():
                    self._given[file.name.upper()] = (str(file), file.read_text(errors="replace"))
        for name, value in os.environ.items():
            if name.upper().startswith(ENV_PREFIX):
                self._given[name.upper()] = (f"environment variable {name}", value)

    def outside(self, path: KeyPath) -> str:
        """The variable or secret file that gives the setting at `path` or the section around it, or nothing."""
        names = [str(part) for part in path]
        for length in range(len(names), 0, -1):
            found = self._given.get(_variable(names[:length]))
            if found is not None:
                return found[0]
        return ""

    def locate(self, path: KeyPath) -> Location:
        """Where the setting at `path` was given."""
        key = ".".join(map(str, path))
        outside = self.outside(path)
        if outside:
            return Location(outside, key=key)
        for length in range(len(path), 0, -1):
            if path[:length] in self._marks:
                line, column = self._marks[path[:length]]
                return Location(self._file, line, column, key)
        return Location(self._file, key=key)

    def unknown(self) -> list[Problem]:
        """Variables and secret files of sections that do not exist."""
        spelling = Spelling()
        sections = [name for name, field in HubSettings.model_fields.items() if _section(field) is not None]
        problems = []
        for name, (source, _) in self._given.items():
            section, delimiter, _rest = name.removeprefix(ENV_PREFIX).lower().partition(ENV_DELIMITER)
            if delimiter and section not in sections:
                hint = spelling.hint(section, sections)
                problems.append(Problem.at(Location(source, key=section), f"there is no section {section!r}", hint))
        return problems

    def undecoded(self, message: str) -> list[Problem]:
        """Variables and secret files that must hold JSON and do not."""
        problems = []
        for name, (source, value) in self._given.items():
            path = tuple(name.removeprefix(ENV_PREFIX).lower().split(ENV_DELIMITER))
            if _takes_json(path) and not _is_json(value):
                what, hint = (
                    "is not JSON",
                    """write a list as '["opc.tcp://hub:4840"]', a section as '{"port": 4840}'""",
                )
                problems.append(Problem.at(Location(source, key=".".join(path)), what, hint))
        return problems or [Problem.at(Location("environment"), message, "see docs/configuration.md")]


def _read(path: Path) -> tuple[dict[str, Any], Marks]:
    file = str(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise _unreadable(Location(file), f"cannot be read: {error.strerror}", "give the path of a hub.toml") from error
    except UnicodeDecodeError as error:
        line, column = position_of(error.object[: error.start].decode("utf-8", "replace"))
        raise _unreadable(Location(file, line, column), "is not UTF-8 text", "save the file as UTF-8") from error
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
        line, column = position_of(text)
        if place is not None:
            message = message[: place.start()]
            line, column = (int(place.group(1)), int(place.group(2))) if place.group(1) else (line, column)
        hint = "put texts in double quotes and give each key and section once"
        raise _unreadable(Location(file, line, column), f"is not valid TOML: {message}", hint) from error
    return given, toml_marks(text.replace("\r\n", "\n"))


def _unreadable(at: Location, what: str, hint: str) -> ConfigErrors:
    return ConfigErrors([Problem.at(at, what, hint)])


def _variable(path: Collection[str]) -> str:
    return (ENV_PREFIX + ENV_DELIMITER.join(path)).upper()


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _secrets(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of the settings that must not stand in a file."""
    for name, field in model.model_fields.items():
        below = _section(field)
        if below is not None:
            yield from _secrets(below, (*above, name))
        elif field.annotation is SecretStr:
            yield (*above, name)


def _given_at(given: Any, path: tuple[str, ...]) -> bool:
    for part in path:
        if not isinstance(given, dict) or part not in given:
            return False
        given = given[part]
    return bool(given)


def _names_at(path: KeyPath) -> Collection[str]:
    model: type[BaseModel] = HubSettings
    for part in path:
        field = model.model_fields.get(str(part))
        below = _section(field) if field is not None else None
        if below is None:
            return ()
        model = below
    return list(model.model_fields)


def _takes_json(path: tuple[str, ...]) -> bool:
    model: type[BaseModel] = HubSettings
    for part in path:
        field = model.model_fields.get(part)
        if field is None:
            return False
        below = _section(field)
        if below is None:
            return "tuple" in str(field.annotation)
        model = below
    return True


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
