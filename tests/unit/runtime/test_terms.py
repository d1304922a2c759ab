"""Our targets are worked on within their term's fence; the end of a term ends its work and no other."""

import asyncio

import pytest

from setpoint.api.meta import ObjectRef
from setpoint.domain.errors import FencedError
from setpoint.domain.sharding import Shard, divide
from setpoint.ports import Fence
from setpoint.runtime.fencing import current_fence
from setpoint.runtime.requests import Request, Result
from setpoint.runtime.terms import Term, Terms

pytestmark = pytest.mark.looptime(start=0, end=10_000)

LEFT, RIGHT = divide(2)


def term_over(shard: Shard, epoch: int = 1) -> Term:
    term = Term(shard, epoch)
    assert term.admit() == []
    return term


def request_in(shard: Shard) -> Request:
    refs = (ObjectRef("Environment", "default", f"web-{number}") for number in range(100))
    return Request(next(ref for ref in refs if ref.key in shard))


class Work:
    """A reconcile that takes a minute and notes what it saw."""

    def __init__(self) -> None:
        self.fences: list[Fence | None] = []
        self.ended: list[str] = []

    async def reconcile(self, request: Request) -> Result:
        self.fences.append(current_fence())
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        self.ended.append("done")
        return Result()


@pytest.fixture
def terms() -> Terms:
    return Terms()


@pytest.fixture
def work() -> Work:
    return Work()


async def test_what_is_ours_works_within_its_own_fence(terms: Terms, work: Work) -> None:
    reconcile = terms.within(work.reconcile)
    with terms.standing(term_over(LEFT, 3)), terms.standing(term_over(RIGHT, 7)):
        await asyncio.gather(reconcile(request_in(LEFT)), reconcile(request_in(RIGHT)))
    assert set(work.fences) == {Fence("0/2", 3), Fence("1/2", 7)}


async def test_what_is_anothers_is_left_alone(terms: Terms, work: Work) -> None:
    with terms.standing(term_over(LEFT)):
        assert terms.owns(request_in(LEFT).ref)
        assert not terms.owns(request_in(RIGHT).ref)
        assert await terms.within(work.reconcile)(request_in(RIGHT)) == Result()
    assert not terms
    assert work.fences == []


async def test_a_lost_shard_ends_its_own_work_alone(terms: Terms, work: Work) -> None:
    reconcile = terms.within(work.reconcile)
    lost = term_over(LEFT)
    with terms.standing(lost), terms.standing(term_over(RIGHT)):
        running = [asyncio.create_task(reconcile(request_in(shard))) for shard in (LEFT, RIGHT)]
        await asyncio.sleep(1)
        await lost.cut()
        assert await running[0] == Result()
        assert work.ended == ["cancelled"]
        await running[1]
    assert work.ended == ["cancelled", "done"]


async def test_a_drained_term_lets_work_end_and_begins_none(terms: Terms, work: Work) -> None:
    reconcile = terms.within(work.reconcile)
    term = term_over(LEFT)
    with terms.standing(term):
        running = asyncio.create_task(reconcile(request_in(LEFT)))
        await asyncio.sleep(1)
        term.close()
        assert await reconcile(request_in(LEFT)) == Result()
        await term.drain()
        assert running.done()
    assert work.ended == ["done"]


async def test_a_cancelled_worker_takes_its_work_along(terms: Terms, work: Work) -> None:
    with terms.standing(term_over(LEFT)):
        worker = asyncio.create_task(terms.within(work.reconcile)(request_in(LEFT)))
        await asyncio.sleep(1)
        worker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await worker
    assert work.ended == ["cancelled"]


async def test_a_cancellation_from_within_is_told_as_one(terms: Terms) -> None:
    async def reconcile(_request: Request) -> Result:
        raise asyncio.CancelledError

    with terms.standing(term_over(LEFT)), pytest.raises(asyncio.CancelledError):
        await terms.within(reconcile)(request_in(LEFT))


async def test_a_doubtful_target_waits_and_nothing_asked_of_it_is_lost(terms: Terms, work: Work) -> None:
    reconcile = terms.within(work.reconcile)
    term = Term(LEFT, 1)
    doubtful = request_in(LEFT)
    term.admit(but={doubtful.ref.key})
    with terms.standing(term):
        for _ in range(2):
            assert await reconcile(doubtful) == Result()
        assert work.fences == []
        assert term.admit() == [doubtful]
        await reconcile(doubtful)
    assert work.ended == ["done"]


async def test_nothing_is_worked_on_before_the_term_has_settled_what_an_earlier_one_left(
    terms: Terms, work: Work
) -> None:
    reconcile = terms.within(work.reconcile)
    term = Term(LEFT, 1)
    with terms.standing(term):
        assert await reconcile(request_in(LEFT)) == Result()
        assert work.fences == []
        assert term.admit() == [request_in(LEFT)]


async def test_a_term_whose_writes_are_refused_is_over(terms: Terms) -> None:
    async def reconcile(_request: Request) -> Result:
        raise FencedError("term 1 is over")

    term, other = term_over(LEFT), term_over(RIGHT)
    with terms.standing(term), terms.standing(other), pytest.raises(FencedError):
        await terms.within(reconcile)(request_in(LEFT))
    assert (term.deposed.is_set(), other.deposed.is_set()) == (True, False)
