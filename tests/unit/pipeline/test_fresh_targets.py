"""Targets that a new leader leaves out, since one before it observed them, and those that it observes all the same."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.examples import condition
from tests.fakes.reconciling import REF, Bench

from setpoint.api.meta import JsonObject, ObjectMeta
from setpoint.domain import freshness
from setpoint.domain.errors import StoreError
from setpoint.domain.freshness import inputs_of
from setpoint.pipeline.target_metrics import TargetMetrics
from setpoint.runtime.metrics import Metrics

INTERVAL = dt.timedelta(minutes=10)


async def at_setpoint(**spec: Any) -> Bench:
    """A target that was observed once and is where it is to be."""
    bench = Bench()
    await bench.declare({"a": "1"}, apply={"mode": "Auto"}, **spec)
    for _ in range(3):
        await bench.run()
    assert bench.reports[-1].reason == "AtSetpoint"
    return bench


async def fresh_for(bench: Bench, change: Callable[[JsonObject], object] = lambda _: None) -> dt.timedelta | None:
    """How long the target, listed with a change in it, is fresh for a process that begins now; None for not at all."""
    listed = await bench.cluster.get(REF)
    change(listed)
    fresh = await bench.make_fresh_targets(TargetMetrics(Metrics())).among([listed])
    return fresh.get(REF)


async def test_it_is_fresh_until_it_is_due() -> None:
    bench = await at_setpoint()
    assert await fresh_for(bench) == INTERVAL
    bench.clock.instant += dt.timedelta(minutes=4)
    assert await fresh_for(bench) == dt.timedelta(minutes=6)
    bench.clock.instant += dt.timedelta(minutes=6)
    assert await fresh_for(bench) is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda obj: obj["metadata"].update(generation=99), id="another spec"),
        pytest.param(lambda obj: obj["metadata"].update(uid="another"), id="another of the same name"),
        pytest.param(lambda obj: obj["metadata"].update(annotations={"note": "x"}), id="an annotation"),
        pytest.param(
            lambda obj: obj["metadata"].update(annotations={"setpoint.dev/reconcile": "now"}), id="a request for a run"
        ),
        pytest.param(lambda obj: obj["metadata"].update(finalizers=[]), id="no finalizer"),
        pytest.param(lambda obj: obj["metadata"].update(deletionTimestamp="2026-01-01T00:00:00Z"), id="deleted"),
        pytest.param(lambda obj: obj["status"].update(change="web-0123456789"), id="a change that waits"),
        pytest.param(lambda obj: obj["status"].update(failures=1), id="an apply that failed"),
        pytest.param(lambda obj: obj["status"].update(applying=obj["status"]["applied"]), id="an apply cut short"),
        pytest.param(
            lambda obj: obj["status"].update(
                hold={"reason": "Reset", "since": "2026-01-01T00:00:00Z", "generation": 1}
            ),
            id="held",
        ),
        pytest.param(
            lambda obj: obj["status"].update(conditions=[condition("Ready", "False", "DriftDetected")]), id="drifted"
        ),
        pytest.param(
            lambda obj: obj["status"].update(conditions=[condition("Ready", "True", "Progressing")]), id="not there yet"
        ),
        pytest.param(lambda obj: obj["status"].update(conditions=[]), id="no condition"),
        pytest.param(lambda obj: obj.pop("status"), id="no status"),
        pytest.param(lambda obj: obj["spec"].update(stage=7), id="unreadable"),
        pytest.param(lambda obj: obj["spec"].update(suspend=True), id="suspended without saying so"),
    ],
)
async def test_what_moved_is_looked_at(change: Callable[[JsonObject], object]) -> None:
    assert await fresh_for(await at_setpoint(), change) is None


@pytest.mark.parametrize(
    ("before", "after", "fresh"),
    [
        pytest.param({"s": "1"}, {"s": "1"}, True, id="as it was"),
        pytest.param({"s": "1"}, {"s": "2"}, False, id="moved"),
        pytest.param({"s": "1"}, {"s": ""}, False, id="gone"),
        pytest.param({"s": "1"}, {"t": "1"}, False, id="another"),
        pytest.param(None, {"s": "1"}, False, id="not known at the look"),
        pytest.param({"s": "1"}, None, False, id="not known now"),
    ],
)
async def test_a_secret_that_it_reads(before: dict[str, str] | None, after: dict[str, str] | None, fresh: bool) -> None:
    bench = Bench()
    bench.secret_versions = before
    await bench.declare({"a": "1"}, apply={"mode": "Auto"})
    for _ in range(3):
        await bench.run()
    bench.secret_versions = after
    assert (await fresh_for(bench) is not None) == fresh


@pytest.mark.parametrize(
    ("before", "after", "fresh"),
    [
        pytest.param("sha256:1", "sha256:1", True, id="as it was"),
        pytest.param("sha256:1", "sha256:2", False, id="edited"),
        pytest.param("sha256:1", None, False, id="unreadable"),
        pytest.param(None, "sha256:1", False, id="unreadable at the look"),
    ],
)
async def test_a_source_on_this_machine(before: str | None, after: str | None, fresh: bool) -> None:
    bench = Bench()
    bench.source = before
    await bench.declare({})
    await bench.run()
    bench.source = after
    assert (await fresh_for(bench) is not None) == fresh


async def test_more_than_the_store_is_asked_of_at_once() -> None:
    bench = await at_setpoint()
    listed = await bench.cluster.get(REF)
    strangers = [{**listed, "metadata": {**listed["metadata"], "name": f"other-{number}"}} for number in range(1200)]
    fresh = await bench.make_fresh_targets(TargetMetrics(Metrics())).among([*strangers, listed])
    assert set(fresh) == {REF}


async def test_a_secret_that_moves_during_the_look__is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.secret_versions = {"s": "1"}
    write = bench.cluster.update_status

    async def write_while_it_moves(obj: JsonObject, **options: Any) -> JsonObject:
        bench.secret_versions = {"s": "2"}
        return await write(obj, **options)

    monkeypatch.setattr(bench.cluster, "update_status", write_while_it_moves)
    await bench.declare({})
    await bench.run()
    assert bench.reports[-1].reason == "AtSetpoint"
    assert await bench.observations.of([REF.key]) != {}
    assert await fresh_for(bench) is None


async def test_a_look_of_another_version__says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = await at_setpoint()
    monkeypatch.setattr(freshness, "__version__", "99.0.0")
    assert await fresh_for(bench) is None


async def test_a_look_that_lies_ahead__says_nothing() -> None:
    bench = await at_setpoint()
    bench.clock.instant -= dt.timedelta(hours=1)
    assert await fresh_for(bench) is None


async def test_one_that_was_never_observed__is_stale() -> None:
    bench = await at_setpoint()
    await bench.observations.forget(REF.key)
    assert await fresh_for(bench) is None


async def test_one_that_is_not_at_its_setpoint__leaves_no_look() -> None:
    bench = Bench()
    await bench.declare({"a": "1"})
    await bench.run()
    assert bench.reports[-1].reason == "ApprovalRequired"
    assert await bench.observations.of([REF.key]) == {}


async def test_an_observation_that_can_not_be_kept__fails_no_pass(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench()

    async def refuse(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(bench.observations, "record", refuse)
    await bench.declare({})
    await bench.run()
    assert bench.reports[-1].reason == "AtSetpoint"
    assert f"{REF}: this observation is not remembered: the disk is full" in caplog.text
    assert await fresh_for(bench) is None


async def test_one_that_is_gone__is_forgotten() -> None:
    bench = await at_setpoint()
    await bench.cluster.delete(REF)
    for _ in range(2):
        await bench.run_silently()
    assert await bench.observations.of([REF.key]) == {}


async def test_one_that_is_suspended__is_fresh_until_somebody_asks() -> None:
    bench = await at_setpoint()
    await bench.declare({"a": "1"}, apply={"mode": "Auto"}, suspend=True)
    assert await fresh_for(bench) is None
    await bench.run()
    assert await fresh_for(bench) == dt.timedelta.max
    bench.clock.instant += dt.timedelta(days=900)
    assert await fresh_for(bench) == dt.timedelta.max


async def test_its_metrics_are_as_the_look_left_them() -> None:
    bench = await at_setpoint()
    looked = bench.clock.instant
    bench.clock.instant += dt.timedelta(minutes=4)
    metrics = Metrics()
    listed = await bench.cluster.get(REF)
    assert await bench.make_fresh_targets(TargetMetrics(metrics)).among([listed])
    shown = metrics.render().decode()
    line = next(line for line in shown.splitlines() if line.startswith("setpoint_last_success_timestamp_seconds{"))
    assert float(line.split()[-1]) == looked.timestamp()


names = st.text(max_size=4)


@given(
    st.lists(
        st.tuples(names, st.integers(0, 3), st.dictionaries(names, names), st.dictionaries(names, names), names),
        min_size=2, max_size=2,
    )
)  # fmt: skip
def test_inputs_are_the_same_where_all_of_them_are(given_: list[Any]) -> None:
    first, second = (
        inputs_of(ObjectMeta(name="web", uid=uid, generation=generation, annotations=annotations), secrets, source)
        for uid, generation, annotations, secrets, source in given_
    )
    assert (first == second) == (given_[0] == given_[1])
