"""The locks are whole, and `make venv` installs them as they are: what else an index offers changes nothing."""

import hashlib
import itertools
import re
import shutil
import subprocess
import sys
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.fakes import wheels
from tests.fakes.wheels import write_wheel

ROOT = Path(__file__).parents[2]
PINNED = re.compile(r"^(\S+==\S+(?: ; [^\\]+)?) \\$", re.MULTILINE)
UV = Path(sys.executable).with_name("uv")
PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "project"
version = "1.0"
"""
BACKEND = """\
from pathlib import Path
from wheels import write_wheel


def build_editable(folder, config_settings=None, metadata_directory=None):
    return write_wheel(Path(folder), "project", "1.0").name
"""


def pins(lock: str) -> dict[str, Requirement]:
    """The requirements that a lock pins on this machine, by name."""
    text = (ROOT / "requirements" / f"{lock}.lock").read_text(encoding="utf-8")
    pinned = [Requirement(line) for line in PINNED.findall(text)]
    return {canonicalize_name(pin.name): pin for pin in pinned if not pin.marker or pin.marker.evaluate()}


def needs(name: str, extras: set[str]) -> list[Requirement]:
    """The requirements of the installed package on this machine."""
    asked = [Requirement(line) for line in distribution(name).requires or []]
    wanted = [{"extra": extra} for extra in extras | {""}]
    return [each for each in asked if not each.marker or any(each.marker.evaluate(env) for env in wanted)]


def unmet(pinned: dict[str, Requirement], name: str, extras: set[str]) -> list[str]:
    """The needs of this package that the lock holds not at all, or in another version."""
    missing = []
    for need in needs(name, extras):
        pin = pinned.get(canonicalize_name(need.name))
        if pin is None or not all(need.specifier.contains(each.version, prereleases=True) for each in pin.specifier):
            missing.append(f"{name} needs {need}")
        else:
            missing += unmet(pinned, need.name, need.extras) if need.extras else []
    return missing


@pytest.mark.parametrize("lock", ["dev", "run"])
def test_lock__everything_that_its_packages_need__is_in_it(lock: str) -> None:
    pinned = pins(lock)
    assert len(pinned) > 40
    assert list(itertools.chain.from_iterable(unmet(pinned, name, set()) for name in ("setpoint", *pinned))) == []


def test_unmet__a_lock_that_lacks_a_need_of_an_extra__is_found() -> None:
    pinned = pins("dev")
    del pinned["psycopg-binary"]
    assert unmet(pinned, "setpoint", set()) == [
        next(f"psycopg needs {each}" for each in needs("psycopg", {"binary"}) if each.name == "psycopg-binary")
    ]


# --- The recipe, with an index that offers more -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def empty_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with this Python's own pip, to be copied: it is used by `python -m` alone."""
    folder = tmp_path_factory.mktemp("empty") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder


@pytest.fixture
def checkout(tmp_path: Path, empty_venv: Path) -> Path:
    """A repository with this Makefile and small locks, beside an index that offers more than they name."""
    index, folder = tmp_path / "files", tmp_path / "checkout"
    index.mkdir()
    (folder / "requirements").mkdir(parents=True)
    cover = write_wheel(index, "cover", "1.0", "Provides-Extra: toml")
    plugin = write_wheel(index, "plugin", "1.0", "Requires-Dist: cover[toml]>=1.0")
    builder = write_wheel(index, "builder", "1.0")
    for name in ("cover", "plugin", "builder"):
        write_wheel(index, name, "1.0", build="1")
        write_wheel(index, name, "1.0.post1", "Provides-Extra: toml")
        write_wheel(index, name, "2.0", "Provides-Extra: toml", "Requires-Dist: extra")
    write_wheel(index, "extra", "2.0")
    write_index(tmp_path / "index", index)
    (folder / "requirements" / "build.lock").write_text(locked(builder))
    (folder / "requirements" / "dev.lock").write_text(locked(cover, plugin))
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "backend.py").write_text(BACKEND)
    shutil.copy(str(wheels.__file__), folder / "wheels.py")
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copytree(empty_venv, folder / ".venv", symlinks=True)
    return folder


