"""Bundles: the same bytes on every machine, with modules and lock file in them, made once."""

import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes.store import MemoryBlobs
from tests.fixtures.terraform import Rig, bucket, code, open_rig

from setpoint.api.conditions import Reason
from setpoint.domain.errors import ReasonedError, StalledError
from setpoint.targets.environment.ports import Bundle
from setpoint.targets.environment.terraform import bundles

LOCK = ".terraform.lock.hcl"
BUILT_IN = 'resource "terraform_data" "a" {}\n'
MODULAR = {
    "main.tf": 'module "m" {\n  source = "./modules/m"\n}\n',
    "modules/m/main.tf": BUILT_IN + 'output "o" {\n  value = 1\n}\n',
}
FOREIGN = 'terraform {\n  backend "s3" {\n    bucket = "b"\n  }\n}\n'


@pytest.fixture
async def other(tmp_path: Path, fakecloud_mirror: Path) -> AsyncIterator[Rig]:
    """Another home in another folder."""
    folder = tmp_path / "another" / "machine"
    folder.mkdir(parents=True)
    async with open_rig(folder, fakecloud_mirror) as opened:
        yield opened


async def contents(rig: Rig, bundle: Bundle) -> dict[str, bytes]:
    """The files of a bundle; its members are regular files without owner and time."""
    with tarfile.open(fileobj=io.BytesIO(await rig.stores.blobs.get(bundle.blob))) as tar:
        members = tar.getmembers()
        assert all(one.isreg() and (one.mtime, one.uid, one.gid, one.uname) == (0, 0, 0, "") for one in members)
        assert [one.name for one in members] == sorted(one.name for one in members)
        return {one.name: tar.extractfile(one).read() for one in members}


async def refusal(rig: Rig, files: dict[str, str], **more: object) -> ReasonedError:
    lock_file = more.pop("lock_file", "Generate")
    with pytest.raises(ReasonedError) as raised:
        await rig.bundle(files, rig.inputs(lock_file=lock_file), **more)
    assert rig.left_behind() == []
    return raised.value


async def test_two_machines_make_the_same_bundle(rig: Rig, other: Rig) -> None:
    files = {**MODULAR, "cloud.tf": code(bucket("a"), fakecloud="0.1.0")}
    first, second = await rig.bundle(files), await other.bundle(files)
    assert (first.digest, first.blob) == (second.digest, second.blob)
    held = await contents(rig, first)
    assert held.keys() == {*files, LOCK, ".terraform/modules/modules.json"}
    assert b'"registry.terraform.io/acme/fakecloud"' in held[LOCK]
    assert str(rig.root.parent).encode() not in b"".join(held.values())


async def test_a_byte_more_is_another_bundle(rig: Rig) -> None:
    first = await rig.bundle(MODULAR)
    second = await rig.bundle({**MODULAR, "modules/m/main.tf": MODULAR["modules/m/main.tf"] + "\n"})
    assert first.digest != second.digest


async def test_what_is_not_source_is_left_out(rig: Rig) -> None:
    stray = ("modules/m/.git/HEAD", "modules/m/old.tfstate", "terraform.tfstate.backup", ".setpoint/key")
    never = {**dict.fromkeys(stray, "x"), ".terraform/providers/p": "x", "~setpoint_override.tf.json": "{}"}
    held = await contents(rig, await rig.bundle({**MODULAR, **never}))
    assert held.keys() == {*MODULAR, ".terraform/modules/modules.json"}


async def test_a_required_lock_file_must_be_there(rig: Rig) -> None:
    cloud = {"main.tf": code(bucket("a"), fakecloud="0.1.0")}
    error = await refusal(rig, cloud, lock_file="Required")
    assert isinstance(error, StalledError)
    assert error.reason == Reason.LOCK_FILE_MISSING
    assert "terraform providers lock" in error.message
    assert "lockFile: Generate" in error.message
    made = await contents(rig, await rig.bundle(cloud))
    given = {**cloud, LOCK: made[LOCK].decode()}
    held = await contents(rig, await rig.bundle(given, rig.inputs(lock_file="Required")))
    assert held[LOCK] == made[LOCK]


async def test_built_in_code_and_its_modules_need_none(rig: Rig) -> None:
    held = await contents(rig, await rig.bundle(MODULAR, rig.inputs(lock_file="Required")))
    assert LOCK not in held


