"""The work of a starting manager on an earlier one's leavings."""

import dataclasses
from typing import Any

import pytest
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.reconciling import FakeClock
from tests.fakes.store import Stores, memory_stores, state_file, state_of
from tests.fakes.target import FakeDriver, World
from tests.fakes.terraform import FakeTerraform, driver_over

from setpoint.adapters.store.state_versions import StateLock
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.audit import AuditEntry, Phase
from setpoint.domain.errors import InvalidError, NotFoundError, SetpointError
from setpoint.domain.model import Run
from setpoint.pipeline.changes import ChangeRegister
from setpoint.pipeline.recovery import Recovery
from setpoint.ports import TargetDriver
from setpoint.targets.environment.plan.orphans import Creation
from setpoint.targets.environment.ports import AbandonedRun

REF = ObjectRef("Environment", "default", "web")
CHANGE = ObjectRef("Change", "default", "web-0000000000")
SUBJECT = "sha256:" + "5" * 64


@dataclasses.dataclass
class Morning:
    """A home whose manager was killed during the apply of run-1."""

    cluster: InMemoryCluster
    stores: Stores
    terraform: FakeTerraform

    def recovery(self, driver: TargetDriver | None = None, *, lingering: float = 0.0) -> Recovery:
        changes = ChangeRegister(self.cluster, FakeClock())
        drivers = [driver or driver_over(self.cluster, self.stores, self.terraform, lingering=lingering)]
        return Recovery(cluster=self.cluster, audit=self.stores.trail, changes=changes, drivers=drivers)

    async def recover(self) -> None:
        await self.recovery().run()

    async def applied(self) -> dict[str, Any]:
        """The Change's word on its apply."""
        conditions = (await self.cluster.get(CHANGE))["status"]["conditions"]
        (found,) = (one for one in conditions if one["type"] == "Applied")
        return found


@pytest.fixture
async def morning() -> Morning:
    cluster, stores = InMemoryCluster(), memory_stores()
    metadata = {"name": REF.name, "namespace": REF.namespace}
    spec = {"stage": "dev", "source": {"path": "./infra"}}
    head = {"apiVersion": "setpoint.dev/v1alpha1"}
    await cluster.create({**head, "kind": "Environment", "metadata": metadata, "spec": spec})
    await cluster.create({**head, "kind": "Change", "metadata": {**metadata, "name": CHANGE.name}, "spec": _change()})
    digests = {"subject": SUBJECT}
    await stores.trail.append(AuditEntry("apply", Phase.INTENT, "setpoint", REF, run="run-1", digests=digests))
    await stores.locks.acquire(StateLock(REF.key, "lock-1", "run-1", "{}"))
    return Morning(cluster, stores, FakeTerraform())


def _change() -> dict[str, Any]:
    digest = "sha256:" + "1" * 64
    return {
        "targetRef": {"kind": "Environment", "name": REF.name},
        "cause": "SpecChanged",
        "digest": digest,
        "subject": SUBJECT,
        "environment": {"bundle": digest, "stateVersion": 0},
        "generation": 1,
        "summary": {
            "text": "+2 ~1 -1",
            "create": 1,
            "replace": 1,
            "update": 1,
            "actions": [
                {"address": "t.replaced", "action": "replace"},
                {"address": "t.updated", "action": "update"},
                {"address": "t.made", "action": "create"},
            ],
        },
        "snapshotRef": "web-snap-0000000000",
        "resetPlan": {"digest": digest, "drill": "NotDrillable"},
    }


def abandoned(errored: bytes | None) -> AbandonedRun:
    created = (Creation("terraform_data.r0"), Creation("terraform_data.r1"))
    return AbandonedRun(REF.key, "run-1", "apply", created, ("terraform_data.r0",), errored, base=0)


