"""The state backend under the real terraform binary: what it does, and what it is refused."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes.store import SqlStores, open_sql_stores, state_file

from setpoint.adapters.store.state_versions import StateLock
from setpoint.targets.environment.state_backend import StateBackendServer
from setpoint.targets.environment.state_ports import BackendAccess

pytestmark = pytest.mark.skipif(shutil.which("terraform") is None, reason="needs the terraform binary")

TARGET = "environment/default/shop"
CODE = """
terraform {
  backend "http" {}
}
variable "input" { default = "one" }
resource "terraform_data" "a" { input = var.input }
"""


class Terraform:
    """Runs terraform in one folder, as one access after another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def run(self, access: BackendAccess, *arguments: str) -> tuple[int, str]:
        """Exit code and all output."""
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self._folder), "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1",
            "TF_CLI_CONFIG_FILE": os.devnull, "TF_HTTP_ADDRESS": access.address, "TF_HTTP_LOCK_ADDRESS": access.address,
            "TF_HTTP_UNLOCK_ADDRESS": access.address, "TF_HTTP_USERNAME": access.username,
            "TF_HTTP_PASSWORD": access.password, "TF_HTTP_RETRY_MAX": "0",
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            "terraform", *arguments, cwd=self._folder, env=environment,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        return await process.wait(), output.decode()

    async def apply(self, access: BackendAccess, value: str) -> tuple[int, str]:
        return await self.run(access, "apply", "-auto-approve", "-no-color", "-input=false", f"-var=input={value}")


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[SqlStores]:
    (tmp_path / "home").mkdir()
    async with open_sql_stores(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
async def backend(stores: SqlStores) -> AsyncIterator[StateBackendServer]:
    server = StateBackendServer(stores.states, stores.locks)
    async with server.serving():
        yield server


@pytest.fixture
async def terraform(tmp_path: Path, backend: StateBackendServer) -> Terraform:
    """Initialised, as a plan may be, and applied once."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "main.tf").write_text(CODE)
    made = Terraform(folder)
    with backend.grant(TARGET, run="init", operation="plan") as access:
        code, output = await made.run(access, "init", "-no-color", "-input=false")
        assert code == 0, output
    with backend.grant(TARGET, run="first", operation="apply") as access:
        code, output = await made.apply(access, "one")
        assert code == 0, output
    return made


async def test_applies_make_versions_and_plans_read_them(
    terraform: Terraform, backend: StateBackendServer, stores: SqlStores
) -> None:
    first = await stores.states.head(TARGET)
    assert first is not None
    assert first.resources == 1
    with backend.grant(TARGET, run="plan", operation="plan") as access:
        code, output = await terraform.run(access, "plan", "-lock=false", "-detailed-exitcode", "-no-color")
        assert code == 0, output
    with backend.grant(TARGET, run="second", operation="apply") as access:
        code, output = await terraform.apply(access, "two")
        assert code == 0, output
    second = await stores.states.head(TARGET)
    assert second is not None
    assert (second.lineage, second.version > first.version, second.serial > first.serial) == (first.lineage, True, True)
    state = json.loads(await stores.states.read(TARGET))
    assert state["resources"][0]["instances"][0]["attributes"]["input"]["value"] == "two"
    assert await stores.locks.held() == ()


async def test_a_plans_credentials_can_not_apply(
    terraform: Terraform, backend: StateBackendServer, stores: SqlStores
) -> None:
    before = await stores.states.head(TARGET)
    with backend.grant(TARGET, run="plan", operation="plan") as access:
        code, output = await terraform.apply(access, "two")
        assert (code, "invalid auth" in output) == (1, True), output
        code, output = await terraform.run(
            access, "apply", "-lock=false", "-auto-approve", "-no-color", "-var=input=two"
        )
        assert (code, "403" in output) == (1, True), output
    assert await stores.states.head(TARGET) == before


async def test_a_lock_shows_its_holder_and_can_not_be_forced(
    terraform: Terraform, backend: StateBackendServer, stores: SqlStores
) -> None:
    holder = {"ID": "0a1b2c3d", "Operation": "OperationTypeApply", "Who": "someone@elsewhere", "Info": "", "Path": ""}
    held = StateLock(TARGET, "0a1b2c3d", "other", json.dumps(holder))
    await stores.locks.acquire(held)
    with backend.grant(TARGET, run="second", operation="apply") as access:
        code, output = await terraform.apply(access, "two")
        assert code == 1
        assert "already locked: ID=0a1b2c3d" in output
        code, output = await terraform.run(access, "force-unlock", "-force", "-no-color", "0a1b2c3d")
        assert code == 1, output
    assert await stores.locks.held() == (held,)


@pytest.mark.parametrize("case", ["lineage", "lower serial"])
async def test_a_forced_push_is_refused(
    terraform: Terraform, backend: StateBackendServer, stores: SqlStores, tmp_path: Path, case: str
) -> None:
    head = await stores.states.head(TARGET)
    assert head is not None
    lineage = "11111111-2222-3333-4444-555555555555" if case == "lineage" else head.lineage
    serial = head.serial + 5 if case == "lineage" else head.serial - 1
    (tmp_path / "pushed.tfstate").write_bytes(state_file(serial, lineage=lineage))
    with backend.grant(TARGET, run="push", operation="apply") as access:
        code, output = await terraform.run(access, "state", "push", "-force", str(tmp_path / "pushed.tfstate"))
    assert (code, "409" in output) == (1, True), output
    assert await stores.states.head(TARGET) == head
    assert await stores.locks.held() == ()
