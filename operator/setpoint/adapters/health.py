"""Owns looking at a target from outside over HTTP. Implements the HealthProber of targets; decides nothing."""

import asyncio
import errno
import socket
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from setpoint.domain.unreachable import Network, is_refused_address, is_refused_name

_PAUSE = 1.0
_ATTEMPT = 10.0
_REMEDY = "is link-local or serves a machine's metadata; SETPOINT_HEALTH_ALLOW says what may be asked all the same"


class HttpProber:
    """GETs until the wanted status comes back. Follows no redirects and reads no body.

    Asks no link-local address and none that serves a machine's metadata, by whatever name it is reached, except for
    those that are `allowed`.
    """

    def __init__(self, allowed: tuple[Network | str, ...] = ()) -> None:
        self._allowed = allowed

    async def probe(self, url: str, status: int, seconds: float) -> str:
        """The problem after `seconds`, empty as soon as there is none. Never raises for what the other side does."""
        problem, door = "no answer yet", _Door(self._allowed)
        if door.refuses_host(url):
            return f"GET {_shown(url)}: {door.refused} {_REMEDY}"
        try:
            connector = aiohttp.TCPConnector(socket_factory=door.open)
            async with asyncio.timeout(seconds), aiohttp.ClientSession(connector=connector) as session:
                while problem := await _ask(session, url, status):
                    if door.refused:
                        return f"GET {_shown(url)}: {door.refused} {_REMEDY}"
                    await asyncio.sleep(_PAUSE)
        except aiohttp.InvalidURL:
            return f"GET {_shown(url)}: this is no address to ask"
        except TimeoutError:
            return f"GET {_shown(url)}: {problem} for {seconds:.0f} s, wanted {status}"
        return ""


class _Door:
    """Makes the socket of each connection, whatever a name resolved to and however a number was written."""

    def __init__(self, allowed: tuple[Network | str, ...]) -> None:
        self._allowed = allowed
        self.refused = ""
        """The last address that was refused."""

    def refuses_host(self, url: str) -> bool:
        """True where the name alone says that it is not to be asked."""
        try:
            host = urlsplit(url).hostname or ""
        except ValueError:
            return False
        self.refused = host if is_refused_name(host, self._allowed) else ""
        return bool(self.refused)

    def open(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket for this address. Raises OSError for one that is not to be asked."""
        family, kind, protocol, _, address = info
        if is_refused_address(str(address[0]), self._allowed):
            self.refused = str(address[0])
            raise OSError(errno.EACCES, "refused")
        return socket.socket(family=family, type=kind, proto=protocol)


async def _ask(session: aiohttp.ClientSession, url: str, status: int) -> str:
    try:
        limit = aiohttp.ClientTimeout(total=_ATTEMPT)
        async with session.get(url, allow_redirects=False, timeout=limit) as answer:
            return "" if answer.status == status else f"status {answer.status}"
    except aiohttp.InvalidURL:
        raise
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return type(error).__name__


def _shown(url: str) -> str:
    """The address without its credentials, and without its query, which may hold a token."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
