import asyncio
import datetime as dt
import logging
from collections.abc import Awaitable, Callable

import pytest

from setpoint.api.conditions import Reason
from setpoint.api.meta import ObjectRef
from setpoint.domain.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    StalledError,
    TransientError,
    WaitingError,
)
from setpoint.runtime.backoff import Backoff
from setpoint.runtime.controller import Controller
from setpoint.runtime.logging import reconcile_context
from setpoint.runtime.metrics import Metrics
from setpoint.runtime.requests import OutcomeKind, ReconcileOutcome, Request, Result
from setpoint.runtime.workqueue import WorkQueue

A = Request(ObjectRef("Environment", "default", "a"))
B = Request(ObjectRef("Environment", "default", "b"))
MINUTE = dt.timedelta(minutes=1)

pytestmark = pytest.mark.looptime(start=0, end=10_000)


class Watched(Controller):
    """A controller that keeps its outcomes."""

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.outcomes: list[ReconcileOutcome] = []

    def _settle(self, outcome: ReconcileOutcome) -> ReconcileOutcome:
        self.outcomes.append(super()._settle(outcome))
        return self.outcomes[-1]


class Running:
    """A controller at work on a function, and what came of it."""

    def __init__(self, reconcile: Callable[[Request], Awaitable[Result]], **options) -> None:
        self.metrics = Metrics()
        self.queue = WorkQueue(backoff=Backoff(base=2, maximum=64, uniform=lambda: 1.0))
        self.controller = Watched(
            "environment",
            reconcile,
            self.queue,
            metrics=self.metrics,
            **{"workers": 2, "timeout": 100.0, "uniform": lambda: 0.5, **options},
        )
        self.outcomes = self.controller.outcomes
        self.stop = asyncio.Event()

    async def __aenter__(self) -> "Running":
        self.task = asyncio.create_task(self.controller.run(self.stop))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop.set()
        await self.task

    async def once(self, request: Request = A) -> ReconcileOutcome:
        """The outcome of one reconcile."""
        self.queue.add(request)
        await self.queue.idle()
        return self.outcomes[-1]


def ending(how: Result | Exception) -> Callable[[Request], Awaitable[Result]]:
    async def reconcile(_request: Request) -> Result:
        if isinstance(how, Exception):
            raise how
        return how

    return reconcile


FAULT = "A fault in Setpoint: KeyError"


@pytest.mark.parametrize(
    ("how", "kind", "message", "retry_in", "failures"),
    [
        (Result(), OutcomeKind.SUCCESS, "", None, 0),
        (Result(10 * MINUTE), OutcomeKind.REQUEUE_AFTER, "", 600, 0),
        (WaitingError(Reason.STATE_LOCKED, "Locked", requeue_after=MINUTE), OutcomeKind.WAITING, "Locked", 60, 0),
        (WaitingError(Reason.STATE_LOCKED, "Locked"), OutcomeKind.WAITING, "Locked", 60, 0),
        (StalledError(Reason.INVALID_SPEC, "No"), OutcomeKind.STALLED, "No", None, 0),
        (ConflictError("Moved"), OutcomeKind.CONFLICT, "Moved", 4, 2),
        (TransientError(Reason.INIT_FAILED, "Down"), OutcomeKind.ERROR, "Down", 4, 2),
        (InvalidError("bad", field="spec.x"), OutcomeKind.ERROR, "spec.x: bad", 4, 2),
        (KeyError("password=hunter2"), OutcomeKind.ERROR, FAULT, 4, 2),
        (TimeoutError("its own"), OutcomeKind.ERROR, "A fault in Setpoint: TimeoutError", 4, 2),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception | Result) else None,
)
async def test_outcome_table(
    how: Result | Exception, kind: OutcomeKind, message: str, retry_in: float | None, failures: int
) -> None:
    async with Running(ending(how)) as running:
        running.queue._backoff.next(A)  # It failed before.
        outcome = await running.once()
        assert outcome == ReconcileOutcome(A, kind, message, retry_in)
        assert running.queue.failures(A) == failures
        assert running.queue.delayed == (retry_in is not None)


async def test_requeue_after__comes_back_then() -> None:
    times: list[float] = []

    async def reconcile(_request: Request) -> Result:
        times.append(asyncio.get_running_loop().time())
        return Result(MINUTE)

    async with Running(reconcile) as running:
        running.queue.add(A)
        await asyncio.sleep(130)
    assert [round(time - times[0]) for time in times] == [0, 60, 120]


@pytest.mark.parametrize(("uniform", "expected"), [(0.0, 54.0), (0.5, 60.0), (0.9999999, 66.0)])
async def test_requeue_after__has_ten_percent_jitter(uniform: float, expected: float) -> None:
    async with Running(ending(Result(MINUTE)), uniform=lambda: uniform) as running:
        assert (await running.once()).retry_in == pytest.approx(expected)


