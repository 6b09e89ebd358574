"""JSON Schema of the configuration files, for editors; `python -m config.schema` writes the files beside this one."""

from config.schema.build import SCHEMAS, hub_schema, meters_schema, plant_schema, render, schema_folder

__all__ = ["SCHEMAS", "hub_schema", "meters_schema", "plant_schema", "render", "schema_folder"]
