from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from address_space.model.hierarchy import NodeKind
from config.errors import ConfigErrors
from config.loader import load_plant, time_zone_of


def test_nested_nodes_become_a_flat_list_with_parents_names_and_attributes(folder: Any) -> None:
    folder.write(
        "plant.yaml",
        """
        name: Town
        time_zone: Asia/Tashkent
        locale: ru
        hierarchy:
          - id: r
            kind: region
            names: {ru: Север, en: North}
            children:
              - id: t1
                kind: transformer
                name: T1
                code: T1
                enabled: no
                rated_power_kva: 630
                vector_group: Dyn11
        """,
    )
    config = folder.load()
    region, transformer = config.nodes
    assert (config.name, config.time_zone, config.locale) == ("Town", "Asia/Tashkent", "ru")
    assert (region.name, region.names, region.parent) == ("Север", {"en": "North", "ru": "Север"}, None)
    assert transformer.kind is NodeKind.TRANSFORMER
    assert (transformer.parent, transformer.code, transformer.enabled) == ("r", "T1", False)
    assert transformer.attributes == {"rated_power_kva": 630.0, "vector_group": "Dyn11"}


def test_all_mistakes_are_told_at_once_each_at_its_line_and_column(folder: Any) -> None:
    folder.write(
        "plant.yaml",
        """
        time_zone: Asia/Taskent
        hierarchi: []
        hierarchy:
          - id: north
            kind: substaton
          - id: t1
            kind: transformer
            parent: nort
            rated_powr_kva: 630
            primary_voltage_kv: ten
          - id: c1
            kind: consumer
            rated_power_kva: 5
            category: homes
          - id: bad id
            kind: feeder
          - id: System
            kind: feeder
        channels:
          gw1: {driver: modbuss}
          gw2:
            driver: modbus
            port: 502
        """,
    )
    assert folder.mistakes() == [
        "plant.yaml:1:12: 'Asia/Taskent' is no time_zone; did you mean 'Asia/Tashkent'?",
        "plant.yaml:2:1: 'hierarchi' is no key of plant.yaml; did you mean 'hierarchy'?",
        "plant.yaml:5:11: 'substaton' is no kind of node; did you mean 'substation'?",
        "plant.yaml:8:13: there is no node 'nort'; did you mean 'north'?",
        "plant.yaml:9:5: 'rated_powr_kva' is no key of a transformer; did you mean 'rated_power_kva'?",
        "plant.yaml:10:25: primary_voltage_kv must be a number, not 'ten'; write it without unit, with a decimal point",
        "plant.yaml:13:5: a consumer has no rated_power_kva; it belongs to a transformer",
        "plant.yaml:14:15: 'homes' is no category; use one of commercial, industrial, other, public, residential",
        "plant.yaml:15:9: 'bad id' is not a valid id; "
        "use 1 to 120 Latin letters, digits, '_' or '-', without spaces or dots",
        "plant.yaml:17:9: the id 'System' is reserved for the hub itself; choose another id",
        "plant.yaml:20:17: there is no driver 'modbuss'; did you mean 'modbus'?",
        "plant.yaml:23:5: 'port' is no key of a channel; what is the driver's stands below `options`; "
        "use one of driver, options, polling",
    ]


def test_a_duplicate_id_names_both_places_and_ignores_case(folder: Any) -> None:
    folder.write(
        "plant.yaml",
        """
        hierarchy:
          - {id: North, kind: site}
          - {id: north, kind: site}
        """,
    )
    (mistake,) = folder.mistakes()
    assert mistake.startswith("plant.yaml:3:10: the id 'north' is already used at plant.yaml:2:10;")


def test_a_node_below_a_breaker_is_refused(folder: Any) -> None:
    folder.write(
        "plant.yaml",
        """
        hierarchy:
          - id: q1
            kind: breaker
            children:
              - {id: f1, kind: feeder}
        """,
    )
    assert folder.mistakes() == [
        "plant.yaml:5:14: 'f1' hangs below 'q1', a breaker; only metering units may hang below a breaker: "
        "hang it below the node above"
    ]


def test_a_circle_of_parents_is_told_once_with_its_members(folder: Any) -> None:
    folder.write(
        "plant.yaml",
        """
        hierarchy:
          - {id: a, kind: site, parent: c}
          - {id: b, kind: site, parent: a}
          - {id: c, kind: site, parent: b}
          - {id: d, kind: site, parent: c}
        """,
    )
    (mistake,) = folder.mistakes()
    assert "circle: a → c → b → a" in mistake


