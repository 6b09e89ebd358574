"""The OPC UA server: asyncua with its gaps closed, over the plant's virtual nodes."""

from server.opcua.access import HubUser, Right, SessionPolicy, Users
from server.opcua.options import Limits, OpcUaOptions
from server.opcua.server import HubServer

__all__ = ["HubServer", "HubUser", "Limits", "OpcUaOptions", "Right", "SessionPolicy", "Users"]
