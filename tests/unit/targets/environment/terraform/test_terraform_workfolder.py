"""The work folder: exact to its bundle, good to what Terraform made, closed to damaged archives, held by one."""

import asyncio
import dataclasses
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from setpoint.domain.errors import StoreError
from setpoint.targets.environment.terraform.workfolder import OVERRIDE, WorkFolder

TARGET = "environment/default/shop"


def archive(files: Mapping[str, str | tarfile.TarInfo]) -> bytes:
    """A tar of files; a TarInfo goes in as it is."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            text = b"" if isinstance(content, tarfile.TarInfo) else content.encode()
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    return buffer.getvalue()


def link(name: str, kind: bytes, to: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, to
    return member


@pytest.fixture
async def folder(tmp_path: Path) -> WorkFolder:
    made = WorkFolder(tmp_path, TARGET)
    async with made.held():
        return made


def files_in(folder: WorkFolder) -> dict[str, str]:
    found = (path for path in folder.path.rglob("*") if path.is_file())
    return {path.relative_to(folder.path).as_posix(): path.read_text() for path in found}


def test_files_of_the_old_bundle_go_and_terraforms_own_stay(folder: WorkFolder) -> None:
    folder.lay_out("one", archive({"main.tf": "# 1", "old.tf": "# old", "m/old/x.tf": "# x"}))
    own = {"made.txt": "by local_file", ".terraform/providers/p": "provider", "m/note": "by a provisioner"}
    for name, text in own.items():
        (folder.path / name).parent.mkdir(parents=True, exist_ok=True)
        (folder.path / name).write_text(text)
    folder.lay_out("two", archive({"main.tf": "# 2", "new/y.tf": "# y"}))
    assert files_in(folder) == {**own, "main.tf": "# 2", "new/y.tf": "# y"}
    assert not (folder.path / "m" / "old").exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({"a/b.tf": "1"}, {"a": "2"}, id="folder to file"),
        pytest.param({"a": "1"}, {"a/b.tf": "2"}, id="file to folder"),
        pytest.param({"a.tf": "1"}, {"a.tf": "2"}, id="other content"),
        pytest.param({"a.tf": "1"}, {}, id="nothing left"),
    ],
)
def test_each_bundle_is_laid_out_exactly(folder: WorkFolder, before: dict[str, str], after: dict[str, str]) -> None:
    folder.lay_out("one", archive(before))
    folder.lay_out("two", archive(after))
    assert files_in(folder) == after


def test_modules_of_the_old_bundle_go_whole(folder: WorkFolder) -> None:
    folder.lay_out("one", archive({".terraform/modules/m/main.tf": "# 1"}))
    (folder.path / ".terraform" / "modules" / "m" / "stray.tf").write_text("# by hand")
    folder.lay_out("two", archive({".terraform/modules/n/main.tf": "# 2"}))
    assert files_in(folder) == {".terraform/modules/n/main.tf": "# 2"}


@pytest.mark.parametrize(
    "member",
    [
        pytest.param({"../x": "1"}, id="parent"),
        pytest.param({"a/../../x": "1"}, id="parent within"),
        pytest.param({"/x": "1"}, id="absolute"),
        pytest.param({"a//x": "1"}, id="empty part"),
        pytest.param({"x": "1", "l": link("l", tarfile.SYMTYPE, "x")}, id="link"),
        pytest.param({"l": link("l", tarfile.SYMTYPE, "/etc/passwd")}, id="link out"),
        pytest.param({"x": "1", "l": link("l", tarfile.LNKTYPE, "x")}, id="hard link"),
        pytest.param({"d": link("d", tarfile.DIRTYPE, "")}, id="folder"),
        pytest.param({"p": link("p", tarfile.FIFOTYPE, "")}, id="pipe"),
    ],
)
def test_a_damaged_archive_is_refused_and_changes_nothing(folder: WorkFolder, tmp_path: Path, member: dict) -> None:
    folder.lay_out("one", archive({"main.tf": "# 1"}))
    with pytest.raises(StoreError, match="damaged"):
        folder.lay_out("two", archive({"main.tf": "# 2", **member}))
    assert files_in(folder) == {"main.tf": "# 1"}
    assert not (tmp_path / "work" / "x").exists()


def test_a_link_in_the_way_leads_nowhere(folder: WorkFolder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    folder.lay_out("one", archive({"main.tf": "# 1"}))
    (folder.path / "m").symlink_to(outside)
    folder.lay_out("two", archive({"m/x.tf": "# x"}))
    assert list(outside.iterdir()) == []
    assert files_in(folder) == {"m/x.tf": "# x"}


def test_a_layout_that_was_killed_half_way_is_made_good(folder: WorkFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.lay_out("one", archive({"old.tf": "# old"}))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(WorkFolder, "_write", die)
        with pytest.raises(KeyboardInterrupt):
            folder.lay_out("two", archive({"half.tf": "# half"}))
    (folder.path / "half.tf").write_text("# ha")
    facts = folder.facts()
    assert facts is None or facts.bundle not in {"one", "two"}
    folder.lay_out("three", archive({"main.tf": "# 3"}))
    assert files_in(folder) == {"main.tf": "# 3"}


def test_what_was_learnt_survives_the_process(folder: WorkFolder, tmp_path: Path) -> None:
    code = 'variable "region" {}\nresource "x_y" "z" {\n lifecycle {\n prevent_destroy = true\n }\n}\n'
    learnt = folder.lay_out("one", archive({"main.tf": code}))
    folder.mark_initialised(learnt, "key")
    (folder.path / ".terraform").mkdir()
    later = WorkFolder(tmp_path, TARGET).facts()
    assert later == dataclasses.replace(learnt, init="key")
    assert (later.bundle, later.variables, later.prevent_destroy) == ("one", {"region"}, ("x_y.z",))


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"bundle": 1}', "null"])
def test_a_torn_note_is_no_note(folder: WorkFolder, tmp_path: Path, torn: str) -> None:
    folder.lay_out("one", archive({"main.tf": "# 1"}))
    (note,) = (path for path in (tmp_path / "work").iterdir() if path.suffix == ".json")
    note.write_text(torn)
    assert folder.facts() is None
    assert folder.lay_out("one", archive({"main.tf": "# 1"})).bundle == "one"


def test_the_override_is_last_of_all_and_written_when_it_moves(folder: WorkFolder) -> None:
    assert max("zz_override.tf", "Ω_override.tf"[1:], "setpoint_override.tf", OVERRIDE) == OVERRIDE
    first = folder.override(["b", "a"])
    written = (folder.path / OVERRIDE).stat().st_mtime_ns
    assert folder.override(["a", "b"]) == first
    assert (folder.path / OVERRIDE).stat().st_mtime_ns == written
    assert folder.override(["a"]) != first
    assert '"a": {"sensitive": true}' in (folder.path / OVERRIDE).read_text()


def test_another_bundle_means_another_init(folder: WorkFolder) -> None:
    facts = folder.lay_out("one", archive({"main.tf": "# 1"}))
    (folder.path / ".terraform").mkdir(exist_ok=True)
    folder.mark_initialised(facts, "key")
    noted = folder.facts()
    assert noted is not None
    assert noted.init == "key"
    assert folder.lay_out("two", archive({"main.tf": "# 2"})).init == ""


async def test_two_sessions_take_turns(tmp_path: Path) -> None:
    order: list[str] = []
    free = asyncio.Event()

    async def first() -> None:
        async with WorkFolder(tmp_path, TARGET).held():
            order.append("first")
            await free.wait()
            order.append("first ends")

    async def second() -> None:
        async with WorkFolder(tmp_path, TARGET).held():
            order.append("second")

    task = asyncio.create_task(first())
    await asyncio.sleep(0)
    other = asyncio.create_task(second())
    await asyncio.sleep(0)
    async with WorkFolder(tmp_path, "environment/default/other").held():
        free.set()
    await asyncio.gather(task, other)
    assert order == ["first", "first ends", "second"]


def test_targets_never_share_a_folder_or_a_note(tmp_path: Path) -> None:
    names = ["environment/default/a", "environment/default/a.json", "environment/default/a.lock", "e/" + "x" * 300]
    assert len({WorkFolder(tmp_path, name).path for name in names}) == len(names)
    assert all(len(WorkFolder(tmp_path, name).path.name) < 240 for name in names)


def test_what_terraform_could_not_save_is_kept_until_it_is_dropped(folder: WorkFolder) -> None:
    assert folder.errored_state() is None
    (folder.path / "errored.tfstate").write_text("state")
    folder.lay_out("two", archive({"main.tf": "# 2"}))
    assert folder.errored_state() == b"state"
    folder.drop_errored_state()
    folder.drop_errored_state()
    assert folder.errored_state() is None


def test_what_the_store_refused_is_moved_aside_and_never_written_over(folder: WorkFolder) -> None:
    places = []
    for text in ("one", "two"):
        (folder.path / "errored.tfstate").write_text(text)
        (folder.path / "errored.tfstate").chmod(0o644)
        places.append(folder.set_errored_state_aside("run-1"))
    assert [place.read_text() for place in places] == ["one", "two"]
    assert all("run-1" in place.name and place.stat().st_mode & 0o777 == 0o600 for place in places)
    assert all(folder.path not in place.parents and place.parent.stat().st_mode & 0o777 == 0o700 for place in places)
    assert folder.errored_state() is None


def test_a_state_that_can_not_be_moved_aside_stays(folder: WorkFolder) -> None:
    (folder.path / "errored.tfstate").write_text("state")
    (folder.path.parents[1] / "errored").write_text("in the way")
    with pytest.raises(StoreError):
        folder.set_errored_state_aside("run-1")
    assert folder.errored_state() == b"state"
