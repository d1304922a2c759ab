"""The ClusterClient's conformance suite on a real API server: the third home."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.cluster.apiserver import ROOT, ApiServer, UnavailableError
from tests.cluster.conftest import unavailable
from tests.conformance.homes import Home
from tests.conformance.test_cluster_client import *  # noqa: F403 the suite, collected here for another home
from tests.conformance.test_cluster_marks import *  # noqa: F403
from tests.conformance.test_cluster_watch import *  # noqa: F403

from setpoint.adapters.kube import KubeCluster, connect
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.audit import AuditEntry
from setpoint.domain.errors import NotFoundError
from setpoint.ports import ClusterClient

NAMESPACES = ("default", "a", "b")
KINDS = ("Environment", "Approval", "PolicySet", "Secret")


class ListedTrail:
    """Remembers what was appended."""

    def __init__(self) -> None:
        self.actions: list[str] = []

    async def append(self, *entries: AuditEntry) -> tuple[int, ...]:
        self.actions += [entry.action for entry in entries]
        return ()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server of its own: the suite lists all objects there are, and deletes them."""
    try:
        server = ApiServer(tmp_path_factory.mktemp("conformance"))
    except UnavailableError as error:
        unavailable(error)
    try:
        server.start()
        server.kubectl("apply", "--server-side", "--validate=strict", "-f", str(ROOT / "crds"))
        server.kubectl("wait", "--for=condition=Established", "-f", str(ROOT / "crds"))
        for name in NAMESPACES[1:]:
            server.kubectl("create", "namespace", name)
        yield server
    finally:
        server.stop()


@pytest.fixture
async def home(server: ApiServer) -> AsyncIterator[Home]:
    options = server.connection(writes_a_second=1000, reads_a_second=1000)
    trail = ListedTrail()
    async with connect(options) as one, connect(options) as two:
        here, there = KubeCluster(one, trail), KubeCluster(two, trail)
        yield Home(here, there, _outdated, lambda: _actions(trail))
        await _wipe(here)


@pytest.fixture
def client(home: Home) -> ClusterClient:
    return home.cluster


async def _outdated() -> str:
    return "1"  # long compacted, and never in a watch cache


async def _actions(trail: ListedTrail) -> list[str]:
    return trail.actions


async def _wipe(cluster: ClusterClient) -> None:
    found: list[JsonObject] = []
    for kind in KINDS:
        found += (await cluster.list(kind)).items
    async with asyncio.TaskGroup() as group:
        for obj in found:
            if obj["metadata"].get("namespace", "default") in NAMESPACES:
                group.create_task(_remove(cluster, obj))


async def _remove(cluster: ClusterClient, obj: dict[str, object]) -> None:
    ref = ObjectRef.of(obj)
    with contextlib.suppress(NotFoundError):
        await cluster.delete(ref)
        await cluster.set_finalizers(await cluster.get(ref), [])
