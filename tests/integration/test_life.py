"""A life on a database server whose provider has the manners of real ones: from the first apply to the last deletion.

Reconciler, driver and Terraform are real, over stores in memory. The provider is tests/fakes/fakepg: data sources that
wait for what drifted, values that say nothing and read back as others, sets in any order, creates that fail, slow
deletes.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.fakes.fakepg.server import Server
from tests.fakes.home import ListAuditLog
from tests.fakes.mortality import InlineExecutor
from tests.fakes.reconciling import REF, Bench
from tests.fixtures.terraform import Rig, code, fakepg_mirror, open_rig, tree

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.errors import NotFoundError
from setpoint.targets.environment.driver import EnvironmentDriver

__all__ = ["fakepg_mirror"]

BASE = """
resource "fakepg_role" "app" { name = "app" }
resource "fakepg_role" "reader" {
  name      = "reader"
  member_of = ["pg_read_all_data", fakepg_role.app.name]
}
resource "fakepg_schema" "app" {
  name  = "app"
  owner = fakepg_role.app.name
}
data "fakepg_catalog" "all" { depends_on = [fakepg_schema.app] }
resource "fakepg_grant" "none" {
  name       = "none"
  role       = fakepg_role.reader.name
  privileges = []
}
resource "fakepg_grant" "report" {
  name       = "report"
  role       = fakepg_role.reader.name
  privileges = ["USAGE", "SELECT"]
  objects    = data.fakepg_catalog.all.owned
}
output "owned" { value = data.fakepg_catalog.all.owned }
"""
DATABASE = 'resource "fakepg_database" "extra" {\n  name  = "extra"\n  owner = fakepg_role.app.name\n}\n'
LATE = 'resource "fakepg_role" "late" { name = "late" }\n'
MANAGED = {"grant/none", "grant/report", "role/app", "role/reader", "schema/app"}
QUIET = {"actionable": 0, "informational": 0, "pending": 0, "cascade": 0}


class Life(Bench):
    """An Environment of this provider in the most willing modes; `code` is what its source holds besides the head."""

    def __init__(self, rig: Rig, server: Server) -> None:
        super().__init__()
        self.server = server
        self.code = BASE
        self.trail = ListAuditLog(self.cluster.audit)
        self._head = code(f'provider "fakepg" {{ server = "{server.path}" }}\n', fakepg="0.1.0")
        driver = EnvironmentDriver(
            cluster=self.cluster,
            terraform=rig.adapter,
            resolver=SimpleNamespace(resolve=self._resolve),
            states=rig.stores.states,
            locks=rig.stores.locks,
            blobs=rig.stores.blobs,
            prober=SimpleNamespace(),
            origin_of=lambda _: Path(),
            threads=InlineExecutor(),
        )
        self.reconciler = self.make_reconciler(self.cluster, driver)

    async def _resolve(self, *_: Any, **__: Any) -> Any:
        return tree({"main.tf": self._head + self.code})

    async def begin(self) -> None:
        """Declares it."""
        spec = {
            "stage": "dev",
            "source": {"path": "./infra"},
            "engine": {"lockFile": "Generate"},
            "apply": {"mode": "Auto"},
            "drift": {"mode": "Heal"},
            "protection": {"deletionPolicy": "Destroy"},
        }
        metadata = {"name": REF.name, "namespace": REF.namespace}
        kind = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Environment"}
        await self.cluster.create({**kind, "metadata": metadata, "spec": spec})

    async def drifts(self) -> dict[str, int]:
        """How many resources differ, by class."""
        drift = (await self.status()).get("drift", {})
        return {name: drift.get(name, 0) for name in QUIET}

    def holds(self) -> dict[str, JsonObject]:
        """The objects that the server holds, without the values that say nothing."""
        found = self.server.objects()
        return {key: {name: value for name, value in one.items() if value} for key, one in found.items()}

    async def newest(self) -> JsonObject:
        """The Change that the Environment tells of, or told of last."""
        names = [entry.result for entry in self.cluster.audit if entry.action == "change.create"]
        return await self.cluster.get(ObjectRef("Change", REF.namespace, names[-1]))


@pytest.fixture
async def life(tmp_path: Path, fakepg_mirror: Path) -> AsyncIterator[Life]:
    """It was applied for the first time."""
    async with open_rig(tmp_path, fakepg_mirror) as rig:
        life = Life(rig, Server(tmp_path / "pg.json"))
        await life.begin()
        assert (await life.run()).reason == "AtSetpoint", life.error
        assert set(life.server.objects()) == MANAGED
        yield life


async def appears(path: Path) -> None:
    """Waits for a file that another process makes."""
    while not os.path.lexists(path):
        await asyncio.sleep(0.02)


@pytest.mark.timeout(600)
async def test_a_life(life: Life, tmp_path: Path) -> None:
    first = (await life.status())["snapshot"]
    made = life.holds()

    for _ in range(10):
        assert (await life.run()).reason == "AtSetpoint", life.error
        assert await life.drifts() == QUIET
    assert len(await life.changes()) == 1

    life.server.drift("schema/app", owner="reader")
    life.server.drift("role/reader", member_of=["intruder"])
    life.server.drift("grant/none")
    assert (await life.run()).reason == "AtSetpoint", life.error
    assert (await life.newest())["spec"]["cause"] == "Drift"
    assert life.holds() == made

    life.code = BASE + DATABASE
    life.server.break_(deny="database/extra")
    assert (await life.run()).failed
    assert (await life.status()).get("orphans", []) == []
    life.server.break_(deny=None)
    assert (await life.run()).reason == "AtSetpoint", life.error
    assert set(life.server.objects()) == {*MANAGED, "database/extra"}

    life.code = BASE + DATABASE + LATE
    life.server.break_(cut="role/late")
    assert (await life.run()).failed
    assert (await life.status())["orphans"] == ["fakepg_role.late"]
    life.server.break_(cut=None)
    assert (await life.run()).reason == "ApprovalRequired"
    life.server.drift("role/late")
    await life.approve()
    assert (await life.run()).reason == "AtSetpoint", life.error
    assert life.server.calls("create").count("role/late") == 2

    gate = tmp_path / "gate"
    life.server.break_(hold=str(gate))
    life.code = BASE + LATE
    passing = asyncio.create_task(life.run())
    await appears(tmp_path / "gate.extra")
    assert (await life.status())["applying"]["change"] == (await life.newest())["metadata"]["name"]
    assert "database/extra" in life.server.objects()
    gate.touch()
    assert (await passing).reason == "AtSetpoint", life.error
    assert set(life.server.objects()) == {*MANAGED, "role/late"}

    await life.reset(first)
    assert (await life.run()).reason == "ApprovalRequired"
    await life.approve()
    assert (await life.run()).reason == "Held", life.error
    assert life.holds() == made
    assert await life.drifts() == QUIET

    await life.cluster.delete(REF)
    assert (await life.run()).reason == "ApprovalRequired"
    await life.approve()
    await life.run()
    with pytest.raises(NotFoundError):
        await life.cluster.get(REF)
    assert life.server.objects() == {}
