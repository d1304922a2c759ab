"""OpenTofu in Terraform's place: the story of a home from first apply to reset, and what the adapter takes for granted.

The adapter's own tests run again with tofu; it finds the fake providers under the registry that it asks by default.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.fakes.fakecloud import Cloud
from tests.fakes.store import open_sql_stores
from tests.fixtures.terraform import TARGET, Rig, bucket, code, mirror_of_fakes
from tests.integration import test_terraform_adapter as adapter
from tests.integration.test_home_story import Story, mirror
from tools.resolve import TOFU, ToolError, find

from setpoint.api.conditions import Reason
from setpoint.domain.errors import StalledError
from setpoint.targets.environment.ports import RunInputs
from setpoint.targets.environment.state_backend import StateBackendServer
from setpoint.targets.environment.terraform import TerraformOptions

__all__ = ["mirror"]


def tofu_here() -> Path | None:
    try:
        return find(TOFU, os.environ)
    except ToolError:
        return None


FOUND = tofu_here()
pytestmark = pytest.mark.skipif(FOUND is None, reason="needs OpenTofu: `make tools` builds it, or set SETPOINT_TOFU")
VERSION = TOFU.version


@pytest.fixture(scope="module")
def tofu() -> Path:
    """OpenTofu under its own name, in a folder that can be put on PATH."""
    assert FOUND is not None
    return FOUND


@pytest.fixture(scope="module")
def version(tofu: Path) -> str:
    """The version, as the binary tells it in people's words."""
    told = subprocess.run([tofu, "version"], capture_output=True, text=True, check=True, env=_quiet()).stdout
    assert told.startswith("OpenTofu v")
    return told.split()[1].removeprefix("v")


def _quiet() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}


# --- A home, as a person has it -------------------------------------------------------------------------------------

CODE = """
terraform {
  required_providers {
    local = { source = "registry.terraform.io/hashicorp/local", version = "1.4.0" }
  }
}
variable "site" { type = string }
variable "pages" { type = map(string) }
resource "terraform_data" "page" {
  for_each = var.pages
  input    = each.value
}
resource "local_file" "page" {
  for_each = var.pages
  filename = "${var.site}/${each.key}"
  content  = terraform_data.page[each.key].output
}
"""


class TofuStory(Story):
    """A home on a machine on which `terraform` is no Terraform."""

    def __init__(self, root: Path, mirror: str | None, tofu: Path) -> None:
        super().__init__(root, mirror)
        (root / "infra" / "main.tf").write_text(CODE)
        programs = root.parent / "programs"
        programs.mkdir()
        (programs / "tofu").symlink_to(tofu)
        (programs / "terraform").write_text("#!/bin/sh\nexit 97\n")
        (programs / "terraform").chmod(0o755)
        self.environment["PATH"] = f"{programs}:{self.environment['PATH']}"
        for name in ("SETPOINT_TERRAFORM", "SETPOINT_TOFU"):
            self.environment.pop(name, None)

    def declare(self, pages: dict[str, str], *, constraint: str = ">= 1.8", **spec: object) -> None:
        engine = {"type": "opentofu", "version": constraint, "lockFile": "Generate"}
        super().declare(pages, engine=engine, **spec)


@pytest.fixture
def story(tmp_path: Path, mirror: str | None, tofu: Path) -> TofuStory:
    return TofuStory(tmp_path / "home", mirror, tofu)


