"""Plans that real providers made after drift, each with its classes; and what their kinds come to, made by hand."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.effort import cpu_of
from tests.fakes.plans import analyse_plan, change, plan, update
from tests.soak import examples

from setpoint.api.v1alpha1.environment import Environment, IgnoreRule
from setpoint.domain.findings import DriftClass, DriftCounts
from setpoint.targets.environment.drills import judge_drill
from setpoint.targets.environment.plan.analysis import PlanAnalysis

RECORDED = Path(__file__).parents[4] / "data" / "provider_plans"
EXPECTED = json.loads((RECORDED / "expected.json").read_text())
NAMES = sorted(EXPECTED.keys() - {"about"})
ENVIRONMENT = Environment.model_validate(
    {"metadata": {"name": "e"}, "spec": {"stage": "dev", "source": {"path": "./infra"}}}
)
some = settings(max_examples=examples(20))


def recorded(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    return document


def by_class(analysis: PlanAnalysis) -> dict[str, list[str]]:
    """The addresses of each class; an output that only follows is not among what drifted."""
    found: dict[str, list[str]] = {kind.value: [] for kind in DriftClass}
    for finding in analysis.findings:
        if not finding.follows or finding.drift_class is not DriftClass.ACTIONABLE:
            found[finding.drift_class.value].append(finding.address)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_recorded_plans_have_their_classes(name: str) -> None:
    analysis = analyse_plan(recorded(name))
    assert by_class(analysis) == EXPECTED[name]
    assert judge_drill(ENVIRONMENT, analysis) == ("Passed", "")
    assert analysis.counts.informational == analysis.counts.pending == 0


def test_every_recorded_plan_is_expected_to_come_to_something() -> None:
    assert sorted(path.stem for path in RECORDED.glob("*.json") if path.stem != "expected") == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_all_that_would_be_done_is_in_the_content_whatever_its_class(name: str) -> None:
    document = recorded(name)
    acting = {
        item["address"]
        for item in document["resource_changes"]
        if item["mode"] == "managed" and item["change"]["actions"] != ["no-op"]
    }
    analysis = analyse_plan(document)
    assert {action.address for action in analysis.actions} == acting
    assert analysis.content is not None
    assert acting <= {entry["address"] for entry in analysis.content["changes"]}


@some
@given(st.sampled_from(NAMES), st.randoms(use_true_random=False))
def test_the_order_of_sets_changes_no_class(name: str, random: Any) -> None:
    """Of what only drifted: where Terraform acts, a list in another order is a change."""
    document = recorded(name)
    acting = {item["address"] for item in document["resource_changes"] if item["change"]["actions"] != ["no-op"]}
    for item in document["resource_drift"]:
        if item["address"] not in acting:
            item["change"]["after"] = shuffled(item["change"]["after"], random)
    assert by_class(analyse_plan(document)) == EXPECTED[name]


def shuffled(value: Any, random: Any) -> Any:
    if isinstance(value, dict):
        return {key: shuffled(item, random) for key, item in value.items()}
    return random.sample([shuffled(item, random) for item in value], len(value)) if isinstance(value, list) else value


# --- What a deferred data source waits for ----------------------------------------------------------------------------


def managed(address: str, /, depends_on: Any = (), **attributes: list[str]) -> dict[str, Any]:
    expressions = {name: {"references": names} for name, names in attributes.items()}
    return {"address": address, "mode": "managed", "expressions": expressions, "depends_on": list(depends_on)}


def data(address: str, /, depends_on: Any = (), **attributes: list[str]) -> dict[str, Any]:
    return {**managed(address, depends_on, **attributes), "mode": "data"}


def read(address: str, reason: str = "read_because_dependency_pending") -> dict[str, Any]:
    unknown = {"id": True, "json": True}
    return change(address, ["read"], after={}, after_unknown=unknown, mode="data", action_reason=reason)


def behind(address: str, /, **more: Any) -> dict[str, Any]:
    """A resource of which one attribute is only known after the apply."""
    return update(address, {"policy": "old", "size": 1}, {"size": 1}, after_unknown={"policy": True}, **more)


DRIFTED = update("t.base", {"size": 9}, {"size": 5})
DRIFT = update("t.base", {"size": 5}, {"size": 9})
PENDING = update("t.edited", {"size": 1}, {"size": 2})
UNKNOWN_OUTPUT = {"actions": ["update"], "before": "x", "after_unknown": True}
USES = managed("t.user", policy=["data.d.look.json", "data.d.look"])


def classes(*changes: dict[str, Any], resources: list[dict[str, Any]], **more: Any) -> dict[str, str]:
    configuration = {"resources": resources, **more.pop("module", {})}
    relevant = more.pop("relevant", [])
    document = plan(*changes, drift=more.pop("drift", [DRIFT]), configuration=configuration, **more)
    document["relevant_attributes"] = [{"resource": address, "attribute": []} for address in relevant]
    return {finding.address: finding.drift_class.value for finding in analyse_plan(document).findings}


BASE, EDITED = managed("t.base", size=[]), managed("t.edited", size=[])


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        pytest.param(data("data.d.look", ["t.base"]), "cascade", id="depends_on"),
        pytest.param(data("data.d.look", key=["t.base.id", "t.base"]), "cascade", id="refers"),
        pytest.param(data("data.d.look", ["t.base", "t.edited"]), "pending", id="depends_on_what_was_edited_too"),
        pytest.param(data("data.d.look", ["t.base"], key=["t.edited.id", "t.edited"]), "pending", id="and_refers"),
        pytest.param(data("data.d.look", ["t.edited"]), "pending", id="waits_for_no_drift"),
        pytest.param(data("data.d.look"), "pending", id="waits_for_nothing"),
        pytest.param(data("data.d.look", ["t.between"]), "cascade", id="through_a_resource_that_rests"),
        pytest.param(data("data.d.look", ["data.d.other"]), "cascade", id="through_another_data_source"),
        pytest.param(data("data.d.look", ["t.mixed"]), "pending", id="through_a_resource_that_waits_for_both"),
        pytest.param(
            {**data("data.d.look"), "for_each_expression": {"references": ["t.base"]}}, "cascade", id="repeated_over"
        ),
    ],
)
def test_what_is_behind_a_deferred_data_source_follows_what_that_waits_for(look: dict[str, Any], expected: str) -> None:
    resources = [
        *(BASE, EDITED, USES, look),
        managed("t.between", name=["t.base.name", "t.base"]),
        managed("t.mixed", ["t.edited"], name=["t.base.name", "t.base"]),
        data("data.d.other", ["t.base"]),
    ]
    found = classes(DRIFTED, PENDING, behind("t.user"), read("data.d.look"), resources=resources)
    assert found == {"t.base": "actionable", "t.edited": "pending", "t.user": expected}


def test_a_value_that_is_known_does_not_come_from_what_is_yet_to_be_read() -> None:
    changed = update("t.user", {"policy": "old"}, {"policy": "new"})
    resources = [BASE, data("data.d.look", ["t.base"]), USES]
    assert classes(DRIFTED, changed, read("data.d.look"), resources=resources)["t.user"] == "pending"
    both = update("t.user", {"policy": ["a", "b"]}, {"policy": ["x", None]}, after_unknown={"policy": [False, True]})
    assert classes(DRIFTED, both, read("data.d.look"), resources=resources)["t.user"] == "pending"


@pytest.mark.parametrize(
    ("before", "after", "unknown", "expected"),
    [
        (["sg-0", "sg-1"], ["sg-1", None], [False, True], "cascade"),
        (["sg-0", "sg-1"], ["sg-2", None], [False, True], "pending"),
        (["sg-0", "sg-1"], ["sg-1", "sg-1", None], [False, False, True], "pending"),
        ([{"to": "a", "via": "x"}, {"to": "b"}], [{"to": "b"}, {"to": "a"}], [{}, {"via": True}], "cascade"),
        ([{"to": "a", "via": "x"}, {"to": "b"}], [{"to": "b"}, {"to": "c"}], [{}, {"via": True}], "pending"),
        ("old", ["sg-1", None], [False, True], "pending"),
        ([["a"], ["b"]], [["b"], ["c", None]], [[False], [False, True]], "pending"),
        ([{"in": [{"a": 1}]}, {"b": 1}], [{"b": 1}, {"in": [{"a": 2}]}], [{}, {"in": [{"c": True}]}], "pending"),
    ],
    ids=[
        *("a_member", "a_new_member", "one_twice", "a_block", "a_block_for_something_else", "no_list_before"),
        *("a_list_in_a_list", "a_block_in_a_block"),
    ],
)
def test_a_set_with_an_unknown_member_has_the_known_ones_elsewhere(
    before: Any, after: Any, unknown: Any, expected: str
) -> None:
    changed = update("t.user", {"policy": before}, {"policy": after}, after_unknown={"policy": unknown})
    resources = [BASE, data("data.d.look", ["t.base"]), USES]
    assert classes(DRIFTED, changed, read("data.d.look"), resources=resources)["t.user"] == expected


def test_a_data_source_that_is_read_for_another_reason_explains_nothing() -> None:
    resources = [BASE, data("data.d.look", ["t.base"]), USES]
    for item in (read("data.d.look", "read_because_check_nested"), read("data.d.look", "")):
        assert classes(DRIFTED, behind("t.user"), item, resources=resources)["t.user"] == "pending"


def test_data_sources_and_resources_wait_for_each_other_in_turn() -> None:
    resources = [
        *(BASE, USES, data("data.d.look", ["t.base"])),
        data("data.d.next", key=["t.user.policy", "t.user"]),
        managed("t.last", policy=["data.d.next.json", "data.d.next"]),
    ]
    reads = (read("data.d.look"), read("data.d.next", "read_because_config_unknown"))
    found = classes(DRIFTED, behind("t.user"), behind("t.last"), *reads, resources=resources)
    assert found == {"t.base": "actionable", "t.user": "cascade", "t.last": "cascade"}


@pytest.mark.parametrize(
    ("call", "inner", "expected"),
    [
        ({"depends_on": ["t.base"]}, data("data.d.look"), "cascade"),
        ({"depends_on": ["t.base", "t.edited"]}, data("data.d.look"), "pending"),
        ({"depends_on": ["module.other"]}, data("data.d.look"), "cascade"),
        ({"expressions": {"key": {"references": ["t.base.id"]}}}, data("data.d.look", key=["var.key"]), "cascade"),
        ({"expressions": {"key": {"references": ["t.edited.id"]}}}, data("data.d.look", key=["var.key"]), "pending"),
        ({}, data("data.d.look"), "pending"),
    ],
    ids=["depends_on", "and_what_was_edited", "a_whole_module", "a_variable", "an_edited_variable", "nothing"],
)  # fmt: skip
def test_it_waits_for_what_its_module_waits_for(call: dict[str, Any], inner: dict[str, Any], expected: str) -> None:
    part = {"resources": [inner], "outputs": {"json": {"expression": {"references": ["data.d.look.json"]}}}}
    other = {"resources": [managed("t.inside", ["t.nothing"], name=["var.base"])]}
    given_base = {"base": {"references": ["t.base.id", "t.base"]}}
    calls = {"part": {"module": part, **call}, "other": {"module": other, "expressions": given_base}}
    resources = [BASE, EDITED, managed("t.user", policy=["module.part.json", "module.part"])]
    found = classes(
        *(DRIFTED, PENDING, behind("t.user"), read("module.part.data.d.look")),
        resources=resources,
        module={"module_calls": calls, "outputs": {"out": {"expression": {"references": ["module.part.json"]}}}},
        outputs={"out": UNKNOWN_OUTPUT},
    )
    assert (found["t.user"], found["output.out"]) == (expected, expected)


def test_a_local_value_may_be_all_that_is_relevant() -> None:
    resources = [BASE, EDITED, data("data.d.look", key=["local.key"]), USES]
    changes = (DRIFTED, PENDING, behind("t.user"), read("data.d.look", "read_because_config_unknown"))
    assert classes(*changes, resources=resources, relevant=["t.base", "t.user"])["t.user"] == "cascade"
    assert classes(*changes, resources=resources, relevant=["t.base", "t.edited"])["t.user"] == "pending"
    assert classes(*changes, resources=resources)["t.user"] == "pending"


def test_an_output_behind_a_deferred_data_source_is_ignored_with_what_that_waits_for() -> None:
    configuration = {
        "resources": [BASE, data("data.d.look", ["t.base"])],
        "outputs": {"out": {"expression": {"references": ["data.d.look.json", "data.d.look"]}}},
    }
    document = plan(
        DRIFTED, read("data.d.look"), drift=[DRIFT], outputs={"out": UNKNOWN_OUTPUT}, configuration=configuration
    )
    rules = [IgnoreRule(address="t.base", paths=["size"])]
    found = {f.address: (f.drift_class.value, f.ignored) for f in analyse_plan(document, rules).findings}
    assert found == {"t.base": ("actionable", True), "output.out": ("cascade", True)}
    assert analyse_plan(document).counts == DriftCounts(actionable=1)


# --- What is written otherwise ----------------------------------------------------------------------------------------


def outside(recorded: dict[str, Any], live: dict[str, Any], planned: dict[str, Any] | None = None) -> list[str]:
    """The classes where a resource drifted from what is recorded, and what is planned, if that is something else."""
    changed = change("t.a", ["no-op"], live, live) if planned is None else update("t.a", live, planned)
    resources = [managed("t.a", **{name: [] for name in {*recorded, *live, *(planned or {})}})]
    document = plan(changed, drift=[update("t.a", recorded, live)], configuration={"resources": resources})
    return [finding.drift_class.value for finding in analyse_plan(document).findings]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, {}),
        (None, []),
        (None, ""),
        (None, False),
        (None, 0),
        ("", None),
        (["b", "a"], ["a", "b"]),
        ([{"a": 1, "b": ""}, {"a": 2}], [{"a": 2, "b": None}, {"a": 1}]),
        ('{"a": [1], "b": 2}', '{"b":2,"a":[1]}'),
    ],
    ids=repr,
)
def test_what_is_only_written_otherwise_is_no_drift(old: Any, new: Any) -> None:
    assert outside({"x": old, "y": 1}, {"x": new, "y": 1}) == []
    assert outside({"x": old, "y": 1}, {"x": new, "y": 2}) == ["informational"]


@pytest.mark.parametrize(
    ("recorded_as", "live", "planned", "expected"),
    [
        ({"x": None}, {"x": ["CONNECT"]}, {"x": []}, ["actionable"]),
        ({"x": ""}, {"x": "k"}, {"x": None}, ["actionable"]),
        ({"x": None}, {"x": False}, {"x": None}, ["actionable"]),
        ({"x": 1, "y": None}, {"x": 2, "y": []}, {"x": 1, "y": []}, ["actionable"]),
        ({"x": None}, {"x": ""}, {"x": "edited"}, ["pending"]),
        ({"x": ["a", "b"]}, {"x": ["c"]}, {"x": ["b", "a"]}, ["actionable", "pending"]),
        ({"x": ["a"]}, {"x": []}, {"x": ["b"]}, ["actionable", "pending"]),
        ({"x": "a", "y": 1}, {"x": "b", "y": 1}, {"x": "a", "y": 2}, ["actionable", "pending"]),
    ],
    ids=[
        "a_list_was_opened", "a_text_was_set", "terraform_writes_it_back", "beside_noise", "edited_where_it_is_noise",
        "put_back_in_another_order", "put_back_to_something_else", "edited_beside",
    ],
)  # fmt: skip
def test_what_is_put_back_means_what_was_recorded(
    recorded_as: dict[str, Any], live: dict[str, Any], planned: dict[str, Any], expected: list[str]
) -> None:
    assert outside(recorded_as, live, planned) == expected


@pytest.mark.parametrize(
    ("old", "new"), [(None, False), (False, None), ("", None), (None, []), (["a", "b"], ["b", "a"])]
)
def test_what_terraform_would_do_is_a_change_however_little_it_means(old: Any, new: Any) -> None:
    analysis = analyse_plan(plan(update("t.a", {"x": old}, {"x": new})))
    assert [finding.drift_class.value for finding in analysis.findings] == ["pending"]
    assert analysis.content is not None
    assert analysis.summary.update == 1


def test_what_is_written_otherwise_beside_a_cascade_does_not_make_it_pending_unless_it_forces_a_replacement() -> None:
    resources = [managed("t.base", name=[]), managed("t.b", target=["t.base.id", "t.base"], route=[])]
    before = {"target": "i", "gateway": "", "route": [{"via": "", "to": "a"}], "order": ["a", "b"]}
    after = {"gateway": None, "route": [{"via": None, "to": "a"}], "order": ["a", "b"]}

    def found(after: dict[str, Any], **more: Any) -> str:
        replaced = change("t.b", ["delete", "create"], before, after, after_unknown={"target": True}, **more)
        made = change("t.base", ["create"], after={"name": "n"}, after_unknown={"id": True})
        drift = [change("t.base", ["delete"], {"id": "i", "name": "n"})]
        return classes(made, replaced, resources=resources, drift=drift)["t.b"]

    assert found(after) == "cascade"
    assert found(after, replace_paths=[["gateway"]]) == "pending"
    assert found({**after, "order": ["b", "a"]}) == "pending"
    assert found({**after, "gateway": "g"}) == "pending"


def test_what_is_no_drift_makes_no_cascade_and_an_output_of_it_is_no_change() -> None:
    resources = [managed("t.base", name=[]), managed("t.b", name=["t.base.tags", "t.base"])]
    document = plan(
        change("t.base", ["no-op"], {"tags": {}}, {"tags": {}}),
        update("t.b", {"name": "null"}, {"name": "{}"}),
        drift=[update("t.base", {"tags": None}, {"tags": {}})],
        outputs={"tags": {"actions": ["update"], "before": None, "after": {}}},
        configuration={
            "resources": resources,
            "outputs": {"tags": {"expression": {"references": ["t.base.tags", "t.base"]}}},
        },
    )
    analysis = analyse_plan(document)
    found = {finding.address: finding.drift_class.value for finding in analysis.findings}
    assert found == {"t.b": "pending", "output.tags": "informational"}
    assert analysis.counts == DriftCounts(pending=1)


def test_an_attribute_that_another_version_of_the_provider_knows_is_no_drift_while_it_is_empty() -> None:
    assert outside({"a": 1, "gone": None, "was": ""}, {"a": 1, "added": False, "more": []}) == []
    assert outside({"a": 1}, {"a": 1, "added": "on"}) == ["informational"]


def test_what_is_unknown_within_what_is_known_is_told_apart() -> None:
    resources = [managed("t.base", name=[]), managed("t.b", block=["t.base.id", "t.base"])]
    before = {"block": [{"name": "a", "in": [{"id": "i", "note": ""}]}]}
    after = {"block": [{"name": "a", "in": [{"note": None}]}]}
    unknown = {"block": [{"in": [{"id": True}]}]}
    made = change("t.base", ["create"], after={}, after_unknown={"id": True})
    changed = update("t.b", before, after, after_unknown=unknown)
    drift = [change("t.base", ["delete"], {"id": "i"})]
    assert classes(made, changed, resources=resources, drift=drift)["t.b"] == "cascade"


# --- What is declared beside ------------------------------------------------------------------------------------------


def roles(live: list[str], *, grants: dict[str, str], moved: bool = False, index: str = "app") -> list[str]:
    """The classes of a role that has these roles, where grants of the configuration give some."""
    role = {"id": "r-app", "name": "app", "roles": None}
    drifted = update(f't.role["{index}"]', role, {**role, "roles": live})
    given_roles = [
        change(f't.grant["{to}-{what}"]', ["no-op"], {"role": to, "what": what}, {"role": to, "what": what})
        for to, what in grants.items()
    ]
    if moved:
        given_roles = [
            update(item["address"], {"role": "app", "what": "old"}, item["change"]["after"]) for item in given_roles
        ]
    resources = [managed("t.role", name=[]), managed("t.grant", role=["t.role", "each.key"], what=[])]
    document = plan(*given_roles, drift=[drifted], configuration={"resources": resources})
    return [f.drift_class.value for f in analyse_plan(document).findings if f.address.startswith("t.role")]


def test_what_a_resource_of_the_configuration_gave_another_is_no_drift() -> None:
    assert roles(["owner"], grants={"app": "owner"}) == []
    assert roles(["owner", "admin"], grants={"app": "owner"}) == ["informational"], "one that nothing gives"
    assert roles(["owner"], grants={"other": "owner"}) == ["informational"], "it is another's"
    assert roles(["owner"], grants={"app": "owner"}, moved=True) == ["informational"], "the grant moves itself"
    assert roles(["app"], grants={"app": "owner"}) == ["informational"], "its own name is no gift"


def test_what_is_taken_away_or_configured_is_drift() -> None:
    granted = change("t.grant", ["no-op"], {"role": "app", "what": "owner"}, {"role": "app", "what": "owner"})
    role = {"name": "app", "roles": ["was"], "text": ""}
    for resources, live in (
        ([managed("t.role", name=[])], {**role, "roles": ["owner"]}),
        ([managed("t.role", name=[], roles=[])], {**role, "roles": ["was", "owner"]}),
        ([managed("t.role", name=[])], {**role, "text": "owner"}),
        ([], {**role, "roles": ["was", "owner"]}),
    ):
        grant = managed("t.grant", role=["t.role.name", "t.role"], what=[])
        document = plan(granted, drift=[update("t.role", role, live)], configuration={"resources": [*resources, grant]})
        assert [finding.drift_class.value for finding in analyse_plan(document).findings] == ["informational"]


# --- What is large ----------------------------------------------------------------------------------------------------


def test_thousands_of_drifted_sets_are_classified_in_linear_time() -> None:
    def effort(count: int) -> float:
        document = drifted_sets(count)
        assert analyse_plan(document).counts == DriftCounts(actionable=count // 2, cascade=count // 4)
        return cpu_of(lambda: analyse_plan(document), rounds=2)

    assert effort(2_000) < 40 * effort(200), "ten times as many; a hundred times the work where each meets each"


def drifted_sets(count: int) -> dict[str, Any]:
    """Half have a rule more than recorded, a quarter only writes it otherwise, a quarter is behind a data source."""
    changes, drift, resources = [], [], []
    for index in range(count):
        rules = [{"port": port, "from": f"10.{index}", "note": ""} for port in range(4)]
        address, name = f"t.r{index}", f"data.d.d{index}"
        if index % 4 == 3:
            changes += [behind(address), read(name)]
            resources += [data(name, [f"t.r{index - 1}"]), managed(address, policy=[f"{name}.json", name])]
            continue
        live = [*reversed([{**rule, "note": None} for rule in rules]), *([{"port": 22}] if index % 4 != 1 else [])]
        drift.append(update(address, {"rules": rules}, {"rules": live}))
        planned = rules if index % 4 != 1 else live
        actions = ["update"] if index % 4 != 1 else ["no-op"]
        changes.append(change(address, actions, {"rules": live}, {"rules": copy.deepcopy(planned)}))
        resources.append(managed(address, rules=[]))
    return plan(*changes, drift=drift, configuration={"resources": resources})


def test_many_data_sources_that_wait_for_a_large_module_are_told_in_linear_time() -> None:
    def effort(count: int) -> float:
        document = waiting_module(count)
        found = {finding.address: finding.drift_class.value for finding in analyse_plan(document).findings}
        assert found.pop("t.base") == "actionable"
        assert list(found.values()) == ["cascade"] * count
        return cpu_of(lambda: analyse_plan(document), rounds=2)

    assert effort(1_000) < 40 * effort(100), "ten times as many; a hundred times the work where each meets each"


def waiting_module(count: int) -> dict[str, Any]:
    """So many outputs, each of a data source in a module that waits for another, which holds as many resources."""
    numbers = range(count)
    outputs = {f"o{n}": {"expression": {"references": [f"module.m.o{n}", "module.m"]}} for n in numbers}
    inner = {
        "resources": [data(f"data.d.d{n}") for n in numbers],
        "outputs": {f"o{n}": {"expression": {"references": [f"data.d.d{n}.json"]}} for n in numbers},
    }
    net = {"resources": [managed(f"t.n{n}", name=["var.base"]) for n in numbers]}
    calls = {
        "m": {"module": inner, "depends_on": ["module.net"]},
        "net": {"module": net, "expressions": {"base": {"references": ["t.base.id", "t.base"]}}},
    }
    return plan(
        *(DRIFTED, *(read(f"module.m.data.d.d{n}") for n in numbers)),
        drift=[DRIFT],
        outputs={f"o{n}": UNKNOWN_OUTPUT for n in numbers},
        configuration={"resources": [BASE], "outputs": outputs, "module_calls": calls},
    )
