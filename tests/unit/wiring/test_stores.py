"""The store that the operator gets, what it says where it can't have it, and that a password is nowhere to be read."""

import contextlib
import dataclasses
import os
from pathlib import Path

import pytest

from setpoint.adapters.store import AuditTrail, SealedBlobs, SqlFences
from setpoint.domain.audit import AuditEntry, Phase
from setpoint.domain.errors import FencedError, InvalidError, StoreError
from setpoint.ports import Fence
from setpoint.runtime.clock import SystemClock
from setpoint.runtime.fencing import fenced
from setpoint.runtime.logging import SecretFilter
from setpoint.settings import read_settings
from setpoint.wiring.stores import open_database

FACT = AuditEntry("Noted", Phase.FACT, "me")
SECRET = "hunter2-very-secret"


@dataclasses.dataclass(frozen=True)
class Replica:
    """The store of one replica."""

    audit: AuditTrail
    blobs: SealedBlobs
    fences: SqlFences


def open_replica(
    stack: contextlib.AsyncExitStack, folder: Path, *, identity: str = "pod-1", secrets: SecretFilter | None = None,
    **settings: str,
) -> Replica:  # fmt: skip
    environ = {f"SETPOINT_{name.upper()}": value for name, value in settings.items()}
    database, blobs = open_database(
        stack,
        read_settings({"SETPOINT_STATE_DIR": str(folder), **environ}),
        identity=identity,
        secrets=secrets or SecretFilter(),
    )
    return Replica(AuditTrail(database, SystemClock()), blobs, SqlFences(database))


@pytest.fixture
def key(tmp_path: Path) -> str:
    path = tmp_path / "given.key"
    path.write_bytes(os.urandom(32))
    return str(path)


async def test_on_sqlite_a_second_replica_is_told_of_the_first(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as first:
        open_replica(first, tmp_path / "state", identity="pod-1-a1b2")
        async with contextlib.AsyncExitStack() as second:
            with pytest.raises(StoreError, match=r"pid \d+ of pod-1-a1b2 since .*SETPOINT_STORE_URL"):
                open_replica(second, tmp_path / "state", identity="pod-2")
    async with contextlib.AsyncExitStack() as second:
        opened = open_replica(second, tmp_path / "state", identity="pod-2")
        assert await opened.audit.append(FACT) == (1,)


async def test_on_postgresql_replicas_share_everything(tmp_path: Path, postgres_url: str, key: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        one, two = [
            open_replica(stack, tmp_path / name, store_url=postgres_url, sealing_key_file=key)
            for name in ("one", "two")
        ]
        old = Fence("", await one.fences.acquire(""))
        digest = await one.blobs.put(b"plan")
        assert await two.blobs.get(digest) == b"plan"
        await two.fences.acquire("")
        with fenced(old), pytest.raises(FencedError):
            await one.audit.append(FACT)
        assert await two.audit.append(FACT) == (1,)


async def test_the_key_of_a_store_on_sqlite_may_be_given_too(tmp_path: Path, key: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        await open_replica(stack, tmp_path / "state", sealing_key_file=key).blobs.put(b"plan")
    assert not (tmp_path / "state" / "keys").exists()


async def test_postgresql_needs_a_key_that_all_replicas_have(tmp_path: Path, postgres_url: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(InvalidError, match="SETPOINT_SEALING_KEY_FILE: it must name a file of 32 random bytes"):
            open_replica(stack, tmp_path, store_url=postgres_url)


async def test_the_password_is_masked_from_then_on(tmp_path: Path, key: str) -> None:
    secrets, url = SecretFilter(), f"postgresql://me:{SECRET}@127.0.0.1:9/x"
    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(StoreError, match=r"PostgreSQL at 127\.0\.0\.1:9/x") as caught:
            open_replica(stack, tmp_path, secrets=secrets, store_url=url, sealing_key_file=key)
    assert SECRET not in caught.value.message
    assert secrets.redact(f"as {SECRET}") == "as (sensitive)"


async def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(StoreError, match=r"SETPOINT_STATE_DIR: .*can't be made"):
            open_replica(stack, tmp_path / "file" / "state")
