"""Owns looking at a target from outside over HTTP. Implements ports.HealthProber; decides nothing."""

import asyncio
from urllib.parse import urlsplit, urlunsplit

import aiohttp

_PAUSE = 1.0
_ATTEMPT = 10.0


class HttpProber:
    """GETs until the wanted status comes back. Follows no redirects and reads no body."""

    async def probe(self, url: str, status: int, seconds: float) -> str:
        """What is wrong after `seconds`, empty as soon as nothing is. Never raises for what the other side does."""
        problem = "no answer yet"
        try:
            async with asyncio.timeout(seconds), aiohttp.ClientSession() as session:
                while problem := await _ask(session, url, status):  # noqa: ASYNC110 there is no event to wait for
                    await asyncio.sleep(_PAUSE)
        except TimeoutError:
            return f"GET {_shown(url)}: {problem} for {seconds:.0f} s, wanted {status}"
        return ""


def _shown(url: str) -> str:
    """The address without its credentials, and without its query, which may hold a token."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


async def _ask(session: aiohttp.ClientSession, url: str, status: int) -> str:
    try:
        limit = aiohttp.ClientTimeout(total=_ATTEMPT)
        async with session.get(url, allow_redirects=False, timeout=limit) as answer:
            return "" if answer.status == status else f"status {answer.status}"
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return type(error).__name__
