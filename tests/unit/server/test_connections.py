"""Connections that say nothing take few descriptors for a short time, and keep nobody out; with real sockets."""

import asyncio
import base64
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from tests.fakes.store import memory_stores

from setpoint.runtime.metrics import Metrics
from setpoint.server import http
from setpoint.server.connections import Limits
from setpoint.targets.environment.state_backend import StateBackendServer

FEW = Limits(strangers=8, seconds=3600.0)
BRIEF = Limits(strangers=8, seconds=0.05)
DRIBBLE = b"GET /state/environment/default/e HTTP/1.1\r\nHost: x\r\nX-A: "


class Strangers:
    """Connections that never end their request."""

    def __init__(self, url: str) -> None:
        self._address = (urlsplit(url).hostname, urlsplit(url).port)
        self.streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def come(self, count: int) -> None:
        for _ in range(count):
            reader, writer = await asyncio.open_connection(*self._address)
            writer.write(DRIBBLE)
            self.streams.append((reader, writer))

    async def wait_turned_away(self, count: int) -> None:
        """Until so many of them are; the oldest first."""
        for reader, _ in self.streams[:count]:
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""

    def leave(self) -> None:
        for _, writer in self.streams:
            writer.close()


@contextlib.asynccontextmanager
async def backend(limits: Limits) -> AsyncIterator[tuple[StateBackendServer, Strangers]]:
    stores = memory_stores()
    server = StateBackendServer(stores.states, stores.locks, limits=limits)
    async with server.serving() as url:
        strangers = Strangers(url)
        try:
            yield server, strangers
        finally:
            strangers.leave()


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_idle_connections_take_few_descriptors_and_keep_no_run_out() -> None:
    async with backend(FEW) as (server, strangers), aiohttp.ClientSession() as client:
        before = descriptors()
        await strangers.come(100)
        await strangers.wait_turned_away(100 - FEW.strangers)
        assert descriptors() - before <= 100 + FEW.strangers, "a hundred of them are this test's own ends"
        with server.grant("environment/default/e", run="r", operation="plan") as access:
            login = {"Authorization": aiohttp.encode_basic_auth(access.username, access.password)}
            async with client.get(access.address, headers=login) as answer:
                assert answer.status == 404, "welcome, and there is no state yet"


async def test_one_that_says_nothing_is_turned_away_after_its_time() -> None:
    async with backend(BRIEF) as (_, strangers):
        await strangers.come(3)
        await strangers.wait_turned_away(3)


async def test_whoever_has_a_grant_may_take_longer() -> None:
    async with backend(BRIEF) as (server, strangers):
        with server.grant("environment/default/e", run="r", operation="apply") as access:
            parts = urlsplit(access.address)
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            login = base64.b64encode(f"{access.username}:{access.password}".encode()).decode()
            body = b'{"ID": "lock-1"}'
            head = (
                f"LOCK {parts.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\nContent-Length: {len(body)}"
            )
            writer.write(f"{head}\r\n\r\n".encode() + body[:4])
            # By when a stranger that came later is gone, this one's time would be over, too.
            for _ in range(3):
                await strangers.come(1)
                await strangers.wait_turned_away(len(strangers.streams))
            writer.write(body[4:])
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            writer.close()


async def test_a_wrong_password_is_answered_and_the_connection_ended() -> None:
    async with backend(FEW) as (server, _):
        with server.grant("environment/default/e", run="r", operation="plan") as access:
            parts = urlsplit(access.address)
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            writer.write(f"GET {parts.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 401")
            assert b"Connection: close" in answer
            writer.close()


async def test_the_port_of_health_and_metrics_is_guarded_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_LIMITS", FEW)
    serving = http.serve_http("127.0.0.1:0", metrics=Metrics(), live={}, ready={})
    async with serving as url, aiohttp.ClientSession() as client:
        strangers = Strangers(url)
        await strangers.come(50)
        await strangers.wait_turned_away(50 - FEW.strangers)
        for path in ("/healthz", "/readyz", "/metrics"):
            async with client.get(url + path) as answer:
                assert answer.status == 200
        strangers.leave()


async def test_a_listener_that_closes_ends_all() -> None:
    async with backend(FEW) as (_, strangers):
        await strangers.come(3)
        streams = strangers.streams
    for reader, _ in streams:
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    with pytest.raises(ConnectionRefusedError), socket.socket() as probe:
        probe.connect(strangers._address)
