"""Owns the lists of the whole cluster: the first of a term, and the regular ones that find what a watch missed."""

import asyncio
import logging
from collections.abc import Awaitable, Collection

from setpoint.adapters.kube import KubeCluster
from setpoint.api.meta import ObjectRef
from setpoint.api.target import TARGET_KINDS
from setpoint.domain.errors import SetpointError
from setpoint.domain.sharding import Shard
from setpoint.pipeline.routing import WATCHED
from setpoint.ports import WatchEvent
from setpoint.runtime.manager import ends_within, first_of
from setpoint.runtime.requests import Request
from setpoint.watch import KopfSource
from setpoint.wiring.secret_watch import SecretWatch
from setpoint.wiring.work import RECONCILED, Work

_LOGGER = logging.getLogger(__name__)

_FIRST_SECONDS = 30.0
"""From a watch's begin to a list, and until what was missed in one proves that the watch is blind."""
_SETTLED = 1.5
"""How many times as long a watch must have lived to be blind: a younger one may still be at its own first list."""
_RETRY_SECONDS = 10.0
_Behind = dict[ObjectRef, tuple[str, str] | None]


class Resync:
    """Lists in pages, every `interval` seconds. A standby lists too: its watch is to be alive when it leads."""

    def __init__(
        self, objects: KubeCluster, source: KopfSource, secrets: SecretWatch, work: Work, *, interval: float
    ) -> None:
        self._objects = objects
        self._source = source
        self._secrets = secrets
        self._work = work
        self._interval = interval
        self._grace = min(_FIRST_SECONDS, interval)

    async def enqueue_first(self, shard: Shard, stale: Collection[str], ended: asyncio.Event) -> None:
        """Queues all that a term begins with. A kind whose CRD is gone is asked for again until it is there.

        Targets that are fresh from an earlier leader's observation are left out, but for those whose key is in `stale`.
        """
        await self._secrets.tried()
        kinds = list(WATCHED)
        while kinds and not ended.is_set():
            kinds = [kind for kind in kinds if not await self._try(self._enqueue(kind, shard, stale))]
            if kinds:
                await ends_within(ended, _RETRY_SECONDS)

    async def run(self, ended: asyncio.Event) -> None:
        """Lists again and again: a missed move is found, and so is a blind watch."""
        seconds = self._grace
        while not await self._ends_before_next(ended, seconds):
            seconds = self._interval
            behind: _Behind = {}
            for kind in WATCHED:
                await self._try(self._catch_up(kind, behind))
            if not await ends_within(ended, self._grace):
                self._judge(behind)

    async def _ends_before_next(self, ended: asyncio.Event, seconds: float) -> bool:
        """Waits for the next list. It is near where a watch has begun: that may be blind from its first moment."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        while not ended.is_set() and (left := due - loop.time()) > 0:
            await first_of(ended, self._source.begun, seconds=left)
            if self._source.begun.is_set():
                self._source.begun.clear()
                due = min(due, loop.time() + self._grace)
        return ended.is_set()

    def _judge(self, behind: _Behind) -> None:
        if self._source.seconds_alive() > _SETTLED * self._grace and self._source.is_stuck(behind):
            self._source.restart()

    async def _try(self, listing: Awaitable[None]) -> bool:
        """A kind whose CRD is gone, a server that is away: a later round lists again."""
        try:
            await listing
        except SetpointError as error:
            # Among them a 410 in the middle of a paged list, whose pages the server keeps for minutes only.
            _LOGGER.warning("Can't list: %s", error.message)
            return False
        return True

    async def _enqueue(self, kind: str, shard: Shard, stale: Collection[str]) -> None:
        async for page in self._objects.pages(kind):
            found = [obj for obj in page.items if kind == "Reset" or ObjectRef.of(obj).key in shard]
            await self._work.enqueue(kind, found, stale=stale)
        if kind in TARGET_KINDS:
            self._work.found_all(shard)

    async def _catch_up(self, kind: str, behind: _Behind) -> None:
        """An event that never came is made up; one that did wakes nobody again. Notes where the watch is behind."""
        now: dict[ObjectRef, tuple[str, str]] = {}
        async for page in self._objects.pages(kind):
            for obj in page.items:
                now[ObjectRef.of(obj)] = obj["metadata"]["uid"], obj["metadata"]["resourceVersion"]
                await self._work.on_event(WatchEvent("MODIFIED", obj))
        gone = self._source.gone(kind, now)
        for ref in gone:
            self._source.forget(ref)
        self._work.wake(Request(ref) for ref in gone if kind in RECONCILED)
        behind |= self._source.behind(now)
