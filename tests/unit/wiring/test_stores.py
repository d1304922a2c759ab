"""The store that the operator gets, what it says where it can't have it, and that a password is nowhere to be read."""

import contextlib
import os
from pathlib import Path

import pytest

from setpoint.domain.audit import AuditEntry, Phase
from setpoint.domain.errors import FencedError, InvalidError, StoreError
from setpoint.ports import Fence
from setpoint.runtime.clock import SystemClock
from setpoint.runtime.fencing import fenced
from setpoint.runtime.logging import SecretFilter
from setpoint.runtime.metrics import Metrics
from setpoint.settings import read_settings
from setpoint.wiring.stores import OperatorStores, open_operator_stores

FACT = AuditEntry("Noted", Phase.FACT, "me")
SECRET = "hunter2-very-secret"


async def open_replica(
    stack: contextlib.AsyncExitStack, folder: Path, *, identity: str = "pod-1", secrets: SecretFilter | None = None,
    **settings: str,
) -> OperatorStores:  # fmt: skip
    environ = {f"SETPOINT_{name.upper()}": value for name, value in settings.items()}
    return await open_operator_stores(
        stack,
        read_settings({"SETPOINT_STATE_DIR": str(folder), **environ}),
        identity=identity,
        clock=SystemClock(),
        metrics=Metrics(),
        secrets=secrets or SecretFilter(),
    )


@pytest.fixture
def key(tmp_path: Path) -> str:
    path = tmp_path / "given.key"
    path.write_bytes(os.urandom(32))
    return str(path)


async def test_on_sqlite_a_second_replica_is_told_of_the_first(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as first:
        await open_replica(first, tmp_path / "state", identity="pod-1-a1b2")
        async with contextlib.AsyncExitStack() as second:
            with pytest.raises(StoreError, match=r"pid \d+ of pod-1-a1b2 since .*SETPOINT_STORE_URL"):
                await open_replica(second, tmp_path / "state", identity="pod-2")
    async with contextlib.AsyncExitStack() as second:
        opened = await open_replica(second, tmp_path / "state", identity="pod-2")
        assert await opened.stores.audit.append(FACT) == (1,)


async def test_on_postgresql_replicas_share_everything(tmp_path: Path, postgres_url: str, key: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        one, two = [
            await open_replica(stack, tmp_path / name, store_url=postgres_url, sealing_key_file=key)
            for name in ("one", "two")
        ]
        old = Fence("", await one.fences.acquire(""))
        digest = await one.stores.blobs.put(b"plan")
        assert await two.stores.blobs.get(digest) == b"plan"
        await two.fences.acquire("")
        with fenced(old), pytest.raises(FencedError):
            await one.stores.audit.append(FACT)
        assert await two.stores.audit.append(FACT) == (1,)


async def test_the_key_of_a_store_on_sqlite_may_be_given_too(tmp_path: Path, key: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        await (await open_replica(stack, tmp_path / "state", sealing_key_file=key)).stores.blobs.put(b"plan")
    assert not (tmp_path / "state" / "keys").exists()


async def test_postgresql_needs_a_key_that_all_replicas_have(tmp_path: Path, postgres_url: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(InvalidError, match="SETPOINT_SEALING_KEY_FILE: it must name a file of 32 random bytes"):
            await open_replica(stack, tmp_path, store_url=postgres_url)


async def test_the_password_is_masked_from_then_on(tmp_path: Path, key: str) -> None:
    secrets, url = SecretFilter(), f"postgresql://me:{SECRET}@127.0.0.1:9/x"
    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(StoreError, match=r"PostgreSQL at 127\.0\.0\.1:9/x") as caught:
            await open_replica(stack, tmp_path, secrets=secrets, store_url=url, sealing_key_file=key)
    assert SECRET not in caught.value.message
    assert secrets.redact(f"as {SECRET}") == "as (sensitive)"


async def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(StoreError, match=r"SETPOINT_STATE_DIR: .*can't be made"):
            await open_replica(stack, tmp_path / "file" / "state")