async def test_failure__is_retried_with_growing_delays_and_then_forgotten() -> None:
    times: list[float] = []

    async def reconcile(_request: Request) -> Result:
        times.append(asyncio.get_running_loop().time())
        if len(times) < 4:
            raise TransientError(Reason.INIT_FAILED, "Down")
        return Result()

    async with Running(reconcile) as running:
        running.queue.add(A)
        await asyncio.sleep(100)
        assert running.queue.failures(A) == 0
    assert [round(time - times[0]) for time in times] == [0, 2, 6, 14]


async def test_timeout__stops_the_reconcile_and_retries() -> None:
    stopped = asyncio.Event()

    async def reconcile(_request: Request) -> Result:
        try:
            await asyncio.sleep(1000)
        finally:
            stopped.set()
        return Result()

    async with Running(reconcile) as running:
        outcome = await running.once()
    assert stopped.is_set()
    assert outcome.kind is OutcomeKind.TIMEOUT
    assert outcome.message == "The reconcile took longer than 100 s and was stopped"


async def test_timeout__an_error_that_explains_it_better_counts() -> None:
    async def reconcile(_request: Request) -> Result:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            raise StalledError(Reason.INTERRUPTED, "Interrupted") from None
        return Result()

    async with Running(reconcile) as running:
        assert (await running.once()).kind is OutcomeKind.STALLED


async def test_cancellation_from_within__is_an_error_and_no_worker_is_lost() -> None:
    async def reconcile(request: Request) -> Result:
        if request == A:
            raise asyncio.CancelledError
        return Result()

    async with Running(reconcile, workers=1) as running:
        assert (await running.once(A)).kind is OutcomeKind.ERROR
        assert (await running.once(B)).kind is OutcomeKind.SUCCESS


async def test_workers__that_many_at_once_and_never_the_same_request() -> None:
    active: list[Request] = []
    most = 0

    async def reconcile(request: Request) -> Result:
        nonlocal most
        assert request not in active
        active.append(request)
        most = max(most, len(active))
        await asyncio.sleep(1)
        active.remove(request)
        return Result()

    async with Running(reconcile, workers=3) as running:
        for number in range(10):
            running.queue.add(Request(ObjectRef("Environment", "default", f"e{number}")))
        for _ in range(20):
            await asyncio.sleep(0.3)
            running.queue.add(A)
        await running.queue.idle()
    assert most == 3
    assert {outcome.kind for outcome in running.outcomes} == {OutcomeKind.SUCCESS}


async def test_stop__lets_running_reconciles_end_and_starts_no_other() -> None:
    ended: list[Request] = []

    async def reconcile(request: Request) -> Result:
        await asyncio.sleep(30)
        ended.append(request)
        return Result()

    async with Running(reconcile, workers=1) as running:
        running.queue.add(A)
        running.queue.add(B)
        await asyncio.sleep(1)
    assert ended == [A]


async def test_cancel__ends_running_reconciles() -> None:
    cancelled = asyncio.Event()

    async def reconcile(_request: Request) -> Result:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return Result()

    running = Running(reconcile)
    async with running:
        running.queue.add(A)
        await asyncio.sleep(1)
        running.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running.task
        running.task = asyncio.create_task(asyncio.sleep(0))
    assert cancelled.is_set()
    assert running.outcomes == []


async def test_context__one_reconcile_id_per_reconcile_and_none_outside() -> None:
    seen = []

    async def reconcile(_request: Request) -> Result:
        seen.append(reconcile_context.get())
        return Result()

    async with Running(reconcile) as running:
        await running.once(A)
        await running.once(B)
    assert [context.ref for context in seen] == [A.ref, B.ref]
    assert len({context.reconcile_id for context in seen}) == 2
    assert reconcile_context.get() is None


