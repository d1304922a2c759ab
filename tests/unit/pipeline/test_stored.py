"""The status as it is stored: what is there by now is not written again, and nothing that the pass wrote is undone."""

import asyncio
from typing import Any

import pytest
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.examples import example

from setpoint.api.conditions import Reason
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.v1alpha1.environment import Environment, EnvironmentStatus
from setpoint.domain.audit import AuditEntry, Phase
from setpoint.domain.errors import ConflictError
from setpoint.domain.reading import parse
from setpoint.pipeline.stored import StoredStatus

REF = ObjectRef("Environment", "default", "shop-prod")
ROW = AuditEntry("apply", Phase.INTENT, "setpoint", REF, run="run-1")


class CountingCluster(InMemoryCluster):
    """Counts reads and writes of statuses; the writes of a status wait while `gate` is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.refuses = False

    async def get(self, ref: ObjectRef) -> JsonObject:
        self.calls.append("get")
        return await super().get(ref)

    async def update_status(self, obj: JsonObject, **more: Any) -> JsonObject:
        self.calls.append("write")
        await self.gate.wait()
        if self.refuses:
            raise ConflictError("no")
        return await super().update_status(obj, **more)


@pytest.fixture
async def cluster() -> CountingCluster:
    made = CountingCluster()
    await made.add(example("Environment", name=REF.name))
    return made


@pytest.fixture
async def stored(cluster: CountingCluster) -> StoredStatus:
    made = StoredStatus(cluster, parse(Environment, await cluster.get(REF)))
    cluster.calls.clear()
    return made


def status(**fields: Any) -> EnvironmentStatus:
    return EnvironmentStatus(**fields)


async def found(cluster: CountingCluster) -> EnvironmentStatus:
    return parse(Environment, await InMemoryCluster.get(cluster, REF)).status


async def test_the_first_write_needs_no_look_and_the_same_again_is_none(cluster, stored) -> None:
    await stored.write(status(attempts=1))
    await stored.write(status(attempts=1))
    assert cluster.calls == ["write"]
    await stored.write(status(attempts=2))
    assert cluster.calls == ["write", "get", "write"]


async def test_a_row_is_written_even_where_the_status_is_as_it_was(cluster, stored) -> None:
    await stored.write(status(attempts=1))
    await stored.write(status(attempts=1), audit=(ROW,))
    assert cluster.audit == [ROW]


async def test_what_is_shown_beside_the_pass_keeps_what_the_pass_wrote(cluster, stored) -> None:
    """An apply is announced while the wait is being shown: the announcement is not taken back."""
    cluster.gate.clear()
    announced = asyncio.create_task(stored.write(status(attempts=7, change="shop-prod-1"), audit=(ROW,)))
    await asyncio.sleep(0)
    shown = asyncio.create_task(
        stored.amend(lambda target: target.status.model_copy(update={"warnings": [Reason.PROVIDER_SILENT.value]}))
    )
    await asyncio.sleep(0)
    cluster.gate.set()
    await asyncio.gather(announced, shown)
    assert await found(cluster) == status(attempts=7, change="shop-prod-1", warnings=[Reason.PROVIDER_SILENT.value])


async def test_after_a_write_that_failed_nothing_is_taken_for_stored(cluster, stored) -> None:
    cluster.refuses = True
    with pytest.raises(ConflictError):
        await stored.write(status(attempts=1))
    cluster.refuses = False
    await stored.amend(lambda target: target.status.model_copy(update={"attempts": 9}))
    assert (await found(cluster)).attempts == 0, "it is not known what would be amended"
    await stored.write(status(attempts=1))
    assert (await found(cluster)).attempts == 1
