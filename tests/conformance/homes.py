"""The homes that the ClusterClient's conformance suite runs on, and the objects that it writes.

tests/cluster/test_conformance.py brings one more: a real API server.
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.fakes.cluster import InMemoryCluster
from tests.fakes.local_home import open_local_home

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.audit import AuditEntry, Phase
from setpoint.ports import ClusterClient, WatchEvent

DIGEST = "sha256:" + "a" * 64
REF = ObjectRef("Environment", "default", "shop")


@dataclasses.dataclass
class Home:
    """A home under test: two clients of it, a way to an outdated version, and the actions in its audit trail."""

    cluster: ClusterClient
    other: ClusterClient
    outdate: Callable[[], Awaitable[str]]
    actions: Callable[[], Awaitable[list[str]]]


@contextlib.asynccontextmanager
async def _memory(_folder: Path) -> AsyncIterator[Home]:
    cluster = InMemoryCluster()

    async def outdate() -> str:
        old = (await cluster.list("Environment")).resource_version
        await cluster.create(environment())
        cluster.forget()
        return old

    async def actions() -> list[str]:
        return [entry.action for entry in cluster.audit]

    yield Home(cluster, cluster, outdate, actions)


@contextlib.asynccontextmanager
async def _local(folder: Path) -> AsyncIterator[Home]:
    async with open_local_home(folder) as here, open_local_home(folder) as there:

        async def actions() -> list[str]:
            return [row.entry.action for row in await there.audit.rows()]

        async def outdate() -> str:
            old = (await here.cluster.list("Environment")).resource_version
            await here.cluster.create(environment())
            await here.cluster.delete(REF)
            await here.outdate()
            return old

        yield Home(here.cluster, there.cluster, outdate, actions)


HOMES = {"memory": _memory, "local": _local}


def environment(name: str = "shop", namespace: str = "default", **metadata: Any) -> JsonObject:
    return {
        "apiVersion": "setpoint.dev/v1alpha1",
        "kind": "Environment",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"stage": "dev", "source": {"inline": {"main.tf": ""}}},
    }


def approval(name: str = "yes") -> JsonObject:
    return {
        "apiVersion": "setpoint.dev/v1alpha1",
        "kind": "Approval",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"changeRef": {"name": "c"}, "subject": DIGEST, "verdict": "Approved", "approver": "alice"},
    }


def policy_set(name: str = "baseline") -> JsonObject:
    return {
        "apiVersion": "setpoint.dev/v1alpha1",
        "kind": "PolicySet",
        "metadata": {"name": name},
        "spec": {"source": {"builtin": "baseline"}},
    }


def secret(name: str = "outputs", **data: str) -> JsonObject:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": data}


def entry(action: str) -> AuditEntry:
    return AuditEntry(action, Phase.FACT, "tester")


def with_stage(obj: JsonObject, stage: str) -> JsonObject:
    return {**obj, "spec": {**obj["spec"], "stage": stage}}


def with_metadata(obj: JsonObject, **metadata: Any) -> JsonObject:
    return {**obj, "metadata": {**obj["metadata"], **metadata}}


def version(obj: JsonObject) -> str:
    return obj["metadata"]["resourceVersion"]


class Watching:
    """A watch whose events are taken one by one."""

    def __init__(self, events: AsyncIterator[WatchEvent]) -> None:
        self._events = events

    async def next(self) -> WatchEvent:
        async with asyncio.timeout(60):
            return await anext(self._events)


@contextlib.asynccontextmanager
async def watching(home: Home, *kinds: str, resource_version: str | None = None) -> AsyncIterator[Watching]:
    """A watch of the home's first client, from now on where no version is given."""
    if resource_version is None:
        resource_version = (await home.cluster.list(kinds[0])).resource_version
    events = home.cluster.watch(kinds, resource_version=resource_version)
    try:
        yield Watching(events)
    finally:
        await events.aclose()