@pytest.mark.parametrize(
    ("how", "level", "traceback"),
    [
        (Result(), logging.DEBUG, False),
        (ConflictError("Moved"), logging.DEBUG, False),
        (WaitingError(Reason.STATE_LOCKED, "Locked"), logging.INFO, False),
        (StalledError(Reason.INVALID_SPEC, "No"), logging.WARNING, False),
        (TransientError(Reason.INIT_FAILED, "Down"), logging.WARNING, False),
        (ForbiddenError("Not yours"), logging.WARNING, False),
        (KeyError("x"), logging.ERROR, True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception | Result) else None,
)
async def test_log__one_record_per_reconcile(
    how: Result | Exception, level: int, traceback: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="setpoint")
    async with Running(ending(how)) as running:
        await running.once()
    (record,) = caplog.records
    assert (record.levelno, bool(record.exc_info)) == (level, traceback)


async def test_check__a_reconcile_that_ignores_its_cancellation_is_reported() -> None:
    release = asyncio.Event()

    async def reconcile(_request: Request) -> Result:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return Result()

    async with Running(reconcile) as running:
        assert running.controller.check() == ""
        running.queue.add(A)
        await asyncio.sleep(120)
        assert running.controller.check() == ""
        await asyncio.sleep(60)
        assert running.controller.check() == "the reconcile of environment/a does not end, after 180 s"
        release.set()
        await running.queue.idle()
        assert running.controller.check() == ""


async def test_metrics__count_what_happened() -> None:
    async with Running(ending(StalledError(Reason.INVALID_SPEC, "No"))) as running:
        before = running.metrics.render().decode()
        await running.once()
    after = running.metrics.render().decode()
    line = 'setpoint_reconcile_total{controller="environment",result="stalled"}'
    assert f"{line} 0.0" in before
    assert f"{line} 1.0" in after
    assert 'setpoint_reconcile_duration_seconds_count{controller="environment"} 1.0' in after
    assert 'setpoint_active_workers{controller="environment"} 0.0' in after


# --- What is slow holds nobody up ---------------------------------------------------------------------------------


def named(name: str) -> Request:
    return Request(ObjectRef("Environment", "default", name))


class Endpoints:
    """Reconciles that take as long as the first letter of their target's name says, and when each began and ended."""

    def __init__(self, **seconds: float) -> None:
        self.seconds = seconds
        self.began: dict[str, list[float]] = {}
        self.ended: dict[str, list[float]] = {}
        self.now = self.most = 0

    async def __call__(self, request: Request) -> Result:
        name = request.ref.name
        self.began.setdefault(name, []).append(asyncio.get_running_loop().time())
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(self.seconds[name[0]])
        self.now -= 1
        self.ended.setdefault(name, []).append(asyncio.get_running_loop().time())
        return Result()


async def test_a_black_hole_hands_its_worker_on():
    endpoints = Endpoints(b=900, q=1)
    async with Running(endpoints, workers=2, timeout=1000, slow_after=30) as running:
        for name in ("b1", "b2", "q1", "q2"):
            running.queue.add(named(name))
        await running.queue.idle()
        assert endpoints.began["q1"] == endpoints.began["q2"] == [30]
        assert endpoints.ended["b1"] == endpoints.ended["b2"] == [900]


async def test_at_most_as_many_as_there_are_workers_are_slow_beside_them():
    endpoints = Endpoints(b=900, q=1)
    async with Running(endpoints, workers=2, timeout=1000, slow_after=30) as running:
        for name in ("b1", "b2", "b3", "b4", "b5", "q1"):
            running.queue.add(named(name))
        await running.queue.idle()
    assert endpoints.most == 4
    assert endpoints.began["q1"] == [900]


async def test_what_was_slow_waits_for_the_slow_and_never_takes_a_worker_from_the_quick():
    """After the first time nobody is held up, however many targets hang on the black hole."""
    endpoints = Endpoints(b=900, q=1)
    async with Running(endpoints, workers=2, timeout=1000, slow_after=30) as running:
        hung = [named(f"b{number}") for number in range(10)]
        for request in hung:
            running.queue.add(request)
        await running.queue.idle()
        again = asyncio.get_running_loop().time()
        for request in (*hung, named("q1")):
            running.queue.add(request)
        await running.queue.idle()
        assert endpoints.ended["q1"] == [again + 1]
        assert len(endpoints.ended["b9"]) == 2
    assert endpoints.most == 4


async def test_what_answers_again_is_quick_again():
    endpoints = Endpoints(b=900, a=900)
    async with Running(endpoints, workers=1, timeout=1000, slow_after=30) as running:
        running.queue.add(named("a1"))
        await running.queue.idle()
        endpoints.seconds["a"] = 1
        running.queue.add(named("a1"))
        await running.queue.idle()
        start = asyncio.get_running_loop().time()
        running.queue.add(named("b1"))
        running.queue.add(named("a1"))
        await running.queue.idle()
        assert endpoints.began["a1"][-1] == start + 30


async def test_a_stop_begins_nothing_that_was_put_off():
    endpoints = Endpoints(b=100)
    async with Running(endpoints, workers=1, timeout=1000, slow_after=30) as running:
        for _ in range(2):
            for name in ("b1", "b2", "b3"):
                running.queue.add(named(name))
            await asyncio.sleep(400)
        for name in ("b1", "b2", "b3"):
            running.queue.add(named(name))
        await asyncio.sleep(10)
    assert [len(endpoints.ended[name]) for name in ("b1", "b2", "b3")] == [3, 2, 2]


async def test_a_slow_one_that_is_added_meanwhile_is_worked_off_by_nobody_else():
    endpoints = Endpoints(b=900)
    async with Running(endpoints, workers=2, timeout=1000, slow_after=30) as running:
        running.queue.add(named("b1"))
        await asyncio.sleep(100)
        running.queue.add(named("b1"))
        await asyncio.sleep(100)
        assert len(endpoints.began["b1"]) == 1
        await running.queue.idle()
    assert endpoints.began["b1"] == [0, 900]
