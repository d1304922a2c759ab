"""What every ClusterClient does. A new home passes this suite before anything runs on it.

Nothing here asks for more than a Kubernetes API server with our CRDs gives: where homes may differ (validation
texts, the shape of versions, content of listed Secrets, the generation of a deletion) the suite looks away.
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.local_home import open_local_home

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.audit import AuditEntry, Phase
from setpoint.domain.errors import AlreadyExistsError, ConflictError, GoneError, InvalidError, NotFoundError
from setpoint.ports import ClusterClient, WatchEvent

FINALIZER = "setpoint.dev/finalizer"
DIGEST = "sha256:" + "a" * 64


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


@pytest.fixture(params=HOMES)
async def home(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Home]:
    async with HOMES[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture
def client(home: Home) -> ClusterClient:
    return home.cluster


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


REF = ObjectRef("Environment", "default", "shop")


class TestCreate:
    async def test_gives_identity(self, client: ClusterClient) -> None:
        created = await client.create(environment(labels={"a": "b"}))
        metadata = created["metadata"]
        assert metadata["uid"]
        assert metadata["resourceVersion"]
        assert metadata["generation"] == 1
        assert metadata["creationTimestamp"].endswith("Z")
        assert metadata["labels"] == {"a": "b"}

    async def test_fills_in_defaults(self, client: ClusterClient) -> None:
        created = await client.create(environment())
        assert created["spec"]["drift"]["mode"] == "Propose"
        assert created["spec"]["engine"]["version"] == ">= 1.9"

    async def test_can_be_got(self, client: ClusterClient) -> None:
        created = await client.create(environment())
        assert await client.get(REF) == created

    async def test_leaves_out_the_status(self, client: ClusterClient) -> None:
        created = await client.create(environment() | {"status": {"failures": 3}})
        assert not created.get("status")

    async def test_twice_is_refused(self, client: ClusterClient) -> None:
        first = await client.create(environment())
        with pytest.raises(AlreadyExistsError):
            await client.create(with_stage(environment(), "prod"))
        assert await client.get(REF) == first

    async def test_of_one_name_in_two_namespaces(self, client: ClusterClient) -> None:
        await client.create(environment(namespace="a"))
        await client.create(environment(namespace="b"))
        assert len((await client.list("Environment")).items) == 2

    async def test_again_after_deletion_is_another_object(self, client: ClusterClient) -> None:
        first = await client.create(environment())
        await client.delete(REF)
        second = await client.create(environment())
        assert second["metadata"]["uid"] != first["metadata"]["uid"]
        assert second["metadata"]["generation"] == 1

    async def test_cluster_scoped(self, client: ClusterClient) -> None:
        await client.create(policy_set())
        found = await client.get(ObjectRef("PolicySet", "", "baseline"))
        assert not found["metadata"].get("namespace")

    @pytest.mark.parametrize(
        "name",
        [
            "",
            ".",
            "..",
            "../up",
            "a/b",
            "Upper",
            "under_score",
            "-a",
            "a-",
            "a..b",
            "a b",
            "a\n",
            "a\0",
            "ä",
            "x" * 254,
            "%2e",
        ],
    )
    async def test_refuses_hostile_names(self, client: ClusterClient, name: str) -> None:
        with pytest.raises(InvalidError):
            await client.create(environment(name))
        assert (await client.list("Environment")).items == ()

    @pytest.mark.parametrize("name", ["a", "0", "a.b-c", "x" * 253, "true", "null"])
    async def test_takes_odd_names(self, client: ClusterClient, name: str) -> None:
        await client.create(environment(name))
        assert (await client.get(ObjectRef("Environment", "default", name)))["metadata"]["name"] == name

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            pytest.param({"stage": "Prod!"}, "spec.stage", id="pattern"),
            pytest.param({"stage": 5}, "spec.stage", id="type"),
            pytest.param({"source": {}}, "spec.source", id="none of several"),
            pytest.param({"source": {"path": "a", "inline": {}}}, "spec.source", id="two of several"),
            pytest.param({"colour": "red"}, "spec.colour", id="unknown field"),
            pytest.param({"engine": {"lock_file": "Generate"}}, "spec.engine.lock_file", id="snake case"),
            pytest.param({"health": [{"http": {"url": "ftp://x"}}]}, "spec.health[0].http.url", id="in a list"),
            pytest.param({"snapshots": {"keep": 0}}, "spec.snapshots.keep", id="out of bounds"),
            pytest.param({"interval": "soon"}, "spec.interval", id="duration"),
        ],
    )
    async def test_refuses_bad_specs_naming_the_field(
        self, client: ClusterClient, change: JsonObject, field: str
    ) -> None:
        bad = environment()
        bad["spec"] |= change
        with pytest.raises(InvalidError) as caught:
            await client.create(bad)
        assert caught.value.field == field
        with pytest.raises(NotFoundError):
            await client.get(REF)

    @pytest.mark.parametrize(
        "metadata",
        [
            pytest.param({"labels": {"a b": "c"}}, id="label key"),
            pytest.param({"labels": {"a": "x" * 64}}, id="label value"),
            pytest.param({"labels": {"a": 1}}, id="label type"),
            pytest.param({"annotations": {"/": "x"}}, id="annotation key"),
            pytest.param({"annotations": {"a": "x" * (257 << 10)}}, id="annotations too large"),
        ],
    )
    async def test_refuses_bad_metadata(self, client: ClusterClient, metadata: JsonObject) -> None:
        with pytest.raises(InvalidError):
            await client.create(environment(**metadata))

    async def test_does_not_keep_hold_of_what_it_was_given(self, client: ClusterClient) -> None:
        given = environment()
        created = await client.create(given)
        given["spec"]["source"]["inline"]["main.tf"] = "changed"
        created["spec"]["stage"] = "changed"
        assert (await client.get(REF))["spec"]["source"]["inline"] == {"main.tf": ""}
        assert (await client.get(REF))["spec"]["stage"] == "dev"


class TestRead:
    @pytest.mark.parametrize(
        "ref",
        [REF, ObjectRef("Secret", "default", "none"), ObjectRef("PolicySet", "", "none")],
        ids=["environment", "secret", "cluster-scoped"],
    )
    async def test_absent(self, client: ClusterClient, ref: ObjectRef) -> None:
        with pytest.raises(NotFoundError):
            await client.get(ref)

    async def test_list_is_in_order_and_by_kind(self, client: ClusterClient) -> None:
        for name in ("c", "a", "b"):
            await client.create(environment(name))
        await client.create(policy_set())
        assert [obj["metadata"]["name"] for obj in (await client.list("Environment")).items] == ["a", "b", "c"]

    async def test_list_by_namespace(self, client: ClusterClient) -> None:
        await client.create(environment(namespace="a"))
        await client.create(environment(namespace="b"))
        found = await client.list("Environment", namespace="b")
        assert [obj["metadata"]["namespace"] for obj in found.items] == ["b"]

    @pytest.mark.parametrize(
        ("labels", "names"),
        [({"x": "1"}, ["a", "b"]), ({"x": "1", "y": "2"}, ["b"]), ({"x": "2"}, []), ({}, ["a", "b", "c"])],
        ids=["one", "two", "none match", "no selector"],
    )
    async def test_list_by_labels(self, client: ClusterClient, labels: dict[str, str], names: list[str]) -> None:
        await client.create(environment("a", labels={"x": "1"}))
        await client.create(environment("b", labels={"x": "1", "y": "2"}))
        await client.create(environment("c"))
        found = await client.list("Environment", labels=labels)
        assert [obj["metadata"]["name"] for obj in found.items] == names

    async def test_list_shows_what_get_shows(self, client: ClusterClient) -> None:
        await client.create(environment())
        assert (await client.list("Environment")).items == (await client.get(REF),)


class TestUpdate:
    async def test_of_the_spec_is_a_new_generation(self, client: ClusterClient) -> None:
        created = await client.create(environment())
        updated = await client.update(with_stage(created, "prod"))
        assert updated["spec"]["stage"] == "prod"
        assert updated["metadata"]["generation"] == 2
        assert version(updated) != version(created)
        assert updated["metadata"]["uid"] == created["metadata"]["uid"]
        assert await client.get(REF) == updated

    async def test_of_metadata_is_no_new_generation(self, client: ClusterClient) -> None:
        created = await client.create(environment())
        changed = with_metadata(created, labels={"a": "b"}, annotations={"c": "d"}, finalizers=[FINALIZER])
        updated = await client.update(changed)
        assert updated["metadata"]["generation"] == 1
        assert updated["metadata"]["labels"] == {"a": "b"}
        assert updated["metadata"]["annotations"] == {"c": "d"}
        assert updated["metadata"]["finalizers"] == [FINALIZER]
        assert version(updated) != version(created)

    async def test_removes_what_is_left_out(self, client: ClusterClient) -> None:
        created = await client.create(environment(labels={"a": "b"}))
        created["metadata"].pop("labels")
        assert not (await client.update(created))["metadata"].get("labels")

    async def test_that_changes_nothing_is_no_write(self, client: ClusterClient) -> None:
        created = await client.create(environment(labels={"a": "b"}))
        assert version(await client.update(created)) == version(created)

    async def test_with_defaults_left_out_is_no_write(self, client: ClusterClient) -> None:
        created = await client.create(environment())
        again = with_metadata(environment(), resourceVersion=version(created))
        assert version(await client.update(again)) == version(created)

    async def test_keeps_the_status(self, client: ClusterClient) -> None:
        created = await client.create(environment())
        shown = await client.update_status({**created, "status": {"failures": 1}})
        updated = await client.update(with_stage(shown, "prod") | {"status": {"failures": 9}})
        assert updated["status"]["failures"] == 1

    async def test_keeps_identity(self, client: ClusterClient) -> None:
        created = await client.create(environment())
        forged = with_metadata(
            with_stage(created, "prod"), generation=99, creationTimestamp="2000-01-01T00:00:00Z", selfLink="x"
        )
        updated = await client.update(forged)
        assert updated["metadata"]["generation"] == 2
        assert updated["metadata"]["creationTimestamp"] == created["metadata"]["creationTimestamp"]

    async def test_of_an_old_version_conflicts(self, client: ClusterClient) -> None:
        created = await client.create(environment())
        await client.update(with_stage(created, "prod"))
        with pytest.raises(ConflictError):
            await client.update(with_stage(created, "staging"))
        assert (await client.get(REF))["spec"]["stage"] == "prod"

    async def test_of_an_old_version_conflicts_even_if_nothing_changes(self, client: ClusterClient) -> None:
        created = await client.create(environment())
        await client.annotate(REF, {"a": "b"})
        with pytest.raises(ConflictError):
            await client.update(with_metadata(created, annotations={"a": "b"}))

    async def test_of_a_namesake_conflicts(self, client: ClusterClient) -> None:
        first = await client.create(environment())
        await client.delete(REF)
        second = await client.create(environment())
        with pytest.raises(ConflictError):
            await client.update(with_metadata(first, resourceVersion=version(second)))

    async def test_of_what_is_absent(self, client: ClusterClient) -> None:
        with pytest.raises(NotFoundError):
            await client.update(environment(resourceVersion="1"))

    async def test_of_a_bad_spec_is_refused(self, client: ClusterClient) -> None:
        created = await client.create(environment())
        with pytest.raises(InvalidError) as caught:
            await client.update(with_stage(created, "No Stage"))
        assert caught.value.field == "spec.stage"
        assert await client.get(REF) == created

    async def test_of_an_immutable_spec_is_refused(self, client: ClusterClient) -> None:
        created = await client.create(approval())
        created["spec"]["approver"] = "mallory"
        with pytest.raises(InvalidError) as caught:
            await client.update(created)
        assert caught.value.field == "spec"
        assert (await client.get(ObjectRef("Approval", "default", "yes")))["spec"]["approver"] == "alice"

    async def test_of_an_immutable_kinds_labels(self, client: ClusterClient) -> None:
        created = await client.create(approval())
        updated = await client.update(with_metadata(created, labels={"a": "b"}))
        assert updated["metadata"]["labels"] == {"a": "b"}


class TestStatus:
    async def test_is_written_alone(self, client: ClusterClient) -> None:
        created = await client.create(environment())
        changed = with_metadata(with_stage(created, "prod"), labels={"a": "b"}) | {"status": {"failures": 2}}
        updated = await client.update_status(changed)
        assert updated["status"]["failures"] == 2
        assert updated["spec"]["stage"] == "dev"
        assert not updated["metadata"].get("labels")
        assert updated["metadata"]["generation"] == 1
        assert version(updated) != version(created)

    async def test_is_replaced(self, client: ClusterClient) -> None:
        created = await client.create(environment())
        first = await client.update_status({**created, "status": {"failures": 2, "change": "c"}})
        second = await client.update_status({**first, "status": {"failures": 3}})
        assert second["status"] == {"failures": 3}

    async def test_that_changes_nothing_is_no_write(self, client: ClusterClient) -> None:
        created = await client.create(environment())
        first = await client.update_status({**created, "status": {"failures": 2}})
        assert version(await client.update_status(first)) == version(first)

    async def test_of_an_old_version_conflicts(self, client: ClusterClient) -> None:
        created = await client.create(environment())
        await client.update(with_stage(created, "prod"))
        with pytest.raises(ConflictError):
            await client.update_status({**created, "status": {"failures": 2}})

    async def test_of_what_is_absent(self, client: ClusterClient) -> None:
        with pytest.raises(NotFoundError):
            await client.update_status(environment(resourceVersion="1") | {"status": {}})

    @pytest.mark.parametrize(
        ("status", "field"),
        [({"failures": "many"}, "status.failures"), ({"mood": "good"}, "status.mood")],
        ids=["type", "unknown field"],
    )
    async def test_bad_is_refused(self, client: ClusterClient, status: JsonObject, field: str) -> None:
        created = await client.create(environment())
        with pytest.raises(InvalidError) as caught:
            await client.update_status({**created, "status": status})
        assert caught.value.field == field

    async def test_of_a_deleted_object_that_has_finalizers(self, client: ClusterClient) -> None:
        await client.create(environment(finalizers=[FINALIZER]))
        await client.delete(REF)
        updated = await client.update_status({**await client.get(REF), "status": {"failures": 1}})
        assert updated["metadata"]["deletionTimestamp"]


class TestFinalizers:
    async def test_are_replaced_and_nothing_else(self, client: ClusterClient) -> None:
        created = await client.create(environment(labels={"a": "b"}, finalizers=["a.example/one"]))
        held = await client.set_finalizers(with_stage(created, "prod"), ["a.example/one", FINALIZER])
        assert held["metadata"]["finalizers"] == ["a.example/one", FINALIZER]
        assert (held["spec"]["stage"], held["metadata"]["labels"]) == ("dev", {"a": "b"})
        assert held["metadata"]["generation"] == 1
        assert await client.get(REF) == held

    async def test_the_last_one_lets_a_deleted_object_go(self, home: Home) -> None:
        await home.cluster.create(environment(finalizers=[FINALIZER]))
        await home.cluster.delete(REF)
        await home.cluster.set_finalizers(await home.cluster.get(REF), [], audit=[entry("released")])
        with pytest.raises(NotFoundError):
            await home.cluster.get(REF)
        assert await home.actions() == ["released"]

    async def test_of_an_old_version_conflict(self, client: ClusterClient) -> None:
        created = await client.create(environment())
        await client.annotate(REF, {"a": "b"})
        with pytest.raises(ConflictError):
            await client.set_finalizers(created, [FINALIZER])

    async def test_of_what_is_absent(self, client: ClusterClient) -> None:
        with pytest.raises(NotFoundError):
            await client.set_finalizers(environment(resourceVersion="1"), [FINALIZER])

    async def test_that_are_there_already_are_no_write(self, client: ClusterClient) -> None:
        created = await client.create(environment(finalizers=[FINALIZER]))
        assert version(await client.set_finalizers(created, [FINALIZER])) == version(created)

    async def test_with_bad_names_are_refused(self, client: ClusterClient) -> None:
        created = await client.create(environment())
        with pytest.raises(InvalidError):
            await client.set_finalizers(created, ["no name"])


class TestAnnotate:
    async def test_sets_and_removes(self, client: ClusterClient) -> None:
        await client.create(environment(annotations={"keep": "1", "drop": "2"}))
        annotated = await client.annotate(REF, {"drop": None, "new": "3", "never-there": None})
        assert annotated["metadata"]["annotations"] == {"keep": "1", "new": "3"}
        assert annotated["metadata"]["generation"] == 1
        assert await client.get(REF) == annotated

    async def test_that_changes_nothing_is_no_write(self, client: ClusterClient) -> None:
        created = await client.create(environment(annotations={"a": "1"}))
        assert version(await client.annotate(REF, {"a": "1", "b": None})) == version(created)

    async def test_of_what_is_absent(self, client: ClusterClient) -> None:
        with pytest.raises(NotFoundError):
            await client.annotate(REF, {"a": "1"})

    async def test_bad_is_refused(self, client: ClusterClient) -> None:
        await client.create(environment())
        with pytest.raises(InvalidError):
            await client.annotate(REF, {"not a key": "1"})


class TestDelete:
    async def test_removes(self, client: ClusterClient) -> None:
        await client.create(environment())
        await client.delete(REF)
        with pytest.raises(NotFoundError):
            await client.get(REF)
        assert (await client.list("Environment")).items == ()

    async def test_of_what_is_absent(self, client: ClusterClient) -> None:
        with pytest.raises(NotFoundError):
            await client.delete(REF)

    async def test_waits_for_finalizers(self, client: ClusterClient) -> None:
        await client.create(environment(finalizers=["a.example/one", "b.example/two"]))
        await client.delete(REF)
        deleted = await client.get(REF)
        assert deleted["metadata"]["deletionTimestamp"].endswith("Z")
        held = await client.update(with_metadata(deleted, finalizers=["b.example/two"]))
        assert held["metadata"]["deletionTimestamp"] == deleted["metadata"]["deletionTimestamp"]
        await client.update(with_metadata(held, finalizers=[]))
        with pytest.raises(NotFoundError):
            await client.get(REF)

    async def test_twice_changes_nothing(self, client: ClusterClient) -> None:
        await client.create(environment(finalizers=[FINALIZER]))
        await client.delete(REF)
        once = await client.get(REF)
        await client.delete(REF)
        assert await client.get(REF) == once

    async def test_is_not_undone_by_an_update(self, client: ClusterClient) -> None:
        await client.create(environment(finalizers=[FINALIZER]))
        await client.delete(REF)
        deleted = await client.get(REF)
        revived = {**deleted, "metadata": {k: v for k, v in deleted["metadata"].items() if k != "deletionTimestamp"}}
        updated = await client.update(with_stage(revived, "prod"))
        assert updated["metadata"]["deletionTimestamp"] == deleted["metadata"]["deletionTimestamp"]

    async def test_takes_no_new_finalizers(self, client: ClusterClient) -> None:
        await client.create(environment(finalizers=[FINALIZER]))
        await client.delete(REF)
        deleted = await client.get(REF)
        with pytest.raises(InvalidError):
            await client.update(with_metadata(deleted, finalizers=[FINALIZER, "x.example/new"]))

    async def test_is_not_asked_for_by_an_update(self, client: ClusterClient) -> None:
        created = await client.create(environment())
        with pytest.raises(InvalidError) as caught:
            await client.update(with_metadata(created, deletionTimestamp="2026-01-01T00:00:00Z"))
        assert caught.value.field == "metadata.deletionTimestamp"
        assert await client.get(REF) == created


class TestSecrets:
    async def test_come_back(self, home: Home) -> None:
        await home.cluster.create(secret(password="aHVudGVyMg=="))
        found = await home.other.get(ObjectRef("Secret", "default", "outputs"))
        assert found["data"] == {"password": "aHVudGVyMg=="}
        assert found["type"] == "Opaque"

    async def test_are_replaced(self, home: Home) -> None:
        created = await home.cluster.create(secret(a="MQ==", b="Mg=="))
        updated = await home.cluster.update({**created, "data": {"a": "Mw=="}})
        assert version(updated) != version(created)
        found = await home.other.get(ObjectRef("Secret", "default", "outputs"))
        assert found["data"] == {"a": "Mw=="}
        assert found == updated

    async def test_same_data_is_no_write(self, client: ClusterClient) -> None:
        created = await client.create(secret(a="MQ=="))
        assert version(await client.update(created)) == version(created)

    async def test_text_is_encoded(self, client: ClusterClient) -> None:
        created = await client.create(secret(a="MQ==") | {"stringData": {"b": "2"}})
        assert created["data"] == {"a": "MQ==", "b": "Mg=="}
        assert "stringData" not in created

    async def test_are_listed_by_label(self, client: ClusterClient) -> None:
        await client.create(with_metadata(secret("one"), labels={"a": "b"}))
        await client.create(secret("two"))
        found = await client.list("Secret", namespace="default", labels={"a": "b"})
        assert [obj["metadata"]["name"] for obj in found.items] == ["one"]

    @pytest.mark.parametrize(
        "data", [{"a": "not base64!"}, {"a b": "MQ=="}, {"a": 5}], ids=["no base64", "key", "type"]
    )
    async def test_bad_are_refused(self, client: ClusterClient, data: dict[str, Any]) -> None:
        with pytest.raises(InvalidError) as caught:
            await client.create(secret() | {"data": data})
        assert "not base64!" not in str(caught.value)

    async def test_are_deleted(self, client: ClusterClient) -> None:
        await client.create(secret())
        await client.delete(ObjectRef("Secret", "default", "outputs"))
        with pytest.raises(NotFoundError):
            await client.get(ObjectRef("Secret", "default", "outputs"))


class TestAudit:
    async def test_is_durable_with_each_write(self, home: Home) -> None:
        created = await home.cluster.create(environment(), audit=[entry("created")])
        assert await home.actions() == ["created"]
        updated = await home.cluster.update(with_stage(created, "prod"), audit=[entry("updated")])
        await home.cluster.update_status({**updated, "status": {"failures": 1}}, audit=[entry("one"), entry("two")])
        await home.cluster.delete(REF, audit=[entry("deleted")])
        assert await home.actions() == ["created", "updated", "one", "two", "deleted"]

    async def test_is_kept_when_the_write_is_none(self, home: Home) -> None:
        created = await home.cluster.create(environment())
        same = await home.cluster.update_status(created, audit=[entry("looked")])
        assert version(same) == version(created)
        assert await home.actions() == ["looked"]


class TestWatch:
    async def test_sees_writes_of_another_client_in_order(self, home: Home) -> None:
        async with watching(home, "Environment") as watch:
            created = await home.other.create(environment())
            assert await watch.next() == WatchEvent("ADDED", created)
            updated = await home.other.update(with_stage(created, "prod"))
            assert await watch.next() == WatchEvent("MODIFIED", updated)
            await home.other.delete(REF)
            event = await watch.next()
            assert (event.type, event.object["metadata"]["uid"]) == ("DELETED", created["metadata"]["uid"])

    async def test_sees_writes_of_its_own_client(self, home: Home) -> None:
        async with watching(home, "Environment") as watch:
            created = await home.cluster.create(environment())
            assert await watch.next() == WatchEvent("ADDED", created)

    @pytest.mark.parametrize("writer", ["cluster", "other"])
    async def test_wakes_up_while_it_waits(self, home: Home, writer: str) -> None:
        async with watching(home, "Environment") as watch:
            waiting = asyncio.create_task(watch.next())
            for _ in range(10):
                # Ten round trips: by then there was nothing to see, and it waits.
                await home.cluster.list("Environment")
            assert not waiting.done()
            created = await getattr(home, writer).create(environment())
            assert await waiting == WatchEvent("ADDED", created)

    async def test_is_left_without_a_trace_while_it_waits(self, home: Home) -> None:
        async with watching(home, "Environment") as watch:
            waiting = asyncio.create_task(watch.next())
            await home.cluster.list("Environment")
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await home.cluster.create(environment())

    @pytest.mark.parametrize("resource_version", ["x", "1.5", "-"])
    async def test_of_no_version_is_refused(self, home: Home, resource_version: str) -> None:
        with pytest.raises((InvalidError, GoneError)):
            async with watching(home, "Environment", resource_version=resource_version) as watch:
                await watch.next()

    async def test_goes_on_from_a_list(self, home: Home) -> None:
        await home.cluster.create(environment("before"))
        listed = await home.cluster.list("Environment")
        await home.cluster.create(environment("after"))
        async with watching(home, "Environment", resource_version=listed.resource_version) as watch:
            event = await watch.next()
        assert (event.type, event.object["metadata"]["name"]) == ("ADDED", "after")

    async def test_goes_on_from_an_object(self, home: Home) -> None:
        created = await home.cluster.create(environment())
        updated = await home.cluster.update_status({**created, "status": {"failures": 1}})
        async with watching(home, "Environment", resource_version=version(created)) as watch:
            assert await watch.next() == WatchEvent("MODIFIED", updated)

    async def test_hears_of_what_went_while_it_was_away(self, home: Home) -> None:
        await home.cluster.create(environment())
        listed = await home.cluster.list("Environment")
        await home.cluster.delete(REF)
        async with watching(home, "Environment", resource_version=listed.resource_version) as watch:
            assert (await watch.next()).type == "DELETED"

    async def test_sees_the_kinds_that_it_asked_for(self, home: Home) -> None:
        async with watching(home, "Environment", "PolicySet") as watch:
            await home.cluster.create(approval())
            await home.cluster.create(policy_set())
            await home.cluster.create(environment())
            kinds = {(await watch.next()).object["kind"] for _ in range(2)}
        assert kinds == {"PolicySet", "Environment"}

    async def test_writes_that_are_none_are_not_seen(self, home: Home) -> None:
        created = await home.cluster.create(environment())
        async with watching(home, "Environment") as watch:
            await home.cluster.update(created)
            await home.cluster.create(environment("next"))
            assert (await watch.next()).object["metadata"]["name"] == "next"

    async def test_stamps_and_removals_are_seen(self, home: Home) -> None:
        await home.cluster.create(environment(finalizers=[FINALIZER]))
        async with watching(home, "Environment") as watch:
            await home.cluster.delete(REF)
            stamped = await watch.next()
            assert stamped.type == "MODIFIED"
            assert stamped.object["metadata"]["deletionTimestamp"]
            await home.cluster.update(with_metadata(stamped.object, finalizers=[]))
            assert (await watch.next()).type == "DELETED"

    async def test_of_a_forgotten_version_is_gone(self, home: Home) -> None:
        old = await home.outdate()
        with pytest.raises(GoneError):
            async with watching(home, "Environment", resource_version=old) as watch:
                await watch.next()

    async def test_two_watches_see_the_same(self, home: Home) -> None:
        async with watching(home, "Environment") as one, watching(home, "Environment") as two:
            await home.cluster.create(environment())
            assert await one.next() == await two.next()


class TestConcurrency:
    async def test_writers_that_retry_lose_nothing(self, home: Home) -> None:
        await home.cluster.create(environment() | {"status": {}})

        async def increment(client: ClusterClient) -> None:
            while True:
                current = await client.get(REF)
                failures = (current.get("status") or {}).get("failures", 0)
                with contextlib.suppress(ConflictError):
                    await client.update_status({**current, "status": {"failures": failures + 1}})
                    return

        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(increment(home.cluster if number % 2 else home.other))
        assert (await home.cluster.get(REF))["status"]["failures"] == 20

    async def test_annotations_of_many_are_all_kept(self, home: Home) -> None:
        await home.cluster.create(environment())
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                client = home.cluster if number % 2 else home.other
                group.create_task(client.annotate(REF, {f"n{number}": str(number)}))
        assert len((await home.cluster.get(REF))["metadata"]["annotations"]) == 20

    async def test_one_of_many_creators_wins(self, home: Home) -> None:
        clients = [home.cluster, home.other] * 5
        results = await asyncio.gather(*(client.create(environment()) for client in clients), return_exceptions=True)
        assert sum(isinstance(result, dict) for result in results) == 1
        assert sum(isinstance(result, AlreadyExistsError) for result in results) == 9

    async def test_versions_of_concurrent_writes_differ(self, home: Home) -> None:
        created = await asyncio.gather(*(home.cluster.create(environment(f"e{number}")) for number in range(20)))
        assert len({version(obj) for obj in created}) == 20


class Watching:
    """A watch whose events are taken one by one."""

    def __init__(self, events: AsyncIterator[WatchEvent]) -> None:
        self._events = events

    async def next(self) -> WatchEvent:
        async with asyncio.timeout(10):
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
