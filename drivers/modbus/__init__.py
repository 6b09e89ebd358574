"""Modbus TCP, and Modbus RTU through gateways: registers planned, read, checked and decoded exactly."""

from drivers.modbus.compile import compile_profile
from drivers.modbus.driver import ModbusDriver
from drivers.modbus.encode import Cell, encode_point, encode_raw, no_data
from drivers.modbus.layout import CompiledPoint, CompiledProfile, Make, Register
from drivers.modbus.options import Options
from drivers.modbus.plan import Read, plan_reads
from drivers.modbus.plugin import ModbusPlugin
from drivers.modbus.steps import Target

plugin = ModbusPlugin()

__all__ = [
    "Cell",
    "CompiledPoint",
    "CompiledProfile",
    "Make",
    "ModbusDriver",
    "ModbusPlugin",
    "Options",
    "Read",
    "Register",
    "Target",
    "compile_profile",
    "encode_point",
    "encode_raw",
    "no_data",
    "plan_reads",
    "plugin",
]
