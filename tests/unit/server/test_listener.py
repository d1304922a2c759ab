import asyncio
import socket

import aiohttp
import pytest
from aiohttp import web

from setpoint.server.connections import Limits
from setpoint.server.listener import _base_url, listen


def app() -> web.Application:
    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    made = web.Application()
    made.router.add_get("/", hello)
    return made


async def test_listen__port_0__any_port_and_its_real_address() -> None:
    async with aiohttp.ClientSession() as client, listen(app(), "127.0.0.1", 0, Limits()) as url:
        assert url.startswith("http://127.0.0.1:")
        assert not url.endswith(":0")
        async with client.get(url) as response:
            assert await response.text() == "hello"


async def test_listen__closed__nobody_answers() -> None:
    async with listen(app(), "127.0.0.1", 0, Limits()) as url:
        port = int(url.rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_listen__port_in_use__says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=str(port)):
            async with listen(app(), "127.0.0.1", port, Limits()):
                pass


@pytest.mark.parametrize(
    ("address", "url"),
    [(("10.0.0.1", 80), "http://10.0.0.1:80"), (("::1", 8080, 0, 0), "http://[::1]:8080")],
    ids=["IPv4", "IPv6"],
)
def test_base_url(address: tuple[object, ...], url: str) -> None:
    assert _base_url(address) == url
