"""Lines to devices: bytes out, bytes in, over TCP, UDP, serial ports, devices that dial in, or memory."""

from drivers.transport.ask import ask
from drivers.transport.clashes import Clash, clashes
from drivers.transport.dial_in import DialInLink
from drivers.transport.echo import EchoLink
from drivers.transport.lines import Lines
from drivers.transport.link import Arrivals, Link
from drivers.transport.options import LineOptions, Parity, SerialSettings
from drivers.transport.pair import PairLink, pair
from drivers.transport.port import Rs485
from drivers.transport.serial import SerialLink
from drivers.transport.switchboard import Switchboard
from drivers.transport.tcp import TcpLink
from drivers.transport.trace import BadTrace, ChannelTrace, Event, Mark, Trace, read_trace
from drivers.transport.traced import TracedLink
from drivers.transport.udp import UdpLink

__all__ = [
    "Arrivals",
    "BadTrace",
    "ChannelTrace",
    "Clash",
    "DialInLink",
    "EchoLink",
    "Event",
    "LineOptions",
    "Lines",
    "Link",
    "Mark",
    "PairLink",
    "Parity",
    "Rs485",
    "SerialLink",
    "SerialSettings",
    "Switchboard",
    "TcpLink",
    "Trace",
    "TracedLink",
    "UdpLink",
    "ask",
    "clashes",
    "pair",
    "read_trace",
]
