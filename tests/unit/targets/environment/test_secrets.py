"""Secrets that a spec refers to, and the one that receives outputs: right to the byte, and never in an error."""

import base64
from typing import Any

import pytest
from tests.fakes.cluster import InMemoryCluster

from setpoint.api.conditions import Reason
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.v1alpha1.environment import SecretReference
from setpoint.domain.errors import StalledError
from setpoint.targets.environment.secrets import SecretKeys, SecretReader, write_outputs

OUT = ObjectRef("Secret", "default", "out")
FIELD = "spec.variablesFrom"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(name: str, *, namespace: str = "default", labels: dict[str, str] | None = None, **body: Any) -> JsonObject:
    metadata = {"name": name, "namespace": namespace, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, **body}


def references(*names: str) -> list[SecretReference]:
    return [SecretReference.model_validate({"secretRef": {"name": name}}) for name in names]


@pytest.mark.parametrize(
    ("body", "values"),
    [
        pytest.param({"data": {"a": encoded("1"), "b.c": encoded("ä\n")}}, {"a": "1", "b.c": "ä\n"}, id="data"),
        pytest.param({"stringData": {"a": "1"}}, {"a": "1"}, id="stringData"),
        pytest.param(
            {"data": {"a": encoded("1"), "b": encoded("2")}, "stringData": {"a": "3"}},
            {"a": "3", "b": "2"},
            id="stringData wins",
        ),
        pytest.param({"data": {"a": ""}}, {"a": ""}, id="empty value"),
        pytest.param({"data": None}, {}, id="null"),
        pytest.param({}, {}, id="nothing"),
    ],
)
async def test_its_keys_are_text(cluster: InMemoryCluster, body: dict, values: dict[str, str]) -> None:
    await cluster.add(secret("s", **body))
    assert await SecretReader(cluster, "default").read("s", field=FIELD) == values


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("hunter2", id="no base64"),
        pytest.param("aHVudGVyMg==\nhunter2", id="more than base64"),
        pytest.param(base64.b64encode(b"hunter2\xff").decode(), id="no UTF-8"),
        pytest.param({"hunter2": 1}, id="no text"),
    ],
)
async def test_one_that_can_not_be_read_is_named_and_not_shown(cluster: InMemoryCluster, value: Any) -> None:
    await cluster.plant(secret("s", data={"key": value}))
    with pytest.raises(StalledError) as caught:
        await SecretReader(cluster, "default").read("s", field=FIELD)
    assert caught.value.reason is Reason.SECRET_NOT_FOUND
    assert caught.value.message == f"{FIELD}: key key of Secret s is not base64 of UTF-8 text"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_later_ones_win(cluster: InMemoryCluster) -> None:
    await cluster.add(secret("one", stringData={"a": "1", "b": "1"}))
    await cluster.add(secret("two", stringData={"b": "2", "c": "2"}))
    merged = await SecretReader(cluster, "default").read_all(references("one", "two"), field=FIELD)
    assert merged == SecretKeys({"a": "1", "b": "2", "c": "2"})


# --- Plain keys ---------------------------------------------------------------------------------------------------


def annotated(name: str, plain: Any, **values: str) -> JsonObject:
    made = secret(name, stringData=values)
    made["metadata"]["annotations"] = {"setpoint.dev/plain": plain}
    return made


async def test_the_last_secret_says_whether_a_key_is_plain(cluster: InMemoryCluster) -> None:
    await cluster.add(annotated("one", "a, b", a="1", b="1", c="1"))
    await cluster.add(annotated("two", "c", b="2", c="2"))
    reader = SecretReader(cluster, "default")
    merged = await reader.read_all(references("one", "two"), field=FIELD)
    assert merged == SecretKeys({"a": "1", "b": "2", "c": "2"}, frozenset("ac"))
    assert reader.take_notices() == ()


