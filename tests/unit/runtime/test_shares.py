"""Replicas share the shards evenly, however they come and go, and none is ever led twice."""

import asyncio
import collections
import functools
import itertools
from collections.abc import Iterator, Sequence

import pytest
from tests.fakes.lease import InMemoryLease

from setpoint.domain.sharding import Shard, divide
from setpoint.runtime.leader import Elector, Sharing
from setpoint.runtime.shares import Shares

pytestmark = pytest.mark.looptime(start=0, end=10_000)

SHARDS = divide(4)


class Replica:
    """One replica's electors. Shards in `busy` have work that does not end."""

    def __init__(self, name: str, leases: Sequence[InMemoryLease]) -> None:
        self.leads: dict[Shard, float] = {}
        self.spans: list[tuple[Shard, float, float]] = []
        self.busy: set[Shard] = set()
        self.ended = asyncio.Event()
        shares = Shares(name)
        self.tasks = [
            asyncio.create_task(
                Elector(
                    lease,
                    name,
                    lead=functools.partial(self._lead, shard),
                    on_change=functools.partial(self._change, shares, shard),
                    sharing=Sharing(
                        shards=len(SHARDS),
                        hesitate=lambda: 0.5 * len(self.leads),
                        wants=functools.partial(shares.wants, shard),
                        is_idle=lambda shard=shard: shard not in self.busy,
                    ),
                ).run(self.ended)
            )
            for shard, lease in zip(SHARDS, leases, strict=True)
        ]

    def _change(self, shares: Shares, shard: Shard, leads: bool) -> None:
        if leads:
            shares.take(shard)

    async def _lead(self, shard: Shard, stop: asyncio.Event) -> None:
        now = asyncio.get_running_loop().time
        self.leads[shard] = now()
        try:
            await stop.wait()
        finally:
            self.spans.append((shard, self.leads.pop(shard), now()))

    async def stop(self) -> None:
        self.ended.set()
        await asyncio.gather(*self.tasks)

    async def die(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.fixture
def leases() -> list[InMemoryLease]:
    return [InMemoryLease() for _ in SHARDS]


@pytest.fixture
def replicas() -> Iterator[list[Replica]]:
    made: list[Replica] = []
    yield made
    spans = sorted(itertools.chain.from_iterable(one.spans for one in made), key=lambda span: (span[0].index, span[1]))
    for before, after in itertools.pairwise(spans):
        assert before[0] != after[0] or before[2] <= after[1]


async def test_one_that_comes_later_gets_its_share(leases: list[InMemoryLease], replicas: list[Replica]) -> None:
    replicas.append(Replica("a", leases))
    await asyncio.sleep(60)
    assert len(replicas[0].leads) == 4
    replicas.append(Replica("b", leases))
    await asyncio.sleep(60)
    assert [len(one.leads) for one in replicas] == [2, 2]
    replicas.append(Replica("c", leases))
    await asyncio.sleep(60)
    assert sorted(len(one.leads) for one in replicas) == [1, 1, 2]
    for one in replicas:
        await one.stop()
    moves = collections.Counter(shard for shard, _, _ in itertools.chain.from_iterable(one.spans for one in replicas))
    assert moves.total() == 4 + 2 + 1, "nothing moves to and fro"


async def test_the_shards_of_the_dead_are_taken_over(leases: list[InMemoryLease], replicas: list[Replica]) -> None:
    replicas += [Replica("a", leases), Replica("b", leases)]
    await asyncio.sleep(60)
    assert [len(one.leads) for one in replicas] == [2, 2]
    await replicas[0].die()
    await asyncio.sleep(20)
    assert len(replicas[1].leads) == 4
    await replicas[1].stop()


async def test_a_shard_with_work_is_not_given_up(leases: list[InMemoryLease], replicas: list[Replica]) -> None:
    replicas.append(Replica("a", leases))
    await asyncio.sleep(30)
    replicas[0].busy |= set(SHARDS[:3])
    replicas.append(Replica("b", leases))
    await asyncio.sleep(60)
    assert SHARDS[0] in replicas[0].leads
    assert not set(replicas[1].leads) & replicas[0].busy
    replicas[0].busy.clear()
    await asyncio.sleep(60)
    assert [len(one.leads) for one in replicas] == [2, 2]
    for one in replicas:
        await one.stop()
