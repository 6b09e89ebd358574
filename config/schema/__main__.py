"""Write the schema files: `python -m config.schema`."""

from config.schema.build import SCHEMAS, render, schema_folder

for name in SCHEMAS:
    (schema_folder() / name).write_text(render(name), encoding="utf-8")
