"""When a watch is said to be blind: never one that died, nor one that is too young to have seen anything yet."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.fakes.cluster import InMemoryCluster

from setpoint.domain.errors import ForbiddenError, GoneError, InvalidError, SetpointError, TransientError
from setpoint.watch import KopfSource, source
from setpoint.watch.source import WatchOptions
from setpoint.wiring import resync
from setpoint.wiring.resync import Resync

pytestmark = pytest.mark.looptime(start=0, end=1000)

INTERVAL = 5.0


def environment(name: str) -> dict[str, Any]:
    """An Environment that is valid and that nobody works on."""
    meta = {"name": name, "namespace": "blog"}
    spec = {"stage": "dev", "source": {"inline": {"main.tf": ""}}}
    return {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Environment", "metadata": meta, "spec": spec}


class Life:
    """A kopf whose sight and death the test decides."""

    def __init__(self, _options: object, _credentials: object, receive: Any) -> None:
        self.died = asyncio.Event()
        self.tell = receive

    async def stop(self) -> None:
        self.died.set()


class Watch:
    """A watch of one object, resynced each `INTERVAL`: what its lives ended of."""

    def __init__(self, made: InMemoryCluster, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ends: list[str] = []
        self.lives: list[Life] = []
        self.away = False
        self.refusal: SetpointError | None = None
        self.first_list: float | None = 1.0
        """Seconds until a life has seen what is there; None for never."""
        self.objects = made
        monkeypatch.setattr(source, "_Life", self._live)
        self.source = KopfSource(
            WatchOptions(["Environment"]),
            credentials=cast("Any", None),
            deliver=lambda _: None,
            on_start=self._start,
            count_restart=self._end,
        )
        self.resync = self.make_resync(interval=INTERVAL)

    def make_resync(self, *, interval: float) -> Resync:
        """One that nobody works for."""
        work = SimpleNamespace(on_event=self._on_event, wake=lambda _: None)
        return Resync(cast("Any", self), self.source, cast("Any", None), cast("Any", work), interval=interval)

    async def pages(self, kind: str) -> AsyncIterator[Any]:
        yield await self.objects.list(kind)
        if self.refusal is not None:
            raise self.refusal

    async def die(self) -> None:
        self.lives[-1].died.set()
        await asyncio.sleep(0.01)

    async def _start(self) -> None:
        if self.away:
            raise TransientError("Unavailable", "the server is away")

    async def _on_event(self, _event: object) -> None:
        """Does nothing: no worker runs here."""

    def _live(self, *parts: Any) -> Life:
        self.lives.append(Life(*parts))
        if self.first_list is not None:
            self.listing = asyncio.ensure_future(self._see(self.lives[-1], self.first_list))
        return self.lives[-1]

    async def _see(self, life: Life, seconds: float) -> None:
        await asyncio.sleep(seconds)
        for item in (await self.objects.list("Environment")).items:
            life.tell("ADDED", item)

    def _end(self, cause: str) -> None:
        self.ends.append(cause)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        ended = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.source.run(ended))
            group.create_task(self.resync.run(ended))
            yield
            ended.set()


@pytest.fixture
async def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    cluster = InMemoryCluster()
    await cluster.create(environment("shop"))
    return Watch(cluster, monkeypatch)


async def test_one_that_sees__is_left_alone(watch: Watch) -> None:
    async with watch.running():
        await asyncio.sleep(60)
    assert watch.ends == []


async def test_one_that_never_sees_anything__is_begun_anew_after_the_first_look(watch: Watch) -> None:
    watch.first_list = None
    async with watch.running():
        await asyncio.sleep(2 * INTERVAL + 1)
        assert watch.ends == ["blind"]


async def test_one_that_is_blind_in_its_next_life__is_begun_anew_long_before_the_next_resync(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resync, "_FIRST_SECONDS", INTERVAL)
    watch.resync = watch.make_resync(interval=1000.0)
    async with watch.running():
        await asyncio.sleep(100)
        watch.first_list = None
        await watch.die()
        await watch.objects.create(environment("blog"))
        await asyncio.sleep(2 * INTERVAL + 2)
        assert watch.ends == ["died", "blind"]


async def test_one_that_goes_blind__is_begun_anew(watch: Watch) -> None:
    async with watch.running():
        await asyncio.sleep(20)
        await watch.objects.create(environment("blog"))
        await asyncio.sleep(3 * INTERVAL + 1)
        assert watch.ends == ["blind"]


@pytest.mark.parametrize("refusal", [GoneError("410"), InvalidError("400"), ForbiddenError("403")], ids=str)
async def test_a_list_that_is_refused_half_way__is_asked_for_again(watch: Watch, refusal: SetpointError) -> None:
    watch.refusal = refusal
    async with watch.running():
        await asyncio.sleep(3 * INTERVAL)
        watch.refusal = None
        await asyncio.sleep(3 * INTERVAL)


@pytest.mark.parametrize("dies", [4.0, 6.0, 9.0, 12.0, 14.0])
@pytest.mark.parametrize("away", [0.5, 3.0, 7.0])
async def test_one_that_died__is_not_blind_in_its_next_life(watch: Watch, dies: float, away: float) -> None:
    watch.first_list = 2.0
    async with watch.running():
        await asyncio.sleep(dies)
        watch.away = True
        await watch.die()
        await watch.objects.create(environment("blog"))
        await asyncio.sleep(away)
        watch.away = False
        await asyncio.sleep(60)
        assert watch.source.seconds_alive() > INTERVAL
    assert set(watch.ends) == {"died"}
