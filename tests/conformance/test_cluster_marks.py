"""Duties of every ClusterClient beside the spec: status, finalizers, stamps, deletion, Secrets, and the audit trail."""

from typing import Any

import pytest
from tests.conformance.homes import REF, Home, entry, environment, secret, version, with_metadata, with_stage

from setpoint.api.meta import FINALIZER, JsonObject, ObjectRef
from setpoint.domain.errors import ConflictError, InvalidError, NotFoundError
from setpoint.ports import ClusterClient


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
