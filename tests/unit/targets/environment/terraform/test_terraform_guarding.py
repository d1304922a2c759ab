"""A work folder is never trusted: before each command it holds what the bundle holds, whatever earlier runs left."""

import json
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.fixtures.terraform import TARGET, Rig

from setpoint.targets.environment.terraform.guarding import FolderGuard
from setpoint.targets.environment.terraform.workfolder import OVERRIDE

BUILT_IN = 'resource "terraform_data" "a" {}\n'
LOCK = ".terraform.lock.hcl"
LEFT_ALONE = {"made.txt": "by a local_file", "sub/x.tf": "no module", ".hidden.tf": "-", "backup.tf~": "-"}
PLANTED = {
    "~~_override.tf.json": '{"terraform":{"backend":{"local":{"path":"elsewhere.tfstate"}}}}',
    "more.tf": 'resource "terraform_data" "more" {}',
    "z.auto.tfvars": 'v = "planted"',
    "terraform.tfvars.json": '{"v": "planted"}',
    ".terraform/environment": "prod",
    "m/more.tf": 'resource "terraform_data" "more" {}',
}
WITH_MODULE = {
    "main.tf": 'variable "v" { default = "declared" }\nresource "terraform_data" "a" { input = var.v }\n'
    'module "m" {\n  source = "./m"\n}\n',
    "m/main.tf": 'resource "terraform_data" "b" {}\n',
}


def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


async def test_what_terraform_would_load_and_no_source_brought_is_removed_by_name(rig: Rig) -> None:
    inputs = rig.inputs()
    assert (await rig.apply(WITH_MODULE, inputs)).ok
    put(rig.work, {**PLANTED, **LEFT_ALONE})
    bundle = await rig.bundle(WITH_MODULE, inputs)
    async with rig.adapter.session(TARGET) as session:
        assert (await session.plan(bundle, inputs)).quiet
        (notice,) = session.take_notices()
        assert session.take_notices() == ()
    assert all(name in notice.text for name in [*sorted(PLANTED)[:5], "and 1 more"])
    assert not [name for name in PLANTED if (rig.work / name).exists()]
    assert all((rig.work / name).exists() for name in LEFT_ALONE)


async def meddle_with_the_code(rig: Rig) -> str:
    """Same size, same time of modification."""
    path = rig.work / "main.tf"
    before = path.stat()
    path.write_text(path.read_text().replace("declared", "infected"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return "main.tf"


async def meddle_by_a_link(rig: Rig) -> str:
    (rig.root / "elsewhere.tf").write_text((rig.work / "main.tf").read_text())
    (rig.work / "main.tf").unlink()
    (rig.work / "main.tf").symlink_to(rig.root / "elsewhere.tf")
    return "main.tf"


async def meddle_by_a_linked_folder(rig: Rig) -> str:
    (rig.work / "m").rename(rig.root / "m")
    (rig.work / "m").symlink_to(rig.root / "m")
    return "m"


async def meddle_with_the_backend(rig: Rig) -> str:
    path = rig.work / ".terraform" / "terraform.tfstate"
    settings = json.loads(path.read_text())
    settings["backend"]["config"]["address"] = "http://127.0.0.1:9/"
    path.write_text(json.dumps(settings))
    return ".terraform/terraform.tfstate"


async def meddle_with_the_lock(rig: Rig) -> str:
    (rig.work / LOCK).write_text("")
    return LOCK


async def meddle_by_a_file_for_a_folder(rig: Rig) -> str:
    shutil.rmtree(rig.work / ".terraform")
    (rig.work / ".terraform").write_text("")
    return ".terraform/terraform.tfstate"


async def meddle_by_a_folder_for_a_file(rig: Rig) -> str:
    (rig.work / LOCK).unlink(missing_ok=True)
    (rig.work / LOCK).mkdir()
    return LOCK


async def meddle_by_a_pipe(rig: Rig) -> str:
    """A reader of it waits for ever."""
    (rig.work / OVERRIDE).unlink()
    os.mkfifo(rig.work / OVERRIDE)
    os.mkfifo(rig.work / "errored.tfstate")
    return OVERRIDE


@pytest.mark.parametrize(
    "meddle",
    [
        meddle_by_a_file_for_a_folder,
        meddle_by_a_folder_for_a_file,
        meddle_by_a_pipe,
        meddle_with_the_code,
        meddle_by_a_link,
        meddle_by_a_linked_folder,
        meddle_with_the_backend,
        meddle_with_the_lock,
    ],
)
async def test_what_was_changed_is_put_back_by_name(rig: Rig, meddle: Callable[[Rig], Awaitable[str]]) -> None:
    inputs = rig.inputs()
    assert (await rig.apply(WITH_MODULE, inputs)).ok
    name = await meddle(rig)
    bundle = await rig.bundle(WITH_MODULE, inputs)
    async with rig.adapter.session(TARGET) as session:
        assert (await session.plan(bundle, inputs)).quiet
        notices = [notice.text for notice in session.take_notices()]
    assert notices[0].startswith("put back in the work folder")
    assert name in notices[0]
    assert not (rig.work / name).is_symlink()
    async with rig.adapter.session(TARGET) as session:
        assert (await session.plan(bundle, inputs)).quiet
        assert session.take_notices() == ()


async def test_a_state_that_something_put_there_is_kept_aside_and_init_goes_on(rig: Rig) -> None:
    inputs = rig.inputs()
    assert (await rig.apply(WITH_MODULE, inputs)).ok
    put(rig.work, {"terraform.tfstate": (await rig.states.read(TARGET)).decode()})
    shutil.rmtree(rig.work / ".terraform")
    bundle = await rig.bundle(WITH_MODULE, inputs)
    async with rig.adapter.session(TARGET) as session:
        assert (await session.plan(bundle, inputs)).quiet
        (told,) = [notice.text for notice in session.take_notices() if "is kept as" in notice.text]
    (kept,) = (rig.root / "errored").rglob("*.tfstate")
    assert str(kept) in told
    assert kept.read_bytes() == await rig.states.read(TARGET)


async def test_an_apply_that_keeps_its_state_elsewhere_is_no_success(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it was that led it there."""
    monkeypatch.setattr(FolderGuard, "remove_strays", lambda *_: None)
    put(rig.work, {"~~_override.tf.json": '{"terraform":{"backend":{"local":{}}}}'})
    run = await rig.apply(BUILT_IN)
    assert (run.ok, run.interrupted) == (False, False)
    assert str(rig.work / "terraform.tfstate") in run.diagnostics[0]
    assert [one.address for one in run.created] == ["terraform_data.a"]
    assert await rig.states.head(TARGET) is None


async def test_each_run_has_a_home_of_its_own(rig: Rig) -> None:
    """Settings that one leaves, of git or Terraform, reach no other."""
    command = "touch ~/.gitconfig; echo ~ > home"
    said = f'resource "terraform_data" "a" {{\n  provisioner "local-exec" {{\n    command = "{command}"\n  }}\n}}\n'
    assert (await rig.apply(said)).ok
    home = (rig.work / "home").read_text().strip()
    assert home.startswith(str(rig.root / "runs"))
    assert not Path(home).exists()
    assert rig.left_behind() == []
