"""The leader, as one sees it who does not take part in the election."""

import asyncio
import dataclasses
import datetime as dt

import pytest
from tests.fakes.lease import InMemoryLease

from setpoint.domain.errors import ForbiddenError
from setpoint.ports import LeaseRecord
from setpoint.wiring.leases import LEASES, find_leaders

pytestmark = pytest.mark.looptime(start=0, end=1000)


def lease(holder: str, seconds: float = 15.0) -> InMemoryLease:
    made = InMemoryLease()
    made.record = LeaseRecord(holder, dt.timedelta(seconds=seconds), 1, "first")
    return made


async def renew(one: InMemoryLease, holder: str, after: float) -> None:
    await asyncio.sleep(after)
    assert one.record is not None
    one.record = dataclasses.replace(one.record, holder=holder, version="second")


def test_names__one_and_one_for_each_part() -> None:
    assert LEASES[:2] == ("setpoint-operator", "setpoint-operator-0")
    assert (LEASES[-1], len(set(LEASES))) == ("setpoint-operator-15", 17)


async def test_a_lease_that_moves__has_a_leader() -> None:
    alive, dead, told = lease("pod-1"), lease("pod-2"), list[str]()
    renewal = asyncio.create_task(renew(alive, "pod-1", 2.0))
    leaders = await find_leaders({"a": alive, "b": dead, "c": InMemoryLease()}, told.append)
    await renewal
    assert leaders == ["pod-1 (Lease a)"]
    assert [line.split()[0] for line in told] == ["pod-1", "pod-2"]


async def test_a_lease_that_does_not_move__has_none_after_its_duration() -> None:
    began = asyncio.get_running_loop().time()
    assert await find_leaders({"a": lease("pod-1")}, lambda _: None) == []
    assert 15.0 <= asyncio.get_running_loop().time() - began < 18.0


async def test_a_lease_that_claims_to_last_for_ever__is_watched_a_minute() -> None:
    began = asyncio.get_running_loop().time()
    assert await find_leaders({"a": lease("pod-1", 1e9)}, lambda _: None) == []
    assert asyncio.get_running_loop().time() - began < 65.0


async def test_a_lease_that_is_free_or_given_back__has_none_at_once() -> None:
    began, given_back = asyncio.get_running_loop().time(), lease("pod-1")
    renewal = asyncio.create_task(renew(given_back, "", 1.5))
    assert await find_leaders({"a": lease(""), "b": given_back}, lambda _: None) == []
    await renewal
    assert asyncio.get_running_loop().time() - began < 5.0


async def test_a_lease_that_may_not_be_read__is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse() -> None:
        raise ForbiddenError("no")

    closed = lease("pod-1")
    monkeypatch.setattr(closed, "read", refuse)
    with pytest.raises(ForbiddenError):
        await find_leaders({"a": closed}, lambda _: None)
