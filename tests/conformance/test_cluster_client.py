"""Duties of every ClusterClient with objects: create, read, update.

A new home passes this suite, and the two beside it, before anything runs on it.
Nothing here asks for more than a Kubernetes API server with our CRDs gives: where homes may differ (validation
texts, the shape of versions, content of listed Secrets, the generation of a deletion) the suite looks away.
"""

import pytest
from tests.conformance.homes import REF, approval, environment, policy_set, version, with_metadata, with_stage

from setpoint.api.meta import FINALIZER, JsonObject, ObjectRef
from setpoint.domain.errors import AlreadyExistsError, ConflictError, InvalidError, NotFoundError
from setpoint.domain.objects import LabelSelector
from setpoint.ports import ClusterClient


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
        [
            ({"x": "1"}, ["a", "b"]),
            ({"x": "1", "y": "2"}, ["b"]),
            ({"x": "2"}, []),
            ({"x": frozenset({"1", "3"})}, ["a", "b", "d"]),
            ({"x": frozenset({"1", "3"}), "y": "2"}, ["b"]),
            ({"y": frozenset({"1", "3"})}, []),
            ({}, ["a", "b", "c", "d"]),
        ],
        ids=["one", "two", "none match", "one of two values", "of two labels", "no value matches", "no selector"],
    )
    async def test_list_by_labels(self, client: ClusterClient, labels: LabelSelector, names: list[str]) -> None:
        await client.create(environment("a", labels={"x": "1"}))
        await client.create(environment("b", labels={"x": "1", "y": "2"}))
        await client.create(environment("c"))
        await client.create(environment("d", labels={"x": "3"}))
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
