"""Bytes that are gone, or don't open: named, with what to do, and never taken for what never was."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.store import open_sql_stores, state_file

from setpoint.adapters.local import rows
from setpoint.adapters.store import SealedBlobs
from setpoint.api.meta import ObjectRef
from setpoint.domain.errors import LostBlobError
from setpoint.ports import StoredObject

KEY = "environment/default/shop"


def remove(path: Path) -> None:
    path.unlink()


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("lose", "why"),
    [
        (
            remove,
            r"version 1 of the state of environment/default/shop is in the blob sha256:[0-9a-f]{64}, which is gone",
        ),
        (
            damage,
            r"the blob sha256:[0-9a-f]{64} is damaged, or was sealed with another key than .*blobs\.key: put it back",
        ),
    ],
)
async def test_a_state_that_is_lost_is_named_with_what_to_put_back(
    tmp_path: Path, lose: Callable[[Path], None], why: str
) -> None:
    async with open_sql_stores(tmp_path) as stores:
        await stores.states.append(KEY, state_file(1), run="r")
    for path in (tmp_path / "blobs").glob("??/*"):
        lose(path)
    async with open_sql_stores(tmp_path) as stores:
        with pytest.raises(LostBlobError, match=why):
            await stores.states.read(KEY)
        assert (await stores.states.head(KEY)).version == 1


async def test_a_blob_of_another_key_names_the_key(tmp_path: Path) -> None:
    first = SealedBlobs.open(tmp_path / "blobs", tmp_path / "one.key")
    digest = await first.put(b"content")
    await first.close()
    second = SealedBlobs.open(tmp_path / "blobs", tmp_path / "one.key")
    (tmp_path / "two.key").write_bytes(b"k" * 32)
    other = SealedBlobs.open(tmp_path / "blobs", tmp_path / "two.key")
    assert await second.get(digest) == b"content"
    with pytest.raises(LostBlobError, match=r"another key than .*two\.key.*or the key that belongs to it"):
        await other.get(digest)
    await second.close()
    await other.close()


async def test_a_secret_whose_content_is_lost_says_which(tmp_path: Path) -> None:
    digest = "sha256:" + "a" * 64
    row = StoredObject(ObjectRef("Secret", "default", "outputs"), "u", 1, f'{{"x-sealed": "{digest}"}}')
    async with open_sql_stores(tmp_path) as stores:
        with pytest.raises(LostBlobError, match=f"the content of secret/outputs is in the blob {digest}"):
            await rows.unseal(rows.decode(row), stores.blobs)
