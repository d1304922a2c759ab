"""No part of one division has a leader while a part of another has one."""

import asyncio
import datetime as dt

import pytest
from tests.fakes.lease import InMemoryLease

from setpoint.domain.errors import ForbiddenError
from setpoint.ports import LeaseRecord
from setpoint.runtime.division import Division
from setpoint.runtime.leader import Elector, Sharing

pytestmark = pytest.mark.looptime(start=0, end=10_000)

SECONDS = dt.timedelta(seconds=15)


class Denied(InMemoryLease):
    """A Lease that our Role does not name."""

    async def read(self) -> LeaseRecord | None:
        raise ForbiddenError("denied")


def leases(**records: LeaseRecord) -> dict[str, InMemoryLease]:
    made = {name: InMemoryLease() for name in ("whole", "part-0", "part-1")}
    for name, record in records.items():
        made[name.replace("_", "-")].record = record
    return made


@pytest.mark.parametrize(
    ("found", "agrees"),
    [
        (leases(), True),
        (leases(part_0=LeaseRecord("b", SECONDS, 0, "1", 2)), True),
        (leases(whole=LeaseRecord("b", SECONDS, 0, "1", 1)), False),
        (leases(part_1=LeaseRecord("b", SECONDS, 0, "1", 3)), False),
        (leases(whole=LeaseRecord("", SECONDS, 0, "1", 1)), True),
        ({"whole": Denied()}, True),
    ],
    ids=["nobody leads", "alike", "undivided", "otherwise", "given back", "no right to look"],
)
async def test_who_leads_must_divide_alike(found: dict[str, InMemoryLease], *, agrees: bool) -> None:
    assert await Division(found, 2).agrees() is agrees


async def test_the_dead_are_waited_for_by_our_own_clock() -> None:
    division = Division(leases(whole=LeaseRecord("dead", SECONDS, 0, "1", 1)), 2)
    assert not await division.agrees()
    await asyncio.sleep(14)
    assert not await division.agrees()
    await asyncio.sleep(2)
    assert await division.agrees()


async def test_a_server_that_is_away_is_no_agreement() -> None:
    found = leases()
    found["whole"].away = True
    assert not await Division(found, 2).agrees()


async def test_two_divisions_never_lead_at_once() -> None:
    """A replica of each starts at the same moment; whichever wins, the other waits until it has ended."""
    found = leases()
    spans: list[tuple[str, float, float]] = []

    def elector(name: str, lease: str, shards: int) -> Elector:
        async def lead(stop: asyncio.Event) -> None:
            now = asyncio.get_running_loop().time
            began = now()
            await stop.wait()
            spans.append((name, began, now()))

        sharing = Sharing(shards=shards, agrees=Division(found, shards).agrees)
        return Elector(found[lease], name, lead=lead, sharing=sharing)

    ends = [asyncio.Event(), asyncio.Event()]
    tasks = [
        asyncio.create_task(elector("whole", "whole", 1).run(ends[0])),
        asyncio.create_task(elector("part", "part-0", 2).run(ends[1])),
    ]
    await asyncio.sleep(300)
    first = 0 if found["whole"].record and found["whole"].record.holder else 1
    ends[first].set()
    await tasks[first]
    await asyncio.sleep(120)
    ends[1 - first].set()
    await tasks[1 - first]
    (_, _, ended), (_, began, _) = sorted(spans, key=lambda span: span[1])
    assert ended <= began
