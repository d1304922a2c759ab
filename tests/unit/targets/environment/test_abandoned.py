"""A run that another machine began is waited for, and settled once it can go on no more."""

import pytest
from tests.fakes.store import memory_stores
from tests.fakes.terraform import FakeTerraform

from setpoint.adapters.store.state_versions import StateLock
from setpoint.api.meta import ObjectRef
from setpoint.domain.model import Result, Run
from setpoint.domain.scrubbing import NO_SECRETS, Scrubber
from setpoint.targets.environment.abandoned import AbandonedRuns
from setpoint.targets.environment.ports import AbandonedRun

SHOP, WEB = (ObjectRef("Environment", "default", name) for name in ("shop", "web"))


async def sight(_target: ObjectRef) -> Scrubber:
    return NO_SECRETS


@pytest.fixture
def terraform() -> FakeTerraform:
    return FakeTerraform()


async def test_a_run_of_another_machine_is_in_doubt_until_it_can_go_on_no_more(terraform: FakeTerraform) -> None:
    stores, now = memory_stores(), 100.0
    abandoned = AbandonedRuns(terraform, stores.states, stores.locks, sight, lingering=20.0, seconds=lambda: now)
    lock = StateLock(WEB.key, "lock-1", "run-1", "{}")
    await stores.locks.acquire(lock)
    terraform.abandoned = (AbandonedRun(SHOP.key, "run-2", "apply", (), ()),)
    runs = await abandoned.find()
    assert set(runs) == {Run("run-1", WEB), Run("run-2", SHOP)}
    assert set(await abandoned.recover(runs)) == {"run-2"}
    now = 119.9
    assert set(await abandoned.recover(runs)) == {"run-2"}
    assert await stores.locks.held() == (lock,)
    now = 120.0
    outcomes = await abandoned.recover(runs)
    assert {run: outcome.result for run, outcome in outcomes.items()} == dict.fromkeys(
        ("run-1", "run-2"), Result.INTERRUPTED
    )
    await abandoned.recorded(runs)
    assert await stores.locks.held() == ()
    assert terraform.forgotten == ["run-2"], "of the other there is nothing here to forget"