async def test_the_intent_is_closed_and_what_was_made_is_told(morning: Morning) -> None:
    morning.terraform.errored = state_file(4)
    morning.terraform.abandoned = (abandoned(morning.terraform.errored),)
    await morning.recover()
    assert (await morning.stores.states.head(REF.key)).serial == 4
    assert await morning.stores.trail.open_intents() == ()
    assert await morning.stores.locks.held() == ()
    assert morning.terraform.forgotten == ["run-1"]
    assert (await morning.applied())["message"] == "the manager ended before the apply did"
    status = (await morning.cluster.get(REF))["status"]
    assert (status["orphans"], status["failures"]) == (["terraform_data.r1"], 1)


async def test_a_state_that_is_refused_is_kept_and_the_change_and_the_trail_say_where(morning: Morning) -> None:
    torn = state_file(4)[:-9]
    morning.terraform.errored = torn
    morning.terraform.abandoned = (abandoned(torn),)
    await morning.recover()
    assert morning.terraform.aside == {"run-1": torn}
    assert morning.terraform.forgotten == ["run-1"]
    condition = await morning.applied()
    assert (condition["status"], condition["reason"]) == ("False", "Interrupted")
    assert "errored/run-1.tfstate" in condition["message"]
    rows = await morning.stores.trail.rows()
    assert rows[-1].entry.phase is Phase.OUTCOME
    assert "errored/run-1.tfstate" in rows[-1].entry.payload["message"]
    assert (await morning.cluster.get(REF))["status"]["orphans"] == ["terraform_data.r0", "terraform_data.r1"]


async def test_the_new_object_of_a_replacement_is_told_though_the_old_one_stands_at_its_address(
    morning: Morning,
) -> None:
    await morning.stores.states.append(REF.key, state_of(1, {"r0": {"id": "old"}, "r1": {"id": "kept"}}), run="run-0")
    begun = (Creation("terraform_data.r0", "new"), Creation("terraform_data.r1"))
    morning.terraform.abandoned = (AbandonedRun(REF.key, "run-1", "apply", begun, ("terraform_data.r0",), base=1),)
    await morning.recover()
    orphans = ["terraform_data.r0 (id=new)", "terraform_data.r1 (new object)"]
    assert (await morning.cluster.get(REF))["status"]["orphans"] == orphans
    assert (await morning.cluster.get(CHANGE))["status"]["orphans"] == orphans


async def test_a_replacement_that_its_own_run_has_saved_is_not_told(morning: Morning) -> None:
    await morning.stores.states.append(REF.key, state_of(1, {"r0": {"id": "old"}}), run="run-0")
    await morning.stores.states.append(REF.key, state_of(2, {"r0": {"id": "new"}}), run="run-1")
    begun = (Creation("terraform_data.r0", "new"),)
    morning.terraform.abandoned = (AbandonedRun(REF.key, "run-1", "apply", begun, ("terraform_data.r0",), base=1),)
    await morning.recover()
    assert not (await morning.cluster.get(REF))["status"].get("orphans")


async def test_a_key_that_holds_a_secret_is_not_told(morning: Morning) -> None:
    environment = await morning.cluster.get(REF)
    spec = {**environment["spec"], "variablesFrom": [{"secretRef": {"name": "s"}}]}
    await morning.cluster.update({**environment, "spec": spec})
    metadata = {"name": "s", "namespace": REF.namespace}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"password": "cGE1NXdvcmQ="}}
    await morning.cluster.create(secret)
    begun = (Creation('terraform_data.r["pa55word"]', "pa55word"), Creation('terraform_data.r["plain"]'))
    morning.terraform.abandoned = (AbandonedRun(REF.key, "run-1", "apply", begun, (), base=0),)
    await morning.recover()
    hidden, plain = (await morning.cluster.get(REF))["status"]["orphans"]
    assert hidden.startswith('terraform_data.r["(sensitive)#')
    assert plain == 'terraform_data.r["plain"]'
    rows = await morning.stores.trail.rows()
    assert "pa55word" not in repr([rows, await morning.cluster.get(REF), await morning.cluster.get(CHANGE)])


async def test_a_run_that_left_no_trace_on_this_machine__all_that_it_was_to_make_is_told(morning: Morning) -> None:
    """Its lock, which only its Terraform can have taken, says that it had begun."""
    await morning.recover()
    assert (await morning.cluster.get(REF))["status"]["orphans"] == ["t.made", "t.replaced"]


