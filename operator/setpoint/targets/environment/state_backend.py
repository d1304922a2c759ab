"""Owns Terraform's HTTP backend: who may read, lock and write which state. Keeps nothing but grants in memory.

A run gets a name and a password of its own, good for one target, one operation, and no longer than the run. What it
writes is written for the term of leadership in which access was granted. What is refused is logged with its reason,
because Terraform shows only the number; bodies hold secrets and never are.
"""

import asyncio
import base64
import dataclasses
import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Literal
from urllib.parse import quote

from aiohttp import web

from setpoint.adapters.store.state_versions import StateLock
from setpoint.domain.errors import ConflictError, FencedError, InvalidError, NotFoundError, SetpointError, StoreError
from setpoint.ports import Fence
from setpoint.runtime.fencing import current_fence, fenced
from setpoint.server.connections import GATE, Limits
from setpoint.server.listener import listen
from setpoint.targets.environment.state_ports import BackendAccess, StateLocks, StateStore

BODY_LIMIT = 512 << 20
"""Bytes of the largest state that is taken."""
_LOCK_LIMIT = 64 << 10
_CHUNK = 1 << 20

# Terraform tries again after 5xx, and takes 409 for another's lock.
_STATUS = {NotFoundError: 404, InvalidError: 400, ConflictError: 409, FencedError: 403}
_METHODS = {"plan": frozenset({"GET"}), "apply": frozenset({"GET", "POST", "LOCK", "UNLOCK"})}

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class _Grant:
    target: str
    run: str
    operation: Literal["plan", "apply"]
    fence: Fence | None
    password: str = dataclasses.field(repr=False)
    served: set[str] = dataclasses.field(default_factory=set, compare=False)


