"""A meter whose register counts behind transformers that the plant's files name."""

from __future__ import annotations

HEAD = """\
profile: site/secondary
vendor: Site
model: Secondary
medium: electricity
protocol: modbus
source: [{document: made for a test}]
modbus: {order: ABCD, ratios: {ct: configured, pt: configured}}
points:
"""
SECONDARY = f"""\
{HEAD}\
  ActiveEnergyImport: {{at: 0, type: uint32, scale: 0.01, unit: kWh, ratio: ptct, counter: {{max: 9999999.99}}}}
"""
