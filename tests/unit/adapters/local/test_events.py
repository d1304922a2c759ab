"""That events are kept, counted, and bounded."""

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes.local_home import OpenHome, open_local_home

from setpoint.adapters.local import StoredEvents
from setpoint.api.meta import ObjectRef
from setpoint.runtime.recorder import EventRecord

SHOP = ObjectRef("Environment", "default", "shop")
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def record(message: str = "it drifted", *, ref: ObjectRef = SHOP, count: int = 1, minutes: int = 0) -> EventRecord:
    return EventRecord(ref, "Warning", "DriftDetected", message, count, NOON, NOON + dt.timedelta(minutes=minutes))


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[OpenHome]:
    async with open_local_home(tmp_path) as opened:
        yield opened


async def test_come_back_oldest_first(home: OpenHome) -> None:
    events = StoredEvents(home.store)
    for minutes in (2, 1, 3):
        await events(record(f"after {minutes}", minutes=minutes))
    await events(record(ref=ObjectRef("Environment", "default", "other")))
    told = await StoredEvents(home.store).of(SHOP)
    assert told == tuple(record(f"after {minutes}", minutes=minutes) for minutes in (1, 2, 3))


async def test_a_repeat_replaces_the_first(home: OpenHome) -> None:
    events = StoredEvents(home.store)
    await events(record())
    await events(record(count=2, minutes=5))
    assert await events.of(SHOP) == (record(count=2, minutes=5),)


async def test_about_objects_without_a_namespace(home: OpenHome) -> None:
    ref = ObjectRef("PolicySet", "", "baseline")
    events = StoredEvents(home.store)
    await events(record(ref=ref))
    assert [told.ref for told in await events.of(ref)] == [ref]


async def test_the_oldest_of_an_object_go_first(home: OpenHome) -> None:
    events = StoredEvents(home.store, max_per_object=3)
    for number in range(5):
        await events(record(str(number), minutes=number))
    assert [told.message for told in await events.of(SHOP)] == ["2", "3", "4"]


async def test_the_oldest_of_all_go_first_over_restarts(home: OpenHome) -> None:
    refs = [ObjectRef("Environment", "default", f"e{number}") for number in range(5)]
    for ref in refs:
        await StoredEvents(home.store, max_events=3)(record(ref=ref))
    left: set[ObjectRef] = set()
    for ref in refs:
        left |= {told.ref for told in await StoredEvents(home.store).of(ref)}
    assert left == set(refs[2:])
    assert len((await home.cluster.list("Event")).items) == 3


async def test_look_like_kubernetes_events(home: OpenHome) -> None:
    await StoredEvents(home.store)(record(count=7))
    (event,) = (await home.cluster.list("Event", namespace="default")).items
    assert event["involvedObject"] == {"kind": "Environment", "namespace": "default", "name": "shop"}
    assert (event["reason"], event["count"], event["type"]) == ("DriftDetected", 7, "Warning")
    assert event["lastTimestamp"] == "2026-01-01T12:00:00Z"
