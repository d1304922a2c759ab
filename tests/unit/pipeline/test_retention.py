"""Retention of blobs: whatever is reachable stays readable, what is not goes, and a list that fails removes nothing."""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.store import MemoryBlobs, memory_stores, state_file
from tests.fakes.target import FakeDriver, World
from tests.fakes.terraform import FakeTerraform, driver_over
from tests.soak import examples

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.errors import NotFoundError, StoreError, TransientError
from setpoint.pipeline.retention import BlobCollector, keep_collecting
from setpoint.ports import ObjectList

BUNDLE = "sha256:" + "b0" * 32
# The places where an object names the blob that it needs.
PLACES: Mapping[str, Callable[[str], JsonObject]] = {
    "archive in force": lambda blob: {"kind": "Environment", "status": {"applied": {"archive": blob}}},
    "variables in force": lambda blob: {"kind": "Environment", "status": {"applied": {"variables": blob}}},
    "archive of a snapshot": lambda blob: {"kind": "Snapshot", "spec": {"archive": blob}},
    "variables of a snapshot": lambda blob: {"kind": "Snapshot", "spec": {"variables": blob}},
    "outputs of a snapshot": lambda blob: {"kind": "Snapshot", "spec": {"outputs": blob}},
    "anywhere": lambda blob: {"kind": "Reset", "status": {"conditions": [{"message": blob}]}},
}
OUTCOMES = {
    "new": (None, True),
    "waiting": ("Waiting", True),
    "blocked": ("Blocked", True),
    "approved": ("Approved", True),
    "unheard of": ("Dreaming", True),
    "applied": ("Applied", False),
    "superseded": ("Superseded", False),
    "rejected": ("Rejected", False),
}


class Home:
    """A collector, and what it looks at."""

    def __init__(self) -> None:
        self.cluster = InMemoryCluster()
        self.stores = memory_stores()
        assert isinstance(self.stores.blobs, MemoryBlobs)
        self.blobs = self.stores.blobs
        self.sealed: set[str] = set()
        self.bundles: dict[str, str] = {}
        self.counted: list[int] = []
        self.collector = self.over(self.cluster)

    def over(self, cluster: Any, **references: Callable[[], Awaitable[frozenset[str]]]) -> BlobCollector:
        async def sealed() -> frozenset[str]:
            return frozenset(self.sealed)

        states = SimpleNamespace(blobs=references.get("states", self.stores.states.blobs))
        return BlobCollector(
            blobs=self.blobs,
            cluster=cluster,
            drivers=[driver_over(cluster, self.stores, FakeTerraform(made=self.bundles), states=states)],
            references=[references.get("sealed", sealed)],
            count=self.counted.append,
        )

    async def plant(self, body: JsonObject, name: str = "web") -> ObjectRef:
        metadata = {"name": name, "namespace": "default", "uid": name, "generation": 1}
        obj = {"apiVersion": "setpoint.dev/v1alpha1", "metadata": metadata, "spec": {}, **body}
        await self.cluster.plant(obj)
        return ObjectRef.of(obj)

    async def readable(self, blob: str) -> bool:
        try:
            await self.blobs.get(blob)
        except NotFoundError:
            return False
        return True


@pytest.fixture
async def home() -> Home:
    made = Home()
    await made.plant({"kind": "Environment"}, "there")
    return made


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
async def test_what_an_object_names_is_kept(home: Home, place: Callable[[str], JsonObject]) -> None:
    needed, surplus = await home.blobs.put(b"needed"), await home.blobs.put(b"surplus")
    await home.plant(place(needed))
    home.blobs.age()
    assert await home.collector.collect() == 1
    assert (await home.readable(needed), await home.readable(surplus)) == (True, False)
    assert home.counted == [1]


async def test_states_and_sealed_content_are_kept(home: Home) -> None:
    await home.stores.states.append("environment/default/web", state_file(1), run="r")
    await home.stores.states.append("environment/default/web", state_file(2), run="r")
    home.sealed.add(await home.blobs.put(b"a Secret"))
    home.blobs.age()
    assert await home.collector.collect() == 0
    assert await home.stores.states.read("environment/default/web", 1) == state_file(1)


@pytest.mark.parametrize(("outcome", "kept"), OUTCOMES.values(), ids=OUTCOMES)
async def test_the_bundle_of_an_open_change_is_kept(home: Home, outcome: str | None, kept: bool) -> None:
    home.bundles[BUNDLE] = archive = await home.blobs.put(b"archive")
    await home.plant({"kind": "Change", "spec": {"bundle": BUNDLE}, "status": {"outcome": outcome} if outcome else {}})
    home.blobs.age()
    await home.collector.collect()
    assert await home.readable(archive) is kept


@pytest.mark.parametrize("outcome", ["Waiting", "Applied", "Superseded"])
async def test_the_content_of_a_change_is_kept_as_long_as_the_change(home: Home, outcome: str) -> None:
    content = await home.blobs.put(b"content")
    change = await home.plant({"kind": "Change", "spec": {"content": content}, "status": {"outcome": outcome}})
    home.blobs.age()
    assert await home.collector.collect() == 0
    await home.cluster.delete(change)
    assert await home.collector.collect() == 1
    assert not await home.readable(content)


async def test_a_bundle_that_no_change_names_is_not_kept(home: Home) -> None:
    home.bundles[BUNDLE] = archive = await home.blobs.put(b"archive")
    home.blobs.age()
    assert await home.collector.collect() == 1
    assert not await home.readable(archive)


