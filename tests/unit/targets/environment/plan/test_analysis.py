"""The analysis of a plan: on documents that Terraform 1.11.4 wrote, and on small ones for what it seldom does."""

import copy
import hashlib
import json
from typing import Any

import pytest
from tests.fakes.plans import NAMES, analyse_plan, change, commit, plan, recorded, update

from setpoint.api.v1alpha1.environment import IgnoreRule
from setpoint.domain.errors import InvalidError
from setpoint.domain.findings import DriftCounts
from setpoint.domain.scrubbing import Scrubber
from setpoint.targets.environment.plan import content as plan_content
from setpoint.targets.environment.plan.analysis import PlanAnalysis


def classes(analysis: PlanAnalysis) -> dict[str, list[str]]:
    """Address to `class action path ...`, a star where it is ignored."""
    found: dict[str, list[str]] = {}
    for finding in analysis.findings:
        words = [finding.drift_class.value + "*" * finding.ignored, finding.action, *finding.paths]
        found.setdefault(finding.address, []).append(" ".join(words))
    return found


RECORDED: dict[str, tuple[dict[str, list[str]], DriftCounts, str]] = {
    "at_setpoint": ({}, DriftCounts(), "+0 ~0 -0"),
    "first_apply": (
        {
            "terraform_data.plain": ["pending create"],
            "terraform_data.counted[0]": ["pending create"],
            "terraform_data.counted[1]": ["pending create"],
            'terraform_data.each["a.b"]': ["pending create"],
            'terraform_data.each["c"]': ["pending create"],
            "output.plain": ["pending create"],
            "output.token": ["pending create"],
        },
        DriftCounts(pending=7),
        "+5 ~0 -0",
    ),
    "output_changed": ({"output.shown": ["pending update value.note"]}, DriftCounts(pending=1), "+0 ~0 -0, 1 other"),
    "destroyed": (
        {"fakecloud_bucket.logs": ["pending delete"], "output.logs": ["pending delete"]},
        DriftCounts(pending=2),
        "+0 ~0 -1",
    ),
    "drift_restored": ({"fakecloud_bucket.logs": ["actionable update size"]}, DriftCounts(actionable=1), "+0 ~1 -0"),
    "drift_replaced": ({"fakecloud_bucket.logs": ["actionable replace name"]}, DriftCounts(actionable=1), "+1 ~0 -1"),
    "drift_unnoticed": (
        {"fakecloud_bucket.logs": ["informational update etag"], "output.etag": ["informational update value"]},
        DriftCounts(informational=1),
        "+0 ~0 -0, 1 other",
    ),
    "drift_lifecycle_ignored": (
        {"fakecloud_bucket.logs": ["informational update size"]},
        DriftCounts(informational=1),
        "+0 ~0 -0",
    ),
    "drift_gone": (
        {
            "fakecloud_bucket.base": ["actionable create"],
            "fakecloud_bucket.follower": ["cascade replace name"],
            "fakecloud_bucket.label": ["cascade update acl"],
            "output.base": ["actionable update value"],
        },
        DriftCounts(actionable=1, cascade=2),
        "+2 ~1 -1",
    ),
    "drift_through_module": (
        {
            "fakecloud_bucket.base": ["actionable create"],
            'module.part["x"].fakecloud_bucket.inner': ["cascade replace name"],
            "output.local": ["actionable update value"],
            "output.part": ["cascade update value"],
        },
        DriftCounts(actionable=1, cascade=1),
        "+2 ~0 -1",
    ),
    "drift_triggers": (
        {
            "fakecloud_bucket.base": ["actionable update size"],
            "terraform_data.triggered": ["cascade replace id output"],
        },
        DriftCounts(actionable=1, cascade=1),
        "+1 ~1 -1",
    ),
    "drift_and_spec": (
        {
            "fakecloud_bucket.both": ["actionable update size", "pending update acl"],
            "fakecloud_bucket.overwritten": ["actionable update size", "pending update size"],
            "fakecloud_bucket.computed": ["pending update acl", "informational update etag"],
            "fakecloud_bucket.removed": ["pending delete", "informational update size"],
            "terraform_data.other": ["pending update input"],
        },
        DriftCounts(actionable=2, pending=3),
        "+0 ~4 -1",
    ),
    "rearranged": (
        {
            "fakecloud_bucket.adopted": ["pending import"],
            "fakecloud_bucket.adopted_and_changed": ["pending update size"],
            "fakecloud_bucket.forgotten": ["pending forget"],
            "fakecloud_bucket.removed": ["pending delete"],
            "terraform_data.new_and_changed": ["pending update input"],
            "terraform_data.new_name": ["pending move"],
        },
        DriftCounts(pending=6),
        "+0 ~2 -1",
    ),
    "secrets": (
        {
            "terraform_data.leaked": ["pending create"],
            "terraform_data.masked": ["pending update input.all input.keys[0] input.user"],
            "terraform_data.newly_masked": ["pending update input"],
            "output.pair": ["pending update value"],
        },
        DriftCounts(pending=4),
        "+1 ~2 -0",
    ),
    "unknown_each_time": (
        {"terraform_data.now": ["pending replace input triggers_replace"], "output.now": ["pending update value.at"]},
        DriftCounts(pending=2),
        "+1 ~0 -1",
    ),
    "errored": ({"terraform_data.first": ["pending update input"]}, DriftCounts(pending=1), "+0 ~1 -0"),
}


