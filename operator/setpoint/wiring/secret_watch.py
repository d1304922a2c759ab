"""Owns the watch of Secrets. Only names and versions come over the wire, never content."""

import asyncio
import logging
from collections.abc import Callable, Iterable

from setpoint.api.meta import JsonObject
from setpoint.domain.errors import ForbiddenError, GoneError, TransientError
from setpoint.ports import ClusterClient, WatchEvent
from setpoint.runtime.manager import ends_within

_LOGGER = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0


class SecretWatch:
    """Tells which Secrets there are, again after each loss of the watch, and which moved."""

    def __init__(
        self,
        cluster: ClusterClient,
        *,
        on_list: Callable[[Iterable[JsonObject]], None],
        on_move: Callable[[WatchEvent], None],
    ) -> None:
        self._cluster = cluster
        self._on_list = on_list
        self._on_move = on_move
        self._tried = asyncio.Event()

    async def tried(self) -> None:
        """Waits until the Secrets were listed, or could not be."""
        await self._tried.wait()

    async def run(self, ended: asyncio.Event) -> None:
        """Watches until `ended`."""
        while not ended.is_set():
            try:
                await self._follow()
            except GoneError:
                continue
            except (TransientError, ForbiddenError) as error:
                # Whoever reads a Secret looks again at its next pass, too.
                _LOGGER.warning("Can't watch Secrets: %s", error.message)
                await ends_within(ended, _RETRY_SECONDS)

    async def _follow(self) -> None:
        try:
            listed = await self._cluster.list("Secret")
            self._on_list(listed.items)
        finally:
            self._tried.set()
        async for event in self._cluster.watch(["Secret"], resource_version=listed.resource_version):
            self._on_move(event)
