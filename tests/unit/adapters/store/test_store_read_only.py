"""A store that can't be written: it is read whole, whatever another left beside it, and nothing is made or changed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.store import FixedClock, open_sql_stores

from setpoint.adapters.store import NAME, AuditTrail, read_sqlite, sqlite
from setpoint.adapters.store.sqlite import Source
from setpoint.domain.audit import AuditEntry, Phase, Verdict
from setpoint.domain.errors import StoreError

FACT = AuditEntry("A", Phase.FACT, "me", payload={})


async def closed(folder: Path) -> None:
    """Three rows, all of them in the file."""
    async with open_sql_stores(folder) as stores:
        await stores.trail.append(FACT, FACT, FACT)


async def killed(folder: Path) -> None:
    """Three rows, the last of which are still beside the file: as a process that was killed leaves them."""
    (folder / "live").mkdir()
    async with open_sql_stores(folder / "live") as stores:
        await stores.trail.append(FACT, FACT, FACT)
        for file in (folder / "live").iterdir():
            if file.is_file():
                shutil.copy(file, folder)
    shutil.copytree(folder / "live" / "keys", folder / "keys")
    shutil.rmtree(folder / "live")
    assert (folder / f"{NAME}-wal").stat().st_size


async def killed_without_its_index(folder: Path) -> None:
    await killed(folder)
    (folder / f"{NAME}-shm").unlink()


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(params=["shared", "copied"])
def sharing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Lets SQLite share what is beside the file, or not, as on a disk that is mounted to be read."""
    if request.param == "copied":
        monkeypatch.setattr(sqlite, "_can_be_read", lambda _uri: False)
    return request.param


@pytest.mark.parametrize("leave", [closed, killed, killed_without_its_index])
async def test_it_is_read_whole_and_left_as_it_is(
    tmp_path: Path, leave: Callable[[Path], object], sharing: str
) -> None:
    await leave(tmp_path)
    kept = tmp_path / "kept"
    shutil.copytree(tmp_path, kept)
    if sharing == "copied":
        before = content(kept)
    database = read_sqlite(kept / NAME, kept / "keys" / "blobs.key")
    trail = AuditTrail(database, FixedClock())
    assert [row.vouched for row in await trail.rows()] == [True] * 3
    assert (await trail.verify()).verdict is Verdict.INTACT
    with pytest.raises(StoreError, match=r"can't be (written|opened)"):
        await trail.append(FACT)
    assert len(await trail.rows()) == 3
    await database.close()
    if sharing == "copied":
        assert content(kept) == before


async def test_copies_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await killed(tmp_path)
    monkeypatch.setattr(sqlite, "_can_be_read", lambda _uri: False)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(sqlite.tempfile, "tempdir", str(scratch))
    source = Source(tmp_path / NAME)
    assert any(scratch.iterdir())
    source.close()
    assert not any(scratch.iterdir())


def test_one_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "blobs.key").write_bytes(bytes(32))
    with pytest.raises(StoreError, match="missing or empty, and this home can't be written"):
        read_sqlite(tmp_path / NAME, tmp_path / "blobs.key")
    assert [path.name for path in tmp_path.iterdir()] == ["blobs.key"]
