"""Objects that an earlier version stored are read in the form of today, and what names them by digest stays valid."""

from typing import Any

import pytest
from tests.fakes.examples import example, taken

from setpoint.api.v1alpha1.change import Change
from setpoint.api.v1alpha1.environment import EnvironmentChange, EnvironmentSnapshot
from setpoint.api.v1alpha1.snapshot import Snapshot, SnapshotSpec
from setpoint.domain.digests import digest
from setpoint.domain.earlier_forms import of_today
from setpoint.domain.errors import InvalidError
from setpoint.domain.reading import parse
from setpoint.pipeline.snapshots import content_digest, content_problem


def before(obj: dict[str, Any]) -> dict[str, Any]:
    """An object as an earlier version wrote it: the fields of its kind of target beside the others."""
    spec = {name: value for name, value in obj["spec"].items() if name not in {"environment", "base", "configuration"}}
    return {**obj, "spec": {**spec, **obj["spec"]["environment"]}}


def cut(obj: dict[str, Any]) -> dict[str, Any]:
    """An object of before, as far as it is left where an API server has the schema of today."""
    spec = {name: value for name, value in before(obj)["spec"].items() if name not in obj["spec"]["environment"]}
    return {**obj, "spec": spec}


def test_a_change_of_before_says_what_it_said() -> None:
    now = parse(Change, of_today(before(example("Change"))))
    expected = parse(Change, example("Change"))
    assert now.spec.configuration is None, "it did not say it: its subject does"
    assert now.spec == expected.spec.model_copy(update={"configuration": None})
    assert now.spec.member_as(EnvironmentChange) == expected.spec.member
    assert now.spec.member_as(EnvironmentSnapshot) is None


def test_a_snapshot_of_before_is_the_one_of_today_and_keeps_its_digest() -> None:
    older = before(taken())
    now = parse(Snapshot, of_today(older))
    assert now == parse(Snapshot, taken())
    # As an earlier version named it, with the defaults that the example leaves out.
    said = {"revision": "", "secretVariables": {}, **older["spec"]}
    del said["digest"]
    assert content_digest(now.spec) == digest(said)
    assert content_problem(now) == ""


def test_a_snapshot_of_before_the_first_apply_stays_empty() -> None:
    older = before(example("Snapshot"))
    del older["spec"]["bundle"]
    assert parse(Snapshot, of_today(older)).spec.is_empty
    assert "configuration" not in of_today(older)["spec"]


@pytest.mark.parametrize(
    "obj",
    [
        pytest.param(example("Change"), id="a Change of today"),
        pytest.param(taken(), id="a Snapshot of today"),
        pytest.param(example("Environment"), id="another kind"),
        pytest.param(cut(example("Change")), id="a Change that was cut"),
        pytest.param(cut(example("Snapshot")), id="a Snapshot that was cut"),
        pytest.param({"kind": "Change", "spec": {"targetRef": {"kind": "Gone", "name": "x"}}}, id="of an unknown kind"),
        pytest.param({"kind": "Snapshot", "spec": {}}, id="of nothing"),
        pytest.param({"kind": "Snapshot"}, id="without a spec"),
        pytest.param(
            {"kind": "Snapshot", "spec": {"targetRef": {"kind": "Environment", "name": "x"}, "stateVersion": "x"}},
            id="what no version wrote",
        ),
    ],
)
def test_nothing_else_is_touched(obj: dict[str, Any]) -> None:
    assert of_today(obj) is obj


def test_a_snapshot_that_was_cut_does_not_pass_for_an_empty_one() -> None:
    left = cut(taken())
    assert SnapshotSpec.is_cut(left["spec"])
    with pytest.raises(InvalidError, match="nothing can be reset to it"):
        parse(Snapshot, left)


def test_a_change_that_was_cut_has_no_member() -> None:
    assert parse(Change, cut(example("Change"))).spec.member is None


def test_what_follows_from_the_member_is_taken_from_it_alone() -> None:
    lying = parse(Snapshot, taken(configuration="none")).spec
    assert lying == parse(Snapshot, taken()).spec
    assert parse(Change, example("Change", base="8")).spec.base == "7"