def test_from_the_first_apply_over_drift_to_a_reset(story: TofuStory) -> None:
    story.declare({"a.txt": "one"})
    assert story.up() == 3
    assert not story.files()
    assert story.setpoint("plan", "environment/web").returncode == 3
    story.approve()
    assert story.up() == 0
    assert story.files() == {"a.txt": "one"}
    assert story.condition("Ready")[0] == "True"
    first = story.status()["snapshot"]

    (story.site / "a.txt").write_text("tampered\n")
    assert story.up() == 3
    assert story.condition("Drifted") == ("True", "DriftDetected")
    story.approve()
    assert story.up() == 0
    assert story.files() == {"a.txt": "one"}

    story.declare({"a.txt": "two"})
    assert story.up() == 3
    story.approve()
    assert story.up() == 0
    assert story.files() == {"a.txt": "two"}

    assert story.setpoint("reset", "environment/web", "--to", first, "--reason", "two was wrong").returncode == 0
    assert story.up() == 3
    story.approve()
    assert story.up() == 3, "held from now on"
    assert story.files() == {"a.txt": "one"}
    assert story.condition("Held") == ("True", "ResetHold")
    assert story.setpoint("audit", "verify").returncode == 0


def test_the_wrong_version_stalls_and_says_which_there_is(story: TofuStory, version: str) -> None:
    story.declare({"a.txt": "one"}, constraint="~> 99.0")
    assert story.up() == 1
    [stalled] = [one for one in story.status()["conditions"] if one["type"] == "Stalled"]
    assert (stalled["status"], stalled["reason"]) == ("True", "EngineVersionMismatch")
    assert f"opentofu {version}" in stalled["message"]
    assert "~> 99.0" in stalled["message"]
    assert not story.files()


def test_its_errors_name_it(story: TofuStory) -> None:
    (story.root / "infra" / "main.tf").write_text('resource "local_file" "a" { content = nothing.there }')
    story.declare({"a.txt": "one"})
    assert story.up() == 1
    [ready] = [one for one in story.status()["conditions"] if one["type"] == "Ready"]
    assert ready["message"].startswith("tofu ")


def test_no_tofu_stalls_though_there_is_a_terraform(story: TofuStory) -> None:
    story.environment["PATH"] = str(story.root.parent / "programs")
    (story.root.parent / "programs" / "tofu").unlink()
    story.declare({"a.txt": "one"})
    assert story.up() == 1
    status, reason = story.condition("Stalled")
    assert (status, reason) == ("True", "EngineNotFound")


def test_the_doctor_names_it(story: TofuStory, version: str) -> None:
    assert f"opentofu {version}" in story.setpoint("doctor").stdout


# --- What the adapter takes for granted -----------------------------------------------------------------------------


@dataclasses.dataclass
class TofuRig(Rig):
    """A rig that runs OpenTofu."""

    def inputs(self, **changes: object) -> RunInputs:
        return super().inputs(**{"engine_type": "opentofu", **changes})


