"""Sessions with the real binary: what plans and applies do to the work folder, to providers and to what is left."""

import asyncio
import dataclasses
import io
import os
import signal
import tarfile
from pathlib import Path

import psutil
import pytest
from tests.fixtures.terraform import TARGET, Rig, bucket, code

from setpoint.api.conditions import Reason
from setpoint.domain.errors import ReasonedError, StalledError, TransientError, WaitingError
from setpoint.targets.environment.ports import ApplyRun, ErroredState
from setpoint.targets.environment.terraform.leftovers import RUN_VARIABLE

ONE = code(bucket("a"), fakecloud="0.1.0")
BOTH = code(bucket("a"), bucket("b", type_="othercloud_bucket"), fakecloud="0.1.0", othercloud="0.1.0")
BUILT_IN = 'resource "terraform_data" "a" {}\n'
LOCK = ".terraform.lock.hcl"
APPLYING = f'{{"operation": "apply", "name": "apply", "target": "{TARGET}", "command": ["terraform", "apply"]}}'


async def lock_of(rig: Rig, source: str) -> str:
    """The lock file that is generated for a source."""
    archive = await rig.stores.blobs.get((await rig.bundle(source)).blob)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return tar.extractfile(LOCK).read().decode()


async def refusal(rig: Rig, files: dict[str, str] | str, **inputs: object) -> ReasonedError:
    with pytest.raises(ReasonedError) as raised:
        await rig.plan(files, rig.inputs(**inputs))
    assert rig.left_behind() == []
    return raised.value


def actions(plan: object) -> dict[str, list[str]]:
    return {one["address"]: one["change"]["actions"] for one in plan.document["resource_changes"]}


async def appears(path: Path) -> None:
    while not path.exists():
        await asyncio.sleep(0.01)


async def test_a_bundle_that_is_planned_with_stays_although_its_folder_is_laid_out(rig: Rig) -> None:
    async def nothing() -> frozenset[str]:
        return frozenset()

    inputs = rig.inputs()
    bundle = await rig.bundle(BUILT_IN, inputs)
    async with rig.adapter.session(TARGET) as session:
        await session.plan(bundle, inputs)
        rig.stores.blobs.age()
        await session.plan(bundle, inputs)
    assert await rig.stores.blobs.prune(nothing) == 0


async def test_another_archive_under_a_bundles_digest_is_not_run(rig: Rig) -> None:
    inputs = rig.inputs()
    shown, hostile = await rig.bundle(BUILT_IN, inputs), await rig.bundle(BUILT_IN + "# more\n", inputs)
    async with rig.adapter.session(TARGET) as session:
        with pytest.raises(StalledError) as refused:
            await session.plan(dataclasses.replace(shown, blob=hostile.blob), inputs)
    assert refused.value.reason is Reason.DIGEST_MISMATCH
    assert shown.digest in refused.value.message


# --- Providers and their lock file --------------------------------------------------------------------------------

BACK = {"fakecloud_bucket.a": ["no-op"], "othercloud_bucket.b": ["delete"]}


@pytest.mark.parametrize("lock", ["Generate", "Required"])
async def test_a_source_may_drop_a_provider_whose_resources_are_still_there(rig: Rig, lock: str) -> None:
    files = {"main.tf": ONE, **({LOCK: await lock_of(rig, ONE)} if lock == "Required" else {})}
    assert (await rig.apply(BOTH)).ok
    inputs = rig.inputs(has_state=True, lock_file=lock)
    assert actions(await rig.plan(files, inputs)) == BACK
    assert (await rig.apply(files, inputs)).ok
    assert set(rig.cloud.buckets()) == {"a"}
    assert (await rig.plan(files, inputs)).quiet


async def test_the_way_back_to_before_a_provider_was_added(rig: Rig) -> None:
    assert (await rig.apply(ONE)).ok
    assert (await rig.apply(BOTH, rig.inputs(has_state=True))).ok
    assert actions(await rig.plan(ONE, rig.inputs(has_state=True))) == BACK


