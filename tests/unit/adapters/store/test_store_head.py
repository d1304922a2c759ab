"""A store that is not the one that stood here: the head tells, whatever lies in its place, until a person accepts."""

import contextlib
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.store import FixedClock, make_fresh, open_at, open_sql_stores

from setpoint.adapters.store import NAME, AuditTrail, begin_sqlite
from setpoint.adapters.store.sealing import load_key
from setpoint.api.meta import ObjectRef
from setpoint.domain.audit import AuditEntry, Phase, Verdict
from setpoint.domain.errors import StoreError, StoreMovedError, StoreSetBackError

HEAD = "audit.head"


async def record(folder: Path, count: int) -> None:
    async with open_sql_stores(folder) as stores:
        # Salted, so that no two rows are alike.
        entry = AuditEntry("A", Phase.FACT, "me", ObjectRef("K", "n", "x"), payload={})
        await stores.trail.append(*([entry] * count))


async def set_back(folder: Path) -> None:
    """Three rows and then two more, which an older database, put back, knows nothing of."""
    await record(folder, 3)
    shutil.copy(folder / NAME, folder / "older")
    await record(folder, 2)
    shutil.copy(folder / "older", folder / NAME)


async def test_on_a_trail_that_stands_things_are_applied(tmp_path: Path) -> None:
    await record(tmp_path, 3)
    async with open_sql_stores(tmp_path) as stores:
        await stores.trail.require_standing()
        assert await stores.trail.accept("ada", "no reason") == ""
        assert len(await stores.trail.rows()) == 3


async def test_an_older_database_contradicts_its_head_however_far_it_goes_on(tmp_path: Path) -> None:
    await set_back(tmp_path)
    before = (tmp_path / HEAD).read_bytes()
    for count, why in ((1, "had 5 rows and ends after 3"), (4, "ends after 4"), (1, "row 5")):
        async with open_sql_stores(tmp_path) as stores:
            with pytest.raises(StoreSetBackError, match=why):
                await stores.trail.require_standing()
        await record(tmp_path, count)
    assert (tmp_path / HEAD).read_bytes() == before, "the evidence stays"


async def test_a_person_accepts_it_on_record(tmp_path: Path) -> None:
    await set_back(tmp_path)
    async with open_sql_stores(tmp_path) as stores:
        assert "ends after 3" in await stores.trail.accept("user:ada", "the disk was lost")
        await stores.trail.require_standing()
        report = await stores.trail.verify()
        assert (report.verdict, report.rows) == (Verdict.INTACT, 4)
        row = (await stores.trail.rows())[-1].entry
        assert (row.action, row.actor, row.payload["reason"]) == ("store.accept", "user:ada", "the disk was lost")
        assert "had 5 rows" in row.payload["found"]


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    # A socket's path is short: bound by a name in its folder.
    here = Path.cwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(path.name)
    os.chdir(here)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        pytest.param(lambda path: None, "is missing", id="nothing"),
        pytest.param(make_fifo, "is a named pipe", id="a fifo"),
        pytest.param(make_socket, "is a socket", id="a socket"),
        pytest.param(Path.mkdir, "is a folder", id="a folder"),
        pytest.param(lambda path: path.symlink_to(path.with_name("saved")), "is a link", id="a link to a good one"),
        pytest.param(lambda path: path.symlink_to("/dev/zero"), "is a link", id="a link to no end"),
        pytest.param(lambda path: path.write_bytes(b"[" * 3_000), "something else", id="deep and huge"),
        pytest.param(lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 2**40), "else", id="a terabyte"),
        pytest.param(lambda path: path.write_text('{"size": -1, "hash": ""}'), "something else", id="less than none"),
        pytest.param(lambda path: path.write_text('{"size": 9e99, "hash": ""}'), "something else", id="far too many"),
        pytest.param(lambda path: path.write_text('{"size": 0, "hash": "", "trail": "t"}'), "by another", id="forged"),
    ],
)
async def test_what_is_no_head_is_told_and_vouches_for_nothing(
    tmp_path: Path, make: Callable[[Path], None], why: str
) -> None:
    await record(tmp_path, 3)
    shutil.move(tmp_path / HEAD, tmp_path / "saved")
    make(tmp_path / HEAD)
    async with open_sql_stores(tmp_path) as stores:
        with pytest.raises(StoreSetBackError, match=why):
            await stores.trail.require_standing()
        report = await stores.trail.verify()
    assert (report.verdict, report.rows) == (Verdict.UNVERIFIABLE, 3)
    assert why in report.reason


