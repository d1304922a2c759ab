"""Leases, Events and the connection itself, on a real API server."""

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.cluster.apiserver import ROLES, ApiServer, Cluster
from tests.conformance.homes import environment
from tests.fakes.store import FixedClock

from setpoint.adapters.kube import ConnectionOptions, KubeCluster, KubeConnection, KubeEvents, KubeLease, connect
from setpoint.api.meta import ObjectRef
from setpoint.domain.errors import ConflictError, ForbiddenError, InvalidError, TransientError
from setpoint.ports import LeaseRecord
from setpoint.runtime.recorder import EventRecord

DURATION = dt.timedelta(seconds=15)


@pytest.fixture
async def connection(cluster: Cluster) -> AsyncIterator[KubeConnection]:
    async with connect(cluster.connection()) as opened:
        yield opened


class TestLease:
    async def test_is_created_renewed_and_read(self, connection: KubeConnection, namespace: str) -> None:
        lease = KubeLease(connection, namespace, "leader", clock=FixedClock())
        assert await lease.read() is None
        first = await lease.write(LeaseRecord("a", DURATION, 0, ""))
        second = await lease.write(LeaseRecord("b", DURATION, 1, first.version))
        assert (second.holder, second.transitions, second.duration) == ("b", 1, DURATION)
        assert await lease.read() == second

    async def test_tells_how_its_holder_divides_and_who_asks_for_it(
        self, connection: KubeConnection, namespace: str
    ) -> None:
        lease = KubeLease(connection, namespace, "leader-0", clock=FixedClock())
        first = await lease.write(LeaseRecord("a", DURATION, 0, "", 4))
        await lease.write(LeaseRecord("a", DURATION, 0, first.version, 4, "b"))
        found = await lease.read()
        assert found is not None
        assert (found.holder, found.shards, found.wanted) == ("a", 4, "b")
        await lease.write(LeaseRecord("b", DURATION, 1, found.version, 4))
        assert (await lease.read() or found).wanted == ""

    @pytest.mark.parametrize("said", ["", "0", "17", "many", "9" * 5000])
    async def test_another_tools_lease_divides_nothing(
        self, cluster: Cluster, connection: KubeConnection, namespace: str, said: str
    ) -> None:
        made = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "leader", "namespace": namespace, "annotations": {"setpoint.dev/shards": said}},
        }
        cluster.kubectl("apply", "-f", "-", given=json.dumps(made))
        found = await KubeLease(connection, namespace, "leader", clock=FixedClock()).read()
        assert found is not None
        assert (found.holder, found.shards) == ("", 1)

    async def test_of_another_version_conflicts(self, connection: KubeConnection, namespace: str) -> None:
        lease = KubeLease(connection, namespace, "leader", clock=FixedClock())
        first = await lease.write(LeaseRecord("a", DURATION, 0, ""))
        await lease.write(LeaseRecord("b", DURATION, 1, first.version))
        for stale in (first.version, ""):
            with pytest.raises(ConflictError):
                await lease.write(LeaseRecord("c", DURATION, 2, stale))


class TestEvents:
    async def test_are_written_counted_and_read(self, connection: KubeConnection, crds: None, namespace: str) -> None:
        await KubeCluster(connection, _NoTrail()).create(environment("shop", namespace))  # type: ignore[arg-type]
        ref, now = ObjectRef("Environment", namespace, "shop"), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        events = KubeEvents(connection, instance="test")
        record = EventRecord(ref, "Warning", "DriftDetected", "one drifted", 1, now, now)
        await events(record)
        later = now + dt.timedelta(minutes=1)
        await events(EventRecord(ref, "Warning", "DriftDetected", "one drifted", 3, now, later))
        assert [(one.reason, one.count, one.last_seen) for one in await events.of(ref)] == [("DriftDetected", 3, later)]

    async def test_long_and_odd_messages_are_taken(
        self, connection: KubeConnection, crds: None, namespace: str
    ) -> None:
        now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        ref = ObjectRef("Environment", namespace, "x" * 253)
        events = KubeEvents(connection, instance="i" * 300)
        await events(EventRecord(ref, "Normal", "Applied", "\u2028" + "y" * 5000, 1, now, now))
        await events(EventRecord(ref, "Normal", "Verified", "", 1, now, now))
        assert len(await events.of(ref)) == 2


class TestConnection:
    async def test_knows_who_we_are(self, cluster: Cluster) -> None:
        async with connect(cluster.connection("approver")) as opened:
            assert await opened.user() == ROLES["approver"].user

    async def test_what_is_forbidden_says_so(self, cluster: Cluster, crds: None) -> None:
        async with connect(cluster.connection("nobody")) as opened:
            with pytest.raises(ForbiddenError, match="environments"):
                await KubeCluster(opened, _NoTrail()).list("Environment")  # type: ignore[arg-type]

    async def test_a_list_is_read_in_pages(self, connection: KubeConnection, crds: None, namespace: str) -> None:
        cluster = KubeCluster(connection, _NoTrail(), page=3)  # type: ignore[arg-type]
        names = [f"e{number}" for number in range(10)]
        await asyncio.gather(*(cluster.create(environment(name, namespace)) for name in names))
        found = await cluster.list("Environment", namespace=namespace)
        assert [obj["metadata"]["name"] for obj in found.items] == names

    @pytest.mark.parametrize(
        "content", ["", "{", "- a", "apiVersion: v1\nkind: Config\ncurrent-context: none\n"],
        ids=["empty", "no yaml", "a list", "no such context"],
    )  # fmt: skip
    async def test_a_bad_kubeconfig_is_refused(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "kubeconfig"
        path.write_text(content)
        with pytest.raises(InvalidError, match="kubeconfig"):
            async with connect(ConnectionOptions(kubeconfig=path)):
                pass

    async def test_a_server_that_is_away_is_transient(self, api_server: ApiServer) -> None:
        async with connect(api_server.connection()) as opened:
            await asyncio.to_thread(api_server.api.kill)
            with pytest.raises(TransientError, match="can't be reached"):
                await opened.user()
            await asyncio.to_thread(api_server.recover)
            assert await opened.user()


class _NoTrail:
    async def append(self, *_entries: object) -> tuple[int, ...]:
        return ()
