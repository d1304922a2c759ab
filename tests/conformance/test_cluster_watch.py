"""The events that every ClusterClient tells those who watch, and how it holds where many write at once."""

import asyncio
import contextlib

import pytest
from tests.conformance.homes import (
    REF,
    Home,
    approval,
    environment,
    policy_set,
    version,
    watching,
    with_metadata,
    with_stage,
)

from setpoint.api.meta import FINALIZER
from setpoint.domain.errors import AlreadyExistsError, ConflictError, GoneError, InvalidError
from setpoint.ports import ClusterClient, WatchEvent


class TestWatch:
    async def test_sees_writes_of_another_client_in_order(self, home: Home) -> None:
        async with watching(home, "Environment") as watch:
            created = await home.other.create(environment())
            assert await watch.next() == WatchEvent("ADDED", created)
            updated = await home.other.update(with_stage(created, "prod"))
            assert await watch.next() == WatchEvent("MODIFIED", updated)
            await home.other.delete(REF)
            event = await watch.next()
            assert (event.type, event.object["metadata"]["uid"]) == ("DELETED", created["metadata"]["uid"])

    async def test_sees_writes_of_its_own_client(self, home: Home) -> None:
        async with watching(home, "Environment") as watch:
            created = await home.cluster.create(environment())
            assert await watch.next() == WatchEvent("ADDED", created)

    @pytest.mark.parametrize("writer", ["cluster", "other"])
    async def test_wakes_up_while_it_waits(self, home: Home, writer: str) -> None:
        async with watching(home, "Environment") as watch:
            waiting = asyncio.create_task(watch.next())
            for _ in range(10):
                # Ten round trips: by then there was nothing to see, and it waits.
                await home.cluster.list("Environment")
            assert not waiting.done()
            created = await getattr(home, writer).create(environment())
            assert await waiting == WatchEvent("ADDED", created)

    async def test_is_left_without_a_trace_while_it_waits(self, home: Home) -> None:
        async with watching(home, "Environment") as watch:
            waiting = asyncio.create_task(watch.next())
            await home.cluster.list("Environment")
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await home.cluster.create(environment())

    @pytest.mark.parametrize("resource_version", ["x", "1.5", "-"])
    async def test_of_no_version_is_refused(self, home: Home, resource_version: str) -> None:
        with pytest.raises((InvalidError, GoneError)):
            async with watching(home, "Environment", resource_version=resource_version) as watch:
                await watch.next()

    async def test_goes_on_from_a_list(self, home: Home) -> None:
        await home.cluster.create(environment("before"))
        listed = await home.cluster.list("Environment")
        await home.cluster.create(environment("after"))
        async with watching(home, "Environment", resource_version=listed.resource_version) as watch:
            event = await watch.next()
        assert (event.type, event.object["metadata"]["name"]) == ("ADDED", "after")

    async def test_goes_on_from_an_object(self, home: Home) -> None:
        created = await home.cluster.create(environment())
        updated = await home.cluster.update_status({**created, "status": {"failures": 1}})
        async with watching(home, "Environment", resource_version=version(created)) as watch:
            assert await watch.next() == WatchEvent("MODIFIED", updated)

    async def test_hears_of_what_went_while_it_was_away(self, home: Home) -> None:
        await home.cluster.create(environment())
        listed = await home.cluster.list("Environment")
        await home.cluster.delete(REF)
        async with watching(home, "Environment", resource_version=listed.resource_version) as watch:
            assert (await watch.next()).type == "DELETED"

    async def test_sees_the_kinds_that_it_asked_for(self, home: Home) -> None:
        async with watching(home, "Environment", "PolicySet") as watch:
            await home.cluster.create(approval())
            await home.cluster.create(policy_set())
            await home.cluster.create(environment())
            kinds = {(await watch.next()).object["kind"] for _ in range(2)}
        assert kinds == {"PolicySet", "Environment"}

    async def test_writes_that_are_none_are_not_seen(self, home: Home) -> None:
        created = await home.cluster.create(environment())
        async with watching(home, "Environment") as watch:
            await home.cluster.update(created)
            await home.cluster.create(environment("next"))
            assert (await watch.next()).object["metadata"]["name"] == "next"

    async def test_stamps_and_removals_are_seen(self, home: Home) -> None:
        await home.cluster.create(environment(finalizers=[FINALIZER]))
        async with watching(home, "Environment") as watch:
            await home.cluster.delete(REF)
            stamped = await watch.next()
            assert stamped.type == "MODIFIED"
            assert stamped.object["metadata"]["deletionTimestamp"]
            await home.cluster.update(with_metadata(stamped.object, finalizers=[]))
            assert (await watch.next()).type == "DELETED"

    async def test_of_a_forgotten_version_is_gone(self, home: Home) -> None:
        old = await home.outdate()
        with pytest.raises(GoneError):
            async with watching(home, "Environment", resource_version=old) as watch:
                await watch.next()

    async def test_two_watches_see_the_same(self, home: Home) -> None:
        async with watching(home, "Environment") as one, watching(home, "Environment") as two:
            await home.cluster.create(environment())
            assert await one.next() == await two.next()


class TestConcurrency:
    async def test_writers_that_retry_lose_nothing(self, home: Home) -> None:
        await home.cluster.create(environment() | {"status": {}})

        async def increment(client: ClusterClient) -> None:
            while True:
                current = await client.get(REF)
                failures = (current.get("status") or {}).get("failures", 0)
                with contextlib.suppress(ConflictError):
                    await client.update_status({**current, "status": {"failures": failures + 1}})
                    return

        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(increment(home.cluster if number % 2 else home.other))
        assert (await home.cluster.get(REF))["status"]["failures"] == 20

    async def test_annotations_of_many_are_all_kept(self, home: Home) -> None:
        await home.cluster.create(environment())
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                client = home.cluster if number % 2 else home.other
                group.create_task(client.annotate(REF, {f"n{number}": str(number)}))
        assert len((await home.cluster.get(REF))["metadata"]["annotations"]) == 20

    async def test_one_of_many_creators_wins(self, home: Home) -> None:
        clients = [home.cluster, home.other] * 5
        results = await asyncio.gather(*(client.create(environment()) for client in clients), return_exceptions=True)
        assert sum(isinstance(result, dict) for result in results) == 1
        assert sum(isinstance(result, AlreadyExistsError) for result in results) == 9

    async def test_versions_of_concurrent_writes_differ(self, home: Home) -> None:
        created = await asyncio.gather(*(home.cluster.create(environment(f"e{number}")) for number in range(20)))
        assert len({version(obj) for obj in created}) == 20
