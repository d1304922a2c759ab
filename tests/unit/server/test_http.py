import asyncio
import threading
from collections.abc import AsyncIterator

import aiohttp
import pytest

from setpoint.runtime.metrics import Metrics
from setpoint.server.http import serve_http


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def get(client: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with client.get(url) as response:
        return response.status, await response.text()


async def test_health__live_and_ready_are_asked_apart_and_anew(client: aiohttp.ClientSession) -> None:
    lists = {"objects": "not listed yet", "store": ""}
    ready = {"objects": lambda: lists["objects"], "store": lambda: lists["store"]}
    async with serve_http("127.0.0.1:0", metrics=Metrics(), live={}, ready=ready) as url:
        assert await get(client, f"{url}/healthz") == (200, "ok\n")
        assert await get(client, f"{url}/readyz") == (503, "objects: not listed yet\n")
        lists["objects"] = ""
        assert await get(client, f"{url}/readyz") == (200, "ok\n")


async def test_health__a_check_that_raises_has_failed_and_tells_no_details(client: aiohttp.ClientSession) -> None:
    def check() -> str:
        raise LookupError("password hunter22")

    async with serve_http("127.0.0.1:0", metrics=Metrics(), live={"store": check}, ready={}) as url:
        assert await get(client, f"{url}/healthz") == (503, "store: the check failed: LookupError\n")


async def test_metrics__in_text_format(client: aiohttp.ClientSession) -> None:
    metrics = Metrics()
    metrics.count_audit_rows(3)
    async with serve_http("127.0.0.1:0", metrics=metrics, live={}, ready={}) as url:
        response = await client.get(f"{url}/metrics")
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "\nsetpoint_audit_rows_total 3.0\n" in await response.text()


async def test_metrics__rendering_does_not_hold_up_the_loop(client: aiohttp.ClientSession) -> None:
    started, release = threading.Event(), threading.Event()

    class SlowMetrics(Metrics):
        def render(self) -> bytes:
            started.set()
            release.wait(10)
            return super().render()

    async with serve_http("127.0.0.1:0", metrics=SlowMetrics(), live={}, ready={}) as url:
        scrape = asyncio.create_task(get(client, f"{url}/metrics"))
        assert await asyncio.to_thread(started.wait, 10)
        assert await get(client, f"{url}/healthz") == (200, "ok\n")
        assert not scrape.done()
        release.set()
        assert (await scrape)[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/metrics", 405), ("GET", "/", 404), ("GET", "/../etc/passwd", 404), ("HEAD", "/healthz", 200)],
)
async def test_nothing_else_is_served(client: aiohttp.ClientSession, method: str, path: str, status: int) -> None:
    async with serve_http("127.0.0.1:0", metrics=Metrics(), live={}, ready={}) as url:
        response = await client.request(method, f"{url}{path}")
        assert response.status == status