def write_index(index: Path, files: Path) -> None:
    """An index of these files with their digests, as pip and uv read it from an address."""
    for wheel in files.iterdir():
        page = index / wheel.name.split("-")[0] / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        with page.open("a", encoding="utf-8") as text:
            text.write(f'<a href="{wheel.as_uri()}#sha256={digest(wheel)}">{wheel.name}</a>\n')


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def locked(*wheels: Path) -> str:
    """The text of a lock that names these files."""
    entries = []
    for wheel in wheels:
        name, version, *_ = wheel.name.split("-")
        entries.append(f"{name}=={version} \\\n    --hash=sha256:{digest(wheel)}\n")
    return "".join(entries)


def make_venv(checkout: Path, uv: str) -> subprocess.CompletedProcess[str]:
    """Runs `make venv` where only pip and this uv are, both led to the index."""
    binaries = checkout / "binaries"
    binaries.mkdir()
    for name in ("make", "sh", "ls", "rm", "touch"):
        (binaries / name).symlink_to(str(shutil.which(name)))
    if uv:
        (binaries / "uv").write_text(f"#!/bin/sh\n{uv}\n")
        (binaries / "uv").chmod(0o755)
    index = (checkout.parent / "index").as_uri()
    (checkout / "pip.conf").write_text(f"[global]\nindex-url = {index}\n")
    environment = {
        "PATH": str(binaries),
        "HOME": str(checkout),
        "PIP_CONFIG_FILE": str(checkout / "pip.conf"),
        "UV_DEFAULT_INDEX": index,
        "UV_CACHE_DIR": str(checkout / "cache"),
    }
    command = ["make", "venv", f"PYTHON={sys.executable}"]
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


def installed(checkout: Path) -> dict[str, str]:
    """The versions in its environment, by name; each is the build that was locked."""
    (site,) = (checkout / ".venv" / "lib").glob("python*/site-packages")
    found: list[Distribution] = list(distributions(path=[str(site)]))
    assert [each.name for each in found if each.read_text("BUILD")] == []
    return {each.name: each.version for each in found if each.name not in {"pip", "setuptools"}}


@pytest.mark.parametrize(
    ("uv", "told"),
    [
        pytest.param("", "Successfully installed cover-1.0 plugin-1.0", id="pip"),
        pytest.param(f'exec {UV} "$@"', "+ plugin==1.0", id="uv"),
        pytest.param("echo uv: no index >&2; exit 2", "Successfully installed cover-1.0 plugin-1.0", id="uv_fails"),
    ],
)
def test_make_venv__newer_and_other_releases_are_offered__installs_the_lock(checkout: Path, uv: str, told: str) -> None:
    result = make_venv(checkout, uv)
    assert result.returncode == 0, result.stdout + result.stderr
    assert told in result.stdout + result.stderr
    assert installed(checkout) == {"builder": "1.0", "cover": "1.0", "plugin": "1.0", "project": "1.0"}


def test_make_venv__only_another_file_of_the_locked_version__installs_nothing_of_it(checkout: Path) -> None:
    shutil.rmtree(index := checkout.parent / "index")
    (checkout.parent / "files" / "plugin-1.0-py3-none-any.whl").unlink()
    write_index(index, checkout.parent / "files")
    result = make_venv(checkout, "")
    assert result.returncode != 0
    assert not (checkout / ".venv" / ".installed").exists()
    assert "plugin" not in installed(checkout)


@pytest.mark.parametrize(
    "line", [line for line in (ROOT / "Dockerfile").read_text().splitlines() if "pip install" in line]
)
def test_dockerfile__no_install__resolves(line: str) -> None:
    assert "--no-deps" in line
