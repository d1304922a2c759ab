"""Every setting: its default, how it is read, and what is said where it can't be."""

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from setpoint import settings
from setpoint.domain.errors import InvalidError
from setpoint.runtime.memory import MemoryGroup
from setpoint.settings import Settings, read_settings

SHORT_FILE = Path(__file__).parents[2] / "kind-config.yaml"
DEFAULTS: dict[str, Any] = {
    "home": None,
    "terraform": None,
    "tofu": None,
    "terraform_mirror": None,
    "terraform_env": "",
    "workers": max(2, min(16, 2 * (os.cpu_count() or 1))),
    "listen": "",
    "log_format": "console",
    "log_level": "info",
    "health_allow": "",
    "drain_seconds": 60.0,
    "collect_seconds": 86_400.0,
    "state_dir": Path("/var/lib/setpoint"),
    "store_url": None,
    "store_url_file": None,
    "sealing_key_file": None,
    "api_reads": 200.0,
    "api_writes": 20.0,
    "namespaces": "",
    "shards": 1,
    "resync_seconds": 300.0,
    "lease_namespace": "",
    "identity": "",
}
SECRET = "hunter2-very-secret"


@pytest.fixture(autouse=True)
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Holds the tests to a machine without a limit of memory, wherever they run."""
    monkeypatch.setattr(settings, "memory_group", lambda: None)


def test_the_defaults() -> None:
    assert read_settings({}).model_dump() == DEFAULTS


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("home", "/srv/home", Path("/srv/home")),
        ("terraform", "/opt/terraform", Path("/opt/terraform")),
        ("tofu", "/opt/tofu", Path("/opt/tofu")),
        ("terraform_mirror", "./mirror", Path("mirror")),
        ("terraform_env", "HTTPS_PROXY", "HTTPS_PROXY"),
        pytest.param("workers", "1", 1, id="workers-least"),
        pytest.param("workers", "256", 256, id="workers-most"),
        ("listen", "127.0.0.1:9090", "127.0.0.1:9090"),
        pytest.param("listen", "[::1]:9090", "[::1]:9090", id="listen-ipv6"),
        ("log_format", "json", "json"),
        ("log_level", "debug", "debug"),
        ("health_allow", "169.254.20.0/24, x.example", "169.254.20.0/24, x.example"),
        ("drain_seconds", "0.5", 0.5),
        pytest.param("drain_seconds", "0", 0.0, id="drain_seconds-none"),
        ("collect_seconds", "60", 60.0),
        ("state_dir", "/data", Path("/data")),
        ("api_reads", "0.5", 0.5),
        ("api_writes", "10000", 10_000.0),
        pytest.param(
            "store_url", f"postgresql://me:{SECRET}@db/x", SecretStr(f"postgresql://me:{SECRET}@db/x"), id="store_url"
        ),
        ("store_url_file", str(SHORT_FILE), SHORT_FILE),
        ("sealing_key_file", "/keys/blobs", Path("/keys/blobs")),
        ("namespaces", "a, b", "a, b"),
        ("shards", "4", 4),
        ("resync_seconds", "60", 60.0),
        ("lease_namespace", "ops", "ops"),
        ("identity", "pod-1", "pod-1"),
    ],
)
def test_a_value_is_read(name: str, text: str, value: Any) -> None:
    assert getattr(read_settings({f"SETPOINT_{name.upper()}": text}), name) == value


def test_every_setting_has_its_cases_here() -> None:
    assert set(DEFAULTS) == set(Settings.model_fields)
    read = next(mark for mark in test_a_value_is_read.pytestmark if mark.name == "parametrize")
    assert {(case.values if hasattr(case, "values") else case)[0] for case in read.args[1]} == set(DEFAULTS)


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        pytest.param("workers", "0", "greater than or equal to 1", id="workers-none"),
        pytest.param("workers", "257", "less than or equal to 256", id="workers-too-many"),
        pytest.param("workers", "2.5", "integer", id="workers-half"),
        pytest.param("workers", "many", "integer", id="workers-word"),
        pytest.param("listen", "9090", "pattern", id="listen-no-host"),
        pytest.param("listen", "localhost:", "pattern", id="listen-no-port"),
        pytest.param("listen", "::1:9090", "pattern", id="listen-bare-ipv6"),
        pytest.param("log_format", "xml", "'console' or 'json'", id="log_format"),
        pytest.param("log_level", "trace", "'debug', 'info', 'warning' or 'error'", id="log_level"),
        pytest.param("health_allow", "169.254.0.0/40", "network", id="health_allow-no-network"),
        pytest.param("drain_seconds", "-1", "greater than or equal to 0", id="drain_seconds-negative"),
        pytest.param("drain_seconds", "86401", "less than or equal to 86400", id="drain_seconds-over-a-day"),
        pytest.param("drain_seconds", "nan", "", id="drain_seconds-nan"),
        pytest.param("drain_seconds", "soon", "number", id="drain_seconds-word"),
        pytest.param("collect_seconds", "59", "greater than or equal to 60", id="collect_seconds-too-often"),
        pytest.param("collect_seconds", "inf", "less than or equal to 2592000", id="collect_seconds-never"),
        pytest.param("api_reads", "0", "greater than 0", id="api_reads-none"),
        pytest.param("api_reads", "inf", "less than or equal to 10000", id="api_reads-endless"),
        pytest.param("api_writes", "-1", "greater than 0", id="api_writes-negative"),
        pytest.param("api_writes", "10001", "less than or equal to 10000", id="api_writes-too-many"),
        pytest.param("terraform_env", "x" * 4097, "at most 4096", id="terraform_env-long"),
        pytest.param("namespaces", "x" * 4097, "at most 4096", id="namespaces-long"),
        pytest.param("shards", "0", "greater than or equal to 1", id="shards-none"),
        pytest.param("shards", "17", "less than or equal to 16", id="shards-too-many"),
        pytest.param("resync_seconds", "1", "greater than or equal to 5", id="resync_seconds-short"),
        pytest.param("lease_namespace", "x" * 64, "at most 63", id="lease_namespace-long"),
        pytest.param("identity", "x" * 254, "at most 253", id="identity-long"),
    ],
)
def test_a_bad_value_names_the_variable_and_what_is_allowed(name: str, text: str, allowed: str) -> None:
    variable = f"SETPOINT_{name.upper()}"
    with pytest.raises(InvalidError) as caught:
        read_settings({variable: text})
    assert caught.value.field == variable
    assert caught.value.message.startswith(f"{variable}: ")
    assert allowed in caught.value.message


@pytest.mark.parametrize("name", DEFAULTS)
def test_an_empty_variable_is_as_good_as_none(name: str) -> None:
    assert read_settings({f"SETPOINT_{name.upper()}": ""}) == read_settings({})


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({"SETPOINT_WORKERZ": "3"}, id="no-setting"),
        pytest.param({"SETPOINT_TEST_KUBECONFIG": "x"}, id="a-variable-of-the-tests"),
        pytest.param({"setpoint_workers": "3", "WORKERS": "3"}, id="another-spelling"),
    ],
)
def test_other_variables_are_left_alone(environ: dict[str, str]) -> None:
    assert read_settings(environ) == read_settings({})


@pytest.mark.parametrize(("mebibytes", "workers"), [(100, 1), (512, 2), (1023, 3), (1 << 20, 16)])
def test_workers_fit_the_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mebibytes: int, workers: int) -> None:
    group = MemoryGroup(mebibytes << 20, tmp_path, tmp_path, "")
    monkeypatch.setattr(settings, "memory_group", lambda: group)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert read_settings({}).workers == workers


@pytest.mark.parametrize(
    ("given", "workers"),
    [pytest.param(7, 7, id="an option wins"), pytest.param(None, 3, id="an option that is not given does not")],
)
def test_an_override(given: int | None, workers: int) -> None:
    assert read_settings({"SETPOINT_WORKERS": "3"}, workers=given).workers == workers


def test_an_override_is_checked_too() -> None:
    with pytest.raises(InvalidError, match="SETPOINT_WORKERS"):
        read_settings({}, workers=0)


def test_they_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read_settings({}).workers = 3


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("", (), id="none"),
        pytest.param("a", ("a",), id="one"),
        pytest.param(" b , a,,", ("a", "b"), id="spaces-and-empties"),
    ],
)
def test_lists_are_by_comma(text: str, names: tuple[str, ...]) -> None:
    found = read_settings({"SETPOINT_NAMESPACES": text, "SETPOINT_TERRAFORM_ENV": text})
    assert found.served_namespaces == names
    assert sorted(found.passthrough) == [*names]


def test_a_namespace_named_twice_is_one() -> None:
    assert read_settings({"SETPOINT_NAMESPACES": "b,a,b"}).served_namespaces == ("a", "b")


def test_what_terraform_inherits_is_held_by_name_and_never_by_value() -> None:
    found = read_settings({"SETPOINT_TERRAFORM_ENV": "TF_TOKEN", "TF_TOKEN": SECRET})
    assert SECRET not in repr(found) + str(found.model_dump())


def test_the_stores_password_is_not_shown() -> None:
    found = read_settings({"SETPOINT_STORE_URL": f"postgresql://me:{SECRET}@db/x"})
    assert SECRET not in repr(found) + str(found.model_dump()) + found.model_dump_json()


URL = f"postgresql://me:{SECRET}@db/x"


def test_the_stores_url_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(URL + "\n")
    found = read_settings({"SETPOINT_STORE_URL_FILE": str(tmp_path / "url")})
    assert found.store_url == SecretStr(URL)
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "can't be read: No such file or directory"),
        (b"", "must hold a URL"),
        (b" \n", "must hold a URL"),
        (b"x" * 8193, "must hold a URL"),
        (SECRET.encode() + b"\xff", "no text in UTF-8"),
    ],
)
def test_a_file_without_a_url_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "url").write_bytes(content)
    with pytest.raises(InvalidError, match=message) as caught:
        read_settings({"SETPOINT_STORE_URL_FILE": str(tmp_path / "url")})
    assert caught.value.field == "SETPOINT_STORE_URL_FILE"
    assert SECRET not in caught.value.message


def test_a_url_beside_a_file_of_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(URL)
    with pytest.raises(InvalidError, match="only one of them"):
        read_settings({"SETPOINT_STORE_URL": URL, "SETPOINT_STORE_URL_FILE": str(tmp_path / "url")})


@pytest.mark.parametrize("name", ["workers", "listen", "log_format", "drain_seconds", "api_reads"])
def test_a_refusal_does_not_repeat_the_value(name: str) -> None:
    with pytest.raises(InvalidError) as caught:
        read_settings({f"SETPOINT_{name.upper()}": SECRET})
    assert SECRET not in caught.value.message
