"""Sealed blobs: nothing readable on the disk, damage named, keys never made anew over blobs, pruning by age."""

import os
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from setpoint.adapters.store import SealedBlobs, blobs
from setpoint.adapters.store.blobs import MIN_AGE
from setpoint.adapters.store.sealing import Sealer
from setpoint.domain.errors import NotFoundError, StoreError

FRAME = 1 << 20
DATA = b"the password is hunter2"
AGE = MIN_AGE + 60


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SealedBlobs]:
    opened = reopen(tmp_path)
    yield opened
    await opened.close()


def reopen(home: Path) -> SealedBlobs:
    return SealedBlobs.open(home / "blobs", home / "keys" / "blobs.key")


def named(*kept: str) -> Callable[[], Awaitable[frozenset[str]]]:
    async def find_kept() -> frozenset[str]:
        return frozenset(kept)

    return find_kept


def files_of(home: Path) -> list[Path]:
    return [file for file in home.rglob("*") if file.is_file()]


def file_of(home: Path, digest: str) -> Path:
    return home / "blobs" / digest[7:9] / digest[9:]


async def test_what_is_on_the_disk_tells_nothing_and_is_its_owners_alone(tmp_path: Path, store: SealedBlobs) -> None:
    digest = await store.put(DATA)
    files = files_of(tmp_path)
    assert sorted(files) == sorted([file_of(tmp_path, digest), tmp_path / "keys" / "blobs.key"])
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert b"hunter2" not in file_of(tmp_path, digest).read_bytes()
    assert len((tmp_path / "keys" / "blobs.key").read_bytes()) == 32


async def test_another_home_names_the_same_bytes_differently(tmp_path: Path, store: SealedBlobs) -> None:
    other = SealedBlobs.open(tmp_path / "other", tmp_path / "other.key")
    assert other.digest(DATA) != store.digest(DATA)
    await other.close()


@pytest.mark.parametrize("size", [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME])
def test_sealing_keeps_bytes_of_any_size(size: int) -> None:
    sealer, data = Sealer(bytes(32)), bytes(size)
    assert sealer.open(b"".join(sealer.seal(data, "d")), "d") == data


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


SEALED_FRAME, HEAD = FRAME + 16, 15


@pytest.mark.parametrize(
    "damage",
    [
        lambda sealed: b"",
        lambda sealed: sealed[:HEAD],
        lambda sealed: sealed[:-1],
        lambda sealed: sealed + b"x",
        lambda sealed: sealed[: HEAD + SEALED_FRAME],
        lambda sealed: sealed[:HEAD] + sealed[HEAD + SEALED_FRAME :],
        lambda sealed: (
            sealed[:HEAD] + sealed[HEAD + SEALED_FRAME : HEAD + 2 * SEALED_FRAME] + sealed[HEAD : HEAD + SEALED_FRAME]
        ),
        lambda sealed: flip(sealed, 0),
        lambda sealed: flip(sealed, HEAD - 1),
        lambda sealed: flip(sealed, HEAD),
        lambda sealed: flip(sealed, len(sealed) - 1),
    ],
    ids=[
        "empty", "head alone", "cut", "longer", "frame cut off", "frame missing", "frames swapped", "magic", "nonce",
        "first byte", "last byte",
    ],
)  # fmt: skip
async def test_damage_is_named(tmp_path: Path, store: SealedBlobs, damage: object) -> None:
    digest = await store.put(os.urandom(2 * FRAME))
    file = file_of(tmp_path, digest)
    file.write_bytes(damage(file.read_bytes()))
    fresh = reopen(tmp_path)
    with pytest.raises(StoreError, match=f"{digest} is damaged"):
        await fresh.get(digest)
    await fresh.close()


async def test_a_blob_can_not_pass_for_another(tmp_path: Path, store: SealedBlobs) -> None:
    one, two = await store.put(b"one"), await store.put(b"two")
    file_of(tmp_path, one).replace(file_of(tmp_path, two))
    fresh = reopen(tmp_path)
    with pytest.raises(StoreError, match="damaged"):
        await fresh.get(two)
    await fresh.close()