def test_every_recorded_plan_is_expected_to_come_to_something() -> None:
    assert set(RECORDED) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_recorded_plans(name: str) -> None:
    expected, counts, text = RECORDED[name]
    analysis = analyse_plan(recorded(name))
    assert classes(analysis) == expected
    assert analysis.counts == counts
    assert analysis.summary.text == text
    assert (analysis.complete, analysis.errored) == (name != "errored", name == "errored")


@pytest.mark.parametrize("name", NAMES)
def test_content_is_what_would_change(name: str) -> None:
    analysis = analyse_plan(recorded(name))
    quiet = name in {"at_setpoint", "drift_unnoticed", "drift_lifecycle_ignored"}
    assert (analysis.content is None) == (analysis.content_digest is None) == quiet


def test_moved_and_imported_addresses_are_told() -> None:
    analysis = analyse_plan(recorded("rearranged"))
    assert analysis.moved == {"terraform_data.new_name", "terraform_data.new_and_changed"}
    assert analysis.imported == {"fakecloud_bucket.adopted", "fakecloud_bucket.adopted_and_changed"}


def test_a_summary_names_what_destroys_first_and_counts_all() -> None:
    creations = [change(f"t.a{index:03}", ["create"], after={"x": 1}) for index in range(60)]
    analysis = analyse_plan(plan(*creations, change("t.z", ["delete"], {"x": 1})))
    assert len(analysis.actions) == 61
    assert len(analysis.summary.actions) == 50
    assert analysis.summary.actions[0].address == "t.z"
    assert (analysis.summary.create, analysis.summary.delete, analysis.summary.text) == (60, 1, "+60 ~0 -1")


def test_policies_see_every_action_with_its_real_address_and_all_its_paths() -> None:
    names = [f"x{index:02}" for index in range(30)]
    document = plan(
        update('t.a["pa55word"]', dict.fromkeys(names, 1), dict.fromkeys(names, 2)),
        change("t.b", ["delete", "create"], {"x": 1}, {"x": 2}),
        change("t.c", ["delete"], {"x": 1}),
        change("t.c", ["delete"], {"x": 0}, deposed="01234567"),
        change("t.d", ["no-op"], {"x": 1}, {"x": 1}),
    )
    analysis = analyse_plan(document, (), KEYED)
    assert [(one.address, one.type, one.action, one.deposed) for one in analysis.judged] == [
        ('t.a["pa55word"]', "t", "update", ""),
        ("t.b", "t", "replace", ""),
        ("t.c", "t", "delete", ""),
        ("t.c", "t", "delete", "01234567"),
    ]
    assert [one.paths for one in analysis.judged] == [tuple(names), ("x",), (), ()]
    assert {one.cause for one in analysis.judged} == {"pending"}
    assert "pa55word" not in repr(analysis)