async def test_a_provider_that_a_required_lock_file_does_not_name_is_refused_each_time(rig: Rig) -> None:
    files = {"main.tf": BOTH, LOCK: await lock_of(rig, ONE)}
    for _ in range(2):
        error = await refusal(rig, files, lock_file="Required")
        assert isinstance(error, StalledError)
        assert error.reason == Reason.LOCK_FILE_MISMATCH
        assert "acme/othercloud" in error.message
        assert "terraform providers lock" in error.message
        assert "lockFile: Generate" in error.message


async def test_a_lock_file_may_name_more_than_the_code_needs(rig: Rig) -> None:
    files = {"main.tf": ONE, LOCK: await lock_of(rig, BOTH)}
    assert (await rig.plan(files, rig.inputs(lock_file="Required"))).document is not None


async def test_a_locked_version_that_the_code_no_longer_allows_is_refused(rig: Rig) -> None:
    files = {"main.tf": code(bucket("a"), fakecloud="0.2.0"), LOCK: await lock_of(rig, ONE)}
    assert (await refusal(rig, files, lock_file="Required")).reason == Reason.LOCK_FILE_MISMATCH


async def test_a_module_with_a_provider_needs_a_lock_file(rig: Rig) -> None:
    files = {"main.tf": 'module "m" {\n  source = "./m"\n}\n', "m/main.tf": ONE}
    assert (await refusal(rig, files, lock_file="Required")).reason == Reason.LOCK_FILE_MISSING


# --- The work folder ----------------------------------------------------------------------------------------------


async def test_a_file_that_was_written_over_is_made_exact_again(rig: Rig) -> None:
    files = {"main.tf": 'output "o" {\n  value = file("${path.module}/text")\n}\n', "text": "good"}
    await rig.plan(files)
    (rig.work / "text").write_text("tampered with")
    plan = await rig.plan(files)
    assert plan.document["output_changes"]["o"]["after"] == "good"


async def test_what_must_not_be_destroyed_is_found_in_modules_too(rig: Rig) -> None:
    kept = "lifecycle {\n    prevent_destroy = true\n  }"
    files = {
        "main.tf": f'module "m" {{\n  source = "./m"\n}}\nresource "terraform_data" "a" {{\n  {kept}\n}}\n',
        "m/main.tf": f'resource "terraform_data" "b" {{\n  {kept}\n}}\n',
        "unused/main.tf": f'resource "terraform_data" "c" {{\n  {kept}\n}}\n',
    }
    assert (await rig.plan(files)).prevent_destroy == ("terraform_data.a", "m: terraform_data.b")


async def test_names_that_look_like_other_targets_notes_are_names(rig: Rig) -> None:
    bundle = await rig.bundle(BUILT_IN)
    for target in (f"{TARGET}.json", f"{TARGET}.lock", TARGET):
        async with rig.adapter.session(target) as session:
            assert (await session.plan(bundle, rig.inputs())).document is not None


async def test_a_folder_is_held_by_one_session(rig: Rig) -> None:
    order = []

    async def hold(name: str, until: asyncio.Event) -> None:
        async with rig.adapter.session(TARGET):
            order.append(f"{name} in")
            await until.wait()
            order.append(f"{name} out")

    first, second = asyncio.Event(), asyncio.Event()
    second.set()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hold("a", first))
        while not order:
            await asyncio.sleep(0)
        tasks.create_task(hold("b", second))
        await asyncio.sleep(0)
        first.set()
    assert order == ["a in", "a out", "b in", "b out"]


# --- Variables ----------------------------------------------------------------------------------------------------

EPHEMERAL = """
variable "token" {
  type      = string
  ephemeral = true
}
variable "name" { type = string }
locals { used = var.token }
resource "terraform_data" "a" { input = var.name }
"""


@pytest.mark.parametrize("where", ["variables", "secret_variables"])
async def test_ephemeral_variables_are_given_to_the_apply_again(rig: Rig, where: str) -> None:
    given = {"variables": {"name": "n"}, "secret_variables": {}}
    given[where] = {**given[where], "token": "secret-token"}
    run = await rig.apply(EPHEMERAL, rig.inputs(**given))
    assert (run.ok, run.diagnostics) == (True, ())
    assert rig.left_behind() == []


