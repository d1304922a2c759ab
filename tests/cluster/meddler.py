"""Owns a reverse proxy in front of a test server that answers, cuts and silences as a bad day would. Knows no operator.

It runs in a thread of its own; tests set `meddle` and call the rest from theirs.
"""

import asyncio
import contextlib
import dataclasses
import itertools
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from tests.cluster.apiserver import ApiServer
from tests.cluster.processes import free_ports

_HOP = {"host", "authorization", "connection", "content-length", "transfer-encoding", "keep-alive", "accept-encoding"}
_DROPPED = {"connection", "content-length", "transfer-encoding", "content-encoding", "keep-alive"}
_CLOSING_SECONDS = 0.3
_GROUP = "/apis/setpoint.dev/"


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """A request as a fault sees it."""

    method: str
    path: str
    watch: bool

    @property
    def writes(self) -> bool:
        """True where it would change an object."""
        return self.method != "GET"

    @property
    def follows(self) -> bool:
        """True where it is a watch of our kinds, as kopf's are."""
        return self.watch and self.path.startswith(_GROUP)


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """The answer in the server's place: `headers` beside a Status object, or `raw` in its place."""

    code: int
    reason: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    raw: bytes | None = None

    def status(self) -> dict[str, Any]:
        """The Status object."""
        said = {"message": f"a test answers {self.code}", "reason": self.reason, "code": self.code}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", **said}

    def body(self) -> bytes:
        """The bytes that go over the wire."""
        return json.dumps(self.status()).encode() if self.raw is None else self.raw


class Reset:
    """The connection is reset."""


class Hang:
    """Nothing is answered, ever."""


Fault = Answer | Reset | Hang | None
"""None: the server itself answers."""


def serve(_asked: Asked) -> Fault:
    """No fault."""
    return None


class _Stream:
    """A watch that goes through; `end` are its last bytes, then it is reset."""

    def __init__(self, path: str, number: int) -> None:
        self.path = path
        self.number = number
        self.muted = False
        self.end: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()