# --- Secrets -------------------------------------------------------------------------------------------------------


KEYED = Scrubber(["pa55word"], label=lambda key: f"sha256:{hashlib.sha256(key).hexdigest()}")


def keyed(key: str) -> str:
    return KEYED.address(f't.a["{key}"]')


def test_keys_of_addresses_that_hold_a_secret_are_hidden_but_for_rules() -> None:
    document = plan(
        change('t.a["pa55word"]', ["create"], after={"x": 1}),
        change('t.a["dXNlcjpwYTU1d29yZA=="]', ["create"], after={"x": 1}, importing={"id": "i"}),
        change('t.a["plain"]', ["create"], after={"x": 1}, previous_address='t.a["user pa55word"]'),
        update('t.b["pa55word"]', {"x": 1}, {"x": 2}),
    )
    ignore = [IgnoreRule(address='t.b["pa55word"]')]
    analysis = analyse_plan(document, ignore, KEYED)
    shown = [action.address for action in analysis.actions]
    assert "pa55word" not in json.dumps([analysis.summary.as_json(), shown, [f.address for f in analysis.findings]])
    assert len(set(shown)) == 4
    assert {finding.address: finding.ignored for finding in analysis.findings}[KEYED.address('t.b["pa55word"]')]
    assert analysis.real_addresses[keyed("pa55word")] == 't.a["pa55word"]'
    assert analysis.imported == {keyed("dXNlcjpwYTU1d29yZA==")}
    assert keyed("plain") not in analysis.real_addresses


def test_the_content_binds_to_an_address_that_it_does_not_show() -> None:
    contents = [
        analyse_plan(plan(change(f't.a["{key}"]', ["create"], after={"x": 1})), (), Scrubber([key])).content
        for key in ("pa55word", "hunter22")
    ]
    shown = [
        [{**entry, "sensitive": sorted(entry["sensitive"])} for entry in one["changes"]] for one in contents if one
    ]
    assert shown[0] == shown[1]
    assert "pa55word" not in json.dumps(shown)
    assert len({plan_content.show(one, commit).digest for one in contents if one}) == 2


@pytest.mark.parametrize(
    "written", ["dXNlcjpwYTU1d29yZA==", "cGE1NXdvcmQ", "7061353577 6f7264", "%70a55word", '{"p":"pa\\u00355word"}']
)
def test_a_value_that_holds_a_secret_in_another_writing_is_sensitive(written: str) -> None:
    analysis = analyse_plan(plan(update("t.a", {"x": "old", "y": 1}, {"x": written, "y": 2})), (), KEYED)
    assert analysis.content is not None
    (entry,) = analysis.content["changes"]
    assert list(entry["sensitive"]) == ["x"]
    assert entry["after"] == {"y": 2}


# --- What Terraform seldom does ------------------------------------------------------------------------------------


def test_a_deposed_object_does_not_hide_the_one_in_its_place() -> None:
    document = plan(
        update("t.a", {"x": 1}, {"x": 2}),
        change("t.a", ["delete"], {"x": 0}, deposed="01234567"),
    )
    analysis = analyse_plan(document)
    assert [(action.action, action.address) for action in analysis.actions] == [("update", "t.a"), ("delete", "t.a")]
    assert classes(analysis) == {"t.a": ["pending update x", "pending delete"]}
    assert analysis.counts == DriftCounts(pending=1)
    assert analysis.content is not None
    assert [entry["deposed"] for entry in analysis.content["changes"]] == ["", "01234567"]
    assert [(one.address, one.action, one.deposed) for one in analysis.actions] == [
        ("t.a", "update", None),
        ("t.a", "delete", "01234567"),
    ]
    assert [one.name for one in analysis.findings] == ["t.a", "t.a (deposed 01234567)"]