async def test_after_a_power_cut_what_terraform_said_last_may_be_lost(morning: Morning) -> None:
    morning.terraform.abandoned = (AbandonedRun(REF.key, "run-1", "apply", None, ()),)
    await morning.recover()
    assert (await morning.cluster.get(REF))["status"]["orphans"] == ["t.made", "t.replaced"]


async def test_one_that_never_came_to_lock_the_state_made_nothing(morning: Morning) -> None:
    await morning.stores.locks.release_run("run-1")
    await morning.recover()
    assert not (await morning.cluster.get(REF))["status"].get("orphans")


async def test_done_twice_it_is_done_once(morning: Morning) -> None:
    morning.terraform.abandoned = (abandoned(None),)
    await morning.recover()
    before = await morning.stores.trail.rows()
    morning.terraform.abandoned = ()
    await morning.recover()
    assert await morning.stores.trail.rows() == before


async def test_what_is_anothers_is_left_alone(morning: Morning) -> None:
    await morning.recovery().run(lambda key: key != REF.key)
    assert len(await morning.stores.trail.open_intents()) == 1
    assert len(await morning.stores.locks.held()) == 1
    assert "status" not in await morning.cluster.get(CHANGE)


async def test_a_run_that_is_none_of_this_machines_is_in_doubt_and_left_alone(morning: Morning) -> None:
    lone = Run("run-0", REF)
    await morning.stores.locks.release_run("run-1")
    await morning.stores.locks.acquire(StateLock(REF.key, "lock-0", lone.id, "{}"))
    before = await morning.stores.trail.rows()
    assert await morning.recovery(lingering=60).run() == {REF.key}
    morning.terraform.abandoned = (abandoned(None),)
    assert await morning.recovery(lingering=60).run() == {REF.key}, "by its lock alone"
    assert (await morning.stores.trail.rows(), morning.terraform.forgotten) == (before, [])
    assert "status" not in await morning.cluster.get(CHANGE)
    await morning.stores.locks.release_run(lone.id)
    assert await morning.recovery(lingering=60).run() == frozenset()
    assert await morning.stores.trail.open_intents() == ()


async def test_a_driver_that_can_not_say_how_a_run_ended__keeps_its_target_waiting(morning: Morning) -> None:
    driver = FakeDriver(World(orphans=("t.made",)))
    recovery = morning.recovery(driver)
    assert await recovery.run() == {REF.key}
    assert len(await morning.stores.trail.open_intents()) == 1
    driver.traces["run-1"] = Run("run-1", REF)
    assert await recovery.run() == frozenset()
    assert (await morning.cluster.get(CHANGE))["status"]["orphans"] == ["t.made"]
    assert driver.traces == {}


async def test_the_traces_of_a_run_whose_outcome_is_on_record_go(morning: Morning) -> None:
    await morning.recover()
    rows = await morning.stores.trail.rows()
    driver = FakeDriver(World())
    driver.traces = {run: Run(run, ObjectRef("Environment", "default", run)) for run in ("mine", "others")}
    await morning.recovery(driver).run(lambda key: key.endswith("mine"))
    assert list(driver.traces) == ["others"]
    assert await morning.stores.trail.rows() == rows


@pytest.mark.parametrize("error", [InvalidError("422"), NotFoundError("404")], ids=str)
@pytest.mark.parametrize("kind", ["Change", "Environment"])
async def test_what_takes_no_status__keeps_nobody_from_being_begun(
    morning: Morning, monkeypatch: pytest.MonkeyPatch, kind: str, error: SetpointError
) -> None:
    write = morning.cluster.update_status

    async def refuse(obj: JsonObject, **options: Any) -> JsonObject:
        if obj["kind"] == kind:
            raise error
        return await write(obj, **options)

    monkeypatch.setattr(morning.cluster, "update_status", refuse)
    await morning.recover()
    assert await morning.stores.trail.open_intents() == ()
    assert await morning.stores.locks.held() == ()
