"""The audit rows in their database: tampering is named, the end of the trail is vouched for, nothing is rewritten."""

import asyncio
import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from tests.fakes.store import FixedClock, StorePlace, open_at, open_sql_stores

from setpoint.adapters.store import NAME, AuditTrail, audit
from setpoint.adapters.store.tables import AUDIT_PAYLOAD, AUDIT_ROW
from setpoint.api.meta import ObjectRef
from setpoint.domain.audit import AuditEntry, Phase, Verdict, VerifyReport
from setpoint.domain.errors import StoreError

ROWS = 12


def entry(number: int) -> AuditEntry:
    return AuditEntry("Apply", Phase.INTENT, "me", ObjectRef("K", "n", "x"), f"run-{number}", payload={"n": number})


async def record(folder: Path, count: int = ROWS) -> None:
    async with open_sql_stores(folder) as stores:
        await stores.trail.append(*(entry(number) for number in range(count)))


async def verify(folder: Path) -> VerifyReport:
    async with open_sql_stores(folder) as stores:
        return await stores.trail.verify()


def tamper(folder: Path, *statements: str) -> None:
    """As the owner of the file, who can drop the triggers."""
    with contextlib.closing(sqlite3.connect(folder / NAME)) as connection, connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            connection.execute(statement)


def test_statements_name_their_columns_in_the_order_of_the_rows() -> None:
    row, payload = audit._insert("qmark", AUDIT_ROW), audit._insert("pyformat", AUDIT_PAYLOAD)
    assert row.startswith("INSERT INTO audit_row (seq, target, run, phase, header, leaf, prev, hash, mac) ")
    assert payload == "INSERT INTO audit_payload (seq, salt, body) VALUES (%s, %s, %s)"


async def test_a_trail_is_intact_over_restarts_and_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_PAGE", 5)
    for _ in range(2):
        await record(tmp_path)
    assert await verify(tmp_path) == VerifyReport(Verdict.INTACT, 2 * ROWS)


@pytest.mark.parametrize(
    ("statements", "seq", "why"),
    [
        (["UPDATE audit_row SET header = replace(header, 'Apply', 'Other') WHERE seq = 5"], 5, "header"),
        (["UPDATE audit_row SET header = CAST(replace(header, 'Apply', 'Other') AS BLOB) WHERE seq = 5"], 5, "header"),
        (["UPDATE audit_row SET run = 'other' WHERE seq = 5"], 5, "search columns"),
        (["UPDATE audit_row SET run = CAST(x'ff' AS TEXT) WHERE seq = 5"], 5, "search columns"),
        (["UPDATE audit_row SET target = x'ff' WHERE seq = 5"], 5, "search columns"),
        (["UPDATE audit_row SET hash = zeroblob(32) WHERE seq = 5"], 5, "hash"),
        (["DELETE FROM audit_row WHERE seq = 5"], 5, "missing"),
        (["DELETE FROM audit_row WHERE seq = 1"], 1, "missing"),
        (["DELETE FROM audit_row WHERE seq > 9"], 10, "missing"),
        (["DELETE FROM audit_row"], 1, "missing"),
        (["DELETE FROM audit_row WHERE seq = 5", "UPDATE audit_row SET seq = seq - 1 WHERE seq > 5"], 5, "follow"),
        (["UPDATE audit_row SET seq = -1 WHERE seq = 5"], 1, "missing"),
        (
            [
                "UPDATE audit_row SET seq = 100 WHERE seq = 5",
                "UPDATE audit_row SET seq = 5 WHERE seq = 6",
                "UPDATE audit_row SET seq = 6 WHERE seq = 100",
            ],
            5,
            "follow",
        ),
        (["UPDATE audit_payload SET body = CAST('{}' AS BLOB) WHERE seq = 5"], 5, "payload"),
        (["UPDATE audit_payload SET body = '{}' WHERE seq = 5"], 5, "payload"),
        (["UPDATE audit_payload SET salt = zeroblob(16) WHERE seq = 5"], 5, "payload"),
    ],
    ids=[
        "header as text", "header", "run", "run no utf-8", "target no text", "hash", "delete", "delete first",
        "truncate", "wipe", "delete and renumber", "move before all", "swap", "payload", "payload as text", "salt",
    ],
)  # fmt: skip
async def test_tampering_names_the_first_bad_row(tmp_path: Path, statements: list[str], seq: int, why: str) -> None:
    await record(tmp_path)
    tamper(tmp_path, *statements)
    report = await verify(tmp_path)
    assert (report.verdict, report.seq) == (Verdict.TAMPERED, seq)
    assert why in report.reason


