"""The one exit of a pass: whatever the store does, somebody hears how the target is."""

import pytest
from tests.fakes.reconciling import REF, Bench

from setpoint.api.meta import JsonObject
from setpoint.domain.errors import StoreError

FULL = StoreError("STATE_AUDIT.db: the disk is full")


async def test_a_store_that_fails_is_named_by_its_reason() -> None:
    bench = Bench()
    await bench.declare({"a": "1"})
    bench.world.fail_observe = FULL
    await bench.run()
    assert await bench.condition("Ready") == ("Unknown", "StoreFailed")
    assert await bench.condition("Reconciling") == ("True", "ProgressingWithRetry")
    assert FULL.message in str(await bench.status())


async def test_a_pass_whose_status_can_not_be_written_is_reported_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    await bench.declare({"a": "1"})

    async def refuse(obj: JsonObject, **_: object) -> JsonObject:
        raise FULL

    monkeypatch.setattr(bench.cluster, "update_status", refuse)
    await bench.run_silently()
    assert isinstance(bench.error, StoreError)
    (report,) = bench.reports
    assert (report.ref, report.failed) == (REF, True)


async def test_a_pass_that_applies_nothing_reads_its_object_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    await bench.declare({"a": "1"}, suspend=True)
    await bench.run()
    await bench.declare({"a": "2"}, suspend=True)
    read = bench.cluster.get
    reads: list[object] = []

    async def counted(ref: object) -> JsonObject:
        reads.append(ref)
        return await read(ref)

    monkeypatch.setattr(bench.cluster, "get", counted)
    await bench.run()
    monkeypatch.undo()
    assert reads == [REF]
    assert (await bench.status())["observedGeneration"] == 2