TYPED = """
variable "list" { type = list(string) }
variable "object" {
  type = object({
    user     = string
    password = string
  })
}
variable "any" { type = any }
variable "text" { type = string }
variable "untyped" {}
variable "number" { type = number }
output "seen" {
  value     = [var.list, var.object, var.any, var.text, var.untyped, var.number]
  sensitive = true
}
"""


async def test_a_secret_is_read_as_json_where_the_variable_takes_more_than_text(rig: Rig) -> None:
    secrets = {
        "list": '["first-secret", "${not a template}"]',
        "object": '{"user": "ada", "password": "hidden-within"}',
        "any": "[1]",
        "text": "[1]",
        "untyped": '{"a": 1}',
        "number": "5",
    }
    plan = await rig.plan(TYPED, rig.inputs(secret_variables=secrets))
    assert plan.document["output_changes"]["seen"]["after"] == [
        ["first-secret", "${not a template}"],
        {"user": "ada", "password": "hidden-within"},
        [1],
        "[1]",
        '{"a": 1}',
        5,
    ]
    assert {"first-secret", "hidden-within"} <= rig.secrets


async def test_a_variable_that_its_secret_names_plain_is_shown(rig: Rig) -> None:
    secrets = {"text": "plain-text", "untyped": "hidden-text"}
    inputs = rig.inputs(secret_variables=secrets, plain_variables=frozenset({"text"}))
    seen = 'variable "text" {}\nvariable "untyped" {}\noutput "seen" {\n value = var.text\n}\n'
    plan = await rig.plan(seen, inputs)
    assert plan.document["output_changes"]["seen"]["after"] == "plain-text"
    assert "hidden-text" in rig.secrets
    assert "plain-text" not in rig.secrets


async def test_a_secret_that_is_no_json_is_terraforms_to_judge_and_stays_hidden(rig: Rig) -> None:
    source = 'variable "list" {\n  type = list(string)\n}\n'
    error = await refusal(rig, source, secret_variables={"list": "secret-but-no-list"})
    assert error.reason == Reason.CONFIGURATION_INVALID
    assert "list of string required" in error.message
    assert "secret-but" not in error.message


async def test_what_stands_in_a_secret_is_hidden_where_the_code_lays_it_open(rig: Rig) -> None:
    source = (
        'variable "list" {\n  type = list(string)\n}\n'
        'resource "terraform_data" "a" {\n lifecycle {\n precondition {\n condition = var.list == null\n'
        ' error_message = "saw ${nonsensitive(var.list[0])}"\n }\n }\n}\n'
    )
    error = await refusal(rig, source, secret_variables={"list": '["hidden-within"]'})
    assert "saw" in error.message
    assert "hidden-within" not in error.message


async def test_a_wrong_value_is_said_of_the_spec_and_alike_each_time(rig: Rig) -> None:
    source = 'variable "n" {\n  type = number\n}\n'
    first = await refusal(rig, source, variables={"n": "many"})
    assert isinstance(first, StalledError)
    assert first.reason == Reason.CONFIGURATION_INVALID
    assert "spec.variables" in first.message
    assert str(rig.root) not in first.message
    assert (await refusal(rig, source, variables={"n": "many"})).message == first.message


# --- Plans that fail ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"fail_configure": "the state is locked"}, id="configure"),
        pytest.param({"fail_read": "a", "echo": "no lock file in the provider registry"}, id="read"),
    ],
)
async def test_what_a_provider_says_is_not_taken_for_terraforms_word(rig: Rig, fault: dict[str, str]) -> None:
    assert (await rig.apply(ONE)).ok
    rig.cloud.break_(**fault)
    error = await refusal(rig, ONE)
    assert isinstance(error, TransientError)
    assert error.reason == Reason.PLAN_FAILED
    rig.cloud.break_(**dict.fromkeys(fault))
    assert (await rig.plan(ONE)).quiet


