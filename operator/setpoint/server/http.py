"""Owns /healthz, /readyz and /metrics. Must not know what is checked or measured."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from setpoint.runtime.metrics import Metrics
from setpoint.server.connections import Limits
from setpoint.server.listener import listen

Check = Callable[[], str]
"""Says in one plain sentence without secrets what is wrong, at once and from memory; empty where nothing is."""
_Handler = Callable[[web.Request], Awaitable[web.Response]]
_LIMITS = Limits(strangers=64, seconds=30.0)
"""Everybody is a stranger here: a probe or a scrape that takes longer is over."""
_EXECUTOR: web.AppKey[ThreadPoolExecutor] = web.AppKey("executor", ThreadPoolExecutor)


@contextlib.asynccontextmanager
async def serve_http(
    address: str | None, *, metrics: Metrics, live: Mapping[str, Check], ready: Mapping[str, Check]
) -> AsyncIterator[str]:
    """Serves health and metrics on HOST:PORT while the context is open; gives the base URL, empty without an address.

    Raises OSError as `listen` does.
    """
    if not address:
        yield ""
        return
    host, _, port = address.rpartition(":")
    app = observability_app(metrics=metrics, live=live, ready=ready)
    async with listen(app, host.strip("[]"), int(port), _LIMITS) as url:
        yield url


def observability_app(*, metrics: Metrics, live: Mapping[str, Check], ready: Mapping[str, Check]) -> web.Application:
    """Liveness (that this answers at all shows that the loop runs), readiness, and metrics in text format."""
    app = web.Application()
    app.cleanup_ctx.append(_rendering_thread)
    app.router.add_get("/healthz", _health(live))
    app.router.add_get("/readyz", _health(ready))
    app.router.add_get("/metrics", _metrics(metrics))
    return app


async def _rendering_thread(app: web.Application) -> AsyncIterator[None]:
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="metrics") as executor:
        app[_EXECUTOR] = executor
        yield


def _health(checks: Mapping[str, Check]) -> _Handler:
    async def answer(_request: web.Request) -> web.Response:
        wrong = [f"{name}: {text}" for name, check in checks.items() if (text := _ask(check))]
        return web.Response(status=503 if wrong else 200, text="\n".join(wrong or ["ok"]) + "\n")

    return answer


def _ask(check: Check) -> str:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 a check that fails is a failed check
        return f"the check failed: {type(error).__name__}"


def _metrics(metrics: Metrics) -> _Handler:
    async def answer(request: web.Request) -> web.Response:
        loop = asyncio.get_running_loop()
        body = await loop.run_in_executor(request.app[_EXECUTOR], metrics.render)
        return web.Response(body=body, headers={"Content-Type": metrics.content_type})

    return answer
