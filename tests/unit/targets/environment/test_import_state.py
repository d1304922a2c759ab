"""The adoption of a state: what is adopted, and what stands in the way."""

import datetime as dt
import json

import pytest
from tests.fakes.home import MemoryBackends

from setpoint.adapters.store.state_versions import StateLock
from setpoint.api.meta import ObjectRef
from setpoint.domain.errors import ConflictError
from setpoint.domain.freshness import LastObservation
from setpoint.targets.environment.import_state import import_state

SHOP = ObjectRef("Environment", "default", "shop")
STATE = json.dumps(
    {"version": 4, "serial": 7, "lineage": "lineage-1", "terraform_version": "1.11.4", "resources": []}
).encode()
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


async def test_a_state_is_adopted__as_version_1__and_earlier_looks_are_forgotten() -> None:
    backends = MemoryBackends()
    await backends.observations.record(SHOP.key, LastObservation("inputs", NOW))
    answer = await import_state(backends, SHOP, "ada", data=STATE)
    assert answer.value == {
        "version": 1, "serial": 7, "lineage": "lineage-1", "terraformVersion": "1.11.4", "resources": 0
    }  # fmt: skip
    assert "terraform.workspace" in answer.note
    assert await backends.states.read(SHOP.key) == STATE
    assert await backends.observations.of([SHOP.key]) == {}


async def test_a_state_is_managed_already__none_is_adopted() -> None:
    backends = MemoryBackends()
    await import_state(backends, SHOP, "ada", data=STATE)
    with pytest.raises(ConflictError, match="a reset brings an earlier one back"):
        await import_state(backends, SHOP, "ada", data=STATE)


async def test_a_run_holds_the_lock__none_is_adopted() -> None:
    backends = MemoryBackends()
    await backends.locks.acquire(StateLock(SHOP.key, "id-1", "run-1", "{}"))
    with pytest.raises(ConflictError, match="locked by a run"):
        await import_state(backends, SHOP, "ada", data=STATE)
    assert await backends.states.head(SHOP.key) is None