@pytest.fixture(scope="module")
def tofu_mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The fake providers, under the name of the registry that each of the two asks by default."""
    with mirror_of_fakes(tmp_path_factory.mktemp("mirror")) as folder:
        shutil.copytree(folder / "registry.terraform.io", folder / "registry.opentofu.org")
        yield folder


@pytest.fixture
async def home(tmp_path: Path, tofu_mirror: Path, tofu: Path) -> AsyncIterator[adapter.Home]:
    (tmp_path / "home").mkdir()
    async with open_sql_stores(tmp_path / "home") as stores, contextlib.AsyncExitStack() as serving:
        backend = StateBackendServer(stores.states, stores.locks)
        await serving.enter_async_context(backend.serving())
        options = TerraformOptions(tmp_path / "home", mirror=tofu_mirror, tofu=tofu)
        rig = TofuRig(tmp_path / "home", Cloud(tmp_path / "cloud.json"), stores, backend, options)
        yield adapter.Home(rig, serving)


test_what_was_applied_is_quiet = adapter.test_what_was_applied_is_quiet_and_nothing_is_left_in_run_folders
test_drift_is_seen = adapter.test_drift_is_seen
test_what_counts_nothing_is_not_quiet = adapter.test_what_counts_nothing_is_not_quiet
test_an_init_whose_work_is_gone_is_made_good = adapter.test_an_init_whose_work_is_gone_is_made_good
test_an_error_in_the_code_names_file_and_line = adapter.test_an_error_in_the_code_names_file_and_line
test_a_provider_that_is_not_there = adapter.test_a_provider_that_is_not_there
test_a_provider_that_is_not_the_locked_one = adapter.test_a_provider_that_is_not_the_locked_one
test_a_backend_in_the_code_gives_way = adapter.test_a_backend_in_the_code_gives_way_to_ours_once_the_state_is
test_a_later_override_never_moves_the_state = adapter.test_a_later_override_in_the_code_never_moves_the_state
test_a_secret_variable_is_masked_and_scrubbed = adapter.test_a_secret_variable_is_masked_and_scrubbed
test_a_credential_that_is_repeated_is_scrubbed = adapter.test_a_credential_that_a_provider_repeats_is_scrubbed
test_an_apply_that_fails_half_way = adapter.test_an_apply_that_fails_half_way
test_a_cancelled_apply_stops_gracefully = adapter.test_a_cancelled_apply_stops_gracefully_and_keeps_what_was_made
test_a_state_that_could_not_be_saved_is_handed_over = adapter.test_a_state_that_could_not_be_saved_is_handed_over
test_an_ephemeral_variable_is_given_again = adapter.test_a_variable_that_no_plan_holds_is_given_again_at_the_apply


async def test_version_plan_and_state_name_the_same_version(home: adapter.Home, version: str) -> None:
    inputs = home.builtin()
    assert str(await home.rig.adapter.engine(inputs)) == f"opentofu {version}"
    plan = await home.rig.plan(adapter.BUILT_IN, inputs)
    assert plan.document is not None
    assert plan.document["terraform_version"] == version
    assert plan.document["format_version"].startswith("1.")
    assert (await home.rig.apply(adapter.BUILT_IN, inputs)).ok
    assert json.loads(await home.rig.stores.states.read(TARGET))["terraform_version"] == version


async def test_its_lock_file_pins_providers_of_its_own_registry(home: adapter.Home) -> None:
    source = code(bucket("a"), fakecloud="0.1.0")
    await home.rig.plan(source)
    lock = (home.rig.work / ".terraform.lock.hcl").read_text()
    assert 'provider "registry.opentofu.org/acme/fakecloud"' in lock
    kept = {"main.tf": source, ".terraform.lock.hcl": lock}
    assert (await home.rig.plan(kept, home.rig.inputs(lock_file="Required"))).document is not None


async def test_a_lock_file_of_terraforms_registry_does_not_pin_them(home: adapter.Home) -> None:
    lock = 'provider "registry.terraform.io/acme/othercloud" {\n  version = "0.1.0"\n}\n'
    source = {"main.tf": code(bucket("a"), fakecloud="0.1.0"), ".terraform.lock.hcl": lock}
    error = await adapter.failing(home, source, home.rig.inputs(lock_file="Required"))
    assert isinstance(error, StalledError)
    assert error.reason == Reason.LOCK_FILE_MISMATCH
    assert "registry.opentofu.org/acme/fakecloud" in error.message


async def test_code_for_it_alone_is_read(home: adapter.Home) -> None:
    files = {"main.tf": 'output "who" { value = "terraform" }', "main.tofu": 'output "who" { value = "tofu" }'}
    plan = await home.rig.plan(files, home.builtin())
    assert plan.document is not None
    assert plan.document["planned_values"]["outputs"]["who"]["value"] == "tofu"


async def test_a_state_of_terraforms_is_taken_over(home: adapter.Home) -> None:
    if shutil.which("terraform") is None:
        pytest.skip("needs the terraform binary")
    assert (await home.rig.apply(adapter.BUILT_IN, home.builtin(engine_type="terraform"))).ok
    assert (await home.rig.plan(adapter.BUILT_IN, home.builtin())).quiet
    grown = adapter.BUILT_IN + 'resource "terraform_data" "b" {}\n'
    assert (await home.rig.apply(grown, home.builtin())).ok
    assert await home.addresses() == {"terraform_data.a", "terraform_data.b"}
