"""Reading the modules of a PolicySet: every way out of a folder and over a limit is refused."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from setpoint.adapters.policy import modules as module
from setpoint.adapters.policy.modules import PolicyFolders
from setpoint.api.conditions import Reason
from setpoint.api.v1alpha1.policyset import PolicySetSpec
from setpoint.domain.errors import StalledError
from setpoint.domain.policies import PolicyModules

TEXT = 'package a\ndeny contains "x"\n'


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[PolicyFolders]:
    (tmp_path / "home" / "policies").mkdir(parents=True)
    with ThreadPoolExecutor(1) as executor:
        yield PolicyFolders(home=tmp_path / "home", executor=executor)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "policies"


async def resolve(folders: PolicyFolders, tmp_path: Path, path: str = "policies", **spec: Any) -> PolicyModules:
    parsed = PolicySetSpec.model_validate({"source": {"path": path}, **spec})
    return await folders.resolve(parsed, origin=tmp_path / "home")


async def test_a_folder(folders: PolicyFolders, folder: Path, tmp_path: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "a.rego").write_text(TEXT)
    (folder / "sub" / "b_test.rego").write_text(TEXT)
    (folder / "README.md").write_text("no module")
    (folder / ".hidden.rego").write_text(TEXT)
    found = await resolve(folders, tmp_path, params={"a": 1})
    assert found == PolicyModules.of({"a.rego": TEXT, "sub/b_test.rego": TEXT}, {"a": 1})


async def test_inline(folders: PolicyFolders) -> None:
    spec = PolicySetSpec.model_validate({"source": {"inline": {"a.rego": TEXT}}})
    assert await folders.resolve(spec, origin=None) == PolicyModules.of({"a.rego": TEXT})


async def test_the_baseline_ships(folders: PolicyFolders) -> None:
    found = await folders.resolve(PolicySetSpec.model_validate({"source": {"builtin": "baseline"}}), origin=None)
    assert "protection.rego" in found.modules
    assert not any(name.endswith("_test.rego") for name in found.modules)


async def test_a_pin(folders: PolicyFolders, folder: Path, tmp_path: Path) -> None:
    (folder / "a.rego").write_text(TEXT)
    digest = PolicyModules.of({"a.rego": TEXT}).digest
    assert (await resolve(folders, tmp_path, digest=digest)).digest == digest
    with pytest.raises(StalledError, match=r"spec\.digest") as caught:
        await resolve(folders, tmp_path, digest=digest, params={"a": 1})
    assert caught.value.reason is Reason.DIGEST_MISMATCH


def make_link_to_file(folder: Path) -> None:
    (folder.parents[1] / "secret").write_text(TEXT)
    (folder / "a.rego").symlink_to(folder.parents[1] / "secret")


def make_dangling_folder_link(folder: Path) -> None:
    (folder / "etc.rego").symlink_to("/etc")


def make_pipe(folder: Path) -> None:
    os.mkfifo(folder / "a.rego")


def make_large_file(folder: Path) -> None:
    (folder / "a.rego").write_text("#" * (module.MAX_FILE_BYTES + 1))


def make_many_files(folder: Path) -> None:
    for number in range(module.MAX_FILES + 1):
        (folder / f"{number}.rego").write_text(TEXT)


def make_large_folder(folder: Path) -> None:
    for number in range(module.MAX_BYTES // module.MAX_FILE_BYTES + 1):
        (folder / f"{number}.rego").write_text("#" * module.MAX_FILE_BYTES)


def make_deep_folder(folder: Path) -> None:
    deep = folder.joinpath(*["d"] * 20)
    deep.mkdir(parents=True)
    (deep / "a.rego").write_text(TEXT)


def make_bytes(folder: Path) -> None:
    (folder / "a.rego").write_bytes(b"package a # \xff")


def make_control_characters(folder: Path) -> None:
    (folder / "a\x1b[2J.rego").write_text(TEXT)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        pytest.param(lambda _: None, "holds no .rego file", id="empty"),
        pytest.param(make_link_to_file, "is a link", id="link"),
        pytest.param(make_dangling_folder_link, "is a link", id="link-to-a-folder"),
        pytest.param(make_pipe, "no regular file", id="pipe"),
        pytest.param(make_large_file, "larger than", id="large-file"),
        pytest.param(make_many_files, "more than", id="many-files"),
        pytest.param(make_large_folder, "more than", id="large-folder"),
        pytest.param(make_deep_folder, "nested too deep", id="deep"),
        pytest.param(make_bytes, "not UTF-8", id="not-utf-8"),
        pytest.param(make_control_characters, "can't be printed", id="control-characters"),
    ],
)
async def test_folders_that_are_refused(
    folders: PolicyFolders, folder: Path, tmp_path: Path, make: Any, why: str
) -> None:
    make(folder)
    with pytest.raises(StalledError, match=why) as caught:
        await resolve(folders, tmp_path)
    assert caught.value.reason is Reason.SOURCE_REFUSED


async def test_a_million_entries_are_not_read(
    folders: PolicyFolders, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_ENTRIES", 5)
    for number in range(6):
        (folder / f"{number}.txt").touch()
    with pytest.raises(StalledError, match="more than 5 entries"):
        await resolve(folders, tmp_path)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        pytest.param("..", Reason.SOURCE_REFUSED, id="outside"),
        pytest.param("policies/../../x", Reason.SOURCE_REFUSED, id="outside-by-a-detour"),
        pytest.param("/etc", Reason.SOURCE_REFUSED, id="absolute"),
        pytest.param("out", Reason.SOURCE_REFUSED, id="link-out-of-the-home"),
        pytest.param("nowhere", Reason.SOURCE_NOT_FOUND, id="missing"),
        pytest.param("policies/a.rego", Reason.SOURCE_NOT_FOUND, id="a-file"),
    ],
)
async def test_paths(folders: PolicyFolders, folder: Path, tmp_path: Path, path: str, reason: Reason) -> None:
    (folder / "a.rego").write_text(TEXT)
    (tmp_path / "home" / "out").symlink_to("/etc")
    with pytest.raises(StalledError) as caught:
        await resolve(folders, tmp_path, path)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "inline",
    [{}, {"a.txt": TEXT}, {"a\n.rego": TEXT}, {f"{i}.rego": "#" * 250_000 for i in range(9)}],
    ids=["empty", "suffix", "line-break", "large"],
)
async def test_inline_that_is_refused(folders: PolicyFolders, inline: dict[str, str]) -> None:
    with pytest.raises(StalledError) as caught:
        await folders.resolve(PolicySetSpec.model_validate({"source": {"inline": inline}}), origin=None)
    assert caught.value.reason is Reason.SOURCE_REFUSED


async def test_a_path_needs_a_local_home(folders: PolicyFolders) -> None:
    with pytest.raises(StalledError, match="local home only"):
        await folders.resolve(PolicySetSpec.model_validate({"source": {"path": "policies"}}), origin=None)
