"""The elector: one leader at a time, on a clock that the test controls."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import itertools
from collections.abc import AsyncIterator

import pytest
from tests.fakes.lease import InMemoryLease

from setpoint.ports import LeaseRecord
from setpoint.runtime.leader import Elector, LeaseTiming, Sharing

pytestmark = pytest.mark.looptime(start=0, end=10_000)

TIMING = LeaseTiming()


class Candidate:
    """An elector whose work notes when it leads; `stubborn` work ignores its stop."""

    def __init__(self, lease: InMemoryLease, name: str, *, stubborn: bool = False, drain: float = 0.0) -> None:
        self.spans: list[list[float]] = []
        self.leads = asyncio.Event()
        self.rests = asyncio.Event()
        self._stubborn = stubborn
        self._drain = drain
        self.elector = Elector(lease, name, lead=self._lead, on_change=self._changed, uniform=lambda: 0.5)
        self.ended = asyncio.Event()
        self.task = asyncio.create_task(self.elector.run(self.ended))

    async def _lead(self, stop: asyncio.Event) -> None:
        now = asyncio.get_running_loop().time
        self.spans.append([now(), now()])
        self.leads.set()
        try:
            await (asyncio.get_running_loop().create_future() if self._stubborn else stop.wait())
            await asyncio.sleep(self._drain)
        finally:
            self.spans[-1][1] = now()

    def _changed(self, leads: bool) -> None:
        if not leads:
            self.rests.set()
            self.leads.clear()

    async def stop(self) -> None:
        self.ended.set()
        await self.task


@pytest.fixture
def lease() -> InMemoryLease:
    return InMemoryLease()


@contextlib.asynccontextmanager
async def candidates(lease: InMemoryLease, *names: str, **options: object) -> AsyncIterator[list[Candidate]]:
    made = [Candidate(lease, name, **options) for name in names]  # type: ignore[arg-type]
    try:
        yield made
    finally:
        for one in made:
            one.task.cancel()
        await asyncio.gather(*(one.task for one in made), return_exceptions=True)


async def test_the_first_leads_and_the_other_stands_by(lease: InMemoryLease) -> None:
    async with candidates(lease, "a", "b") as (a, b):
        await a.leads.wait()
        await asyncio.sleep(120)
        assert (len(a.spans), b.spans) == (1, [])
        assert {holder for _, holder in lease.writes} == {"a"}


async def test_a_standby_takes_over_from_the_dead_within_twenty_seconds(lease: InMemoryLease) -> None:
    async with candidates(lease, "a", "b") as (a, b):
        await a.leads.wait()
        await asyncio.sleep(31)
        a.task.cancel()  # as kill -9: nothing is released (the cancelled task writes no more)
        await asyncio.gather(a.task, return_exceptions=True)
        died = asyncio.get_running_loop().time()
        await b.leads.wait()
        assert 10 <= b.spans[0][0] - died <= 20
        assert lease.record is not None
        assert lease.record.transitions == 1


async def test_a_stop_releases_and_the_next_leads_at_once(lease: InMemoryLease) -> None:
    async with candidates(lease, "a", "b") as (a, b):
        await a.leads.wait()
        await asyncio.sleep(5)
        stopped = asyncio.get_running_loop().time()
        await a.stop()
        await b.leads.wait()
        assert b.spans[0][0] - stopped <= TIMING.retry + 0.5


async def test_work_drains_while_the_lease_is_kept(lease: InMemoryLease) -> None:
    async with candidates(lease, "a", "b", drain=60.0) as (a, b):
        await a.leads.wait()
        await asyncio.sleep(1)
        await a.stop()
        await b.leads.wait()
        assert b.spans[0][0] >= a.spans[0][1]
        assert a.spans[0][1] - a.spans[0][0] >= 60


@pytest.mark.parametrize("fault", ["away", "hang"])
@pytest.mark.parametrize("stubborn", [False, True], ids=["obedient", "stubborn"])
async def test_a_leader_that_can_not_renew_stops_before_its_lease_ends(
    lease: InMemoryLease, fault: str, *, stubborn: bool
) -> None:
    async with candidates(lease, "a", stubborn=stubborn) as (a,):
        await a.leads.wait()
        await asyncio.sleep(7)
        last = lease.writes[-1][0]
        setattr(lease, fault, True)
        await a.rests.wait()
        assert a.spans[0][1] - last < TIMING.duration
        setattr(lease, fault, False)
        await a.leads.wait()
        assert len(a.spans) == 2


async def test_a_short_absence_is_no_loss(lease: InMemoryLease) -> None:
    async with candidates(lease, "a") as (a,):
        await a.leads.wait()
        lease.away = True
        await asyncio.sleep(TIMING.renew_deadline - 2 * TIMING.retry)
        lease.away = False
        await asyncio.sleep(60)
        assert len(a.spans) == 1


async def test_a_stolen_lease_is_lost_at_once(lease: InMemoryLease) -> None:
    async with candidates(lease, "a") as (a,):
        await a.leads.wait()
        assert lease.record is not None
        thief = dataclasses.replace(lease.record, holder="thief")
        await lease.write(thief)
        stolen = asyncio.get_running_loop().time()
        await a.rests.wait()
        assert asyncio.get_running_loop().time() - stolen < 2 * TIMING.retry


async def test_our_own_write_whose_answer_was_lost_is_no_loss(lease: InMemoryLease) -> None:
    async with candidates(lease, "a") as (a,):
        await a.leads.wait()
        assert lease.record is not None
        await lease.write(lease.record)
        await asyncio.sleep(60)
        assert len(a.spans) == 1


async def test_a_lease_left_by_its_own_name_is_taken_at_once(lease: InMemoryLease) -> None:
    lease.record = LeaseRecord("a", dt.timedelta(seconds=15), 3, "0")
    lease.writes.append((0.0, "a"))
    lease.record = dataclasses.replace(lease.record, version="1")
    async with candidates(lease, "a") as (a,):
        await a.leads.wait()
        assert asyncio.get_running_loop().time() < 1
        assert lease.record.transitions == 3


async def test_who_leads_more_leaves_a_free_lease_to_others_for_a_while(lease: InMemoryLease) -> None:
    led: list[tuple[str, float]] = []

    def elector(name: str, hesitation: float) -> Elector:
        async def lead(stop: asyncio.Event) -> None:
            led.append((name, asyncio.get_running_loop().time()))
            await stop.wait()

        return Elector(lease, name, lead=lead, sharing=Sharing(hesitate=lambda: hesitation))

    ended = asyncio.Event()
    tasks = [asyncio.create_task(elector(name, wait).run(ended)) for name, wait in (("rich", 1.0), ("poor", 0.0))]
    await asyncio.sleep(60)
    ended.set()
    await asyncio.gather(*tasks)
    assert led[0][0] == "poor"


@pytest.mark.parametrize("hangs_at", [1, 2], ids=["before", "behind"])
async def test_who_hangs_while_it_takes_the_lease_does_not_lead_on_it(lease: InMemoryLease, hangs_at: int) -> None:
    asked = itertools.count(1)

    async def agrees() -> bool:
        if next(asked) == hangs_at:
            await asyncio.sleep(2 * TIMING.duration)
        return True

    spans: list[float] = []

    async def lead(stop: asyncio.Event) -> None:
        spans.append(asyncio.get_running_loop().time())
        await stop.wait()

    elector = Elector(lease, "slow", lead=lead, sharing=Sharing(agrees=agrees), uniform=lambda: 0.5)
    ended = asyncio.Event()
    running = asyncio.create_task(elector.run(ended))
    await asyncio.sleep(0.1)
    other = Candidate(lease, "quick")
    await asyncio.sleep(4 * TIMING.duration)
    assert other.leads.is_set()
    assert spans == [], "what it wrote was another's to take by then"
    ended.set()
    await running
    await other.stop()


async def test_crashed_work_ends_the_elector_with_its_error(lease: InMemoryLease) -> None:
    async def lead(_stop: asyncio.Event) -> None:
        msg = "boom"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="boom"):
        await Elector(lease, "a", lead=lead).run(asyncio.Event())


async def test_never_two_at_once_whatever_fails(lease: InMemoryLease) -> None:
    async with candidates(lease, "a", "b", "c", stubborn=True) as made:
        for _ in range(5):
            await asyncio.sleep(23)
            lease.away = True
            await asyncio.sleep(17)
            lease.away = False
        await asyncio.sleep(30)
    spans = sorted(itertools.chain.from_iterable(one.spans for one in made))
    assert len(spans) > 3
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