def test_a_parent_that_contradicts_the_nesting_is_refused(folder: Any) -> None:
    folder.write(
        "plant.yaml",
        """
        hierarchy:
          - {id: a, kind: site}
          - id: b
            kind: site
            children:
              - {id: c, kind: site, parent: a}
              - {id: d, kind: site, parent: b}
        """,
    )
    (mistake,) = folder.mistakes()
    assert mistake.startswith("plant.yaml:6:37: 'c' stands among the children of 'b', yet names the parent 'a'")


def test_siblings_cannot_share_a_code(folder: Any) -> None:
    folder.write(
        "plant.yaml",
        """
        hierarchy:
          - {id: a, kind: site, code: F1}
          - {id: b, kind: site, code: f1}
        """,
    )
    (mistake,) = folder.mistakes()
    assert "'a' and 'b' lie below the same node under the same code 'f1'" in mistake


def test_included_files_hang_their_nodes_by_parent(folder: Any) -> None:
    folder.write("plant.yaml", "include: areas/*.yaml\nhierarchy: [{id: r, kind: region}]\n")
    folder.write(
        "areas/a.yaml", "hierarchy: [{id: s, kind: substation, parent: r}]\nchannels: {gw: {driver: modbus}}\n"
    )
    config = folder.load()
    assert {node.id: node.parent for node in config.nodes} == {"r": None, "s": "r"}
    assert [channel.id for channel in config.channels] == ["gw"]
    assert [Path(file).name for file in config.files] == ["plant.yaml", "a.yaml"]


def test_a_channel_described_twice_names_the_first_place(folder: Any) -> None:
    folder.write("plant.yaml", "include: more.yaml\nchannels: {gw: {driver: modbus}}\n")
    folder.write("more.yaml", "channels: {GW: {driver: modbus}}\nname: x\n")
    assert folder.mistakes() == [
        "more.yaml:1:12: the channel 'GW' is already described at plant.yaml:2:12; choose another id",
        "more.yaml:2:1: 'name' is no key of an included file; use one of channels, hierarchy, metering_units",
    ]


def test_driver_options_stay_undecoded_and_can_be_located(folder: Any) -> None:
    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid")
        host: str
        port: int

    folder.write(
        "plant.yaml",
        """
        channels:
          gw1:
            driver: modbus
            options:
              port: many
              hots: 127.0.0.1
              code: "017"
        """,
    )
    (channel,) = folder.load().channels
    assert channel.options == {"port": "many", "hots": "127.0.0.1", "code": "017"}
    place = channel.locate(("options", "port"))
    assert (place.line, place.column, place.key) == (5, 7, "channels.gw1.options.port")
    with pytest.raises(ValidationError) as caught:
        Options.model_validate({"port": "many", "hots": "127.0.0.1"})
    told = [
        (problem.line, problem.column, problem.what, problem.hint)
        for problem in channel.problems(caught.value, Options.model_fields)
    ]
    assert (4, 5, "host is missing", "add it") in told
    assert (6, 7, "'hots' is no key here", "did you mean 'host'?") in told
    assert any(line == 5 and column == 7 and what.startswith("port: ") for line, column, what, _ in told)


def test_simulation_is_kept_as_written(folder: Any) -> None:
    folder.write("plant.yaml", "simulation: {seed: 42, faults: [{meter: m1, fault: silent}]}\n")
    assert folder.load().simulation == {"seed": 42, "faults": [{"meter": "m1", "fault": "silent"}]}


def test_metering_units_can_stand_in_the_plant_file(town: Any) -> None:
    text = (town.path / "plant.yaml").read_text().replace("meters: meters/*.csv\n", "")
    town.write(
        "plant.yaml",
        text
        + "metering_units:\n"
        + "  - {id: m1, parent: f1, profile: abb/b23, channel: gw1, address: 7, ct: 60}\n"
        + "  - {id: m2, parent: q1, profile: abb/b23, channel: gw1, address: 8}\n",
    )
    first, second = town.load().meters
    assert (first.id, first.name, first.address, first.ratio, second.parent) == ("m1", "m1", "7", (60.0, 1.0), "q1")
    town.write("plant.yaml", text + "metering_units:\n  - {id: m1, parent: f1, profile: abb/b24, chanel: gw1}\n")
    mistakes = town.mistakes()
    assert (
        "plant.yaml:11:5: channel is missing; a metering unit needs id, parent, profile, channel, address" in mistakes
    )
    assert "plant.yaml:11:44: 'chanel' is no key of a metering unit; did you mean 'channel'?" in mistakes
    town.write(
        "plant.yaml", text + "metering_units:\n  - {id: m1, parent: f1, profile: abb/b24, channel: gw1, address: 1}\n"
    )
    assert town.mistakes() == ["plant.yaml:11:35: there is no profile 'abb/b24'; did you mean 'abb/b23'?"]


