"""Sections of `hub.toml`: each setting with its type, default, bounds and meaning."""

from __future__ import annotations

import socket
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

Locale = Literal["en", "ru", "uz", "zh"]
HistorySource = Literal["auto", "embedded", "influx"]


class LogLevel(StrEnum):
    """Least severe event that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """Form of a log line."""

    TEXT = "text"
    JSON = "json"


def _endpoint(url: str) -> str:
    if not url.startswith("opc.tcp://") or len(url) == len("opc.tcp://"):
        raise ValueError("an endpoint is written as opc.tcp://host:4840")
    return url


def _uri(uri: str) -> str:
    if uri and ":" not in uri:
        raise ValueError("a URI is written as urn:joulehub:host")
    return uri


class Section(BaseModel):
    """Settings that stand together; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OpcUaSettings(Section):
    """The OPC UA server."""

    host: str = Field("0.0.0.0", min_length=1, description="Address the server listens on; 0.0.0.0 is every interface.")
    port: int = Field(4840, ge=1, le=65535, description="TCP port of the server.")
    application_name: str = Field(
        "JouleHub", min_length=1, description="Name of the server in discovery and in its certificate."
    )
    application_uri: Annotated[str, AfterValidator(_uri)] = Field(
        "",
        description="URI of this server, unique in the network and equal to the one in its certificate; empty is "
        "`urn:joulehub:<host name>`.",
    )
    advertised_urls: tuple[Annotated[str, AfterValidator(_endpoint)], ...] = Field(
        (),
        description="Endpoints told to clients where they must come by another name or port than the server's own, "
        "for example behind NAT.",
    )
    allow_none_security: bool = Field(
        default=False, description="Whether clients may connect without signing and encryption."
    )
    allow_anonymous: bool = Field(default=False, description="Whether clients may connect without a user.")
    locale: Locale = Field("en", description="Language for clients that ask for none of the hub's languages.")

    @property
    def uri(self) -> str:
        """Application URI in force."""
        return self.application_uri or f"urn:joulehub:{socket.gethostname()}"


class InfluxApi(StrEnum):
    """How lines are written to InfluxDB."""

    AUTO = "auto"
    V1 = "v1"


class InfluxSettings(Section):
    """InfluxDB 1, 2 or 3 as a store of the history, beside the embedded one or instead of it."""

    url: str = Field("", description="Address of the server; empty: no InfluxDB.")
    database: str = Field("joulehub", min_length=1, description="Database (1, 3) or bucket (2).")
    org: str = Field("", description="Organisation (2 only).")
    token: SecretStr = Field(
        SecretStr(""), description="Token (2, 3). A secret: give it by the environment or a secret file."
    )
    username: str = Field("", description="User (1 only).")
    password: SecretStr = Field(
        SecretStr(""),
        description="Password of the user (1 only). A secret: give it by the environment or a secret file.",
    )
    api: InfluxApi = Field(
        InfluxApi.AUTO, description="`v1` writes to /write whatever the server says; `auto` asks it."
    )
    ca_file: str = Field("", description="File with the certificates that are trusted instead of the system's.")
    compress: bool = Field(
        default=False, description="Whether lines are sent compressed; worth it where the server is far away."
    )
    timeout_s: float = Field(10.0, gt=0, le=300, description="How long the server may take for an answer, in seconds.")
    retention_days: int = Field(
        0, ge=0, le=36500, description="Retention that `joulehub history setup` sets; 0 keeps for ever."
    )


class RollupSettings(Section):
    """Figures of hours, days and months in the site's time zone, kept beside the readings."""

    enabled: bool = Field(default=True, description="Whether the hub computes and keeps them.")
    quarters: bool = Field(default=False, description="Whether quarters of an hour are kept too.")
    retention_days: int = Field(
        1830, ge=0, le=36500, description="Days after which hours are removed; 0 keeps them for ever, as days are."
    )
    quarter_retention_days: int = Field(
        400, ge=0, le=36500, description="Days after which quarters of an hour are removed; 0 keeps them for ever."
    )
    grace_s: float = Field(
        120.0, ge=0, le=3600, description="How long after its end an hour is computed first, in seconds."
    )