@pytest.mark.parametrize(
    ("files", "has_state_file", "words"),
    [
        pytest.param({"main.tf": BUILT_IN, "backend.tf": FOREIGN}, False, "backend.tf:2", id="backend"),
        pytest.param({"main.tf": "terraform {\n  cloud {}\n}\n"}, False, "main.tf:2", id="cloud"),
        pytest.param({"main.tf": BUILT_IN}, True, "terraform.tfstate", id="state file"),
    ],
)
async def test_a_state_of_its_own_must_be_adopted_first(
    rig: Rig, files: dict[str, str], has_state_file: bool, words: str
) -> None:
    error = await refusal(rig, files, has_state_file=has_state_file)
    assert isinstance(error, StalledError)
    assert error.reason == Reason.STATE_NOT_ADOPTED
    assert words in error.message
    assert "setpoint import-state" in error.message
    bundle = await rig.bundle(files, rig.inputs(has_state=True), has_state_file=has_state_file)
    assert (await contents(rig, bundle)).keys() == files.keys()
    again = await refusal(rig, files, has_state_file=has_state_file)
    assert again.reason == Reason.STATE_NOT_ADOPTED


async def test_a_bundle_that_the_store_lost_is_made_again(rig: Rig) -> None:
    first = await rig.bundle(MODULAR)
    assert isinstance(rig.stores.blobs, MemoryBlobs)
    rig.stores.blobs._blobs.clear()
    rig.restart()
    assert await rig.bundle(MODULAR) == first
    assert await contents(rig, first)


async def test_a_bundle_that_was_removed_under_a_running_manager_is_made_again(rig: Rig) -> None:
    first = await rig.bundle(MODULAR)
    assert isinstance(rig.stores.blobs, MemoryBlobs)
    rig.stores.blobs.age()
    assert await forget(rig) == 1
    assert await rig.bundle(MODULAR) == first
    assert await contents(rig, first)


async def test_a_bundle_that_a_pass_asks_for_stays(rig: Rig) -> None:
    first = await rig.bundle(MODULAR)
    for restart in (False, True):
        if restart:
            rig.restart()
        assert isinstance(rig.stores.blobs, MemoryBlobs)
        rig.stores.blobs.age()
        await rig.bundle(MODULAR)
        assert await forget(rig) == 0
    assert await contents(rig, first)


async def test_the_index_says_where_bundles_are(rig: Rig) -> None:
    assert await rig.adapter.bundles() == {}
    first, second = await rig.bundle(MODULAR), await rig.bundle("# another")
    rig.restart()
    (rig.root / "bundles" / "torn.json").write_text("{")
    assert await rig.adapter.bundles() == {first.digest: first.blob, second.digest: second.blob}


async def forget(rig: Rig) -> int:
    """Removes all that is old."""

    async def nothing() -> frozenset[str]:
        return frozenset()

    return await rig.stores.blobs.prune(nothing)


async def test_a_torn_index_is_made_again(rig: Rig) -> None:
    first = await rig.bundle(MODULAR)
    (index,) = (rig.root / "bundles").iterdir()
    index.write_text("{")
    rig.restart()
    assert await rig.bundle(MODULAR) == first


async def test_too_much_is_refused(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "_MAX_BYTES", 1 << 20)
    error = await refusal(rig, {"main.tf": BUILT_IN, "large.txt": "x" * (2 << 20)})
    assert isinstance(error, StalledError)
    assert error.reason == Reason.SOURCE_REFUSED


async def test_a_module_that_is_not_there_names_its_call(rig: Rig) -> None:
    error = await refusal(rig, {"main.tf": '\nmodule "m" {\n  source = "./nowhere"\n}\n'})
    assert isinstance(error, StalledError)
    assert "main.tf:2" in error.message or "main.tf:3" in error.message


@pytest.mark.parametrize(
    "name",
    ["~zz_override.tf", "~setpoint_override.tofu", "~setpoint_override.tofu.json", "\u00fc_override.tf.json"],
)
async def test_a_file_that_would_win_over_our_settings_is_refused(rig: Rig, name: str) -> None:
    error = await refusal(rig, {"main.tf": BUILT_IN, name: "{}"})
    assert error.reason == Reason.SOURCE_REFUSED
    assert error.message.startswith(f"{name}: ")


async def test_an_override_that_ours_wins_over_and_a_name_that_is_late_but_no_override(rig: Rig) -> None:
    files = {"main.tf": BUILT_IN, "zz_override.tf": "", "~setpoint_override.tf": "", "\u00fcber.tf": ""}
    assert (await contents(rig, await rig.bundle(files))).keys() == files.keys()


async def test_a_state_that_setpoint_could_not_read_is_refused(rig: Rig) -> None:
    encryption = "terraform {\n  encryption {\n    state {\n      method = method.aes_gcm.m\n    }\n  }\n}\n"
    error = await refusal(rig, {"main.tf": BUILT_IN, "state.tf": encryption})
    assert error.reason == Reason.SOURCE_REFUSED
    assert error.message.startswith("state.tf:2: ")
