"""A cluster whose writes go nowhere: they are seen in it, and never below it."""

from collections.abc import Awaitable, Callable

import pytest
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.examples import example

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.audit import AuditEntry, Phase
from setpoint.domain.errors import NotFoundError
from setpoint.pipeline.overlay import OverlayCluster
from setpoint.ports import ClusterClient

REF = ObjectRef("Environment", "default", "shop-prod")
NEW = ObjectRef("Environment", "default", "new")
ENTRY = AuditEntry("apply", Phase.FACT, "setpoint", REF)
Write = Callable[[ClusterClient], Awaitable[object]]


@pytest.fixture
async def overlay(cluster: InMemoryCluster) -> OverlayCluster:
    """Over one Environment."""
    await cluster.add(example("Environment", status={"attempts": 1}))
    return OverlayCluster(cluster)


async def create(client: ClusterClient) -> object:
    return await client.create(example("Environment", name="new"), audit=(ENTRY,))


async def update(client: ClusterClient) -> object:
    found = await client.get(REF)
    return await client.update({**found, "spec": {**found["spec"], "stage": "dev"}}, audit=(ENTRY,))


async def update_status(client: ClusterClient) -> object:
    return await client.update_status({**await client.get(REF), "status": {"attempts": 2}}, audit=(ENTRY,))


async def set_finalizers(client: ClusterClient) -> object:
    return await client.set_finalizers(await client.get(REF), ["a/b"], audit=(ENTRY,))


async def annotate(client: ClusterClient) -> object:
    await client.annotate(REF, {"a": "1", "b": "2"})
    return await client.annotate(REF, {"b": None})


async def delete(client: ClusterClient) -> object:
    return await client.delete(REF, audit=(ENTRY,))


async def world(client: ClusterClient) -> list[JsonObject]:
    """All Environments, as far as a pass looks at them."""
    items = (await client.list("Environment", namespace="default")).items
    frames = [(item["metadata"], item) for item in items]
    return [
        {
            "name": metadata["name"],
            "annotations": metadata.get("annotations") or {},
            "finalizers": metadata.get("finalizers") or [],
            "spec": item["spec"]["stage"],
            "status": item.get("status"),
        }
        for metadata, item in sorted(frames, key=lambda frame: frame[0]["name"])
    ]


@pytest.mark.parametrize("write", [create, update, update_status, set_finalizers, annotate, delete])
async def test_a_write_is_seen_as_if_it_was_one_and_is_none(
    overlay: OverlayCluster, cluster: InMemoryCluster, write: Write
) -> None:
    before = (await world(cluster), cluster.writes, list(cluster.audit))
    await write(overlay)
    assert (await world(cluster), cluster.writes, cluster.audit) == before
    seen = await world(overlay)
    assert seen != before[0]
    await write(cluster)
    assert seen == await world(cluster)


async def test_what_is_not_written_is_read_through(overlay: OverlayCluster, cluster: InMemoryCluster) -> None:
    await cluster.annotate(REF, {"a": "1"})
    assert await overlay.get(REF) == await cluster.get(REF)
    with pytest.raises(NotFoundError):
        await overlay.get(NEW)


async def test_what_is_deleted_is_gone_and_can_come_back(overlay: OverlayCluster) -> None:
    await overlay.delete(REF)
    for again in (overlay.get(REF), overlay.delete(REF), overlay.annotate(REF, {"a": "1"})):
        with pytest.raises(NotFoundError):
            await again
    await overlay.create(example("Environment", stage="dev"))
    assert (await overlay.get(REF))["spec"]["stage"] == "dev"


async def test_what_comes_back_is_the_callers_to_change(overlay: OverlayCluster) -> None:
    given = example("Environment", name="new")
    for found in (await overlay.create(given), await overlay.get(NEW), (await overlay.list("Environment")).items[-1]):
        found["spec"]["stage"] = "changed"
    given["spec"]["stage"] = "changed"
    assert (await overlay.get(NEW))["spec"]["stage"] == "prod"


@pytest.mark.parametrize(
    ("kind", "namespace", "count"),
    [("Environment", None, 2), ("Environment", "default", 2), ("Environment", "other", 0), ("Change", None, 0)],
)
async def test_a_list_is_of_the_kind_and_namespace(
    overlay: OverlayCluster, kind: str, namespace: str | None, count: int
) -> None:
    await create(overlay)
    assert len((await overlay.list(kind, namespace=namespace)).items) == count


async def test_a_watch_is_of_the_cluster_below(overlay: OverlayCluster, cluster: InMemoryCluster) -> None:
    version = (await overlay.list("Environment")).resource_version
    await create(overlay)
    await cluster.annotate(REF, {"a": "1"})
    async for event in overlay.watch(["Environment"], resource_version=version):
        assert event.object["metadata"]["annotations"] == {"a": "1"}
        return