class StateBackendServer:
    """The StateBackend: an aiohttp application over a StateStore, served on a port of this machine alone.

    `count_locks` is told how many locks the runs of this server hold, whenever that changes.
    """

    def __init__(
        self,
        states: StateStore,
        locks: StateLocks,
        *,
        body_limit: int = BODY_LIMIT,
        limits: Limits = Limits(),  # noqa: B008 it is frozen
        count_locks: Callable[[int], None] = lambda _count: None,
    ) -> None:
        self._states = states
        self._locks = locks
        self._body_limit = body_limit
        self._limits = limits
        self._count_locks = count_locks
        self._base = ""
        self._grants: dict[str, _Grant] = {}
        self._held: dict[str, str] = {}
        self._releases: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="setpoint-state-backend")

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Listens on a free port of 127.0.0.1 while the context is open, and gives the URL; then no grant is good."""
        async with listen(self.application(), "127.0.0.1", 0, self._limits) as base:
            self._base = base
            try:
                yield base
            finally:
                self._base = ""
                self._grants.clear()
                await asyncio.gather(*self._releases)
                self._threads.shutdown(wait=False)

    @contextmanager
    def grant(self, target: str, *, run: str, operation: Literal["plan", "apply"]) -> Iterator[BackendAccess]:
        """Access for one run. When the context ends, the password is void and the run's locks are freed.

        Enter and leave it in the event loop while the server is `serving`.
        """
        if not self._base:
            msg = "the state backend is not serving"
            raise RuntimeError(msg)
        name, grant = secrets.token_hex(8), _Grant(target, run, operation, current_fence(), secrets.token_urlsafe(32))
        self._grants[name] = grant
        try:
            yield BackendAccess(f"{self._base}/state/{quote(target)}", name, grant.password, grant.served)
        finally:
            self._grants.pop(name, None)
            if operation == "apply":
                task = asyncio.get_running_loop().create_task(self._release_run(run))
                self._releases.add(task)
                task.add_done_callback(self._releases.discard)

    def application(self) -> web.Application:
        """The routes: all methods on `/state/<target key>`."""
        app = web.Application()
        app.router.add_route("*", "/state/{target:.+}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        grant = self._authenticate(request)
        if grant is None:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="setpoint"'})
        request.app[GATE].welcome(request.transport)
        try:
            with fenced(grant.fence):
                response = await self._dispatch(request, grant)
        except _RefusedError as refused:
            return _refuse(request, grant, refused.status, refused.reason, refused.lock)
        except SetpointError as error:
            return _refuse(request, grant, _STATUS.get(type(error), 500), error.message)
        grant.served.add(request.method)
        return response

    def _authenticate(self, request: web.Request) -> _Grant | None:
        name, password = _credentials(request.headers.get("Authorization", ""))
        grant = self._grants.get(name)
        expected = grant.password if grant else secrets.token_urlsafe(32)
        return grant if hmac.compare_digest(password, expected.encode()) else None

    async def _dispatch(self, request: web.Request, grant: _Grant) -> web.StreamResponse:
        if request.match_info["target"] != grant.target:
            raise _RefusedError(403, "the credentials are for another state")
        if request.method not in _METHODS["apply"]:
            raise _RefusedError(405, "states are only ever added to")
        if request.method not in _METHODS[grant.operation]:
            raise _RefusedError(403, f"a {grant.operation} may only read")
        match request.method:
            case "GET":
                return web.Response(body=await self._states.read(grant.target), content_type="application/json")
            case "POST":
                return await self._write(request, grant)
            case "LOCK":
                return await self._lock(request, grant)
            case _:
                return await self._unlock(request, grant)

    async def _write(self, request: web.Request, grant: _Grant) -> web.StreamResponse:
        lock = request.query.get("ID")
        if not lock:
            raise _RefusedError(409, "the state is written without a lock")
        chunks, md5 = await _read_body(request, self._body_limit), request.headers.get("Content-MD5")
        loop = asyncio.get_running_loop()
        data = await loop.run_in_executor(self._threads, _whole, chunks, md5)
        await self._states.append(grant.target, data, run=grant.run, lock=lock)
        return web.Response()

    async def _lock(self, request: web.Request, grant: _Grant) -> web.StreamResponse:
        body = b"".join(await _read_body(request, _LOCK_LIMIT))
        wanted = StateLock(grant.target, _lock_id(body), grant.run, body.decode())
        await asyncio.gather(*self._releases)
        standing = await self._locks.acquire(wanted)
        if (standing.id, standing.run) != (wanted.id, wanted.run):
            raise _RefusedError(423, f"the state is locked by run {standing.run}", standing)
        if grant not in self._grants.values():
            # The run ended while it waited: nobody would free this lock.
            await self._release_run(grant.run)
            raise _RefusedError(403, "the run is over")
        self._hold(grant.target, grant.run)
        return web.Response()

    async def _unlock(self, request: web.Request, grant: _Grant) -> web.StreamResponse:
        body = b"".join(await _read_body(request, _LOCK_LIMIT))
        if not body.strip():
            raise _RefusedError(403, "locks can't be forced: they are freed when their run ends")
        standing = await self._locks.release(grant.target, id=_lock_id(body), run=grant.run)
        if standing is not None:
            raise _RefusedError(409, f"the lock that stands is of run {standing.run}", standing)
        self._hold(grant.target, None)
        return web.Response()

    async def _release_run(self, run: str) -> None:
        try:
            await self._locks.release_run(run)
        except StoreError:
            _log.exception("the locks of a run that is over could not be freed", extra={"run": run})
        for target in [target for target, holder in self._held.items() if holder == run]:
            self._hold(target, None)

    def _hold(self, target: str, run: str | None) -> None:
        if run is None:
            self._held.pop(target, None)
        else:
            self._held[target] = run
        self._count_locks(len(self._held))


class _RefusedError(Exception):
    """A request that is answered with a status and a reason, and with the lock that stands in its way."""

    def __init__(self, status: int, reason: str, lock: StateLock | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.lock = lock


def _credentials(header: str) -> tuple[str, bytes]:
    """Name and password of a Basic Authorization header, empty where there are none."""
    scheme, _, encoded = header.partition(" ")
    try:
        name, _, password = base64.b64decode(encoded, validate=True).partition(b":")
        return (name.decode(), password) if scheme.lower() == "basic" else ("", b"")
    except ValueError:
        return "", b""


async def _read_body(request: web.Request, limit: int) -> list[bytes]:
    too_large = _RefusedError(413, f"the body is larger than {limit} bytes")
    if (request.content_length or 0) > limit:
        raise too_large
    chunks, size = [], 0
    async for chunk in request.content.iter_chunked(_CHUNK):
        size += len(chunk)
        if size > limit:
            raise too_large
        chunks.append(chunk)
    return chunks


def _whole(chunks: list[bytes], md5: str | None) -> bytes:
    """The body in one piece, if it is the one that was sent. For a thread: a large one takes long."""
    data = b"".join(chunks)
    if md5 is not None:
        expected = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        if md5 != expected:
            raise _RefusedError(400, "the body is not the one whose Content-MD5 was sent")
    return data


def _lock_id(body: bytes) -> str:
    """The ID in Terraform's lock JSON."""
    try:
        found: Any = json.loads(body)
        lock_id = found["ID"]
    except (ValueError, KeyError, TypeError, RecursionError):
        lock_id = None
    if not isinstance(lock_id, str) or not 0 < len(lock_id) <= 255:
        raise _RefusedError(400, "this is not a lock as Terraform describes it")
    return lock_id


def _refuse(
    request: web.Request, grant: _Grant, status: int, reason: str, lock: StateLock | None = None
) -> web.Response:
    # A target without a state is what every new one starts as.
    level = logging.DEBUG if status == 404 else logging.WARNING
    what = f"{request.method} {grant.target} for run {grant.run}"
    _log.log(level, "state request refused: %s: %d: %s", what, status, reason)
    if lock is None:
        return web.Response(status=status, text=reason)
    return web.Response(
        status=status, text=lock.holder, content_type="application/json", headers={"X-Setpoint-Run": lock.run}
    )
