"""Lines to devices: bytes out, bytes in, over TCP, UDP, serial ports, devices that dial in, or memory."""

from drivers.transport.ask import ask
from drivers.transport.lines import Lines
from drivers.transport.link import Arrivals, Link
from drivers.transport.options import LineOptions, Parity, SerialSettings
from drivers.transport.pair import PairLink, pair
from drivers.transport.tcp import TcpLink

__all__ = [
    "Arrivals",
    "LineOptions",
    "Lines",
    "Link",
    "PairLink",
    "Parity",
    "SerialSettings",
    "TcpLink",
    "ask",
    "pair",
]
