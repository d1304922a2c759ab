"""Owns which sealed blobs are still needed, and when the others are removed. Knows not how or where they are kept.

Needed is what a driver, a sealed Secret or ConfigMap, or an object of ours names, and the content of each Change. What
a pass makes or plans with is young until its outcome names it, and young blobs stay (`BlobStore.prune`): a pass lasts a
day at most, and young means two.
"""

import asyncio
import contextlib
import itertools
import logging
import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import Any, get_args

from setpoint.api.meta import JsonObject
from setpoint.api.v1alpha1.change import ChangeOutcome
from setpoint.domain.errors import SetpointError
from setpoint.domain.reading import text_at
from setpoint.ports import BlobStore, ClusterClient, TargetDriver

_LOGGER = logging.getLogger(__name__)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CLOSED = frozenset(get_args(ChangeOutcome)) - {"Waiting", "Blocked", "Approved"}
_RETRY_SECONDS = 3600.0


class BlobCollector:
    """Removes sealed blobs that nothing refers to any more.

    Beside what the drivers need, `references` list what is needed apart from objects.
    """

    def __init__(
        self,
        *,
        blobs: BlobStore,
        cluster: ClusterClient,
        drivers: Collection[TargetDriver],
        references: Collection[Callable[[], Awaitable[frozenset[str]]]] = (),
        count: Callable[[int], None] = lambda _removed: None,
    ) -> None:
        self._blobs = blobs
        self._cluster = cluster
        self._kinds = tuple(driver.kind.__name__ for driver in drivers)
        self._references = (*(driver.references for driver in drivers), *references)
        self._count = count

    async def collect(self) -> int:
        """Removes them; returns how many. Raises SetpointError where a list fails: then nothing was removed."""
        try:
            removed = await self._blobs.prune(self._find_needed)
        except _NothingListedError:
            return 0
        self._count(removed)
        if removed:
            _LOGGER.info("%d sealed blobs removed: nothing referred to them", removed)
        return removed

    async def _find_needed(self) -> frozenset[str]:
        # Targets first: what is in force moves from them into Snapshots, and may do so between the two lists.
        targets = await self._named_by(*self._kinds)
        if targets is None:
            raise _NothingListedError
        named = await self._named_by("Snapshot", "Reset") or frozenset()
        contents = {text_at(change, "spec", "content") for change in (await self._cluster.list("Change")).items}
        return targets.union(named, contents - {None}, *[await references() for references in self._references])

    async def _named_by(self, *kinds: str) -> frozenset[str] | None:
        """Whatever looks like a digest: to keep what is none costs nothing, to miss one costs the way back.

        None where there is no object at all.
        """
        found: list[JsonObject] = []
        for kind in kinds:
            found += (await self._cluster.list(kind)).items
        return frozenset(itertools.chain.from_iterable(map(digests_in, found))) if found else None


class _NothingListedError(Exception):
    """No target is there: rather the wrong cluster than a reason to remove everything."""


def digests_in(value: Any) -> Iterator[str]:
    """Every text in a JSON value that is a digest."""
    match value:
        case str() if _DIGEST.fullmatch(value):
            yield value
        case dict():
            for item in value.values():
                yield from digests_in(item)
        case list():
            for item in value:
                yield from digests_in(item)


def is_open(change: JsonObject) -> bool:
    """True while a Change may still be carried out, as far as it says; one of a later version may."""
    return text_at(change, "status", "outcome") not in _CLOSED


async def keep_collecting(
    collections: Sequence[Callable[[], Awaitable[object]]], interval: float, ended: asyncio.Event
) -> None:
    """Runs each of these at first, and again every `interval` seconds until the end; one that fails, within an hour."""
    while not ended.is_set():
        seconds = interval
        for collect in collections:
            try:
                await collect()
            except SetpointError as error:
                _LOGGER.warning("nothing was collected: %s", error)
                seconds = min(interval, _RETRY_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await ended.wait()
