"""Owns how many connections of strangers a listener keeps, and for how long. Knows no requests.

Whoever can reach a port can open connections and never say anything. Each takes a file descriptor, of which a process
has few. So a connection has a short time in which to show that it is welcome; and where there are too many that have
not, the one that waits longest makes room for the next, so that nobody is kept out by those who say nothing.
"""

import asyncio
import dataclasses
from collections.abc import Callable

from aiohttp import web


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """The number of strangers that there may be at once, and of seconds that each has."""

    strangers: int = 32
    seconds: float = 10.0


class Gate:
    """Knows the connections of a listener that have not shown that they are welcome."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._strangers: dict[asyncio.Transport, asyncio.TimerHandle] = {}

    def guard(self, serve: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """Makes the protocols of connections: `serve` makes those that they are handed on to."""
        return lambda: _Connection(self, serve())

    @property
    def strangers(self) -> int:
        """The number of strangers now."""
        return len(self._strangers)

    def enter(self, transport: asyncio.Transport) -> None:
        """Somebody came."""
        if len(self._strangers) >= self._limits.strangers:
            self._turn_away(next(iter(self._strangers)))
        loop = asyncio.get_running_loop()
        self._strangers[transport] = loop.call_later(self._limits.seconds, self._turn_away, transport)

    def welcome(self, transport: asyncio.BaseTransport | None) -> None:
        """Whoever is at the other end may stay until the request is answered."""
        if isinstance(transport, asyncio.Transport) and (deadline := self._strangers.pop(transport, None)):
            deadline.cancel()

    def _turn_away(self, transport: asyncio.Transport) -> None:
        self.welcome(transport)
        transport.abort()


GATE: web.AppKey[Gate] = web.AppKey("gate", Gate)


class _Connection(asyncio.Protocol):
    """Tells the gate of its beginning and its end, and hands all on."""

    def __init__(self, gate: Gate, inner: asyncio.Protocol) -> None:
        self._gate = gate
        self._inner = inner
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._inner.connection_made(transport)
        if isinstance(transport, asyncio.Transport):
            self._gate.enter(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gate.welcome(self._transport)
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()
