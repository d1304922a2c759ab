"""A root module in a folder of its bundle: Terraform runs there, and finds the modules beside it."""

import io
import tarfile
from pathlib import Path

import pytest
from tests.fixtures.terraform import TARGET, Rig, bucket, code, tree

from setpoint.api.conditions import Reason
from setpoint.domain.errors import StalledError, StoreError, TransientError
from setpoint.targets.environment.ports import Bundle, PlanRun

ROOT = "live/eu"
LOCK = ".terraform.lock.hcl"
SITE = code(bucket("site", 'size = length(file("${path.module}/../shared.txt"))'), fakecloud="0.1.0")
FILES = {
    f"{ROOT}/main.tf": 'variable "x" { default = "" }\nmodule "site" {\n  source = "../../modules/site"\n}\n',
    "modules/site/main.tf": SITE,
    "modules/shared.txt": "1234",
}
GUARDED = 'resource "terraform_data" "a" {\n  lifecycle {\n    prevent_destroy = true\n  }\n}\n'


async def bundle(rig: Rig, files: dict[str, str] = FILES, root: str = ROOT, **inputs: object) -> Bundle:
    return await rig.adapter.bundle(TARGET, tree(files, root=root), rig.inputs(**inputs))


async def plan(rig: Rig, made: Bundle) -> PlanRun:
    async with rig.adapter.session(TARGET) as session:
        return await session.plan(made, rig.inputs(), full=True)


async def apply(rig: Rig, made: Bundle) -> None:
    async with rig.adapter.session(TARGET) as session:
        planned = await session.plan(made, rig.inputs())
        assert (await session.apply(planned, made, rig.inputs(), rig.progress.append)).ok
        session.outcome_recorded()


async def test_terraform_runs_where_the_root_module_is(rig: Rig) -> None:
    made = await bundle(rig)
    await apply(rig, made)
    assert rig.cloud.buckets().keys() == {"site"}
    assert (await plan(rig, made)).quiet
    inside = rig.work / ROOT
    assert all((inside / name).exists() for name in (".terraform", LOCK, "~setpoint_override.tf.json"))
    assert not (rig.work / ".terraform").exists()


async def test_the_lock_file_stays_with_the_root_module(rig: Rig) -> None:
    made = await bundle(rig)
    with tarfile.open(fileobj=io.BytesIO(await rig.stores.blobs.get(made.blob))) as tar:
        names = set(tar.getnames())
        lock = tar.extractfile(f"{ROOT}/{LOCK}").read().decode()
    assert names == {*FILES, f"{ROOT}/{LOCK}", f"{ROOT}/.terraform/modules/modules.json"}
    required = await bundle(rig, {**FILES, f"{ROOT}/{LOCK}": lock}, lock_file="Required")
    assert required.blob == made.blob


@pytest.mark.parametrize("place", [LOCK, f"modules/site/{LOCK}"])
async def test_a_lock_file_elsewhere_is_none(rig: Rig, place: str) -> None:
    with pytest.raises(StalledError) as raised:
        await bundle(rig, {**FILES, place: "# a lock file"}, lock_file="Required")
    assert raised.value.reason is Reason.LOCK_FILE_MISSING


async def test_variables_and_protection_are_read_where_they_are(rig: Rig) -> None:
    files = {**FILES, "modules/site/main.tf": GUARDED, "main.tf": 'variable "elsewhere" {}\n'}
    made = await bundle(rig, files)
    assert (await plan(rig, made)).prevent_destroy == ("../../modules/site: terraform_data.a",)
    with pytest.raises(StalledError, match="declares no such variable; it declares x"):
        async with rig.adapter.session(TARGET) as session:
            await session.plan(made, rig.inputs(variables={"elsewhere": "1"}))


async def test_a_root_module_that_moves_plans_nothing_anew(rig: Rig) -> None:
    top = {"main.tf": FILES[f"{ROOT}/main.tf"].replace("../../", "./"), **FILES}
    del top[f"{ROOT}/main.tf"]
    await apply(rig, await bundle(rig, top, root=""))
    assert (rig.work / ".terraform").exists()
    assert (await plan(rig, await bundle(rig))).quiet
    assert not any((rig.work / name).exists() for name in ("main.tf", ".terraform", LOCK, "~setpoint_override.tf.json"))
    assert (await plan(rig, await bundle(rig, top, root=""))).quiet
    assert not (rig.work / ROOT).exists()


async def test_a_state_that_could_not_be_saved_is_found_where_terraform_left_it(rig: Rig) -> None:
    made = await bundle(rig)
    await plan(rig, made)
    (rig.work / ROOT / "errored.tfstate").write_text("{}")
    with pytest.raises(TransientError) as raised:
        await plan(rig, made)
    assert raised.value.reason is Reason.STORE_FAILED
    async with rig.adapter.session(TARGET) as session:
        assert session.errored_state().data == b"{}"
        session.errored_state_saved()
    assert (await plan(rig, made)).document["resource_changes"]


async def test_a_file_that_did_not_come_along_is_explained(rig: Rig) -> None:
    without = {name: text for name, text in FILES.items() if name != "modules/shared.txt"}
    made = await bundle(rig, without)
    with pytest.raises(StalledError, match="only what its code names comes along") as raised:
        await plan(rig, made)
    assert "../../modules/site/../shared.txt" in raised.value.message
    with pytest.raises(StalledError, match="has no such folder"):
        await bundle(rig, {f"{ROOT}/main.tf": FILES[f"{ROOT}/main.tf"]})


async def test_an_archive_without_its_root_module_is_damaged(rig: Rig, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    headers = {"SETPOINT.root": "../elsewhere"}
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers) as tar:
        tar.addfile(tarfile.TarInfo("main.tf"), io.BytesIO(b""))
    blob = await rig.stores.blobs.put(buffer.getvalue())
    with pytest.raises(StoreError, match=r"no root module at '../elsewhere'"):
        await plan(rig, Bundle(digest=blob, revision="r", blob=blob))
