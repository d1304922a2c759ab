"""The environment of a run: made from nothing, and never led astray by what a Secret holds."""

from pathlib import Path

import pytest

from setpoint.api.conditions import Reason
from setpoint.domain.errors import StalledError
from setpoint.targets.environment.state_ports import BackendAccess
from setpoint.targets.environment.terraform.environment import RunEnvironment

ACCESS = BackendAccess("http://127.0.0.1:1/state/t", "run", "password")
ALWAYS = {"PATH", "HOME", "LANG", "TF_IN_AUTOMATION", "TF_INPUT", "CHECKPOINT_DISABLE", "TF_CLI_CONFIG_FILE"}


@pytest.fixture(autouse=True)
def _polluted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TF_CLI_ARGS", "TF_VAR_region", "TF_LOG", "TF_WORKSPACE", "TF_DATA_DIR", "CLOUD_KEY", "SSH_AUTH_SOCK"):
        monkeypatch.setenv(name, f"inherited {name}")


def test_nothing_is_inherited(tmp_path: Path) -> None:
    made = RunEnvironment(tmp_path, None, ()).of_run({"REGION": "eu-1"}, None)
    assert made.keys() == {*ALWAYS, "REGION"}
    assert not [value for value in made.values() if value.startswith("inherited")]
    assert made["HOME"] == str(tmp_path / "home")


def test_the_way_to_the_state_is_there_only_where_it_is_given(tmp_path: Path) -> None:
    made = RunEnvironment(tmp_path, None, ()).of_run({}, ACCESS)
    assert {made[f"TF_HTTP_{kind}ADDRESS"] for kind in ("", "LOCK_", "UNLOCK_")} == {ACCESS.address}
    assert (made["TF_HTTP_USERNAME"], made["TF_HTTP_PASSWORD"]) == ("run", "password")


def test_what_is_passed_through_gives_way_to_credentials(tmp_path: Path) -> None:
    environment = RunEnvironment(tmp_path, None, ("CLOUD_KEY", "SSH_AUTH_SOCK", "NOT_SET"))
    made = environment.of_run({"CLOUD_KEY": "ours"}, None)
    assert (made["CLOUD_KEY"], made["SSH_AUTH_SOCK"]) == ("ours", "inherited SSH_AUTH_SOCK")
    assert "NOT_SET" not in made


@pytest.mark.parametrize(
    "name",
    ["PATH", "HOME", "path", "TF_HTTP_ADDRESS", "TF_CLI_ARGS_plan", "tf_data_dir", "TF_VAR_region", "LD_PRELOAD",
     "PYTHONPATH", "SETPOINT_RUN", "GIT_CONFIG_COUNT", "BASH_ENV", "A=B", "A\0B", ""],
)  # fmt: skip
def test_a_credential_that_would_override_ours_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StalledError) as raised:
        RunEnvironment(tmp_path, None, ()).of_run({name: "a-secret-value"}, None)
    assert raised.value.reason == Reason.INVALID_SPEC
    assert "a-secret-value" not in raised.value.message


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "TF_TOKEN_registry_example_com", "https_proxy", "FAKECLOUD"])
def test_other_credentials_are_handed_on(tmp_path: Path, name: str) -> None:
    assert RunEnvironment(tmp_path, None, ()).of_run({name: "value"}, None)[name] == "value"


def test_a_mirror_is_the_only_place_that_providers_come_from(tmp_path: Path) -> None:
    environment = RunEnvironment(tmp_path, tmp_path / 'a "${mirror}"', ())
    environment.prepare()
    assert not environment.shares_cache
    text = environment.configuration
    assert "direct" not in text
    assert 'a \\"$${mirror}\\""' in text
    assert (tmp_path / "terraform.tfrc").read_text() == text


def test_without_a_mirror_inits_share_a_cache(tmp_path: Path) -> None:
    environment = RunEnvironment(tmp_path, None, ())
    environment.prepare()
    assert environment.shares_cache
    assert "plugin_cache_dir" in environment.configuration
    assert (tmp_path / "providers").is_dir()


def test_what_was_prepared_is_private_and_not_written_twice(tmp_path: Path) -> None:
    environment = RunEnvironment(tmp_path, None, ())
    environment.prepare()
    before = (tmp_path / "terraform.tfrc").stat()
    environment.prepare()
    assert (tmp_path / "terraform.tfrc").stat().st_mtime_ns == before.st_mtime_ns
    assert (tmp_path / "home").stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "providers", "terraform.tfrc"]
