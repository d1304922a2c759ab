"""The one exit of a pass: whatever the store does, somebody hears how the target is."""

import pytest
from tests.fakes.reconciling import REF, Bench
from tests.fakes.target import FakeSession

from setpoint.api.meta import JsonObject
from setpoint.domain.errors import LostBlobError, StoreError

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


async def test_bytes_that_are_lost_stall_the_target_and_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    await bench.declare({"a": "1"}, apply={"mode": "Auto"})
    lost = LostBlobError.gone("version 3 of the state", "sha256:abc")

    async def observe(_session):
        raise lost

    monkeypatch.setattr(FakeSession, "observe", observe)
    report = await bench.run()
    assert (report.ready, report.reason, report.stalled) == ("False", "BlobLost", True)
    assert "sha256:abc, which is gone: put it back from a backup" in report.message
