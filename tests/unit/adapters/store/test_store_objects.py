"""Objects and states over a database: what only the real store has: tombstones that end, openings, restarts."""

import asyncio
from pathlib import Path

import pytest
from tests.fakes.store import StorePlace, open_sql_stores, state_file

from setpoint.adapters.store import objects
from setpoint.adapters.store.state_versions import StateLock
from setpoint.api.meta import ObjectRef
from setpoint.domain.audit import AuditEntry, Phase
from setpoint.domain.errors import ConflictError, GoneError
from setpoint.ports import StoredObject

FACT = AuditEntry("Noted", Phase.FACT, "user:me")


def row(name: str, body: str = "{}") -> StoredObject:
    return StoredObject(ObjectRef("K", "n", name), "uid", 1, body)


async def test_a_watch_that_is_behind_the_forgotten_tombstones_is_told(
    store_place: StorePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "TOMBSTONES_FOR", 2)
    monkeypatch.setattr(objects, "_PRUNE_EVERY", 1)
    async with store_place.open() as stores:
        for name in "abcd":
            await stores.objects.put(row(name), expected_version=None)
        for name in "abc":
            await stores.objects.remove(row(name).ref)
        with pytest.raises(GoneError):
            await stores.objects.changes(4, ["K"])
        found = await stores.objects.changes(5, ["K"])
        assert [(item.ref.name, item.deleted) for item in found.items] == [("b", True), ("c", True)]


async def test_objects_and_audit_survive_a_restart(store_place: StorePlace) -> None:
    async with store_place.open() as stores:
        await stores.objects.put(row("a", '{"ü":"😀"}'), expected_version=None, audit=[FACT])
    async with store_place.open() as stores:
        assert (await stores.objects.get(row("a").ref)).body == '{"ü":"😀"}'
        assert len(await stores.trail.rows()) == 1
        assert await stores.objects.put(row("b"), expected_version=None) == 2


async def test_two_openings_never_both_win(store_place: StorePlace) -> None:
    async with store_place.open() as one, store_place.open() as two:
        version = await one.objects.put(row("a"), expected_version=None)
        for turn in range(5):
            rows = (row("a", f"[{turn},{n}]") for n in range(2))
            puts = [s.objects.put(r, expected_version=version) for r, s in zip(rows, (one, two), strict=True)]
            results = await asyncio.gather(*puts, return_exceptions=True)
            (version,) = [result for result in results if not isinstance(result, ConflictError)]
        assert await two.objects.version() == await one.objects.version() == version == 6


async def test_states_and_locks_survive_a_restart(store_place: StorePlace) -> None:
    lock = StateLock("t", "1", "run", '{"ID":"1"}')
    async with store_place.open() as stores:
        await stores.locks.acquire(lock)
        await stores.states.append("t", state_file(1), run="run", lock="1")
    async with store_place.open() as stores:
        assert await stores.locks.held() == (lock,)
        assert await stores.states.read("t") == state_file(1)
        assert (await stores.states.append("t", state_file(2), run="run", lock="1")).version == 2


def files_that_hold(home: Path, text: bytes) -> list[Path]:
    return [file for file in home.rglob("*") if file.is_file() and text in file.read_bytes()]


async def test_states_are_sealed(tmp_path: Path) -> None:
    async with open_sql_stores(tmp_path) as stores:
        await stores.states.append("t", state_file(1).replace(b'"id": "0"', b'"id": "hunter2"'), run="run")
    assert files_that_hold(tmp_path, b"hunter2") == []