def test_a_data_source_is_no_change() -> None:
    read = {**change("data.t.a", ["read"], after={"x": 1}), "mode": "data"}
    assert analyse_plan(plan(read)).content is None


def test_a_replacement_that_forgets_is_a_replacement() -> None:
    analysis = analyse_plan(plan(change("t.a", ["create", "forget"], {"x": 1}, {"x": 2})))
    assert analysis.summary.replace == 1


MANIFEST = {"resources": [{"address": "kubectl_manifest.a", "expressions": {"yaml_body": {"constant_value": "x"}}}]}


@pytest.mark.parametrize(
    ("edited", "classes"),
    [
        pytest.param({}, ["actionable"], id="nothing_configured_differs"),
        pytest.param({"yaml_body": "y"}, ["pending", "informational"], id="the_configuration_was_edited_too"),
    ],
)
def test_what_a_provider_computes_anew_since_the_resource_drifted_is_drift(
    edited: dict[str, str], classes: list[str]
) -> None:
    """As terraform-provider-kubectl: the drift is in one computed attribute, the planned change in another."""
    recorded, live = {"yaml_body": "x", "live": "1", "seen": "1"}, {"yaml_body": "x", "live": "2", "seen": "1"}
    planned = {"yaml_body": "x", "live": "2", **edited}
    document = plan(
        update("kubectl_manifest.a", live, planned, after_unknown={"seen": True}),
        drift=[update("kubectl_manifest.a", recorded, live)],
        configuration=MANIFEST,
    )
    assert [finding.drift_class.value for finding in analyse_plan(document).findings] == classes


def test_what_a_provider_computes_anew_without_drift_is_pending() -> None:
    before = {"yaml_body": "x", "seen": "1"}
    document = plan(
        update("kubectl_manifest.a", before, {"yaml_body": "x"}, after_unknown={"seen": True}), configuration=MANIFEST
    )
    assert [finding.drift_class.value for finding in analyse_plan(document).findings] == ["pending"]


def test_a_local_value_that_was_edited_is_not_taken_for_a_cascade() -> None:
    resources = [
        {"address": "t.base", "mode": "managed", "expressions": {"name": {}}},
        {"address": "t.b", "mode": "managed", "expressions": {"name": {"references": ["local.name"]}}},
    ]
    document = plan(
        change("t.base", ["create"], after={"name": "base"}, after_unknown={"id": True}),
        update("t.b", {"name": "old"}, {"name": "new"}),
        drift=[change("t.base", ["delete"], {"id": "i", "name": "base"})],
        configuration={"resources": resources},
    )
    document["relevant_attributes"] = [{"resource": "t.base", "attribute": ["id"]}]
    assert classes(analyse_plan(document))["t.b"] == ["pending update name"]


def test_what_refers_to_a_restored_attribute_does_not_follow_from_the_drift() -> None:
    """The drifted attribute gets back what it was, so the other resource must have a reason of its own."""
    resources = [
        {"address": "t.base", "mode": "managed", "expressions": {"size": {}}},
        {"address": "t.b", "mode": "managed", "expressions": {"name": {"references": ["t.base.size", "t.base"]}}},
    ]
    document = plan(
        update("t.base", {"size": 9}, {"size": 5}),
        update("t.b", {"name": "5-a"}, {"name": "5-b"}),
        drift=[update("t.base", {"size": 5}, {"size": 9})],
        configuration={"resources": resources},
    )
    assert classes(analyse_plan(document)) == {"t.base": ["actionable update size"], "t.b": ["pending update name"]}


def test_what_refers_to_an_attribute_that_drifted_for_good_follows_it() -> None:
    resources = [{"address": "t.b", "mode": "managed", "expressions": {"name": {"references": ["t.base.etag"]}}}]
    document = plan(
        change("t.base", ["no-op"], {"etag": "e1"}, {"etag": "e1"}),
        update("t.b", {"name": "e0"}, {"name": "e1"}),
        drift=[update("t.base", {"etag": "e0"}, {"etag": "e1"})],
        configuration={"resources": resources},
    )
    assert classes(analyse_plan(document))["t.b"] == ["cascade update name"]


