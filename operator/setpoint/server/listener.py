"""Owns how an aiohttp application gets onto a TCP port and off it again. Knows no routes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

from aiohttp import web

from setpoint.server.connections import GATE, Gate, Limits

_GRACE = 5.0
"""Seconds that open requests get to end when the listener closes."""
_LINGER = 2.0
"""Seconds in which the rest of a request that was refused is read."""


@asynccontextmanager
async def listen(app: web.Application, host: str, port: int, limits: Limits) -> AsyncIterator[str]:
    """Serves `app` while the context is open; gives its base URL, such as `http://127.0.0.1:8080`.

    A connection carries one request. The application tells `app[GATE]` of those that are welcome for longer than the
    `limits` say. Port 0 takes any free port. Raises OSError when the address can't be bound.
    """
    app.on_response_prepare.append(_end_connection)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE, lingering_time=_LINGER)
    gate = app[GATE] = Gate(limits)
    await runner.setup()
    try:
        serve = gate.guard(cast("Callable[[], asyncio.Protocol]", runner.server))
        server = await asyncio.get_running_loop().create_server(serve, host, port)
        try:
            yield _base_url(server.sockets[0].getsockname())
        finally:
            server.close()
    finally:
        await runner.cleanup()


async def _end_connection(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Connection"] = "close"
    response.force_close()


def _base_url(address: tuple[object, ...]) -> str:
    host, port = str(address[0]), address[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