async def test_a_plan_past_its_timeout_is_stopped(rig: Rig) -> None:
    assert (await rig.apply(ONE)).ok
    rig.cloud.break_(latency=3)
    error = await refusal(rig, ONE, plan_timeout=1.0)
    assert isinstance(error, TransientError)
    assert error.reason == Reason.TIMED_OUT
    assert processes(rig) == []


async def test_noise_in_a_computed_attribute_is_drift_that_a_plan_shows(rig: Rig) -> None:
    assert (await rig.apply(ONE)).ok
    rig.cloud.break_(noise=True)
    plan = await rig.plan(ONE)
    assert not plan.quiet
    assert [one["address"] for one in plan.document["resource_drift"]] == ["fakecloud_bucket.a"]
    assert actions(plan) == {"fakecloud_bucket.a": ["no-op"]}


# --- Applies that are cut short -----------------------------------------------------------------------------------


def processes(rig: Rig) -> list[psutil.Process]:
    """The processes that run for this home now."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            if RUN_VARIABLE in environment and environment.get("HOME", "").startswith(str(rig.root / "runs")):
                found.append(process)
        except psutil.Error:
            continue
    return found


async def blocked(rig: Rig, gate: Path) -> asyncio.Task[ApplyRun]:
    """An apply whose create is under way, until the gate is there."""
    rig.cloud.break_(block=gate)
    task = asyncio.create_task(rig.apply(ONE))
    await asyncio.wait({task, asyncio.ensure_future(appears(Path(f"{gate}.a")))}, return_when="FIRST_COMPLETED")
    assert not task.done()
    return task


async def test_terraform_is_killed_and_its_providers_do_not_outlive_it(rig: Rig, tmp_path: Path) -> None:
    task = await blocked(rig, tmp_path / "gate")
    running = processes(rig)
    (terraform,) = (process for process in running if "apply" in process.cmdline())
    assert len(running) > 1
    terraform.send_signal(signal.SIGKILL)
    run = await task
    assert (run.ok, run.interrupted) == (False, True)
    assert run.progress[0].address == "fakecloud_bucket.a"
    assert "signal 9" in run.diagnostics[0]
    _, alive = psutil.wait_procs(running, timeout=60)
    assert alive == []


async def test_an_apply_that_is_cancelled_before_it_begins_says_so(rig: Rig) -> None:
    inputs = rig.inputs()
    bundle = await rig.bundle(ONE, inputs)
    async with rig.adapter.session(TARGET) as session:
        plan = await session.plan(bundle, inputs)
        (rig.work / "main.tf").write_text("# so that there is something to do first\n")
        task = asyncio.create_task(session.apply(plan, bundle, inputs, rig.progress.append))
        await asyncio.sleep(0)
        task.cancel()
        run = await task
    assert (run.ok, run.interrupted, run.progress) == (False, True, ())
    assert rig.cloud.buckets() == {}


async def test_a_state_that_nobody_took_stops_plans_until_it_is_settled(rig: Rig) -> None:
    inputs = rig.inputs()
    bundle = await rig.bundle(ONE, inputs)
    async with rig.adapter.session(TARGET) as session:
        run = await session.apply(await session.plan(bundle, inputs), bundle, inputs, rig.progress.append)
        assert run.ok
        (rig.work / "errored.tfstate").write_text("{}")
    with pytest.raises(TransientError) as raised:
        await rig.plan(ONE)
    assert raised.value.reason == Reason.STORE_FAILED
    rig.restart()
    (abandoned,) = await rig.adapter.settle()
    assert abandoned.errored_state == b"{}"
    assert [Path(name).name for name in rig.left_behind() if "tfplan" in name or "tfvars" in name] == []
    rig.adapter.forget(abandoned.run, abandoned.target)
    assert (await rig.plan(ONE)).quiet


async def test_a_state_that_nobody_took_is_handed_to_the_next_session(rig: Rig) -> None:
    inputs = rig.inputs()
    bundle = await rig.bundle(ONE, inputs)
    async with rig.adapter.session(TARGET) as session:
        assert session.errored_state() is None
        plan = dataclasses.replace(await session.plan(bundle, inputs), state_version=3)
        assert (await session.apply(plan, bundle, inputs, rig.progress.append)).ok
        (rig.work / "errored.tfstate").write_text("{}")
    (abandoned,) = await rig.adapter.settle()
    assert (abandoned.run, abandoned.base) == (plan.run, 3)
    async with rig.adapter.session(TARGET) as session:
        assert session.errored_state() == ErroredState(plan.run, b"{}", 3)
        with pytest.raises(TransientError):
            session.require_settled()
        place = session.set_errored_state_aside(plan.run)
        session.require_settled()
        assert (await session.plan(bundle, inputs)).quiet
    assert place.read_text() == "{}"
    (abandoned,) = await rig.adapter.settle()
    assert (abandoned.run, abandoned.errored_state) == (plan.run, None)


async def test_an_apply_that_is_not_on_record_leaves_its_traces_and_no_plan(rig: Rig) -> None:
    assert (await rig.apply(ONE, recorded=False)).ok
    left = [Path(name).name for name in rig.left_behind()]
    assert "process.json" in left
    assert "apply.out" in left
    assert "tfplan" not in left


async def test_who_does_not_settle_stays_out_while_a_killed_managers_run_goes_on(rig: Rig) -> None:
    orphan = await orphaned(rig, APPLYING)
    async with rig.adapter.session(TARGET) as session:
        with pytest.raises(WaitingError, match="0123456789abcdef") as raised:
            session.require_settled()
    assert raised.value.reason == Reason.STATE_LOCKED
    async with rig.adapter.session(f"{TARGET}-2") as session:
        session.require_settled()
    os.killpg(orphan.pid, signal.SIGKILL)
    await orphan.wait()
    async with rig.adapter.session(TARGET) as session:
        session.require_settled()


async def test_a_hold_on_the_folder_hides_no_run_of_a_killed_manager(rig: Rig) -> None:
    """A `setpoint plan` may have the folder just when a manager starts."""
    orphan = await orphaned(rig, APPLYING)
    async with rig.adapter.session(TARGET), asyncio.timeout(60):
        (abandoned,) = await rig.adapter.settle()
        assert await orphan.wait() == -signal.SIGKILL
    assert abandoned.run == "0123456789abcdef"


async def test_settling_leaves_the_runs_of_the_living_alone(rig: Rig, tmp_path: Path) -> None:
    task = await blocked(rig, tmp_path / "gate")
    assert await rig.adapter.settle() == ()
    (tmp_path / "gate").touch()
    run = await task
    assert (run.ok, run.interrupted) == (True, False)


async def orphaned(rig: Rig, note: str) -> asyncio.subprocess.Process:
    """A process of a run whose manager is gone; it heeds no interrupt."""
    folder = rig.root / "runs" / "0123456789abcdef"
    folder.mkdir(parents=True)
    (folder / "process.json").write_text(note)
    orphan = await asyncio.create_subprocess_exec(
        "sh", "-c", 'trap "" INT; echo ready; while :; do sleep 1; done',
        env={"PATH": "/usr/bin:/bin", RUN_VARIABLE: folder.name}, stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert await orphan.stdout.readline() == b"ready\n"
    return orphan


async def test_orphaned_providers_are_ended_at_once(rig: Rig) -> None:
    """With Terraform dead nobody waits for their answers, and they heed no interrupt."""
    orphan = await orphaned(rig, APPLYING.replace("apply", "plan"))
    async with asyncio.timeout(60):
        assert await rig.adapter.settle() == ()
        assert await orphan.wait() == -signal.SIGKILL
    assert rig.left_behind() == []


async def test_a_closed_adapter_has_no_threads(rig: Rig) -> None:
    await rig.plan(BUILT_IN)
    await rig.adapter.close()
    with pytest.raises(RuntimeError):
        await rig.bundle(ONE)
    rig.restart()
