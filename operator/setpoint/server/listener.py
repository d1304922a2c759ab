"""Owns how an aiohttp application gets onto a TCP port and off it again. Knows no routes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

_GRACE = 5.0
"""Seconds that open requests get to end when the listener closes."""


@asynccontextmanager
async def listen(app: web.Application, host: str, port: int) -> AsyncIterator[str]:
    """Serves `app` while the context is open; gives its base URL, such as `http://127.0.0.1:8080`.

    Port 0 takes any free port. Raises OSError when the address can't be bound.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield _base_url(runner.addresses[0])
    finally:
        await runner.cleanup()


def _base_url(address: tuple[object, ...]) -> str:
    host, port = str(address[0]), address[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