class Meddler:
    """The proxy. `token` is the one that it accepts from now on, whatever the server's own are; "" refuses all."""

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{free_ports(1)[0]}"
        self.meddle: Callable[[Asked], Fault] = serve
        self.token = "first"
        self.asked: list[tuple[Asked, str]] = []
        """The requests, each with what became of it: a status, `Reset` or `Hang`."""
        self.token_file = folder / "token"
        self.token_file.write_text(self.token + "\n")
        self._server = server
        self._folder = folder
        self._streams: list[_Stream] = []
        self._numbers = itertools.count()
        self._loop = asyncio.new_event_loop()
        self._stop: asyncio.Event
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meddler", daemon=True)

    def kubeconfig(self, _role: str = "admin") -> Path:
        """The kubeconfig of who is to be meddled with; its token is read from `token_file`."""
        path = self._folder / "meddled.kubeconfig"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": self.url}}],
            "users": [{"name": "meddled", "user": {"tokenFile": str(self.token_file)}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "meddled"}}],
            "current-context": "test",
        }
        path.write_text(json.dumps(content))
        return path

    def start(self) -> None:
        """Listens; before that, connections are refused."""
        self._thread.start()
        assert self._listening.wait(10), "the proxy does not listen"

    def close(self) -> None:
        """Ends all connections."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)
            assert not self._thread.is_alive()
        self._loop.close()

    @contextlib.contextmanager
    def fault(self, meddle: Callable[[Asked], Fault]) -> Iterator[None]:
        """Answers so for the time of the block."""
        self.meddle = meddle
        try:
            yield
        finally:
            self.meddle = serve

    def count(self, became: str, *, writes: bool | None = None, path: str = "") -> int:
        """How many requests became of that."""
        return sum(
            path in asked.path and said == became and writes in {None, asked.writes} for asked, said in [*self.asked]
        )

    def streams(self, plural: str) -> list[int]:
        """The numbers of the watches of our kind that are open and heard; each that is opened has a higher one."""
        return [one.number for one in [*self._streams] if one.path.endswith(f"/{plural}") and not one.muted]

    def cut(self, last: bytes = b"") -> int:
        """Ends all watches of our kinds in this moment, with these last bytes; returns how many."""
        cut = [one for one in [*self._streams] if one.path.startswith(_GROUP)]
        for one in cut:
            self._loop.call_soon_threadsafe(_settle, one.end, last)
        return len(cut)

    def mute(self) -> int:
        """The watches of our kinds stay open, and nothing comes any more; those that are opened later are heard."""
        muted = [one for one in [*self._streams] if one.path.startswith(_GROUP)]
        for one in muted:
            one.muted = True
        return len(muted)

    # --- In the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None, handle_signals=False)
        await runner.setup()
        context = ssl.create_default_context(cafile=str(self._server.ca))
        timeout = aiohttp.ClientTimeout(total=None)
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=True) as session:
            self._session = session
            await web.TCPSite(runner, "127.0.0.1", int(self.url.rpartition(":")[2])).start()
            self._listening.set()
            await self._stop.wait()
            await runner.cleanup()
        # aiohttp's TLS connections close a moment after their session does.
        await asyncio.sleep(_CLOSING_SECONDS)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(request.method, request.path, request.query.get("watch") == "true")
        fault = self.meddle(asked)
        if fault is None and request.headers.get("Authorization") != f"Bearer {self.token}":
            fault = Answer(401, "Unauthorized")
        if fault is None:
            return await self._pass_on(request, asked)
        if isinstance(fault, Answer):
            self.asked.append((asked, str(fault.code)))
            return web.Response(
                status=fault.code, body=fault.body(), content_type="application/json", headers=fault.headers
            )
        self.asked.append((asked, type(fault).__name__))
        if isinstance(fault, Hang):
            await self._stop.wait()
        return _reset(request)

    async def _pass_on(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        headers["Authorization"] = f"Bearer {self._server.tokens['admin']}"
        try:
            async with self._session.request(
                request.method,
                self._server.url + request.raw_path,
                headers=headers,
                data=await request.read() or None,
                skip_auto_headers=("Content-Type", "User-Agent"),
            ) as upstream:
                self.asked.append((asked, str(upstream.status)))
                passed = {name: value for name, value in upstream.headers.items() if name.lower() not in _DROPPED}
                if asked.watch and upstream.status == 200:
                    return await self._pass_stream(request, upstream, passed)
                return web.Response(status=upstream.status, body=await upstream.read(), headers=passed)
        except aiohttp.ClientError:
            return _reset(request)

    async def _pass_stream(
        self, request: web.Request, upstream: aiohttp.ClientResponse, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=200, headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        stream = _Stream(request.path, next(self._numbers))
        self._streams.append(stream)
        pump = asyncio.ensure_future(_pump(stream, upstream, response))
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({pump, stream.end, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if stream.end.done():
                if last := stream.end.result():
                    await response.write(last)
                    await response.write_eof()
                    return response
                return _reset(request)
        finally:
            self._streams.remove(stream)
            for task in (pump, stopping):
                task.cancel()
            await asyncio.gather(pump, stopping, return_exceptions=True)
        return response


@contextlib.contextmanager
def meddling(server: ApiServer, folder: Path) -> Iterator[Meddler]:
    """A proxy that listens already."""
    meddler = Meddler(server, folder)
    meddler.start()
    try:
        yield meddler
    finally:
        meddler.close()


async def _pump(stream: _Stream, upstream: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
    with contextlib.suppress(aiohttp.ClientError, ConnectionError):
        async for chunk in upstream.content.iter_any():
            if not stream.muted:
                await response.write(chunk)


def _settle(end: "asyncio.Future[bytes]", last: bytes) -> None:
    if not end.done():
        end.set_result(last)


def _reset(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)
