"""The OPC UA server: asyncua with its gaps closed, over the plant's virtual nodes."""

from server.opcua.access import HubUser, Right, SessionPolicy, Users
from server.opcua.calls import CallContext, Protection, current_call
from server.opcua.counter_events import CounterEvents, CounterWords
from server.opcua.errors import CallRefused
from server.opcua.event import Event
from server.opcua.history_rollups import RolledUp
from server.opcua.messages import Message
from server.opcua.meter_log_events import MeterLogEvents
from server.opcua.model_changes import Change, Verb, changes_of
from server.opcua.options import Limits, OpcUaOptions
from server.opcua.server import HubServer
from server.opcua.status_events import StatusEvents

__all__ = [
    "CallContext",
    "CallRefused",
    "Change",
    "CounterEvents",
    "CounterWords",
    "Event",
    "HubServer",
    "HubUser",
    "Limits",
    "Message",
    "MeterLogEvents",
    "OpcUaOptions",
    "Protection",
    "Right",
    "RolledUp",
    "SessionPolicy",
    "StatusEvents",
    "Users",
    "Verb",
    "changes_of",
    "current_call",
]