async def test_a_missing_key_is_not_made_anew(tmp_path: Path, store: SealedBlobs) -> None:
    await store.put(DATA)
    (tmp_path / "keys" / "blobs.key").unlink()
    with pytest.raises(StoreError, match=r"key .* is missing: 1 sealed blobs .*restore it"):
        reopen(tmp_path)
    assert not (tmp_path / "keys" / "blobs.key").exists()


@pytest.mark.parametrize("key", [b"", b"short", bytes(33)], ids=["empty", "short", "long"])
def test_what_is_no_key_is_refused(tmp_path: Path, key: bytes) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "blobs.key").write_bytes(key)
    with pytest.raises(StoreError, match="damaged"):
        reopen(tmp_path)


async def test_another_key_opens_nothing(tmp_path: Path, store: SealedBlobs) -> None:
    digest = await store.put(DATA)
    (tmp_path / "keys" / "blobs.key").write_bytes(os.urandom(32))
    other = reopen(tmp_path)
    with pytest.raises(StoreError, match="another key"):
        await other.get(digest)
    await other.close()


async def test_pruning_takes_what_is_old_and_not_kept(tmp_path: Path, store: SealedBlobs) -> None:
    contents = (b"old", b"kept", b"young", b"used", b"new")
    old, kept, young, used, renewed = [await store.put(data) for data in contents]
    for digest in (old, kept, used, renewed):
        os.utime(file_of(tmp_path, digest), (0, time.time() - AGE))
    assert await store.put(b"used") == used  # put again: something is about to refer to it
    await store.renew(renewed)
    fresh = reopen(tmp_path)
    assert await fresh.prune(named(kept)) == 1
    assert [await fresh.get(digest) for digest in (kept, young, used, renewed)] == [b"kept", b"young", b"used", b"new"]
    for gone in (fresh.get, fresh.renew):
        with pytest.raises(NotFoundError):
            await gone(old)
    await fresh.close()


async def test_what_is_renewed_while_it_is_asked_what_to_keep_stays(
    tmp_path: Path, store: SealedBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = await store.put(b"old")
    os.utime(file_of(tmp_path, digest), (0, time.time() - AGE))

    async def nothing_kept() -> frozenset[str]:
        await store.renew(digest)
        paused_until = time.time() + 2 * AGE
        monkeypatch.setattr(time, "time", lambda: paused_until)
        return frozenset()

    assert await store.prune(nothing_kept) == 0


async def test_where_it_can_not_be_said_what_to_keep_nothing_is_pruned(tmp_path: Path, store: SealedBlobs) -> None:
    digest = await store.put(b"old")
    os.utime(file_of(tmp_path, digest), (0, time.time() - AGE))

    async def fail() -> frozenset[str]:
        raise StoreError("the objects can't be listed")

    with pytest.raises(StoreError):
        await store.prune(fail)
    assert file_of(tmp_path, digest).exists()


async def test_the_newest_bytes_are_kept_in_memory_up_to_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "_CACHE_BYTES", 100)
    store = reopen(tmp_path)
    small, other, large = [await store.put(bytes([n]) * size) for n, size in enumerate((40, 50, 60))]
    await store.get(small)
    third = await store.put(b"x" * 30)
    for file in files_of(tmp_path / "blobs"):
        file.unlink()
    assert len(await store.get(small)) == 40
    assert len(await store.get(third)) == 30
    for digest in (other, large):
        with pytest.raises(NotFoundError):
            await store.get(digest)
    await store.close()


async def test_a_folder_that_can_not_be_written_is_a_store_error(tmp_path: Path, store: SealedBlobs) -> None:
    digest = store.digest(DATA)
    (tmp_path / "blobs" / digest[7:9]).write_text("in the way")
    with pytest.raises(StoreError, match="can't be read or written"):
        await store.put(DATA)
