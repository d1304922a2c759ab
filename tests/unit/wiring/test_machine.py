"""The doctor's findings on a machine and in a home; each thing that is missing has its remedy."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from setpoint.adapters.local import LocalHome
from setpoint.wiring.machine import Check, doctor

ENVIRONMENT = """\
apiVersion: setpoint.dev/v1alpha1
kind: Environment
metadata: {name: e}
spec: {stage: dev, source: {path: ./infra}}
"""


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SETPOINT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def taken() -> Iterator[str]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def binary(folder: Path, name: str, says: str) -> Path:
    """A program that prints a text."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


async def checks(root: Path | None) -> dict[str, Check]:
    return {check.name: check for check in await doctor(root)}


async def test_doctor__all_there__says_the_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    for name in ("terraform", "tofu"):
        binary(programs, name, '{"terraform_version": "1.11.4"}')
    binary(programs, "git", "git version 2.39.5")
    binary(programs, "ssh", "")
    monkeypatch.setenv("PATH", str(programs))
    found = await checks(None)
    assert [check for check in found.values() if not check.ok] == []
    assert found["terraform"].detail == "terraform 1.11.4, opentofu 1.11.4"
    assert found["git"].detail == "git version 2.39.5"
    assert found["policies"].detail.startswith("regorus ")
    assert "home" not in found


async def test_doctor__much_missing__names_each_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SETPOINT_TERRAFORM", str(binary(tmp_path / "bin", "old", '{"terraform_version": "1.5.7"}')))
    monkeypatch.setenv("SETPOINT_TERRAFORM_MIRROR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("SETPOINT_LISTEN", taken)
    found = await checks(None)
    missing = {name: check.detail for name, check in found.items() if not check.ok}
    assert missing == {
        "terraform": "spec.engine.version: terraform 1.5.7 does not meet '>= 1.9'; "
        "no tofu on PATH; install it, name one with SETPOINT_TOFU",
        "providers": f"from the mirror {tmp_path}/nowhere: no such file or directory",
        "port": f"{taken}: address already in use",
        "git": "not on PATH",
        "ssh": "not on PATH",
    }
    assert [name for name in missing if not found[name].remedy] == []
    assert [name for name, check in found.items() if not check.needed] == ["ssh"]


async def test_doctor__a_setting_that_is_wrong__is_one_of_the_things_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETPOINT_WORKERS", "many")
    found = await checks(None)
    assert not found["settings"].ok
    assert found["settings"].detail.startswith("SETPOINT_WORKERS: ")
    assert found["python"].ok


async def test_doctor__of_a_home__looks_at_its_manifests_and_store(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(ENVIRONMENT)
    LocalHome.create(tmp_path)
    found = await checks(tmp_path)
    assert [found[name].detail for name in ("home", "manifests", "store")] == [
        f"{tmp_path}: no manager",
        "1 declared",
        "goes on from its head",
    ]
    (tmp_path / "e.yaml").write_text(ENVIRONMENT + "status: {}\nnonsense: 1\n---\n" + ENVIRONMENT)
    manifests = (await checks(tmp_path))["manifests"]
    assert not manifests.ok
    assert manifests.detail.startswith("e.yaml:")


async def test_doctor__of_a_home_that_is_none__says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / ".setpoint").write_text("a file")
    home = (await checks(tmp_path))["home"]
    assert (home.ok, home.detail) == (False, f"{tmp_path}/.setpoint is not a folder")
    assert f"{tmp_path}/.setpoint" in home.remedy