def test_cascades_follow_through_each_other_data_sources_and_each() -> None:
    resources = [
        {"address": "t.one", "mode": "managed", "expressions": {"name": {"references": ["t.base.id", "t.base"]}}},
        {"address": "data.t.look", "mode": "data", "expressions": {"key": {"references": ["t.one.id", "t.one"]}}},
        {
            "address": "t.two",
            "mode": "managed",
            "for_each_expression": {"references": ["data.t.look.all", "data.t.look"]},
            "expressions": {"block": [{"name": {"references": ["each.value"]}}]},
        },
    ]
    unknown = {"id": True}
    document = plan(
        change("t.base", ["create"], after={}, after_unknown=unknown),
        change("t.one", ["delete", "create"], {"id": "1", "name": "n"}, {}, after_unknown={"id": True, "name": True}),
        update('t.two["k"]', {"block": [{"name": "1"}]}, {"block": [{}]}, after_unknown={"block": [{"name": True}]}),
        drift=[change("t.base", ["delete"], {"id": "0"})],
        configuration={"resources": resources},
    )
    found = classes(analyse_plan(document))
    assert found["t.one"] == ["cascade replace name"]
    assert found['t.two["k"]'] == ["cascade update block[0].name"]


def test_a_trigger_beside_a_pending_change_is_pending() -> None:
    document = recorded("drift_triggers")
    document["resource_changes"].append(update("t.other", {"x": 1}, {"x": 2}))
    assert classes(analyse_plan(document))["terraform_data.triggered"] == ["pending replace id output"]


# --- drift.ignore ---------------------------------------------------------------------------------------------------


def rule(address: str, *paths: str) -> IgnoreRule:
    return IgnoreRule(address=address, paths=list(paths))


@pytest.mark.parametrize(
    ("name", "rules", "address", "expected"),
    [
        ("drift_restored", [rule("*.logs", "size")], "fakecloud_bucket.logs", ["actionable* update size"]),
        ("drift_restored", [rule("fakecloud_bucket.logs")], "fakecloud_bucket.logs", ["actionable* update size"]),
        ("drift_restored", [rule("*", "acl")], "fakecloud_bucket.logs", ["actionable update size"]),
        (
            "drift_and_spec",
            [rule("*", "size")],
            "fakecloud_bucket.both",
            ["actionable* update size", "pending update acl"],
        ),
        ("drift_unnoticed", [rule("*.logs")], "fakecloud_bucket.logs", ["informational* update etag"]),
        ("drift_unnoticed", [rule("*.logs")], "output.etag", ["informational* update value"]),
        ("drift_replaced", [rule("*")], "fakecloud_bucket.logs", ["actionable replace name"]),
        ("drift_gone", [rule("*")], "fakecloud_bucket.base", ["actionable create"]),
        ("rearranged", [rule("*")], "fakecloud_bucket.removed", ["pending delete"]),
        ("unknown_each_time", [rule("output.now", "value.at")], "output.now", ["pending* update value.at"]),
        ("output_changed", [rule("output.*")], "output.shown", ["pending* update value.note"]),
    ],
    ids=[
        "a path",
        "all paths",
        "another path",
        "one of two reasons",
        "informational",
        "an output that follows what is ignored",
        "never a replacement",
        "never a creation",
        "never a deletion",
        "part of an output",
        "an output",
    ],
)
def test_ignored_differences(name: str, rules: list[IgnoreRule], address: str, expected: list[str]) -> None:
    document = recorded(name)
    analysis = analyse_plan(document, rules)
    assert classes(analysis)[address] == expected
    assert analysis.actions == analyse_plan(document).actions


def test_where_only_ignored_paths_differ_nothing_is_approved_and_all_is_shown() -> None:
    analysis = analyse_plan(recorded("drift_restored"), [rule("*.logs", "size")])
    assert analysis.content is None
    assert analysis.counts == DriftCounts()
    assert [(action.address, action.paths) for action in analysis.actions] == [("fakecloud_bucket.logs", ["size"])]