BESIDE = ("blobs", "keys/blobs.key", "work", "runs")


@pytest.mark.parametrize("left", ["blobs/ab", "keys/blobs.key", "work/e", "runs/r", "audit.head"])
def test_a_database_that_is_gone_is_not_made_anew_beside_what_it_left(tmp_path: Path, left: str) -> None:
    (tmp_path / left).parent.mkdir(exist_ok=True)
    (tmp_path / left).write_text("x")
    with pytest.raises(StoreError, match=f"missing or empty, though there was one.*{left.partition('/')[0]}.*move"):
        begin_sqlite(tmp_path / NAME, beside=[tmp_path / name for name in BESIDE])
    assert not (tmp_path / NAME).exists()


async def test_a_home_in_which_nothing_ever_was_is_begun(tmp_path: Path) -> None:
    for name in ("blobs", "work", "runs", "keys"):
        (tmp_path / name).mkdir()
    begin_sqlite(tmp_path / NAME, beside=[tmp_path / name for name in BESIDE])
    database = open_at(tmp_path / NAME)
    await AuditTrail(database, FixedClock()).require_standing()
    await database.close()


async def test_who_was_killed_before_the_database_was_made_begins_anew(tmp_path: Path) -> None:
    beside = [tmp_path / name for name in BESIDE]
    begin_sqlite(tmp_path / NAME, beside=beside)
    load_key(tmp_path / "keys" / "blobs.key", guards="")
    begin_sqlite(tmp_path / NAME, beside=beside)
    database = open_at(tmp_path / NAME)
    await AuditTrail(database, FixedClock()).require_standing()
    await database.close()


async def test_an_empty_database_in_place_of_a_lost_one_is_not_ours(tmp_path: Path) -> None:
    await record(tmp_path, 3)
    (tmp_path / NAME).unlink()
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    shutil.copy(make_fresh(fresh), tmp_path / NAME)
    async with open_sql_stores(tmp_path) as stores:
        with pytest.raises(StoreSetBackError, match="had 3 rows and ends after 0"):
            await stores.trail.require_standing()


@pytest.mark.parametrize(
    "meddle",
    [
        pytest.param(lambda path: path.unlink(), id="removed"),
        pytest.param(lambda path: path.rename(path.with_name("moved")), id="moved"),
        pytest.param(lambda path: (path.unlink(), path.touch()), id="replaced"),
        pytest.param(lambda path: (path.rename(path.with_name("m")), path.symlink_to("m")), id="a link to it"),
    ],
)
@pytest.mark.parametrize("name", [NAME, "manager.lock"])
async def test_files_that_are_taken_away_under_a_manager_end_all_applies(
    tmp_path: Path, meddle: Callable[[Path], object], name: str
) -> None:
    make_fresh(tmp_path)
    (tmp_path / "manager.lock").touch()
    database = open_at(tmp_path / NAME, held=[tmp_path / "manager.lock"])
    trail = AuditTrail(database, FixedClock())
    await trail.require_standing()
    meddle(tmp_path / name)
    with pytest.raises(StoreMovedError, match=f"{name} was removed, moved or replaced"):
        await trail.require_standing()
    with contextlib.suppress(StoreError):
        await trail.append(AuditEntry("A", Phase.FACT, "me"))
    before = (tmp_path / HEAD).read_bytes()
    await database.close()
    assert (tmp_path / HEAD).read_bytes() == before, "the head that is there now may be another's"


async def test_no_database_is_made_in_place_of_one_that_was_removed(tmp_path: Path) -> None:
    database = open_at(make_fresh(tmp_path))
    (tmp_path / NAME).unlink()
    database.backend.writes.dispose()
    with pytest.raises(StoreError):
        await AuditTrail(database, FixedClock()).append(AuditEntry("A", Phase.FACT, "me"))
    assert not (tmp_path / NAME).exists()
    await database.close()
