"""Rows that bear this home's seal: a forged one shows, another key is named, rows of before are told as such."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.store import FixedClock, make_fresh, open_at, open_sql_stores

from setpoint.adapters.store import NAME, AuditTrail
from setpoint.api.meta import ObjectRef
from setpoint.domain import audit
from setpoint.domain.audit import AuditEntry, Phase, Verdict
from setpoint.domain.errors import StoreError

TARGET = ObjectRef("Environment", "default", "shop")


async def record(folder: Path, count: int) -> None:
    async with open_sql_stores(folder) as stores:
        await stores.trail.append(*([AuditEntry("A", Phase.FACT, "me", TARGET, payload={})] * count))


def rewrite(folder: Path, *statements: str, **values: object) -> None:
    """Whoever owns the database drops its triggers first."""
    with sqlite3.connect(folder / NAME) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement, values)
    connection.close()


def forge(folder: Path, mac: bytes | None) -> None:
    """A row that is chained as ours are, by somebody without the key."""
    with sqlite3.connect(folder / NAME) as connection:
        seq, prev = connection.execute("SELECT seq, hash FROM audit_row ORDER BY seq DESC").fetchone()
    connection.close()
    made = audit.draft(AuditEntry("approve", Phase.FACT, "mallory", TARGET), at="2026", salt=bytes(16))
    columns = (made.target, made.run, made.phase, made.header, made.leaf, prev, audit.chain_hash(prev, made.leaf))
    names = ("seq", "target", "run", "phase", "header", "leaf", "prev", "hash", "mac")
    values = dict(zip(names, (seq + 1, *columns, mac), strict=True))
    rewrite(folder, f"INSERT INTO audit_row VALUES ({', '.join(f':{name}' for name in names)})", **values)


@pytest.mark.parametrize("mac", [None, bytes(32)], ids=["no seal", "a made up seal"])
async def test_a_forged_row_that_is_well_chained_shows(tmp_path: Path, mac: bytes | None) -> None:
    await record(tmp_path, 3)
    forge(tmp_path, mac)
    async with open_sql_stores(tmp_path) as stores:
        report = await stores.trail.verify()
        assert (report.verdict, report.seq) == (Verdict.TAMPERED, 4)
        assert "not this home's" in report.reason
        assert [row.vouched for row in await stores.trail.rows()] == [True, True, True, False]


async def test_the_database_itself_takes_no_row_without_a_seal(tmp_path: Path) -> None:
    await record(tmp_path, 1)
    older = (
        "INSERT INTO audit_row (seq, target, run, phase, header, leaf, prev, hash) "
        "VALUES (2, '', '', 'fact', x'00', x'01', x'02', x'03')"
    )
    async with open_sql_stores(tmp_path) as stores:
        with pytest.raises(StoreError, match="let the newer one lead"):
            await stores.database.write(lambda connection: connection.exec_driver_sql(older))


def take_seals_away(folder: Path) -> None:
    """Makes a database look as it did before rows were sealed."""
    with sqlite3.connect(folder / NAME) as connection:
        rows = connection.execute("SELECT seq, header FROM audit_row ORDER BY seq").fetchall()
    connection.close()
    prev = audit.GENESIS
    for seq, header in rows:
        before = header.split(b'"trail"')[0] + header[header.rindex(b'"v"') :] if b'"trail"' in header else header
        leaf = audit.leaf_hash(before)
        digest = audit.chain_hash(prev, leaf)
        rewrite(
            folder,
            "UPDATE audit_row SET header = :header, leaf = :leaf, prev = :prev, hash = :hash WHERE seq = :seq",
            header=before,
            leaf=leaf,
            prev=prev,
            hash=digest,
            seq=seq,
        )
        prev = digest
    rewrite(
        folder,
        "ALTER TABLE audit_row DROP COLUMN mac",
        "DROP TABLE trail",
        "UPDATE alembic_version SET version_num = '0003'",
    )
    (folder / "audit.head").write_text(f'{{"size": {len(rows)}, "hash": "{prev.hex()}"}}')


async def test_rows_of_before_are_told_as_such_and_new_ones_are_sealed(tmp_path: Path) -> None:
    await record(tmp_path, 3)
    take_seals_away(tmp_path)
    async with open_sql_stores(tmp_path) as stores:
        report = await stores.trail.verify()
        assert (report.verdict, report.rows, report.unsealed) == (Verdict.INTACT, 3, 3)
        await stores.trail.require_standing()
    await record(tmp_path, 2)
    async with open_sql_stores(tmp_path) as stores:
        report = await stores.trail.verify()
        assert (report.verdict, report.rows, report.unsealed) == (Verdict.INTACT, 5, 3)
        await stores.trail.require_standing()
        assert all(row.vouched for row in await stores.trail.rows())
    head = (tmp_path / "audit.head").read_text()
    assert '"trail"' in head
    assert '"mac"' in head


async def test_a_seal_on_a_row_of_before_is_no_seal(tmp_path: Path) -> None:
    await record(tmp_path, 3)
    take_seals_away(tmp_path)
    await record(tmp_path, 2)
    rewrite(tmp_path, "UPDATE audit_row SET mac = x'00' WHERE seq = 2")
    async with open_sql_stores(tmp_path) as stores:
        report = await stores.trail.verify()
    assert (report.verdict, report.seq) == (Verdict.TAMPERED, 2)


def forget_the_trail(folder: Path) -> None:
    rewrite(folder, "DELETE FROM trail", "UPDATE audit_row SET mac = NULL")


def move_the_beginning(folder: Path) -> None:
    rewrite(folder, "UPDATE trail SET since = 3", "UPDATE audit_row SET mac = NULL WHERE seq < 3")


def strip_the_head(folder: Path) -> None:
    known = (folder / "audit.head").read_text()
    (folder / "audit.head").write_text(known.partition(', "trail"')[0] + "}")


@pytest.mark.parametrize(
    ("meddle", "verdict"),
    [(forget_the_trail, Verdict.TAMPERED), (move_the_beginning, Verdict.TAMPERED), (strip_the_head, Verdict.TAMPERED)],
)
async def test_seals_can_not_be_talked_away(tmp_path: Path, meddle: Callable[[Path], None], verdict: Verdict) -> None:
    await record(tmp_path, 4)
    meddle(tmp_path)
    async with open_sql_stores(tmp_path) as stores:
        assert (await stores.trail.verify()).verdict is verdict


@pytest.mark.parametrize("meddle", [forget_the_trail, strip_the_head])
async def test_nothing_is_applied_where_they_were(tmp_path: Path, meddle: Callable[[Path], None]) -> None:
    await record(tmp_path, 4)
    meddle(tmp_path)
    async with open_sql_stores(tmp_path) as stores:
        assert await stores.trail.contradiction()


async def test_another_key_is_named(tmp_path: Path) -> None:
    await record(tmp_path, 2)
    (tmp_path / "keys" / "blobs.key").write_bytes(b"x" * 32)
    with pytest.raises(StoreError, match=r"was sealed with another key than .*blobs\.key: put back the key"):
        open_at(tmp_path / NAME)


async def test_a_changed_row_is_no_other_key(tmp_path: Path) -> None:
    await record(tmp_path, 4)
    rewrite(tmp_path, "UPDATE audit_row SET mac = x'00' WHERE seq = 1")
    async with open_sql_stores(tmp_path) as stores:
        report = await stores.trail.verify()
    assert (report.verdict, report.seq) == (Verdict.TAMPERED, 1)


async def test_the_database_and_head_of_another_home_with_the_same_key_are_another_trail(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours", tmp_path / "other"
    for home in (ours, other):
        home.mkdir()
        make_fresh(home)
        (home / "keys").mkdir()
        (home / "keys" / "blobs.key").write_bytes(b"k" * 32)
        await record(home, 3)
    shutil.copy(other / NAME, ours / NAME)
    database = open_at(ours / NAME)
    trail = AuditTrail(database, FixedClock())
    assert "another audit trail" in await trail.contradiction()
    assert (await trail.verify()).verdict is Verdict.TAMPERED
    await database.close()
