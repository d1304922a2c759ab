"""The store and the trail, as somebody meets them who may write below `.setpoint`. Each attempt has a home of its own.

A row is an attempt, how `audit verify` ends, and words that it says; 1 is tampered, 3 is unverifiable.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.attacks.ground import CODE, Ground, make_ground, ready
from tests.fakes.shared import made_once

from setpoint.adapters.store import NAME


@dataclasses.dataclass(frozen=True)
class Attack:
    """One attempt. `code` is that of `audit verify`; `applies` says whether applies go on.

    None where that is not tried: a run of the manager takes seconds, so one of each kind must do.
    """

    attempt: str
    do: Callable[[Ground], None]
    code: int
    says: str = ""
    applies: bool | None = None


@contextlib.contextmanager
def database(ground: Ground) -> Iterator[sqlite3.Connection]:
    """As the owner of the file, who can drop the triggers."""
    with contextlib.closing(sqlite3.connect(ground.state / NAME)) as connection, connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        for _, text in triggers:
            connection.execute(text)


def sql(*statements: str) -> Callable[[Ground], None]:
    """Runs statements on the database."""

    def do(ground: Ground) -> None:
        with database(ground) as connection:
            for statement in statements:
                connection.execute(statement)

    return do


def old_database(ground: Ground) -> None:
    shutil.copy(ground.root / "older.db", ground.state / NAME)
    for suffix in ("-wal", "-shm"):
        (ground.state / f"{NAME}{suffix}").unlink(missing_ok=True)


def head(change: Callable[[Path], None]) -> Callable[[Ground], None]:
    """Something done to the head file in its place."""

    def do(ground: Ground) -> None:
        path = ground.state / "audit.head"
        path.unlink()
        change(path)

    return do


def shortened_head(path: Path) -> None:
    path.write_text(json.dumps({"size": 1, "hash": "00" * 32}))


def foreign_database(ground: Ground) -> None:
    """The database and head of another home, both whole."""
    other = make_ground(ground.root / "other")
    other.environment("e")
    other.up()
    for name in (NAME, "audit.head"):
        shutil.copy(other.state / name, ground.state / name)


NEWEST = "(SELECT max(seq) FROM audit_row)"
ATTACKS = {
    "edited": Attack("a row's header is edited", sql(
        "UPDATE audit_row SET header = replace(header, 'setpoint', 'setpoinT') WHERE seq = 2"), 1, "row 2"),
    "payload": Attack("a payload is edited", sql(
        "UPDATE audit_payload SET body = CAST('{}' AS BLOB) WHERE seq = (SELECT min(seq) FROM audit_payload)"), 1),
    "removed": Attack("a row in the middle is removed", sql("DELETE FROM audit_row WHERE seq = 2"), 1, "row 2"),
    "cut": Attack("the newest row is cut off", sql(f"DELETE FROM audit_row WHERE seq = {NEWEST}"), 1),
    "wiped": Attack("all rows are removed", sql("DELETE FROM audit_payload", "DELETE FROM audit_row"), 1),
    "rolled-back": Attack("an older copy of the database is put back", old_database, 1, applies=False),
    "headless": Attack("the head file is removed", head(lambda path: None), 3, "audit.head", applies=False),
    "head-pipe": Attack("the head file is a pipe that nobody writes", head(os.mkfifo), 3, "pipe"),
    "head-link": Attack("the head file is a link", head(lambda path: path.symlink_to("elsewhere")), 3, "link"),
    "head-folder": Attack("the head file is a folder", head(Path.mkdir), 3, "folder"),
    "head-huge": Attack("the head file is a gigabyte of nothing", head(
        lambda path: (path.touch(), os.truncate(path, 1 << 30))[0]), 3, "audit.head"),
    "head-short": Attack("the head file says that the trail is shorter", head(shortened_head), 1),
    "foreign": Attack("database and head of another home are put in their place", foreign_database, 3,
                      "another key", applies=False),
    "erased": Attack("a payload is erased, as it may be", sql(
        "DELETE FROM audit_payload WHERE seq = (SELECT min(seq) FROM audit_payload)"), 0, "erased", applies=True),
}  # fmt: skip


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """A home at its setpoint, with an older copy of its database beside it."""

    def make(folder: Path) -> None:
        ground = make_ground(folder)
        ground.environment("e")
        assert ground.up().returncode == 0
        shutil.copy(ground.state / NAME, folder / "older.db")
        ground.environment("e", CODE + ground.runs("echo made >> log"))
        assert ground.up().returncode == 0
        assert ground.run("audit", "verify").exit_code == 0

    return Ground(made_once(tmp_path_factory, "applied", make))


@pytest.mark.parametrize("name", ATTACKS, ids=[f"{name}: {attack.attempt}" for name, attack in ATTACKS.items()])
def test_it_is_noticed_and_nothing_is_applied_on_it(applied: Ground, tmp_path: Path, name: str) -> None:
    attack, ground = ATTACKS[name], applied.copy(tmp_path / "ground")
    attack.do(ground)
    ended = ground.run("audit", "verify")
    assert ended.exit_code == attack.code, ended.output
    assert attack.says in ended.output
    if attack.applies is not None:
        log = ground.outside / "log"
        ground.write("code/e/c.tf", ground.runs("echo made >> log", "c"))
        before = log.read_text()
        ground.up()
        assert (log.read_text() != before) is attack.applies


@pytest.mark.parametrize("gone", [(NAME, "audit.head"), (NAME,)], ids=["database and head", "database"])
def test_a_store_that_is_gone_is_not_begun_anew(applied: Ground, tmp_path: Path, gone: tuple[str, ...]) -> None:
    ground = applied.copy(tmp_path / "ground")
    for name in gone:
        for path in ground.state.glob(f"{name}*"):
            path.unlink()
    log = ground.outside / "log"
    before = log.read_text()
    ended = ground.up()
    assert ended.returncode == 1
    assert "STATE_AUDIT.db" in ended.stderr
    assert log.read_text() == before
    assert not (ground.state / NAME).exists() or (ground.state / NAME).stat().st_size == 0


def test_another_key_opens_nothing_and_is_named(applied: Ground, tmp_path: Path) -> None:
    ground = applied.copy(tmp_path / "ground")
    (key,) = (ground.state / "keys").iterdir()
    key.chmod(0o600)
    key.write_bytes(bytes(len(key.read_bytes())))
    ended = ground.up()
    assert ended.returncode == 1
    assert key.name in ended.stderr + ended.stdout


def test_a_home_that_can_only_be_read_is_shown_and_verified(applied: Ground, tmp_path: Path) -> None:
    ground = applied.copy(tmp_path / "ground")
    for suffix in ("-wal", "-shm"):
        (ground.state / f"{NAME}{suffix}").unlink(missing_ok=True)
    before = sorted(path.relative_to(ground.home) for path in ground.home.rglob("*"))
    for path in (ground.state, *ground.state.rglob("*")):
        path.chmod(0o500 if path.is_dir() else 0o400)
    (environment,) = ground.get("environments")
    assert ready(environment)[0] == "AtSetpoint"
    assert ground.run("audit", "verify").exit_code == 0
    assert sorted(path.relative_to(ground.home) for path in ground.home.rglob("*")) == before
