"""The effect of writes on objects: invariants beside the cases of tests/conformance/."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.api.meta import JsonObject
from setpoint.domain import kinds, objects
from setpoint.domain.errors import InvalidError

NOW = "2026-01-01T00:00:00Z"


def environment(**spec: object) -> JsonObject:
    return {
        "apiVersion": "setpoint.dev/v1alpha1",
        "kind": "Environment",
        "metadata": {"name": "shop", "namespace": "default"},
        "spec": {"stage": "dev", "source": {"inline": {"main.tf": ""}}} | spec,
    }


def created(obj: JsonObject | None = None) -> JsonObject:
    return objects.create(environment() if obj is None else obj, uid="u", now=NOW)


SPECS = st.fixed_dictionaries(
    {},
    optional={
        "stage": st.sampled_from(["dev", "prod"]),
        "interval": st.sampled_from(["10m", "600s", "1h"]),
        "variables": st.dictionaries(st.sampled_from("ab"), st.none() | st.integers() | st.lists(st.text(max_size=3))),
        "suspend": st.booleans(),
        "outputsTo": st.none() | st.just({"secretRef": {"name": "out"}}),
    },
)


@given(SPECS, SPECS)
def test_the_generation_rises_when_the_spec_changes_and_only_then(first: JsonObject, second: JsonObject) -> None:
    before = created(environment(**first))
    after = objects.update(before, environment(**second))
    changed = before["spec"] != after["spec"]
    assert after["metadata"]["generation"] == 1 + changed
    assert after["spec"] == created(environment(**second))["spec"]


@given(SPECS)
def test_what_is_stored_is_stable(spec: JsonObject) -> None:
    stored = created(environment(**spec))
    assert objects.update(stored, environment(**spec)) == stored
    assert objects.update(stored, stored) == stored


@given(SPECS)
def test_nothing_that_was_given_is_changed(spec: JsonObject) -> None:
    given_ = environment(**spec)
    before = copy.deepcopy(given_)
    stored = created(given_)
    kept = copy.deepcopy(stored)
    objects.update(stored, given_)
    objects.update_status(stored, stored | {"status": {"failures": 1}})
    objects.annotate(stored, {"a": "b"})
    objects.delete(stored, now=NOW)
    assert (given_, stored) == (before, kept)


def test_a_default_that_is_newer_than_the_object_is_no_change_of_its_spec() -> None:
    stored = created()
    del stored["spec"]["snapshots"]
    updated = objects.update(stored, environment())
    assert updated["metadata"]["generation"] == 1
    assert updated["spec"]["snapshots"] == {"keep": 20}


STORED: JsonObject = {"failures": 1, "weather": {"sky": "clear"}, "drift": {"actionable": 1, "worst": "high"}}
"""A status that a newer Setpoint wrote."""


@pytest.mark.parametrize(
    ("status", "refused"),
    [
        pytest.param({**STORED, "failures": 2}, None, id="beside what moved"),
        pytest.param({"failures": 1}, None, id="taken away"),
        pytest.param({**STORED, "weather": {"sky": "grey"}}, "status.weather", id="changed"),
        pytest.param({**STORED, "mood": "good"}, "status.mood", id="another added"),
        pytest.param({**STORED, "drift": {"actionable": 2, "worst": "high"}}, None, id="beside what moved within"),
        pytest.param({**STORED, "drift": {"worst": "low"}}, "status.drift.worst", id="changed within"),
    ],
)
def test_a_status_keeps_what_a_newer_setpoint_wrote(status: JsonObject, refused: str | None) -> None:
    stored = {**created(), "status": STORED}
    if refused is None:
        assert objects.update_status(stored, {**stored, "status": status})["status"] == status
        return
    with pytest.raises(InvalidError, match="unknown field") as caught:
        objects.update_status(stored, {**stored, "status": status})
    assert caught.value.field == refused


def test_an_immutable_object_of_an_older_setpoint_can_be_labelled() -> None:
    snapshot = {
        "apiVersion": "setpoint.dev/v1alpha1",
        "kind": "Snapshot",
        "metadata": {"name": "s", "namespace": "default"},
        "spec": {
            "targetRef": {"kind": "Environment", "name": "shop"},
            "digest": "sha256:" + "a" * 64,
            "environment": {"stateVersion": 1},
        },
    }
    stored = created(snapshot)
    del stored["spec"]["environment"]["resources"]
    snapshot["metadata"]["labels"] = {"a": "b"}
    assert objects.update(stored, snapshot)["metadata"]["labels"] == {"a": "b"}


def test_an_object_is_bounded() -> None:
    with pytest.raises(InvalidError, match=r"1\.5 MiB"):
        created(environment(variables={"a": "x" * (2 << 20)}))


def test_values_that_json_has_are_kept_as_they_are() -> None:
    variables = {"none": None, "deep": [{"a": None}], "big": 2**70, "float": 1.5, "text": "ä\u2028"}
    assert created(environment(variables=variables))["spec"]["variables"] == variables


@pytest.mark.parametrize(
    ("obj", "field"),
    [
        ({}, "kind"),
        ({"kind": ["Environment"]}, "kind"),
        ({"kind": "Pod", "apiVersion": "v1"}, "kind"),
        ({"kind": "Environment", "apiVersion": "v1"}, "apiVersion"),
        (environment() | {"metadata": None}, "metadata"),
        (environment() | {"metadata": {"name": "x", "namespace": ["a"]}}, "metadata.namespace"),
        (environment() | {"metadata": {"name": "x", "namespace": "d", "finalizers": ["a b"]}}, "metadata.finalizers"),
        (environment() | {"metadata": {"name": "x", "namespace": "d", "finalizers": "a"}}, "metadata.finalizers"),
        (environment() | {"metadata": {"name": "x", "namespace": "d", "labels": ["a"]}}, "metadata.labels"),
        (environment() | {"spec": "text"}, "spec"),
        (environment() | {"extra": 1}, "extra"),
    ],
)
def test_refusals_name_the_field(obj: JsonObject, field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        created(obj)
    assert caught.value.field == field


@pytest.mark.parametrize("value", ["s3cr3t-value-" * 4, {"s3cr3t-value": 1}, ["s3cr3t-value"], 5])
@pytest.mark.parametrize("field", ["stage", "interval", "source", "credentials", "suspend", "health", "outputsTo"])
def test_refusals_quote_no_value_at_length(field: str, value: object) -> None:
    problems = kinds.problems(kinds.BY_NAME["Environment"], environment(**{field: value}))
    assert problems
    assert "s3cr3t-value-" * 4 not in " ".join(problem.message for problem in problems)


def test_paths_are_written_as_people_read_them() -> None:
    assert kinds.dotted(("spec", "health", 0, "http", "url")) == "spec.health[0].http.url"
    assert kinds.dotted(()) == ""
