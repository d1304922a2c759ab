"""Owns following several kinds at once. A watch that breaks goes on where it was; one that can't says so (GoneError).

This is for commands and tests: the operator's own watch is kopf's (watch/).
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from setpoint.adapters.kube.connection import KubeConnection, KubeRequest
from setpoint.adapters.kube.errors import watch_error
from setpoint.adapters.kube.paths import Resource
from setpoint.api.meta import JsonObject
from setpoint.domain.errors import TransientError
from setpoint.ports import WatchEvent

SILENCE_SECONDS = 70.0
"""Bookmarks come about once a minute: a stream that is silent for longer is dead."""
_RETRY_SECONDS = (0.5, 5.0)
_BUFFER = 1000

_Found = tuple[Resource, WatchEvent]


async def watch_kinds(
    connection: KubeConnection, resources: Sequence[Resource], resource_version: str, namespaces: Sequence[str]
) -> AsyncIterator[_Found]:
    """Changes of all these kinds. Raises GoneError, InvalidError, ForbiddenError."""
    found: asyncio.Queue[_Found | Exception] = asyncio.Queue(_BUFFER)
    tasks = []
    for resource in resources:
        for namespace in namespaces if namespaces and resource.namespaced else (None,):
            changes = _follow(connection, resource, namespace, resource_version)
            tasks.append(asyncio.create_task(_pump(changes, found)))
    try:
        while True:
            item = await found.get()
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(events: AsyncIterator[_Found], found: "asyncio.Queue[_Found | Exception]") -> None:
    """Hands on what a watch brings, and its end."""
    try:
        async for event in events:
            await found.put(event)
    except Exception as error:  # noqa: BLE001 raised again where the events are taken
        await found.put(error)


async def _follow(
    connection: KubeConnection, resource: Resource, namespace: str | None, version: str
) -> AsyncIterator[_Found]:
    """One kind's changes, over as many streams as it takes."""
    failures = 0
    while True:
        try:
            async with contextlib.aclosing(_stream(connection, resource, namespace, version)) as events:
                async for type_, obj in events:
                    failures = 0
                    version = obj["metadata"]["resourceVersion"]
                    if type_ != "BOOKMARK":
                        yield resource, WatchEvent(type_, obj)
        except TransientError:
            failures += 1
            low, high = _RETRY_SECONDS
            await asyncio.sleep(random.uniform(low, min(high, low * 2**failures)))  # noqa: S311 spreads retries


async def _stream(
    connection: KubeConnection, resource: Resource, namespace: str | None, version: str
) -> AsyncGenerator[tuple[Any, JsonObject]]:
    query = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
    accept = resource.accept("PartialObjectMetadata")
    request = KubeRequest("GET", resource.collection(namespace), resource.plural, query, accept=accept)
    async with connection.stream(request, silence_seconds=SILENCE_SECONDS) as lines:
        async for line in lines:
            if line["type"] == "ERROR":
                raise watch_error(line["object"], resource.plural)
            yield line["type"], line["object"]