@pytest.mark.parametrize(
    ("plain", "shown", "named"),
    [
        pytest.param("PGUSR", set(), "PGUSR", id="mistyped"),
        pytest.param("PGUSER,pghost", {"PGUSER"}, "pghost", id="one of two"),
        pytest.param("", set(), "nothing", id="empty"),
        pytest.param(" , ", set(), "nothing", id="commas"),
        pytest.param("*", set(), "*", id="no pattern"),
        pytest.param("hunter22", set(), "(sensitive)", id="a value in place of a name"),
        pytest.param(["PGUSER"], set(), "nothing", id="no text"),
        pytest.param("a\x1b[2J", set(), "a\\x1b[2J", id="what a terminal obeys"),
        pytest.param(",".join(f"k{n}" for n in range(9)), set(), "k0, k1, k2, k3, k4 and 4 more", id="many"),
    ],
)
async def test_a_name_that_is_no_key_is_told_by_field(
    cluster: InMemoryCluster, plain: Any, shown: set[str], named: str
) -> None:
    await cluster.plant(annotated("s", plain, PGUSER="postgres", PGPASSWORD="hunter22"))
    reader = SecretReader(cluster, "default")
    merged = await reader.read_all(references("s"), field="spec.credentials.plan")
    assert merged.plain == shown
    (notice,) = reader.take_notices()
    assert notice.reason is Reason.PLAIN_KEY_UNKNOWN
    assert notice.text.startswith(
        f"spec.credentials.plan[0].secretRef: the annotation setpoint.dev/plain of Secret s names {named}, and must"
    )
    assert reader.take_notices() == ()


async def test_one_of_another_namespace_is_not_there(cluster: InMemoryCluster) -> None:
    await cluster.add(secret("one"))
    await cluster.add(secret("two", namespace="other"))
    with pytest.raises(StalledError, match=r"^spec\.variablesFrom\[1\]\.secretRef: there is no Secret default/two$"):
        await SecretReader(cluster, "default").read_all(references("one", "two"), field=FIELD)


# --- Outputs ------------------------------------------------------------------------------------------------------


async def read_back(cluster: InMemoryCluster) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in (await cluster.get(OUT))["data"].items()}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("as it is", "as it is", id="text"),
        pytest.param("", "", id="empty"),
        pytest.param(7, "7", id="number"),
        pytest.param(True, "true", id="boolean"),
        pytest.param(None, "null", id="null"),
        pytest.param({"b": [1], "a": "ä"}, '{"a": "\\u00e4", "b": [1]}', id="object"),
    ],
)
async def test_an_output_is_text_or_json(cluster: InMemoryCluster, value: Any, text: str) -> None:
    assert await write_outputs(cluster, OUT, {"key": value})
    assert await read_back(cluster) == {"key": text}


async def test_it_holds_exactly_the_outputs(cluster: InMemoryCluster) -> None:
    assert await write_outputs(cluster, OUT, {"a": "1", "b": "2"})
    assert await write_outputs(cluster, OUT, {"b": "3"})
    assert await read_back(cluster) == {"b": "3"}
    writes = cluster.writes
    assert not await write_outputs(cluster, OUT, {"b": "3"})
    assert cluster.writes == writes


@pytest.mark.parametrize(
    "labels",
    [{}, {"app.kubernetes.io/managed-by": "helm"}],
    ids=["nobody's", "somebody else's"],
)
async def test_a_secret_of_somebody_else_is_left_alone(cluster: InMemoryCluster, labels: dict[str, str]) -> None:
    theirs = {"a": encoded("theirs")}
    await cluster.add(secret("out", labels=labels, data=theirs))
    with pytest.raises(StalledError, match=r"spec\.outputsTo\.secretRef") as caught:
        await write_outputs(cluster, OUT, {"a": "hunter2"})
    assert caught.value.reason is Reason.INVALID_SPEC
    assert "hunter2" not in caught.value.message
    assert (await cluster.get(OUT))["data"] == theirs


async def test_labels_that_others_add_stay(cluster: InMemoryCluster) -> None:
    await write_outputs(cluster, OUT, {"a": "1"})
    found = await cluster.get(OUT)
    found["metadata"]["labels"]["team"] = "shop"
    await cluster.update(found)
    await write_outputs(cluster, OUT, {"a": "2"})
    assert (await cluster.get(OUT))["metadata"]["labels"]["team"] == "shop"
