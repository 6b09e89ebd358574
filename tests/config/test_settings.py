from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from config.errors import ConfigErrors
from config.settings import HubSettings, load_settings

ROOT = Path(__file__).parents[2]


def _mistakes(path: Path | None, secrets_dir: Path | None = None) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        load_settings(path, secrets_dir=secrets_dir)
    texts = [str(problem) for problem in caught.value.problems]
    return [text.replace(f"{path.parent}/", "") for text in texts] if path is not None else texts


def _file(folder: Path, text: str | bytes) -> Path:
    path = folder / "hub.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_example_holds_every_setting_with_its_default() -> None:
    given = tomllib.loads((ROOT / "config/hub.toml").read_text())
    assert HubSettings(**given) == HubSettings()
    everything = json.loads(HubSettings().model_dump_json())
    for secret in ("token", "password"):
        assert everything["history"]["influx"].pop(secret) == ""
    assert given == everything


@pytest.mark.parametrize("secret", ["token", "password"])
def test_a_secret_in_the_file_is_refused_and_from_outside_taken_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    file = _file(tmp_path, f'[history.influx]\nurl = "http://db:8086"\n{secret} = "hush"\n')
    with pytest.raises(ConfigErrors) as refused:
        load_settings(file)
    assert "hub.toml:3" in str(refused.value)
    assert f"JOULEHUB_HISTORY__INFLUX__{secret.upper()}" in str(refused.value)
    assert "hush" not in str(refused.value)
    monkeypatch.setenv(f"JOULEHUB_HISTORY__INFLUX__{secret.upper()}", "hush")
    settings = load_settings(_file(tmp_path, '[history.influx]\nurl = "http://db:8086"\n'))
    assert getattr(settings.history.influx, secret).get_secret_value() == "hush"
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    "given",
    ["embedded = false", 'read_from = "influx"', 'embedded = false\nread_from = "embedded"\ninflux.url = "http://x"'],
)
def test_a_history_without_the_store_it_needs_is_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(ConfigErrors, match=r"influx\.url|embedded store"):
        load_settings(_file(tmp_path, f"[history]\n{given}\n"))


def test_the_application_uri_is_made_of_the_host_name() -> None:
    assert HubSettings().opcua.uri.startswith("urn:joulehub:")
    assert HubSettings(opcua={"application_uri": "urn:x:y"}).opcua.uri == "urn:x:y"


def test_environment_wins_over_secret_files_and_these_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _file(tmp_path, '[opcua]\nport = 1\nhost = "a"\nlocale = "ru"\n')
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "joulehub_opcua__port").write_text("2\n")
    (secrets / "JOULEHUB_OPCUA__HOST").write_text("b\n")
    monkeypatch.setenv("JOULEHUB_OPCUA__PORT", "3")
    monkeypatch.setenv("JOULEHUB_OPCUA__ADVERTISED_URLS", '["opc.tcp://x:1"]')
    monkeypatch.setenv("JOULEHUB_POLLING__PERIODS__FAST", "5")
    settings = load_settings(path, secrets_dir=secrets)
    assert (settings.opcua.port, settings.opcua.host, settings.opcua.locale) == (3, "b", "ru")
    assert settings.opcua.advertised_urls == ("opc.tcp://x:1",)
    assert settings.polling.periods.given() == {"fast": 5.0}
    monkeypatch.setenv("JOULEHUB_SECRETS_DIR", str(secrets))
    assert load_settings(path).opcua.host == "b"


def test_the_plant_folder_is_relative_to_the_file_but_not_when_the_environment_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _file(tmp_path, 'plant = "town"\ndata_dir = "data"\n')
    assert load_settings(path).plant == tmp_path / "town"
    assert load_settings(path).data_dir == Path("data")
    assert load_settings(_file(tmp_path, "")).plant == tmp_path / "plant"
    assert load_settings(None).plant == Path("plant")
    monkeypatch.setenv("JOULEHUB_PLANT", "elsewhere")
    assert load_settings(path).plant == Path("elsewhere")


