"""Attack: two Changes of one name, of which the harmless one is approved. Nothing that was not approved is applied.

Names are cut to so few digits here that a collision is found at once; with all 32 of them it takes 2^64 hashes.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.collide import NONCE, ZERO, Seen, collide
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.reconciling import Bench
from tests.fakes.target import FakeDriver

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.audit import Phase
from setpoint.pipeline import changes

# --- Over fakes: at which moment the name is taken ----------------------------------------------------------------


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(changes, "child_name", lambda target, _infix, digest: f"{target}-{digest[7:8]}")
    return Bench()


async def propose_until_names_meet(bench: Bench, **spec: Any) -> None:
    """Proposes one configuration after another: of seventeen, two have one name of a single digit."""
    for number in range(17):
        await bench.declare({"a": str(number)}, **spec)
        if (await bench.run()).reason == "NameTaken":
            return
    raise AssertionError("seventeen Changes have sixteen names")


async def approve_all(bench: Bench) -> None:
    for change in await bench.changes():
        await bench.approve_change(change, "ada")


async def test_another_change_of_the_name_is_not_decided_on(bench: Bench) -> None:
    await propose_until_names_meet(bench)
    await approve_all(bench)
    before = await bench.changes()
    report = await bench.run()
    assert (report.reason, report.stalled) == ("NameTaken", True)
    assert bench.world.applies == 0
    assert await bench.changes() == before, "nothing is written over"


async def test_automatic_changes_are_stopped_by_it_too(bench: Bench) -> None:
    await bench.declare({"a": "first"}, apply={"mode": "Auto"})
    await bench.run()
    applies = bench.world.applies
    for number in range(64):
        await bench.declare({"a": str(number)}, apply={"mode": "Auto"})
        if (await bench.run()).reason == "NameTaken":
            break
        applies += 1
    assert bench.world.applies == applies
    assert bench.world.actual != {"a": str(number)}


async def test_the_next_spec_goes_on(bench: Bench) -> None:
    await propose_until_names_meet(bench)
    for number in range(100, 200):
        await bench.declare({"a": str(number)})
        if (await bench.run()).reason == "ApprovalRequired":
            break
    await bench.approve()
    assert (await bench.run()).reason == "AtSetpoint"
    assert bench.world.actual == {"a": str(number)}


NEVER = 1000


class Swapping(InMemoryCluster):
    """Shows another Change under the name of the one that was approved, from the nth time that it is read."""

    def __init__(self, inner: InMemoryCluster, nth: int, changes: dict[str, Any]) -> None:
        self.__dict__ = inner.__dict__
        self._left, self._changes = nth, changes

    async def get(self, ref: ObjectRef) -> JsonObject:
        found = await super().get(ref)
        if ref.kind != "Change":
            return found
        self._left -= 1
        return found if self._left > 0 else {**found, "spec": {**found["spec"], **self._changes}}


@pytest.mark.parametrize("nth", [1, 2, 3, NEVER])
@pytest.mark.parametrize(
    "swapped",
    [
        pytest.param({"subject": "sha256:" + "0" * 64}, id="another subject"),
        pytest.param({"summary": {"text": "+0 ~0 -0"}}, id="another summary under the same subject"),
    ],
)
async def test_one_that_is_swapped_is_applied_as_what_it_was_or_not_at_all(nth: int, swapped: dict[str, Any]) -> None:
    bench = Bench()
    await bench.declare({"a": "1"})
    await bench.run()
    await bench.approve()
    (change,) = await bench.changes()
    cluster = Swapping(bench.cluster, nth, swapped)
    bench.reconciler = bench.make_reconciler(cluster, FakeDriver(bench.world))
    await bench.run_silently()
    intents = [entry for entry in bench.cluster.audit if (entry.action, entry.phase) == ("apply", Phase.INTENT)]
    assert bench.world.applies == (nth == NEVER)
    assert [entry.digests["subject"] for entry in intents] == [change["spec"]["subject"]] * bench.world.applies


# --- A real home --------------------------------------------------------------------------------------------------

DIGITS = 4
HARMLESS = """
variable "greeting" { type = string }
resource "terraform_data" "hello" { input = var.greeting }
"""
HOSTILE = """
resource "terraform_data" "evil" {
  provisioner "local-exec" { command = "echo pwned > PLACE" }
}
"""
SHORT_NAMES = (
    f"from setpoint.pipeline import names; names.DIGITS = {DIGITS}; from setpoint.cli.main import main; main()"
)


class Home:
    """A home whose Changes have short names, and the commands that its people type."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.proof = root.parent / "PWNED"
        self.evil = HARMLESS + HOSTILE.replace("PLACE", str(self.proof))
        (root / "infra").mkdir(parents=True)
        spec = {"stage": "prod", "source": {"path": "./infra"}, "variables": {"greeting": "hello"}}
        manifest = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Environment", "metadata": {"name": "hello"}}
        (root / "hello.yaml").write_text(json.dumps({**manifest, "spec": spec}))

    def write(self, code: str, nonce: str) -> None:
        (self.root / "infra" / "main.tf").write_text(code)
        (self.root / "infra" / NONCE).write_text(nonce)

    def setpoint(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "SETPOINT_HOME": str(self.root)}
        command = [sys.executable, "-c", SHORT_NAMES, *words]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)

    def up(self) -> dict[str, Any]:
        """One run; how it left the environment."""
        ended = self.setpoint("up", str(self.root), "--once", "-o", "json")
        (target,) = json.loads(ended.stdout)["targets"]
        return target

    def see(self, *codes: str) -> list[Seen]:
        """Has the home plan each of these codes, and takes what it shows of them."""
        changes = [self._plan(code) for code in codes]
        listed = json.loads(self.setpoint("get", "changes,snapshots,environments", "-o", "json").stdout)["items"]
        objects = {(one["kind"], one["metadata"]["name"]): one for one in listed}
        key = self.root / ".setpoint" / "keys" / "blobs.key"
        seen = []
        for code, name in zip(codes, changes, strict=True):
            change = objects["Change", name]
            snapshot = objects["Snapshot", change["spec"]["snapshotRef"]]
            seen.append(Seen({"main.tf": code}, change, snapshot, objects["Environment", "hello"], key))
        return seen

    def _plan(self, code: str) -> str:
        self.write(code, ZERO)
        return self.up()["change"]


def test_a_bundle_that_was_swapped_for_one_of_the_same_name_is_not_applied(tmp_path: Path) -> None:
    home = Home(tmp_path / "victim")
    harmless, hostile = collide(*home.see(HARMLESS, home.evil), DIGITS)

    home.write(HARMLESS, harmless)
    proposed = home.up()
    assert proposed["reason"] == "ApprovalRequired"
    home.write(home.evil, hostile)
    swapped = home.up()
    assert (swapped["reason"], swapped["state"]) == ("NameTaken", "failed")
    assert proposed["change"] in swapped["message"]
    assert home.setpoint("approve", proposed["change"]).returncode == 0
    assert home.up()["reason"] == "NameTaken"
    assert not home.proof.exists()

    home.write(HARMLESS, harmless)
    assert home.up()["reason"] == "AtSetpoint", "what was approved is what is applied"
    assert not home.proof.exists()
    assert home.setpoint("audit", "verify").returncode == 0