async def test_what_any_driver_needs_is_kept(home: Home) -> None:
    worlds = [World(), World()]
    for number, world in enumerate(worlds):
        world.kept.add(await home.blobs.put(f"needed {number}".encode()))
    await home.blobs.put(b"surplus")
    home.blobs.age()
    drivers = [FakeDriver(world) for world in worlds]
    assert await BlobCollector(blobs=home.blobs, cluster=home.cluster, drivers=drivers).collect() == 1
    kept = itertools.chain.from_iterable(world.kept for world in worlds)
    assert [await home.readable(blob) for blob in kept] == [True, True]


async def test_without_a_target_nothing_is_removed() -> None:
    home = Home()
    await home.blobs.put(b"of another cluster")
    home.blobs.age()
    assert await home.collector.collect() == 0
    assert await home.readable(await home.blobs.put(b"of another cluster"))


class Failing:
    """A cluster that can't list one kind."""

    def __init__(self, cluster: InMemoryCluster, kind: str) -> None:
        self._cluster = cluster
        self._kind = kind

    async def list(self, kind: str) -> ObjectList:
        if kind == self._kind:
            raise TransientError("ApiUnavailable", "the API server is away")
        return await self._cluster.list(kind)


async def fail() -> frozenset[str]:
    raise StoreError("the database is away")


@pytest.mark.parametrize("lost", ["Environment", "Snapshot", "Reset", "Change", "states", "sealed"])
async def test_a_list_that_fails_removes_nothing(home: Home, lost: str) -> None:
    surplus = await home.blobs.put(b"surplus")
    home.blobs.age()
    collector = home.over(home.cluster, **{lost: fail}) if lost.islower() else home.over(Failing(home.cluster, lost))
    with pytest.raises((StoreError, TransientError)):
        await collector.collect()
    assert await home.readable(surplus)
    assert home.counted == []


class Moving:
    """A cluster on which a pass ends while the collector looks: what was in force is in a Snapshot from then on."""

    def __init__(self, home: Home, after: str, archive: str) -> None:
        self._home = home
        self._after = after
        self._archive = archive

    async def list(self, kind: str) -> ObjectList:
        found = await self._home.cluster.list(kind)
        if kind == self._after:
            await self._home.plant({"kind": "Snapshot", "spec": {"archive": self._archive}}, "web-snap")
            newer = await self._home.blobs.put(b"newer")
            await self._home.plant({"kind": "Environment", "status": {"applied": {"archive": newer}}})
        return found


@pytest.mark.parametrize("after", ["Environment", "Snapshot", "Reset", "Change"])
async def test_what_moves_into_a_snapshot_meanwhile_is_kept(home: Home, after: str) -> None:
    archive = await home.blobs.put(b"archive")
    await home.plant({"kind": "Environment", "status": {"applied": {"archive": archive}}})
    home.blobs.age()
    assert await home.over(Moving(home, after, archive)).collect() == 0
    assert await home.readable(archive)
    assert await home.readable(await home.blobs.put(b"newer"))


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "name", "unname", "age", "renew", "collect"]), st.integers(0, 5)), max_size=30
)


@settings(max_examples=examples(60))
@given(STEPS)
def test_whatever_is_reachable_stays_readable(steps: list[tuple[str, int]]) -> None:
    asyncio.run(live(steps))


async def live(steps: list[tuple[str, int]]) -> None:
    """Blobs come and are named and forgotten in any order; only what nobody names and is old may go."""
    home, named, there = Home(), set[int](), set[int]()
    old: set[int] = set()
    await home.plant({"kind": "Environment"}, "there")
    places = list(PLACES.values())
    for step, number in [*steps, ("collect", 0)]:
        content = f"blob {number}".encode()
        blob = home.blobs.digest(content)
        if step == "put":
            await home.blobs.put(content)
            there.add(number)
            old.discard(number)
        elif step == "name" and number in there:
            named.add(number)
            await home.plant(places[number](blob), f"object-{number}")
        elif step == "unname" and number in named:
            named.remove(number)
            await home.plant(places[number]("nothing"), f"object-{number}")
        elif step == "age":
            home.blobs.age()
            old |= there
        elif step == "renew" and number in there:
            await home.blobs.renew(blob)
            old.discard(number)
        elif step == "collect":
            gone = {one for one in old - named if one in there}
            assert await home.collector.collect() == len(gone)
            there -= gone
            old -= gone
            for one in range(6):
                assert await home.readable(home.blobs.digest(f"blob {one}".encode())) is (one in there)
    assert named <= there


@pytest.mark.looptime
async def test_it_collects_at_first_and_once_an_interval_and_sooner_after_a_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop, ended, at = asyncio.get_running_loop(), asyncio.Event(), []
    begun = loop.time()

    async def collect() -> None:
        at.append(round(loop.time() - begun))
        if len(at) == 2:
            raise StoreError("the database is away")
        if len(at) == 4:
            ended.set()

    other: list[int] = []

    async def collect_other() -> None:
        other.append(1)

    with caplog.at_level(logging.WARNING):
        await keep_collecting([collect, collect_other], 86_400, ended)
    assert at == [0, 86_400, 90_000, 176_400]
    assert len(other) == 4, "one that fails does not keep the other from its turn"
    assert "the database is away" in caplog.text
