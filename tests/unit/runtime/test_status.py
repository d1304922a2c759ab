"""Writing a status: over whoever writes something else meanwhile, and not at all where nothing changes."""

import pytest
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.examples import example

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.audit import AuditEntry, Phase
from setpoint.domain.errors import ConflictError, NotFoundError
from setpoint.runtime.status import write_status

REF = ObjectRef("Environment", "default", "shop-prod")
STATUS = {"observedGeneration": 7}
ENTRY = AuditEntry("apply", Phase.INTENT, "setpoint", REF, run="run-1")


class BusyCluster(InMemoryCluster):
    """Somebody annotates the object between read and write, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def get(self, ref: ObjectRef) -> JsonObject:
        found = await super().get(ref)
        if self.times:
            self.times -= 1
            await self.annotate(ref, {"moved": str(self.times)})
        return found


@pytest.mark.parametrize("times", [0, 1, 4])
async def test_it_is_written_whoever_writes_meanwhile(times: int) -> None:
    cluster = BusyCluster(times)
    await cluster.add(example("Environment"))
    await write_status(cluster, REF, STATUS, audit=(ENTRY,))
    found = await cluster.get(REF)
    assert found["status"] == STATUS
    assert cluster.audit == [ENTRY]
    assert found["metadata"].get("annotations", {}) == ({"moved": "0"} if times else {})


async def test_it_gives_up_on_an_object_that_never_rests() -> None:
    cluster = BusyCluster(1000)
    await cluster.add(example("Environment"))
    with pytest.raises(ConflictError):
        await write_status(cluster, REF, STATUS, audit=(ENTRY,))
    assert "status" not in await cluster.get(REF)
    assert cluster.audit == []


async def test_the_same_status_again_is_no_write(cluster: InMemoryCluster) -> None:
    await cluster.add(example("Environment", status=STATUS))
    writes = cluster.writes
    await write_status(cluster, REF, dict(STATUS))
    assert cluster.writes == writes


async def test_an_entry_is_recorded_whatever_the_status_was(cluster: InMemoryCluster) -> None:
    await cluster.add(example("Environment", status=STATUS))
    await write_status(cluster, REF, dict(STATUS), audit=(ENTRY,))
    assert cluster.audit == [ENTRY]


async def test_there_is_none_to_write(cluster: InMemoryCluster) -> None:
    with pytest.raises(NotFoundError):
        await write_status(cluster, REF, STATUS, audit=(ENTRY,))
    assert cluster.audit == []


class CountingCluster(InMemoryCluster):
    """Counts reads."""

    reads = 0

    async def get(self, ref: ObjectRef) -> JsonObject:
        self.reads += 1
        return await super().get(ref)


@pytest.mark.parametrize(("moved", "reads"), [pytest.param(False, 0, id="still"), pytest.param(True, 1, id="moved")])
async def test_what_was_seen_is_read_again_only_where_it_moved(moved: bool, reads: int) -> None:
    cluster = CountingCluster()
    await cluster.add(example("Environment"))
    seen = await cluster.get(REF)
    if moved:
        await cluster.annotate(REF, {"moved": "since"})
    cluster.reads = 0
    await write_status(cluster, REF, STATUS, seen=seen)
    assert cluster.reads == reads
    found = await cluster.get(REF)
    assert found["status"] == STATUS
    assert found["metadata"].get("annotations", {}) == ({"moved": "since"} if moved else {})
