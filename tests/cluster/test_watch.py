"""kopf as the watch, on a real API server that is killed, cut and booted under it."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from kopf._cogs.aiokits import aiotasks
from kopf._core.reactor import queueing
from tests.cluster.apiserver import ApiServer, Cluster
from tests.cluster.processes import PATIENCE
from tests.conformance.homes import environment

from setpoint.adapters.kube import KubeCluster, KubeConnection, connect
from setpoint.api.meta import ObjectRef
from setpoint.ports import WatchEvent
from setpoint.watch import KopfSource, WatchOptions

KINDS = ("Environment", "PolicySet")


class NoTrail:
    async def append(self, *_entries: Any) -> tuple[int, ...]:
        return ()


class Watched:
    """The events that a source delivered, and a client to make something happen with."""

    def __init__(self, connection: KubeConnection) -> None:
        self.client = KubeCluster(connection, NoTrail())  # type: ignore[arg-type]
        self.events: list[WatchEvent] = []
        self.restarts: list[str] = []
        self._moved = asyncio.Event()
        self.source: KopfSource

    def deliver(self, event: WatchEvent) -> None:
        self.events.append(event)
        self._moved.set()

    async def until(self, happened: Callable[[], bool], seconds: float = PATIENCE) -> None:
        async with asyncio.timeout(seconds):
            while not happened():
                self._moved.clear()
                await self._moved.wait()

    def has(self, name: str, type_: str) -> bool:
        return any(one.type == type_ and one.object["metadata"]["name"] == name for one in self.events)


@contextlib.asynccontextmanager
async def watching(
    cluster: Cluster,
    role: str = "admin",
    on_start: Callable[[], Awaitable[None]] | None = None,
    namespaces: tuple[str, ...] = (),
) -> AsyncIterator[Watched]:
    options = cluster.connection(role)
    async with connect(options) as connection:
        watched = Watched(connection)

        async def ready() -> None:
            await connection.text("/readyz")
            for kind in KINDS:
                await watched.client.list(kind)

        watched.source = KopfSource(
            WatchOptions(KINDS, namespaces),
            credentials=connection.credentials,
            deliver=watched.deliver,
            on_start=on_start or ready,
            count_restart=watched.restarts.append,
        )
        ended = asyncio.Event()
        running = asyncio.create_task(watched.source.run(ended))
        try:
            yield watched
        finally:
            ended.set()
            async with asyncio.timeout(60):
                await running


async def test_tells_of_what_is_there_and_of_what_moves(cluster: Cluster, crds: None, namespace: str) -> None:
    async with connect(cluster.connection()) as connection:
        before = KubeCluster(connection, NoTrail())  # type: ignore[arg-type]
        await before.create(environment("old", namespace))
        async with watching(cluster) as watched:
            await watched.until(lambda: watched.has("old", "ADDED"))
            created = await watched.client.create(environment("new", namespace))
            await watched.until(lambda: watched.has("new", "ADDED"))
            await watched.client.update({**created, "spec": {**created["spec"], "stage": "prod"}})
            await watched.until(lambda: watched.has("new", "MODIFIED"))
            await watched.client.delete(ObjectRef("Environment", namespace, "new"))
            await watched.until(lambda: watched.has("new", "DELETED"))
            assert watched.source.seconds_dead() == 0
            await watched.client.delete(ObjectRef("Environment", namespace, "old"))


async def test_goes_on_after_the_api_server_was_killed(api_server: ApiServer, crds: None, namespace: str) -> None:
    async with watching(api_server) as watched:
        await watched.client.create(environment("before", namespace))
        await watched.until(lambda: watched.has("before", "ADDED"))
        await asyncio.to_thread(api_server.api.kill)
        await asyncio.to_thread(api_server.recover)
        await watched.client.create(environment("after", namespace))
        await watched.until(lambda: watched.has("after", "ADDED"))
        for name in ("before", "after"):
            await watched.client.delete(ObjectRef("Environment", namespace, name))


async def test_a_deletion_that_was_missed_is_seen_in_a_list(api_server: ApiServer, crds: None, namespace: str) -> None:
    async with watching(api_server) as watched:
        await watched.client.create(environment("doomed", namespace))
        await watched.until(lambda: watched.has("doomed", "ADDED"))
        listed = (await watched.client.list("Environment")).items
        now = {ObjectRef.of(obj): (obj["metadata"]["uid"], obj["metadata"]["resourceVersion"]) for obj in listed}
        # On a cluster of a user's there are others, of which the watch tells in any order.
        await watched.until(lambda: watched.source.behind(now) == {})
        doomed = ObjectRef("Environment", namespace, "doomed")
        assert watched.source.gone("Environment", {ref: seen for ref, seen in now.items() if ref != doomed}) == [doomed]
        watched.source.forget(doomed)
        assert watched.source.behind(now) == {doomed: None}
        assert watched.source.is_stuck({doomed: None})
        assert not watched.source.is_stuck({doomed: ("uid", "0")})
        watched.source.restart()
        await watched.until(lambda: sum(one.object["metadata"]["name"] == "doomed" for one in watched.events) > 1)
        assert watched.restarts == ["blind"]
        await watched.client.delete(doomed)


async def test_a_watch_that_may_not_is_dead_and_says_so(cluster: Cluster, crds: None) -> None:
    async with watching(cluster, role="nobody") as watched:
        async with asyncio.timeout(60):
            while not watched.restarts:
                await asyncio.sleep(0.1)
        assert watched.source.seconds_dead() > 0
        assert watched.events == []


async def test_a_kopf_that_hangs_in_its_end_is_followed_by_another(
    cluster: Cluster, crds: None, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cancels the helpers of its schedulers, and then waits for what they would do; it has said that it ends."""

    def dies(_event: object) -> str:
        msg = "a test lets it die"
        raise ValueError(msg)

    init, close = aiotasks.Scheduler.__init__, aiotasks.Scheduler.close
    stuck = []

    def is_made(scheduler: aiotasks.Scheduler, **options: Any) -> None:
        init(scheduler, **options)
        task = asyncio.current_task()
        if task and task.get_name().startswith("watcher for policysets"):
            stuck.append(scheduler)

    async def hangs(scheduler: aiotasks.Scheduler) -> None:
        if scheduler in stuck:
            await asyncio.Event().wait()
        await close(scheduler)

    def threads() -> int:
        return sum(one.name == "setpoint-kopf" for one in threading.enumerate())

    monkeypatch.setattr(queueing, "get_uid", dies)
    monkeypatch.setattr(aiotasks.Scheduler, "__init__", is_made)
    monkeypatch.setattr(aiotasks.Scheduler, "close", hangs)
    async with watching(cluster, namespaces=(namespace,)) as watched:
        await watched.client.create(environment("deadly", namespace))
        async with asyncio.timeout(100):
            while len(watched.restarts) < 2:
                await asyncio.sleep(0.1)
                assert threads() <= 1, "the one before has ended"
        assert set(watched.restarts) == {"died"}
    assert threads() == 0