class HistorySettings(Section):
    """The history: embedded, in InfluxDB, or both."""

    enabled: bool = Field(default=True, description="Whether readings are recorded and served as history.")
    embedded: bool = Field(
        default=True, description="Whether the embedded store keeps readings; without it InfluxDB must."
    )
    read_from: HistorySource = Field(
        "auto", description="Which store answers clients: `embedded`, `influx`, or `auto`: embedded where there is one."
    )
    spool_gb: float = Field(
        10.0, gt=0, le=10_000, description="Disk that readings on their way to InfluxDB may take, in gigabytes."
    )
    influx: InfluxSettings = Field(InfluxSettings(), description="InfluxDB.")
    rollups: RollupSettings = Field(RollupSettings(), description="Figures of hours, days and months.")
    retention_days: int = Field(
        730, ge=0, le=36500, description="Days after which recorded readings are removed; 0 keeps them for ever."
    )
    hot_days: int = Field(
        7, ge=1, le=3650, description="Days (today counted) kept fast to write before they are packed."
    )
    backfill_days: int = Field(
        62, ge=0, le=3650, description="Days back for which gaps are filled from meters' own memories; 0 leaves them."
    )
    raw_limit: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="Most values of one variable in one answer; the client asks on for more.",
    )
    commit_interval_s: float = Field(
        0.5, gt=0, le=60, description="Longest time a reading waits before it is written, in seconds."
    )
    queue_values: int = Field(
        4_000_000,
        ge=1000,
        le=1_000_000_000,
        description="Values that may wait for the disk; more are refused and counted.",
    )

    @model_validator(mode="after")
    def _has_a_store(self) -> HistorySettings:
        if self.enabled and not self.embedded and not self.influx.url:
            raise ValueError("without the embedded store history needs influx.url")
        if self.read_from == "influx" and not self.influx.url:
            raise ValueError("read_from influx needs influx.url")
        if self.read_from == "embedded" and not self.embedded:
            raise ValueError("read_from embedded needs the embedded store")
        return self


class PollPeriods(Section):
    """Poll periods in seconds of the classes that profiles put their points in; 0 leaves them as the profile says."""

    fast: float = Field(0.0, ge=0, le=86_400, description="Powers, voltages and currents, in seconds.")
    normal: float = Field(0.0, ge=0, le=86_400, description="Values that change slowly, in seconds.")
    slow: float = Field(0.0, ge=0, le=86_400, description="Energy registers, in seconds.")
    config: float = Field(0.0, ge=0, le=86_400, description="Settings of the meter itself, in seconds.")

    def given(self) -> dict[str, float]:
        """Periods that are set, by class."""
        return {name: period for name, period in self if period}


class PollingSettings(Section):
    """Reading of the meters."""

    comm_lost_after: int = Field(
        3, ge=1, le=100, description="Failed readings in a row after which communication with a meter counts as lost."
    )
    backoff_max_s: float = Field(
        60.0,
        ge=1,
        le=3600,
        description="Longest pause between attempts to reach a meter that does not answer, in seconds.",
    )
    hold_s: float = Field(
        900.0,
        ge=0,
        le=604_800,
        description="How long counters and states stay usable (Uncertain) after communication is lost, in seconds.",
    )
    periods: PollPeriods = Field(
        PollPeriods(), description="Poll periods of whole classes of points, over those of the profiles."
    )


class LogSettings(Section):
    """The log on standard error."""

    level: LogLevel = Field(LogLevel.INFO, description="Least severe event that is logged.")
    format: LogFormat = Field(LogFormat.TEXT, description="Lines for people, or one JSON object a line.")
