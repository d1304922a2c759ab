"""Operators of two versions over one cluster and one store, as while an upgrade rolls out, and as it is rolled back.

The newer one is this one with one more field in the spec, one more in the status, and where said one more migration.
"""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.apiserver import NAMESPACE, Cluster
from tests.cluster.operators import Operator, People, environment, until
from tests.cluster.replicas import Replicas

from setpoint.adapters.store.schema import HEAD

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(300)

MIGRATION = '''"""A table that the older version does not know."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    op.create_table("weather", sa.Column("id", sa.BigInteger(), primary_key=True))
'''


RECORDED = """

from pydantic import model_validator
@model_validator(mode="before")
@classmethod
def _locate(cls, given):
    return given if "seal" in given else {**given, "zone": "here"}
"""
"""The zone of what the newer version makes; a record that it reads has a seal, and stays as it is."""


class Newer(ast.NodeTransformer):
    """Edits modules by what their classes and constants are called, wherever these stand."""

    def __init__(self, *, fields: dict[str, str], constants: dict[str, str]) -> None:
        self._fields, self._constants = fields, constants
        self.edited: list[str] = []

    def edit(self, package: Path) -> None:
        """Fails where something to edit isn't there, or is there twice."""
        names = {*self._fields, *self._constants}
        for file in package.rglob("*.py"):
            text, before = file.read_text(), len(self.edited)
            if not any(name in text for name in names):
                continue
            tree = self.visit(ast.parse(text))
            if len(self.edited) > before:
                file.write_text(ast.unparse(ast.fix_missing_locations(tree)))
        assert sorted(self.edited) == sorted(names)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        if node.name in self._fields:
            self.edited.append(node.name)
            node.body += ast.parse(self._fields[node.name]).body
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id in self._constants:
                self.edited.append(target.id)
                node.value = ast.Constant(self._constants[target.id])
        return self.generic_visit(node)


def newer(folder: Path, *, migrates: bool) -> Path:
    """A newer Setpoint; the folder to have on PYTHONPATH."""
    package = folder / "setpoint"
    shutil.copytree(ROOT / "operator" / "setpoint", package, ignore=shutil.ignore_patterns("__pycache__"))
    field = '{name}: str = Field(default="{value}", description="New.")'
    constants = {"__version__": "99.0.0"}
    if migrates:
        constants["HEAD"] = "9999"
        migrations = package / "adapters" / "store" / "migrations" / "versions"
        (migrations / "v9999_weather.py").write_text(MIGRATION.format(head=HEAD))
    Newer(
        fields={
            "EnvironmentSpec": field.format(name="colour", value=""),
            "TargetStatus": field.format(name="weather", value="fine"),
            "EnvironmentApplied": field.format(name="zone", value="") + RECORDED,
        },
        constants=constants,
    ).edit(package)
    return folder


def newer_crd() -> str:
    """The definition of Environments as the newer version ships it."""
    found = yaml.safe_load((ROOT / "crds" / "setpoint.dev_environments.yaml").read_text())
    properties = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    properties["spec"]["properties"]["colour"] = {"type": "string"}
    status = properties["status"]["properties"]
    status["weather"] = {"type": "string"}
    for name in ("applied", "applying"):
        status[name]["properties"]["zone"] = {"type": "string"}
    return yaml.safe_dump(found)


class Versions(Replicas):
    """The first is of today's version, the second of a newer one."""

    def __init__(self, cluster: Cluster, folder: Path, store: str, *, migrates: bool) -> None:
        path = newer(folder / "newer", migrates=migrates)
        super().__init__(cluster, folder, store, paths=("", str(path)))
        self.older, self.newer = self.all


@pytest.fixture
def versions(
    cluster: Cluster, crds: None, postgres_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Versions]:
    cluster.kubectl("create", "namespace", NAMESPACE, check=False)
    made = Versions(cluster, tmp_path, postgres_url, migrates=request.param)
    try:
        yield made
    finally:
        made.close()
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))


@pytest.fixture
def people(cluster: Cluster, namespace: str, versions: Versions) -> People:
    return People(cluster, namespace)


def lead(versions: Versions, operator: Operator) -> None:
    """Starts it where it does not run; it leads."""
    if not operator.process.running:
        operator.process.start()
        operator.process.wait_ready()
    until(lambda: versions.holder() == operator.name)


def roll_out(people: People, value: int, **spec: str) -> None:
    """Brings the environment to another setpoint."""
    people.apply(environment("shop", f'resource "terraform_data" "a" {{ input = {value} }}', **spec))
    generation = people.get("environment", "shop")["metadata"]["generation"]
    until(lambda: people.get("environment", "shop").get("status", {}).get("observedGeneration") == generation)
    people.approve("shop")
    people.until_reason("shop", "AtSetpoint")


def looked_at(people: People) -> dict[str, Any]:
    """The environment's status after one more look at it. What nobody had sealed would be recorded anew."""
    before = people.get("environment", "shop")["status"].get("handledReconcile")
    people.setpoint("reconcile", "environment/shop", "-n", people.namespace)
    until(lambda: people.get("environment", "shop")["status"].get("handledReconcile") != before)
    return dict(people.get("environment", "shop")["status"])


@pytest.mark.parametrize("versions", [True], ids=["migrates"], indirect=True)
def test_an_upgrade_rolls_out_and_can_not_be_rolled_back_past_its_migration(versions: Versions, people: People) -> None:
    lead(versions, versions.older)
    roll_out(people, 1)
    people.cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=newer_crd())
    versions.newer.process.start()
    versions.newer.process.wait_ready()
    roll_out(people, 2)
    assert versions.holder() == "replica-0", "the older one worked on the store that the newer one migrated"

    versions.older.process.stop()
    lead(versions, versions.newer)
    roll_out(people, 3, colour="red")
    assert people.get("environment", "shop")["status"]["weather"] == "fine"

    versions.older.process.start()
    with pytest.raises(RuntimeError, match="written by a newer Setpoint"):
        versions.older.process.wait_ready()
    people.until_reason("shop", "AtSetpoint")


@pytest.mark.parametrize("versions", [False], ids=["same schema"], indirect=True)
def test_an_older_one_says_what_it_does_not_know_and_drops_nothing(versions: Versions, people: People) -> None:
    people.cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=newer_crd())
    lead(versions, versions.newer)
    roll_out(people, 1)
    applied = people.get("environment", "shop")["status"]["applied"]
    assert applied["zone"] == "here"
    people.apply(environment("painted", colour="red"))
    people.approve("painted")
    people.until_reason("painted", "AtSetpoint")

    versions.newer.process.stop()
    lead(versions, versions.older)
    assert looked_at(people)["applied"] == applied
    roll_out(people, 2)
    applied = people.get("environment", "shop")["status"]["applied"]
    assert people.get("environment", "shop")["status"]["weather"] == "fine"
    people.until_reason("painted", "InvalidSpec")
    status = people.get("environment", "painted")["status"]
    assert (status["weather"], status["applied"]["zone"]) == ("fine", "here")
    assert "colour" in people.condition("painted")["message"]
    assert people.get("environment", "painted")["spec"]["colour"] == "red"

    versions.older.process.stop()
    lead(versions, versions.newer)
    people.until_reason("painted", "AtSetpoint")
    assert looked_at(people)["applied"]["seal"] == applied["seal"], "each takes the other's seal for what it is"
