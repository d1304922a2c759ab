"""Properties that hold for any plan at all."""

import copy
import itertools
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.plans import NAMES, analyse_plan, plans, recorded
from tests.soak import dear_examples, examples

from setpoint.api.v1alpha1.environment import IgnoreRule
from setpoint.domain.errors import InvalidError
from setpoint.domain.findings import DriftClass
from setpoint.domain.value_paths import true_paths
from setpoint.targets.environment.plan.analysis import differing_paths
from setpoint.targets.environment.plan.changes import read_outputs, read_resources
from setpoint.targets.environment.plan.judged_plan import judged_plan

SECRET = "s3cr3t-in-a-leaf"
some = settings(max_examples=dear_examples(40))


rules = st.lists(
    st.builds(
        IgnoreRule,
        address=st.sampled_from(["t.a", "t.*", "*", "output.*", "nothing"]),
        paths=st.lists(st.sampled_from(["name", "tags", "tags.a", "rules[0]", "value"]), max_size=2),
    ),
    max_size=3,
)


def turned(value: Any) -> Any:
    """The same JSON value with all keys in another order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


@some
@given(plans(), plans(), st.randoms(use_true_random=False))
def test_order_time_and_drift_do_not_move_the_digest(document: Any, other: Any, random: Any) -> None:
    first = analyse_plan(document)
    random.shuffle(document["resource_changes"])
    again = {**turned(document), "timestamp": "later", "resource_drift": other["resource_drift"]}
    # Drift may explain an output, and what only follows from informational drift is not approved.
    again["configuration"] = document["configuration"] = {}
    assert analyse_plan(again).content_digest == analyse_plan(document).content_digest
    assert analyse_plan(turned(document)).actions == analyse_plan(document).actions
    assert {action.address for action in first.actions} == {action.address for action in analyse_plan(again).actions}


@some
@given(plans(), rules, st.data())
def test_any_value_that_differs_moves_the_digest_unless_it_is_ignored(
    document: dict[str, Any], ignore: list[IgnoreRule], data: st.DataObject
) -> None:
    acting = [item for item in document["resource_changes"] if item["change"]["actions"] == ["update"]]
    if not acting:
        return
    other = copy.deepcopy(document)
    changed = data.draw(st.sampled_from(acting))
    index = document["resource_changes"].index(changed)
    name = data.draw(st.sampled_from(["name", "tags"]))
    other["resource_changes"][index]["change"]["after"][name] = "moved"
    other["resource_changes"][index]["change"]["after_unknown"].pop(name, None)
    document["resource_changes"][index]["change"]["after_unknown"].pop(name, None)
    if document["resource_changes"][index]["change"]["after"].get(name) == "moved":
        return
    assert analyse_plan(document).content_digest != analyse_plan(other).content_digest
    one, two = analyse_plan(document, ignore), analyse_plan(other, ignore)
    if (one.content_digest == two.content_digest) and one.content and two.content:
        assert differing_paths(one.content, two.content) == ()
    covering = [rule for rule in ignore if rule.address in {changed["address"], "t.*", "*"}]
    if not any(not rule.paths or any(path.startswith(name) for path in rule.paths) for rule in covering):
        assert one.content_digest != two.content_digest


@some
@given(plans(), plans())
def test_two_contents_differ_where_their_digests_do(one: dict[str, Any], other: dict[str, Any]) -> None:
    left, right = analyse_plan(one), analyse_plan(other)
    if left.content is not None and right.content is not None:
        assert (differing_paths(left.content, right.content) == ()) == (left.content_digest == right.content_digest)


@some
@given(plans(), rules)
def test_ignoring_never_changes_what_would_be_done(document: dict[str, Any], ignore: list[IgnoreRule]) -> None:
    plain, ignoring = analyse_plan(document), analyse_plan(document, ignore)
    assert (plain.actions, plain.summary) == (ignoring.actions, ignoring.summary)
    assert [(f.address, f.drift_class) for f in plain.findings] == [
        (f.address, f.drift_class) for f in ignoring.findings
    ]


@some
@given(plans(), rules)
def test_every_difference_is_explained_and_nothing_else_is(document: dict[str, Any], ignore: list[IgnoreRule]) -> None:
    analysis = analyse_plan(document, ignore)
    acting = {change.address for change in read_resources(document, "resource_changes") if change.acts}
    acting |= {change.address for change in read_outputs(document) if change.acts}
    drifted = {
        change.address
        for change in read_resources(document, "resource_drift")
        if change.verb != "update" or change.values.telling
    }
    written = {change.address for change in read_resources(document, "resource_drift")}
    by_class: dict[DriftClass, set[str]] = {kind: set() for kind in DriftClass}
    for finding in analysis.findings:
        by_class[finding.drift_class].add(finding.address)
    changing = by_class[DriftClass.ACTIONABLE] | by_class[DriftClass.PENDING] | by_class[DriftClass.CASCADE]
    informed = by_class[DriftClass.INFORMATIONAL]
    outputs = {address for address in acting if address.startswith("output.")}
    assert acting - outputs <= changing <= acting
    assert acting <= changing | informed
    assert drifted <= by_class[DriftClass.ACTIONABLE] | informed
    assert by_class[DriftClass.ACTIONABLE] - outputs <= written
    assert informed - outputs <= drifted, "what is only written otherwise is no drift"
    assert not by_class[DriftClass.PENDING] & by_class[DriftClass.CASCADE]
    assert not by_class[DriftClass.ACTIONABLE] & informed


@some
@given(plans(), rules)
def test_what_is_not_ignored_is_in_the_content(document: dict[str, Any], ignore: list[IgnoreRule]) -> None:
    analysis = analyse_plan(document, ignore)
    expected = {f.address for f in analysis.findings if not f.ignored and f.drift_class is not DriftClass.INFORMATIONAL}
    found = {entry["address"] for entry in analysis.content["changes"]} if analysis.content else set()
    assert found == expected


def plant(value: Any, mask: Any) -> Any:
    """The value with a secret at each scalar that a mask covers, in keys as well."""
    if mask is True:
        return f"x {SECRET} y" if not isinstance(value, (dict, list)) else {f"k {SECRET}": SECRET, "l": [SECRET]}
    if isinstance(value, dict) and isinstance(mask, dict):
        return {key: plant(item, mask.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(mask, list):
        return [plant(item, mask[index]) for index, item in enumerate(value)]
    return value


@some
@given(plans())
def test_no_masked_leaf_gets_out(document: dict[str, Any]) -> None:
    items = [item["change"] for item in (*document["resource_changes"], *document["resource_drift"])]
    for item in (*items, *document["output_changes"].values()):
        for side in ("before", "after"):
            item[side] = plant(item[side], item.get(f"{side}_sensitive"))
    analysis = analyse_plan(document)
    shown = [
        [repr(finding) for finding in analysis.findings],
        [action.as_json() for action in analysis.actions],
        analysis.summary.as_json(),
        repr(judged_plan(document, analysis.hidden)),
    ]
    assert SECRET not in json.dumps(shown)
    assert SECRET not in repr(analysis)


@some
@given(plans())
def test_policies_get_what_the_plan_holds(document: dict[str, Any]) -> None:
    given = copy.deepcopy(document)
    judged = judged_plan(document, analyse_plan(document).hidden)
    kept = [i for i in given["resource_changes"] if i["change"]["actions"] not in (["no-op"], ["read"])]
    for plan, key, items in (
        (judged.document, "resource_changes", kept),
        (judged.of_drift(), "resource_drift", given["resource_drift"]),
    ):
        assert [i["address"] for i in plan[key]] == [i["address"] for i in items]
        for side in ("before", "after", "after_unknown"):
            assert [i["change"][side] for i in plan[key]] == [i["change"][side] for i in items]
    assert {n: o["after"] for n, o in judged.document["output_changes"].items()} == {
        n: o["after"] for n, o in given["output_changes"].items()
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container and key of a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return list(itertools.chain.from_iterable(((value, key), *places(item)) for key, item in inner))


@settings(max_examples=examples(100))
@given(st.sampled_from(NAMES), st.integers(0), json_values, st.booleans())
def test_a_broken_document_is_read_or_refused_by_path(name: str, at: int, value: Any, drop: bool) -> None:
    document = recorded(name)
    found = places(document)
    container, key = found[at % len(found)]
    if drop:
        del container[key]
    else:
        container[key] = value
    try:
        judged_plan(document, analyse_plan(document).hidden)
    except InvalidError as error:
        assert ": " in error.message  # noqa: PT017 nothing is raised for what is not broken


@some
@given(plans())
def test_paths_of_findings_are_those_that_differ(document: dict[str, Any]) -> None:
    drifted = read_resources(document, "resource_drift")
    tops = {
        change.address: {str(path[0]) for path in (*change.values.paths, *true_paths(change.values.unknown)) if path}
        for change in (*drifted, *(change for change in read_resources(document, "resource_changes") if change.acts))
    }
    for finding in analyse_plan(document).findings:
        if not finding.address.startswith("output."):
            named = {path.split(".")[0].split("[")[0] for path in finding.paths if path}
            paths = itertools.chain.from_iterable(
                change.values.paths for change in drifted if change.address == finding.address
            )
            drift = {str(path[0]) for path in paths if path}
            assert named <= tops[finding.address] | drift