async def test_one_byte_of_the_file_is_enough(tmp_path: Path) -> None:
    await record(tmp_path)
    data = (tmp_path / NAME).read_bytes()
    at = data.index(b'"run":"run-6"')
    (tmp_path / NAME).write_bytes(data[: at + 11] + b"7" + data[at + 12 :])
    report = await verify(tmp_path)
    assert (report.verdict, report.seq) == (Verdict.TAMPERED, 7)


async def test_an_erased_payload_is_counted(tmp_path: Path) -> None:
    await record(tmp_path)
    tamper(tmp_path, "DELETE FROM audit_payload WHERE seq = 5")
    assert await verify(tmp_path) == VerifyReport(Verdict.INTACT, ROWS, erased=1)


async def test_rolling_the_database_back_is_noticed_and_stays_noticed(tmp_path: Path) -> None:
    await record(tmp_path)
    backup = shutil.copy(tmp_path / NAME, tmp_path / "backup")
    await record(tmp_path)
    shutil.copy(backup, tmp_path / NAME)
    report = await verify(tmp_path)
    assert (report.verdict, report.seq) == (Verdict.TAMPERED, ROWS + 1)
    await record(tmp_path, 2 * ROWS)  # more rows than were lost must not cover it up
    report = await verify(tmp_path)
    assert (report.verdict, report.seq) == (Verdict.TAMPERED, 2 * ROWS)
    assert "written anew" in report.reason


@pytest.mark.parametrize(
    "text", [None, "", "{", '{"size": "x"}', "[]"], ids=["missing", "empty", "torn", "wrong", "list"]
)
async def test_without_its_head_a_trail_can_not_be_verified(tmp_path: Path, text: str | None) -> None:
    await record(tmp_path)
    (tmp_path / "audit.head").unlink()
    if text is not None:
        (tmp_path / "audit.head").write_text(text)
    assert (await verify(tmp_path)).verdict is Verdict.UNVERIFIABLE
    await record(tmp_path)  # nor does going on vouch for what was before
    assert (await verify(tmp_path)).verdict is Verdict.UNVERIFIABLE


async def test_a_head_that_lags_is_fine_and_moves_on(tmp_path: Path) -> None:
    await record(tmp_path)
    head = (tmp_path / "audit.head").read_bytes()
    await record(tmp_path)
    (tmp_path / "audit.head").write_bytes(head)
    assert await verify(tmp_path) == VerifyReport(Verdict.INTACT, 2 * ROWS)
    await record(tmp_path)
    assert json.loads((tmp_path / "audit.head").read_text())["size"] == 3 * ROWS


async def test_the_head_moves_while_the_store_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("setpoint.adapters.store.commit._CHECKPOINT_INTERVAL", 0.0)
    async with open_sql_stores(tmp_path) as stores:
        await stores.trail.append(entry(1))
        await stores.database.write(lambda _: None)  # its commit comes after the first one's checkpoint
        assert json.loads((tmp_path / "audit.head").read_text())["size"] == 1


async def test_a_damaged_database_can_not_be_verified(tmp_path: Path) -> None:
    await record(tmp_path, 500)
    data = bytearray((tmp_path / NAME).read_bytes())
    page = data.index(b'"run":"run-250"') // 4096
    data[page * 4096 : (page + 1) * 4096] = b"\xff" * 4096
    (tmp_path / NAME).write_bytes(data)
    database = open_at(tmp_path / NAME, check=False)
    report = await AuditTrail(database, FixedClock()).verify()
    await database.close()
    assert report.verdict is Verdict.UNVERIFIABLE
    assert f"can't be read beyond row {report.rows}" in report.reason
    assert 0 <= report.rows < 250


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_row SET run = 'x'",
        "DELETE FROM audit_row",
        "UPDATE audit_payload SET body = x'00'",
        "UPDATE state_version SET serial = 1",
    ],
)
async def test_the_database_refuses_rewriting(tmp_path: Path, statement: str) -> None:
    async with open_sql_stores(tmp_path) as stores:
        await stores.trail.append(entry(1))
        await stores.states.append("t", b'{"version":4,"serial":0,"lineage":"l","terraform_version":"1"}', run="r")
        with pytest.raises(StoreError, match="append-only"):
            await stores.database.write(lambda c: c.exec_driver_sql(statement))


async def test_a_row_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    await record(tmp_path)
    tamper(tmp_path, "UPDATE audit_row SET header = x'00' WHERE seq = 3")
    async with open_sql_stores(tmp_path) as stores:
        with pytest.raises(StoreError, match=r"audit row 3: .*audit verify"):
            await stores.trail.rows()


async def test_two_openings_write_one_chain(store_place: StorePlace) -> None:
    """As a command beside a running manager does: neither may remember the head."""
    async with store_place.open() as one, store_place.open() as two:
        for number in range(5):
            await asyncio.gather(*(stores.trail.append(entry(number)) for stores in (one, two, one)))
        assert await two.trail.verify() == VerifyReport(Verdict.INTACT, 15)
