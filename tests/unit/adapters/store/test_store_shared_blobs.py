"""Sealed blobs in PostgreSQL: nothing readable, one key for all replicas, pruning by age, memory that is bounded."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from setpoint.adapters.store import SealedBlobs
from setpoint.adapters.store.blobs import MIN_AGE
from setpoint.adapters.store.shared_blobs import open_shared_blobs
from setpoint.domain.errors import NotFoundError, StoreError

FRAME = 1 << 20


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "blobs.key"
    path.write_bytes(os.urandom(32))
    return path


@pytest.fixture
async def store(postgres_url: str, key: Path) -> AsyncIterator[SealedBlobs]:
    opened = open_shared_blobs(postgres_url, key)
    yield opened
    await opened.close()


@pytest.fixture
async def replica(postgres_url: str, key: Path, store: SealedBlobs) -> AsyncIterator[SealedBlobs]:
    """Another one, that remembers nothing."""
    opened = open_shared_blobs(postgres_url, key)
    yield opened
    await opened.close()


def query(url: str, statement: str, *values: object) -> list[tuple]:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize("size", [0, 1, FRAME, FRAME + 1, 3 * FRAME])
async def test_replicas_read_what_others_put(store: SealedBlobs, replica: SealedBlobs, size: int) -> None:
    data = os.urandom(size)
    digest = await store.put(data)
    assert await replica.get(digest) == data
    assert await replica.put(data) == digest


async def test_what_is_stored_tells_nothing(postgres_url: str, store: SealedBlobs) -> None:
    await store.put(b"the password is hunter2")
    pieces = query(postgres_url, "SELECT sealed FROM blob_piece")
    assert pieces
    assert all(b"hunter2" not in piece for (piece,) in pieces)


async def test_the_same_bytes_at_once_are_kept_once(
    postgres_url: str, store: SealedBlobs, replica: SealedBlobs
) -> None:
    data = os.urandom(2 * FRAME)
    await asyncio.gather(*(blobs.put(data) for blobs in (store, replica) * 4))
    assert query(postgres_url, "SELECT count(*) FROM blob_piece") == [(3,)]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM blob_piece WHERE number = 1",
        "DELETE FROM blob_piece WHERE number = 2",
        "UPDATE blob_piece SET number = number + 10 WHERE number > 1",
        "UPDATE blob_piece SET sealed = set_byte(sealed, 20, 255 - get_byte(sealed, 20)) WHERE number = 1",
        "UPDATE blob_piece SET sealed = '' WHERE number = 0",
    ],
    ids=["a piece missing", "the last missing", "numbers", "a byte", "an empty piece"],
)
async def test_damage_is_named(postgres_url: str, store: SealedBlobs, replica: SealedBlobs, statement: str) -> None:
    digest = await store.put(os.urandom(2 * FRAME))
    query(postgres_url, statement)
    with pytest.raises(StoreError, match=f"{digest} is damaged"):
        await replica.get(digest)


async def test_pruning_takes_what_is_old_and_not_kept(
    postgres_url: str, store: SealedBlobs, replica: SealedBlobs, key: Path
) -> None:
    contents = (b"old", b"kept", b"young", b"used", b"new")
    old, kept, young, used, renewed = [await store.put(data) for data in contents]
    aged = [old, kept, used, renewed]
    query(postgres_url, "UPDATE blob SET used = used - %s WHERE digest = ANY(%s)", int(MIN_AGE) + 60, aged)
    assert await store.put(b"used") == used  # put again: something is about to refer to it
    await store.renew(renewed)

    async def find_kept() -> frozenset[str]:
        return frozenset({kept})

    assert await replica.prune(find_kept) == 1
    assert [await replica.get(digest) for digest in (kept, young, used)] == [b"kept", b"young", b"used"]
    assert await replica.get(renewed) == b"new"
    for gone in (replica.get, replica.renew):
        with pytest.raises(NotFoundError):
            await gone(old)
    await open_shared_blobs(postgres_url, key).close()  # nor is the mark of the key pruned


async def test_another_key_is_refused(tmp_path: Path, postgres_url: str, store: SealedBlobs) -> None:
    (tmp_path / "other.key").write_bytes(os.urandom(32))
    with pytest.raises(StoreError, match="sealed with another key than the one in SETPOINT_SEALING_KEY_FILE"):
        open_shared_blobs(postgres_url, tmp_path / "other.key")


@pytest.mark.parametrize(
    ("content", "why"), [(None, "can't be read"), (b"short", "must have 32 bytes")], ids=["missing", "short"]
)
def test_a_key_is_given_and_never_made(tmp_path: Path, postgres_url: str, content: bytes | None, why: str) -> None:
    path = tmp_path / "given.key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=why):
        open_shared_blobs(postgres_url, path)
    assert path.exists() is (content is not None)


_LARGE = """
import asyncio, os, resource, sys
from pathlib import Path
from setpoint.adapters.store.shared_blobs import open_shared_blobs

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

async def main():
    blobs = open_shared_blobs(sys.argv[1], Path(sys.argv[2]))
    await blobs.get(await blobs.put(bytes(9 << 20)))
    data = os.urandom(64 << 20)
    before = peak()
    digest = await blobs.put(data)
    put = peak() - before
    assert await blobs.get(digest) == data
    print(put // len(data), (peak() - before) // len(data))
    await blobs.close()

asyncio.run(main())
"""


async def test_a_state_of_64_mb_is_held_a_few_times_at_most(postgres_url: str, key: Path) -> None:
    root = Path(__file__).parents[4]
    found = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _LARGE, postgres_url, str(key)],
        env={"PYTHONPATH": f"{root}:{root}/operator"},
        capture_output=True,
        check=True,
    )
    put, put_and_get = map(int, found.stdout.split())
    assert put <= 1  # the sealed bytes
    assert put_and_get <= 3  # the sealed bytes, the plain pieces, the plain bytes