def test_what_a_provider_computes_anew_goes_with_what_is_ignored() -> None:
    resources = [{"address": "t.a", "mode": "managed", "expressions": {"tags": {}, "stamp": {}}}]
    changed = update("t.a", {"tags": 1, "etag": "e"}, {"tags": 2}, after_unknown={"etag": True})
    document = plan(changed, configuration={"resources": resources})
    assert analyse_plan(document, [rule("t.a", "tags")]).content is None
    changed["change"]["after_unknown"]["stamp"] = True
    assert analyse_plan(document, [rule("t.a", "tags")]).content is not None


# --- What comes from outside ------------------------------------------------------------------------------------------


def broken(**fields: Any) -> dict[str, Any]:
    return {**recorded("drift_restored"), **fields}


def with_change(**fields: Any) -> dict[str, Any]:
    document = copy.deepcopy(recorded("drift_restored"))
    document["resource_changes"][0]["change"] |= fields
    return document


def deep(levels: int) -> Any:
    value: Any = True
    for _ in range(levels):
        value = {"k": [value]}
    return value


@pytest.mark.parametrize(
    ("document", "field"),
    [
        pytest.param(broken(format_version="2.0"), "format_version", id="a later format"),
        pytest.param(broken(format_version=1), "format_version", id="a format that is no text"),
        pytest.param(broken(resource_changes={}), "resource_changes", id="changes that are no list"),
        pytest.param(broken(resource_changes=[1]), "resource_changes[0]", id="a change that is no map"),
        pytest.param(broken(resource_changes=[{"change": {}}]), "resource_changes[0].address", id="no address"),
        pytest.param(
            broken(resource_changes=[{"address": "a" * 1025, "change": {}}]), "resource_changes[0].address", id="long"
        ),
        pytest.param(broken(resource_changes=[{"address": "t.a"}]), "resource_changes[0].change", id="no change"),
        pytest.param(with_change(actions=None), "resource_changes[0].change.actions", id="no actions"),
        pytest.param(with_change(actions=["explode"]), "resource_changes[0].change.actions", id="an unknown action"),
        pytest.param(with_change(actions=[["update"]]), "resource_changes[0].change.actions", id="an action of lists"),
        pytest.param(with_change(replace_paths=[[deep(5000)]]), "resource_changes[0].change.replace_paths", id="paths"),
        pytest.param(with_change(importing=3), "resource_changes[0].change.importing", id="importing"),
        pytest.param(with_change(before=deep(50_000)), "resource_changes[0].change", id="a deep value"),
        pytest.param(with_change(after_sensitive=deep(50_000)), "resource_changes[0].change", id="a deep mask"),
        pytest.param(broken(resource_drift=[{"address": "t.a"}]), "resource_drift[0].change", id="drift"),
        pytest.param(broken(output_changes=[1]), "output_changes", id="outputs that are no map"),
        pytest.param(broken(output_changes={"o": 1}), "output_changes.o", id="an output that is no map"),
        pytest.param(broken(output_changes={"o": {"actions": "x"}}), "output_changes.o.actions", id="output actions"),
    ],
)
def test_a_misfit_is_refused_by_path(document: Any, field: str) -> None:
    with pytest.raises(InvalidError, match="^" + field.replace("[", r"\[").replace(".", r"\.") + ": "):
        analyse_plan(document)


def test_no_map_is_no_plan() -> None:
    with pytest.raises(InvalidError, match="a plan is a map"):
        analyse_plan([])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "configuration", [None, [], {"root_module": 3}, {"root_module": {"resources": {}}}, deep(50_000)]
)
def test_a_configuration_that_is_none_explains_nothing(configuration: Any) -> None:
    analysis = analyse_plan({**recorded("drift_gone"), "configuration": configuration})
    assert classes(analysis)["fakecloud_bucket.follower"] == ["pending replace id name"]