def test_all_mistakes_of_the_file_are_told_at_once_at_line_and_column(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        """# a comment
dta_dir = "x"
log = { level = "loud", format = "text" }

[opcua]
prot = 4840
  port = "many"
advertised_urls = [
  "opc.tcp://a:1",
  "http://b",
]

[histroy]
enabled = true
""",
    )
    assert _mistakes(path) == [
        "hub.toml:2:1: 'dta_dir' is no key here; did you mean 'data_dir'?",
        "hub.toml:3:9: log.level: input should be 'debug', 'info', 'warning' or 'error'; see docs/configuration.md",
        "hub.toml:6:1: 'prot' is no key here; did you mean 'port'?",
        "hub.toml:7:3: opcua.port: input should be a valid integer, unable to parse string as an integer; "
        "write a whole number without unit",
        "hub.toml:10:3: opcua.advertised_urls.1: an endpoint is written as opc.tcp://host:4840; "
        "see docs/configuration.md",
        "hub.toml:13:2: 'histroy' is no key here; did you mean 'history'?",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("port = \n", "hub.toml:1:8: is not valid TOML: Invalid value;"),
        ('data_dir = "a"\ndata_dir = "b"\n', "hub.toml:2:"),
        ("[opcua", "hub.toml:1:7: is not valid TOML:"),
        (b'data_dir = "\xff"\n', "hub.toml:1:13: is not UTF-8 text"),
    ],
)
def test_a_file_that_is_no_toml_is_told_at_its_place(tmp_path: Path, text: str | bytes, told: str) -> None:
    (mistake,) = _mistakes(_file(tmp_path, text))
    assert mistake.startswith(told)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert _mistakes(tmp_path / "hub.toml") == [
        "hub.toml: cannot be read: No such file or directory; give the path of a hub.toml"
    ]


def test_mistakes_of_the_environment_name_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOULEHUB_OPCUA__PORTT", "1")
    monkeypatch.setenv("JOULEHUB_OPCAU__PORT", "1")
    monkeypatch.setenv("JOULEHUB_LOG__LEVEL", "loud")
    monkeypatch.setenv("JOULEHUB_SERVICE_HOST", "given by the cluster, not by a person")
    assert _mistakes(None) == [
        "environment variable JOULEHUB_LOG__LEVEL: log.level: input should be 'debug', 'info', 'warning' or 'error'; "
        "see docs/configuration.md",
        "environment variable JOULEHUB_OPCAU__PORT: there is no section 'opcau'; did you mean 'opcua'?",
        "environment variable JOULEHUB_OPCUA__PORTT: 'portt' is no key here; did you mean 'port'?",
    ]


def test_a_list_in_the_environment_that_is_no_json_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOULEHUB_OPCUA__ADVERTISED_URLS", "opc.tcp://x:1")
    (mistake,) = _mistakes(None)
    assert mistake.startswith("environment variable JOULEHUB_OPCUA__ADVERTISED_URLS: is not JSON; write a list as")


def test_a_mistake_in_a_secret_file_names_the_file_and_keeps_the_secret(tmp_path: Path) -> None:
    (tmp_path / "joulehub_opcua__port").write_text("hunter2")
    (mistake,) = _mistakes(None, tmp_path)
    assert mistake.startswith(f"{tmp_path}/joulehub_opcua__port: opcua.port: ")
    assert "hunter2" not in mistake


def test_problems_are_told_as_data(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load_settings(_file(tmp_path, "x = 1\n"))
    (data,) = caught.value.to_json()
    assert data == {
        "file": str(tmp_path / "hub.toml"),
        "line": 1,
        "column": 1,
        "key": "x",
        "what": "'x' is no key here",
        "hint": "use one of data_dir, history, log, opcua, plant, polling",
    }
