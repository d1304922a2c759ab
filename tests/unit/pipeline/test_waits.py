"""A pass that waits for an answer says so while it waits, once."""

import asyncio

import pytest
from tests.fakes.reconciling import REF, Bench

from setpoint.api.conditions import Reason
from setpoint.domain.errors import ConflictError, TransientError
from setpoint.domain.model import ResourceProgress
from setpoint.runtime.requests import Request


def wait(seconds: float, address: str = "aws_x.y") -> ResourceProgress:
    return ResourceProgress(address, "read", "waiting", seconds)


@pytest.fixture
async def bench():
    made = Bench()
    await made.declare({"a": "1"}, apply={"mode": "Auto"})
    await made.reconciler.reconcile(Request(REF))
    made.recorder.events.clear()
    return made


def statuses(bench: Bench) -> list[dict]:
    """The statuses that are written from now on."""
    written, update = [], bench.cluster.update_status

    async def noting(obj, **more):
        written.append({one["type"]: one for one in obj["status"]["conditions"]})
        return await update(obj, **more)

    bench.cluster.update_status = noting
    return written


async def test_a_long_wait_is_an_event_and_a_condition_and_gone_with_the_pass(bench):
    before, written = await bench.status(), statuses(bench)
    bench.world.waits = (wait(30), wait(60), wait(90))
    await bench.reconciler.reconcile(Request(REF))
    assert bench.recorder.events == [("Warning", "ProviderSilent", "waiting for aws_x.y for 60 s")]
    meanwhile, end = written
    assert meanwhile["Reconciling"]["reason"] == Reason.PROVIDER_SILENT
    assert meanwhile["Reconciling"]["message"] == "waiting for aws_x.y for 60 s"
    assert meanwhile["Ready"] == end["Ready"]
    assert await bench.status() == before


async def test_a_wait_that_is_shown_after_an_apply_began_does_not_take_its_announcement_back(bench):
    before = (await bench.status())["attempts"]
    await bench.declare({"a": "2"}, apply={"mode": "Auto"})
    stored, update = [], bench.cluster.update_status

    async def noting(obj, **more):
        if obj["kind"] == "Environment":
            stored.append(obj["status"])
        return await update(obj, **more)

    bench.cluster.update_status = noting
    bench.world.verify_waits = (wait(60),)
    await bench.reconciler.reconcile(Request(REF))
    announced, shown, end = stored
    assert announced["attempts"] == before + 1
    assert {name for name in announced if announced[name] != shown[name]} == {"conditions"}
    assert (shown["attempts"], shown["applying"]) == (announced["attempts"], announced["applying"])
    [reconciling] = [one for one in shown["conditions"] if one["type"] == "Reconciling"]
    assert (reconciling["reason"], reconciling["message"]) == ("ProviderSilent", "waiting for aws_x.y for 60 s")
    assert "applying" not in end


async def test_short_waits_and_the_steps_of_an_apply_are_shown_to_nobody(bench):
    written = statuses(bench)
    bench.world.waits = (wait(30), ResourceProgress("a", "create", "started", 100.0))
    await bench.reconciler.reconcile(Request(REF))
    assert (written, bench.recorder.events) == ([], [])


async def test_what_a_pass_that_was_cut_waited_for_stays_in_its_message(bench):
    bench.world.waits = (wait(60),)
    bench.world.fail_observe = TransientError(Reason.TIMED_OUT, "no answer came for aws_x.y")
    with pytest.raises(TransientError):
        await bench.reconciler.reconcile(Request(REF))
    ready = next(one for one in (await bench.status())["conditions"] if one["type"] == "Ready")
    assert (ready["reason"], ready["message"]) == ("TimedOut", "no answer came for aws_x.y")


async def test_a_status_that_can_not_be_written_stops_no_pass(bench, caplog):
    update = bench.cluster.update_status

    async def refusing(obj, **more):
        reasons = {one["reason"] for one in obj["status"]["conditions"]}
        if Reason.PROVIDER_SILENT in reasons:
            raise ConflictError("somebody else wrote")
        return await update(obj, **more)

    bench.cluster.update_status = refusing
    bench.world.waits = (wait(60),)
    await bench.reconciler.reconcile(Request(REF))
    await asyncio.sleep(0)
    assert "could not be shown: somebody else wrote" in caplog.text
