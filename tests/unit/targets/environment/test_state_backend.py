"""Terraform's HTTP backend: who may do what, what is refused and how, and that large states block no one."""

import asyncio
import base64
import hashlib
import io
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from tests.fakes.store import Stores, memory_stores, open_sql_stores, state_file

from setpoint.adapters.store.state_versions import StateLock
from setpoint.domain.errors import StoreError
from setpoint.ports import Fence
from setpoint.runtime.fencing import fenced
from setpoint.targets.environment.state_backend import StateBackendServer
from setpoint.targets.environment.state_ports import BackendAccess

TARGET = "environment/default/shop"
LOCK = {"ID": "lock-1", "Operation": "OperationTypeApply", "Who": "me@here", "Info": "hunter2"}


class Client:
    """Requests as Terraform makes them."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(
        self,
        method: str,
        access: BackendAccess,
        body: bytes = b"",
        *,
        query: str = "",
        md5: str | None = "",
        path: str = "",
    ) -> tuple[int, bytes]:
        headers = {"Content-MD5": checksum(body) if md5 == "" else md5} if method == "POST" and md5 is not None else {}
        headers["Authorization"] = aiohttp.encode_basic_auth(access.username, access.password)
        url = (path or access.address) + query
        async with self._session.request(
            method, url, data=io.BytesIO(body) if body else None, headers=headers
        ) as response:
            return response.status, await response.read()

    async def lock(self, access: BackendAccess, lock_id: str = "lock-1") -> tuple[int, bytes]:
        return await self.send("LOCK", access, json.dumps({**LOCK, "ID": lock_id}).encode())

    async def unlock(self, access: BackendAccess, lock_id: str = "lock-1") -> tuple[int, bytes]:
        return await self.send("UNLOCK", access, json.dumps({**LOCK, "ID": lock_id}).encode())


def checksum(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


@pytest.fixture
def stores() -> Stores:
    return memory_stores()


@pytest.fixture
def counts() -> list[int]:
    return []


@pytest.fixture
async def backend(stores: Stores, counts: list[int]) -> AsyncIterator[StateBackendServer]:
    server = StateBackendServer(stores.states, stores.locks, body_limit=100_000, count_locks=counts.append)
    async with server.serving():
        yield server


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(session)


async def test_an_apply_reads_locks_writes_and_unlocks(
    backend: StateBackendServer, client: Client, stores: Stores, counts: list[int]
) -> None:
    with backend.grant(TARGET, run="run-1", operation="apply") as access:
        assert (await client.send("GET", access))[0] == 404
        assert (await client.lock(access))[0] == 200
        assert (await client.lock(access))[0] == 200  # sent again after a lost reply
        assert (await client.send("POST", access, state_file(1), query="?ID=lock-1"))[0] == 200
        assert (await client.send("POST", access, state_file(1), query="?ID=lock-1"))[0] == 200
        assert await client.send("GET", access) == (200, state_file(1))
        assert (await client.unlock(access))[0] == 200
        assert (await client.unlock(access))[0] == 200
    head = await stores.states.head(TARGET)
    assert head is not None
    assert (head.version, head.serial) == (1, 1)
    assert counts == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("operation", "method", "body", "query", "status"),
    [
        ("plan", "GET", b"", "", 404),
        ("plan", "POST", state_file(1), "?ID=lock-1", 403),
        ("plan", "LOCK", b'{"ID":"x"}', "", 403),
        ("plan", "UNLOCK", b'{"ID":"x"}', "", 403),
        ("plan", "DELETE", b"", "", 405),
        ("apply", "DELETE", b"", "", 405),
        ("apply", "PUT", state_file(1), "", 405),
        ("apply", "UNLOCK", b"", "", 403),
        ("apply", "UNLOCK", b" \n", "", 403),
        ("apply", "UNLOCK", b"{}", "", 400),
        ("apply", "LOCK", b"", "", 400),
        ("apply", "LOCK", b"[]", "", 400),
        ("apply", "LOCK", b'{"ID":""}', "", 400),
        ("apply", "LOCK", b'{"ID":1}', "", 400),
        ("apply", "LOCK", b"[" * 60_000, "", 400),
        ("apply", "LOCK", b" " * 70_000, "", 413),
        ("apply", "POST", state_file(1), "", 409),
        ("apply", "POST", state_file(1), "?ID=lock-1", 409),
        ("apply", "POST", b"x" * 100_001, "?ID=lock-1", 413),
    ],
    ids=[
        "plan reads", "plan writes", "plan locks", "plan unlocks", "plan deletes", "delete", "put", "force-unlock",
        "force-unlock with space", "unlock without id", "lock without body", "lock of a list", "lock of no id",
        "lock of a number", "deep lock", "large lock", "write without lock", "write without holding", "too large",
    ],
)  # fmt: skip
async def test_what_may_be_done(
    backend: StateBackendServer, client: Client, operation: str, method: str, body: bytes, query: str, status: int
) -> None:
    with backend.grant(TARGET, run="run-1", operation=operation) as access:
        assert (await client.send(method, access, body, query=query))[0] == status


@pytest.mark.parametrize(
    ("body", "md5", "status", "why"),
    [
        (state_file(6), "", 200, b""),
        (state_file(6), None, 200, b""),
        (state_file(6), checksum(b"other"), 400, b"Content-MD5"),
        (state_file(6), "not base64!", 400, b"Content-MD5"),
        (state_file(5), "", 200, b""),
        (state_file(5, resources=2), "", 409, b"someone else wrote first"),
        (state_file(4), "", 409, b"older"),
        (state_file(6, lineage="other"), "", 409, b"belongs to something else"),
        (b"not a state", "", 400, b"not a Terraform state"),
    ],
    ids=["next", "no md5", "wrong md5", "bad md5", "same again", "same serial", "lower serial", "lineage", "no state"],
)
async def test_what_may_be_written(
    backend: StateBackendServer, client: Client, stores: Stores, body: bytes, md5: str | None, status: int, why: bytes
) -> None:
    await stores.states.append(TARGET, state_file(5), run="run-0")
    with backend.grant(TARGET, run="run-1", operation="apply") as access:
        await client.lock(access)
        answer = await client.send("POST", access, body, query="?ID=lock-1", md5=md5)
    assert answer[0] == status
    assert why in answer[1]
    assert len(await stores.states.blobs()) == (2 if body == state_file(6) and status == 200 else 1)


async def test_a_locked_state_names_its_holder(backend: StateBackendServer, client: Client) -> None:
    with (
        backend.grant(TARGET, run="run-1", operation="apply") as first,
        backend.grant(TARGET, run="run-2", operation="apply") as second,
    ):
        await client.lock(first)
        status, body = await client.lock(second, "lock-2")
        assert (status, json.loads(body)) == (423, LOCK)
        assert (await client.send("POST", second, state_file(1), query="?ID=lock-1"))[0] == 409
        assert (await client.unlock(second))[0] == 409
        assert (await client.unlock(second, "lock-2"))[0] == 409
        assert (await client.unlock(first))[0] == 200
        assert (await client.lock(second, "lock-2"))[0] == 200


async def test_locks_and_passwords_end_with_their_grant(
    backend: StateBackendServer, client: Client, stores: Stores, counts: list[int]
) -> None:
    with backend.grant(TARGET, run="run-1", operation="apply") as first:
        await client.lock(first)
    assert (await client.send("POST", first, state_file(1), query="?ID=lock-1"))[0] == 401
    with backend.grant(TARGET, run="run-2", operation="apply") as second:
        assert (await client.lock(second, "lock-2"))[0] == 200
    assert counts == [1, 0, 1, 0] or counts == [1, 0, 1]


@pytest.mark.parametrize("method", ["POST", "LOCK", "UNLOCK"])
async def test_a_run_writes_for_the_term_in_which_it_was_granted(
    backend: StateBackendServer, client: Client, stores: Stores, method: str
) -> None:
    """As when the leader was paused in the middle of an apply, and its Terraform went on."""
    with (
        fenced(Fence("", await stores.fences.acquire(""))),
        backend.grant(TARGET, run="run-1", operation="apply") as access,
    ):
        assert (await client.lock(access))[0] == 200
        assert (await client.send("POST", access, state_file(1), query="?ID=lock-1"))[0] == 200
        await stores.fences.acquire("")
        body = state_file(2) if method == "POST" else json.dumps(LOCK).encode()
        status, said = await client.send(method, access, body, query="?ID=lock-1")
    assert (status, b"term 1 is over" in said) == (403, True)
    assert await stores.states.read(TARGET) == state_file(1)
    assert [lock.run for lock in await stores.locks.held()] == ["run-1"]


async def test_no_lock_is_left_when_the_server_stops(stores: Stores, client: Client) -> None:
    server = StateBackendServer(stores.states, stores.locks)
    async with server.serving():
        with server.grant(TARGET, run="run-1", operation="apply") as access:
            await client.lock(access)
    assert await stores.locks.held() == ()
    with pytest.raises(RuntimeError, match="not serving"), server.grant(TARGET, run="r", operation="plan"):
        pass


async def test_a_lock_of_a_dead_manager_stays_until_it_is_settled(
    backend: StateBackendServer, client: Client, stores: Stores
) -> None:
    await stores.locks.acquire(StateLock(TARGET, "old", "run-0", '{"ID":"old"}'))
    with backend.grant(TARGET, run="run-1", operation="apply") as access:
        assert await client.lock(access) == (423, b'{"ID":"old"}')
        await stores.locks.release_run("run-0")
        assert (await client.lock(access))[0] == 200


async def test_credentials_are_for_one_state(backend: StateBackendServer, client: Client) -> None:
    with (
        backend.grant(TARGET, run="run-1", operation="apply") as mine,
        backend.grant("environment/default/bank", run="run-2", operation="apply") as other,
    ):
        for path in (other.address, mine.address + "/../bank", mine.address + "%2e", mine.address + "x"):
            assert (await client.send("GET", mine, path=path))[0] == 403
        mixed = BackendAccess(mine.address, mine.username, other.password)
        assert (await client.send("GET", mixed))[0] == 401
        assert (await client.send("GET", BackendAccess(mine.address, "nobody", "")))[0] == 401


@pytest.mark.parametrize("header", [None, "Basic", "Basic !!", "Bearer x", "Basic " + "A" * 4000])
async def test_no_credentials_are_no_access(backend: StateBackendServer, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    with backend.grant(TARGET, run="run-1", operation="apply") as access:
        async with aiohttp.ClientSession() as session, session.get(access.address, headers=headers) as response:
            assert (response.status, response.headers["WWW-Authenticate"]) == (401, 'Basic realm="setpoint"')


async def test_secrets_are_in_no_log(
    backend: StateBackendServer, client: Client, stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = state_file(1).replace(b'"id": "0"', b'"id": "hunter2"')
    with backend.grant(TARGET, run="run-1", operation="apply") as access:
        await client.send("POST", access, secret, query="?ID=x")
        await client.lock(access)
        await client.send("POST", access, secret[:-1], query="?ID=lock-1")
        await client.send("POST", access, secret, query="?ID=lock-1")
        await client.send("POST", access, secret.replace(b'"serial": 1', b'"serial": 0'), query="?ID=lock-1")
        assert "hunter2" not in caplog.text
        assert access.password not in caplog.text
        assert access.password not in repr(access)
    assert "state request refused: POST environment/default/shop for run run-1: 409" in caplog.text


async def test_a_store_that_fails_is_a_500_without_details(
    backend: StateBackendServer, client: Client, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_args: object) -> bytes:
        raise StoreError("the disk is full")

    monkeypatch.setattr(stores.states, "read", fail)
    with backend.grant(TARGET, run="run-1", operation="plan") as access:
        assert await client.send("GET", access) == (500, b"the disk is full")


async def test_a_large_state_does_not_block_the_loop(tmp_path: Path, client: Client) -> None:
    """64 MB in, sealed, and out again, while the loop goes on; the longest pause is that of decoding UTF-8."""
    data = state_file(1, resources=1000, pad=66 * 1024)
    assert len(data) > 64 << 20
    async with open_sql_stores(tmp_path) as stores:
        server = StateBackendServer(stores.states, stores.locks)
        async with server.serving():
            with server.grant(TARGET, run="run-1", operation="apply") as access:
                await client.lock(access)
                pauses, began = asyncio.ensure_future(longest_pause()), asyncio.get_running_loop().time()
                assert (await client.send("POST", access, data, query="?ID=lock-1", md5=checksum(data)))[0] == 200
                pauses.cancel()
                took = asyncio.get_running_loop().time() - began
                assert (await client.send("GET", access))[1] == data
    assert await pauses < took / 2, "a loop that stood still for as long as the work took"


async def longest_pause() -> float:
    loop, longest = asyncio.get_running_loop(), 0.0
    try:
        while True:
            start = loop.time()
            await asyncio.sleep(0.001)
            longest = max(longest, loop.time() - start)
    except asyncio.CancelledError:
        print("longest pause", longest)
        return longest


async def test_a_state_whose_bytes_are_lost_is_not_no_state(
    backend: StateBackendServer, client: Client, stores: Stores
) -> None:
    """Told that there is none, Terraform would make everything again."""
    await stores.states.append(TARGET, state_file(1), run="run-1")
    stores.blobs.forget_all()
    with backend.grant(TARGET, run="run-2", operation="plan") as access:
        status, body = await client.send("GET", access)
    assert status == 500
    assert b"which is gone: put it back from a backup" in body