def test_a_metering_unit_is_no_hierarchy_node(folder: Any) -> None:
    folder.write("plant.yaml", "hierarchy: [{id: m, kind: metering_unit}]\n")
    (mistake,) = folder.mistakes()
    assert mistake.startswith("plant.yaml:1:27: a metering unit is no node of the hierarchy; list it in a CSV file")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: [1\nb: 2\n", "plant.yaml:2:"),
        ("a: *x\n", "plant.yaml:1:4: is not valid YAML: the alias *x names no anchor above it"),
        ("a: &x [*x]\n", "plant.yaml:1:8: is not valid YAML: the alias *x names no anchor above it"),
        ("name: a\nname: b\n", "plant.yaml:2:1: the key 'name' stands twice, first on line 1"),
        ("--- {}\n--- {}\n", "plant.yaml:2:1: is not valid YAML: a second document"),
        ("name: !!python/object:os.system x\n", "plant.yaml:1:7: the tag"),
        ("- a\n", "plant.yaml:1:1: the file must hold a mapping, not a list"),
        ("name: a\x00b\n", "plant.yaml:1:8: the character '\\x00' cannot stand here"),
        (b"name: caf\xe9\n", "plant.yaml:1:10: is not UTF-8 text"),
        ("", "plant.yaml: the file is empty"),
        ("simulation: " + "[" * 100_000, "plant.yaml:1:212: is not valid YAML: nested deeper than 200 levels"),
        ("channels: [gw]\n", "plant.yaml:1:11: channels must be a mapping, not a list"),
        ("hierarchy: [north]\n", "plant.yaml:1:13: a node must be a mapping, not 'north'"),
        ("meters: ../*.csv\n", "plant.yaml:1:9: '../*.csv' leads out of the plant folder"),
        ("meters: meters/*.csv\n", "plant.yaml:1:9: no file in "),
        ("channels: {gw 1: {driver: modbus}}\n", "plant.yaml:1:12: 'gw 1' is not a valid id of a channel"),
        ("channels: {gw1: }\n", "plant.yaml:1:12: the channel 'gw1' is empty"),
    ],
)
def test_a_broken_file_is_told_at_its_place(folder: Any, text: str | bytes, place: str) -> None:
    folder.write("plant.yaml", text)
    assert any(mistake.startswith(place) for mistake in folder.mistakes()), folder.mistakes()


def test_aliases_cannot_make_a_small_file_huge(folder: Any) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    folder.write("plant.yaml", "simulation:\n" + "".join(f"  {line}\n" for line in lines))
    (mistake,) = folder.mistakes()
    assert "aliases make this file far too large" in mistake


def test_a_missing_folder_is_a_mistake_not_a_crash(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load_plant(tmp_path / "nowhere", profiles=(), drivers=())
    (problem,) = caught.value.problems
    assert "cannot be read: No such file or directory" in str(problem)


def test_a_deep_hierarchy_by_parent_references_loads(folder: Any) -> None:
    depth = 3000
    nodes = "".join(f"  - {{id: n{i}, kind: division, parent: n{i - 1}}}\n" for i in range(depth - 1, 0, -1))
    folder.write("plant.yaml", f"hierarchy:\n{nodes}  - {{id: n0, kind: site}}\n")
    assert len(folder.load().nodes) == depth


def test_the_time_zone_is_found_without_reading_the_rest(tmp_path: Path) -> None:
    (tmp_path / "plant.yaml").write_text("time_zone: Asia/Tashkent\nmeters: nowhere/*.csv\n")
    assert time_zone_of(tmp_path).key == "Asia/Tashkent"
    (tmp_path / "plant.yaml").write_text("hierarchy: []\n")
    assert time_zone_of(tmp_path).key == "UTC"
    (tmp_path / "plant.yaml").write_text("time_zone: Mars/Olympus\n")
    with pytest.raises(ConfigErrors) as caught:
        time_zone_of(tmp_path)
    assert "plant.yaml:1" in str(caught.value)
