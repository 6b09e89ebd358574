from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from address_space.model import MeteringUnit, Plant, Template
from config.document import parse_document, plain_value
from config.errors import ConfigErrors, Report
from config.loader import load_plant
from config.plant import PlantConfig

_IDS = st.sampled_from(["a", "A", "b", "c", "d", "e1", "root", "x y", "", "q"])
_KINDS = st.sampled_from(["site", "feeder", "breaker", "gateway", "metering_unit", "fedeer"])
_NODES: st.SearchStrategy[list[dict[str, Any]]] = st.recursive(
    st.just([]),
    lambda below: st.lists(
        st.fixed_dictionaries(
            {"id": _IDS, "kind": _KINDS},
            optional={
                "children": below,
                "parent": _IDS,
                "code": st.sampled_from(["a", "b", "F/1"]),
                "enabled": st.booleans(),
            },
        ),
        max_size=4,
    ),
    max_leaves=8,
)
_ROWS = st.lists(
    st.tuples(
        st.sampled_from(["m1", "M1", "m2", "m3", "a", "b", "m 4"]),
        _IDS,
        st.sampled_from(["p", "p", "q"]),
        st.sampled_from(["gw", "gw", "wg"]),
        st.sampled_from(["1", "2", "02", "3", ""]),
        st.sampled_from(["", "60", "-1", "nan", "1e400"]),
    ),
    max_size=5,
)


def _load(folder: Path) -> PlantConfig | ConfigErrors:
    try:
        return load_plant(folder, profiles={"p"}, drivers={"modbus"})
    except ConfigErrors as errors:
        return errors


def _check(errors: ConfigErrors) -> None:
    assert errors.problems
    assert all(problem.what and str(problem) for problem in errors.problems)
    json.dumps(errors.to_json())


def _build(config: PlantConfig) -> Plant:
    template = Template("t", ())
    units = [
        MeteringUnit(id=m.id, name=m.name, parent=m.parent, template=template, ratio=m.ratio) for m in config.meters
    ]
    return Plant(config.nodes, units)


@given(_NODES, _ROWS)
@settings(max_examples=300, deadline=None)
def test_what_the_loader_accepts_the_model_accepts(nodes: list[dict[str, Any]], rows: list[tuple[str, ...]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plant = {"hierarchy": nodes, "channels": {"gw": {"driver": "modbus"}}, "meters": "m.csv"}
        (folder / "plant.yaml").write_text(yaml.safe_dump(plant))
        lines = [",".join(row) for row in [("id", "parent", "profile", "channel", "address", "ct"), *rows]]
        (folder / "m.csv").write_text("\n".join(lines))
        loaded = _load(folder)
        if isinstance(loaded, PlantConfig):
            assert len(_build(loaded).units) == len(rows)
        else:
            _check(loaded)


@given(st.binary(max_size=200), st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_no_bytes_at_all_crash_the_loader(plant: bytes, sheet: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "plant.yaml").write_bytes(plant)
        loaded = _load(folder)
        assert isinstance(loaded, PlantConfig) or loaded.problems
        (folder / "plant.yaml").write_text("meters: m.csv\n")
        (folder / "m.csv").write_bytes(b"id,parent,profile,channel,address\n" + sheet)
        loaded = _load(folder)
        assert loaded.meters == [] if isinstance(loaded, PlantConfig) else loaded.problems


_WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Co", "Cn")), max_size=6)
_DATA = st.recursive(
    st.one_of(_WORDS, st.integers(-(10**6), 10**6), st.booleans(), st.none()),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(_WORDS, below, max_size=3),
    max_leaves=10,
)


@given(_DATA.filter(lambda data: data is not None))
@settings(max_examples=150, deadline=None)
def test_plain_data_survives_writing_and_reading(data: Any) -> None:
    report = Report()
    text = json.dumps(data, ensure_ascii=False).replace("\x7f", "")
    tree = parse_document(text, "x", report)
    if not report.problems:
        assert tree is not None
        assert plain_value(tree) == data


@given(st.text("{}[]&*!|>'\"%@`-:#,?<~ \n\tab1.", max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_yaml_is_read_or_reported(text: str) -> None:
    report = Report()
    tree = parse_document(text, "x", report)
    if tree is not None:
        plain_value(tree)
    for problem in report.problems:
        assert problem.what
