"""Owns which sealed blobs are still needed, and when the others are removed. Knows not how or where they are kept.

Needed is what a state version, a sealed Secret or ConfigMap, or an object of ours names, the content of each Change,
and the bundle of one that is open. What a pass makes or plans with is young until its outcome names it, and young
blobs stay (`BlobStore.prune`): a pass lasts a day at most, and young means two.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

from setpoint.api.meta import JsonObject
from setpoint.api.v1alpha1.change import ChangeOutcome
from setpoint.domain.errors import SetpointError
from setpoint.domain.reading import text_at
from setpoint.ports import BlobStore, ClusterClient

_LOGGER = logging.getLogger(__name__)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Environments first: what is in force moves from them into Snapshots, and may do so between the two lists.
_REFERRERS = ("Environment", "Snapshot", "Reset")
_CLOSED = frozenset(get_args(ChangeOutcome)) - {"Waiting", "Blocked", "Approved"}
_RETRY_SECONDS = 3600.0


class BlobCollector:
    """Removes sealed blobs that nothing refers to any more.

    `references` list what is needed apart from objects; `bundles` gives the blobs of bundles by the bundles' digests.
    """

    def __init__(
        self,
        *,
        blobs: BlobStore,
        cluster: ClusterClient,
        references: Sequence[Callable[[], Awaitable[frozenset[str]]]],
        bundles: Callable[[], Awaitable[Mapping[str, str]]],
        count: Callable[[int], None] = lambda _removed: None,
    ) -> None:
        self._blobs = blobs
        self._cluster = cluster
        self._references = tuple(references)
        self._bundles = bundles
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
        named = [digest for kind in _REFERRERS for digest in await self._named_by(kind)]
        listed = [await references() for references in self._references]
        return frozenset(named).union(await self._of_changes(), *listed)

    async def _named_by(self, kind: str) -> list[str]:
        """Whatever looks like a digest: to keep what is none costs nothing, to miss one costs the way back."""
        found = (await self._cluster.list(kind)).items
        if kind == "Environment" and not found:
            raise _NothingListedError
        return [digest for item in found for digest in digests_in(item)]

    async def _of_changes(self) -> set[str]:
        """The blobs that people approve or approved, and those that open Changes would apply.

        A bundle whose lock file was made for it is not made alike again, and approvals are for this very one.
        """
        changes = (await self._cluster.list("Change")).items
        contents = {text_at(change, "spec", "content") for change in changes}
        wanted = {text_at(change, "spec", "bundle") for change in changes if _is_open(change)}
        return contents | {blob for bundle, blob in (await self._bundles()).items() if bundle in wanted}


class _NothingListedError(Exception):
    """No Environment is there: rather the wrong cluster than a reason to remove everything."""


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


def _is_open(change: JsonObject) -> bool:
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
