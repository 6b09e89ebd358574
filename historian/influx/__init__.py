"""InfluxDB 1, 2 and 3: line protocol out, InfluxQL in, and set-up by version."""

from historian.influx.lines import LineWriter, Tags
from historian.influx.query import InfluxQl, Result
from historian.influx.reader import InfluxReader
from historian.influx.server import Credentials, InfluxServer, ServerOptions, Version
from historian.influx.setup import SetUp, set_up
from historian.influx.sink import InfluxSink

__all__ = [
    "Credentials",
    "InfluxQl",
    "InfluxReader",
    "InfluxServer",
    "InfluxSink",
    "LineWriter",
    "Result",
    "ServerOptions",
    "SetUp",
    "Tags",
    "Version",
    "set_up",
]
