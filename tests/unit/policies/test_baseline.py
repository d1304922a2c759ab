"""The pack that ships: its own tests pass, each of its rules has a remedy, and its tests notice a missing condition."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.fakes.examples import example
from tests.fakes.inputs import INPUTS

from setpoint.adapters.policy.engine import RegorusEngine
from setpoint.api.v1alpha1.baseline import BaselineParameters
from setpoint.domain import kinds
from setpoint.domain.policies import PolicyModules

PACK = Path(__file__).parents[3] / "policies" / "baseline"


def read_pack() -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(PACK.glob("*.rego"))}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[RegorusEngine]:
    engine = RegorusEngine(INPUTS)
    yield engine
    await engine.aclose()


async def test_its_tests_pass(engine: RegorusEngine) -> None:
    results = await engine.run_tests(PolicyModules.of(read_pack()))
    assert len(results) > 110
    assert [one for one in results if not one.passed] == []


async def test_it_loads_and_every_package_is_described(engine: RegorusEngine) -> None:
    check = await engine.check(PolicyModules.of(read_pack()))
    assert check.problems == ()
    for package in check.packages:
        assert all((package.title, package.description, package.remediation)), package.package
    assert len(check.packages) == 8


def test_its_parameters_are_those_that_are_checked() -> None:
    """By name, and by the defaults that the modules have."""
    found = re.findall(r'lib\.param\("(\w+)", (\[[^\]]*\]|\{[^}]*\}|\d+)\)', "\n".join(read_pack().values()))
    read = {name: json.loads(re.sub(r",\s*\]", "]", default)) for name, default in found}
    assert read == BaselineParameters().model_dump()
    assert sum(text.count("lib.param(") for text in read_pack().values()) == len(read)
    assert BaselineParameters.model_validate(read)


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        (
            {"max_delete": 3},
            "spec.params.max_delete: the pack baseline has no such parameter; it has max_changed, max_dest",
        ),
        ({"maxDestroyed": 3}, "spec.params.maxDestroyed: the pack baseline has no such parameter"),
        ({"max_destroyed": "3"}, "spec.params.max_destroyed: must be a valid integer"),
        ({"max_destroyed": True}, "spec.params.max_destroyed: must be a valid integer"),
        ({"max_destroyed": None}, "spec.params.max_destroyed: must be a valid integer"),
        ({"max_changed": -1}, "spec.params.max_changed: must be greater than or equal to 0"),
        ({"required_tags": "owner"}, "spec.params.required_tags: must be a valid list"),
        ({"protected_types": [1]}, "spec.params.protected_types[0]: must be a valid string"),
        ({"protected_labels": ["a"]}, "spec.params.protected_labels: must be a valid dictionary"),
        ({"sensitive_ports": ["22"]}, "spec.params.sensitive_ports[0]: must be a valid integer"),
    ],
)
def test_other_parameters_are_refused_by_name(params: dict, problem: str) -> None:
    obj = example("PolicySet", source={"builtin": "baseline"}, params=params)
    found = [f"{one.field}: {one.message}" for one in kinds.problems(kinds.kind_of(obj), obj)]
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_other_sets_have_parameters_of_their_own() -> None:
    obj = example("PolicySet", source={"inline": {"a.rego": "package a"}}, params={"max_delete": "x"})
    assert kinds.problems(kinds.kind_of(obj), obj) == ()


@pytest.mark.parametrize("name", sorted(name for name in read_pack() if not name.endswith("_test.rego")))
def test_every_module_has_tests(name: str) -> None:
    assert name.replace(".rego", "_test.rego") in read_pack()


@pytest.mark.parametrize(
    ("file", "condition", "weaker"),
    [
        ("protection.rego", "lib.destroyed", "lib.changes"),
        ("protection.rego", "- removed", "- set()"),
        ("protection.rego", "labels[name] == value", "labels[name]"),
        ("blast_radius.rego", "destroyed > most", "destroyed >= most"),
        ("blast_radius.rego", '{"update", ', '{"create", "update", '),
        ("blast_radius.rego", '{"delete", "replace"}', '{"delete"}'),
        ("blast_radius.rego", 'not is_array(object.get(input, "changes", null))', "false"),
        ("required_tags.rego", "\tnot is_unknown(rc)\n", ""),
        ("required_tags.rego", "lib.written", "lib.changes"),
        ("public_network.rego", '\tnot rule.type == "egress"\n', ""),
        ("public_network.rego", "\tspoken in with_ports\n", ""),
        ("public_network.rego", "\trange[1] == 65535\n", ""),
        ("public_network.rego", "\tnot rule.egress == true\n", ""),
        ("public_network.rego", "\tnot lib.unset(rc, name)\n", ""),
        ("public_network.rego", "\tnot is_open_for_sure(entry)\n", ""),
        ("public_network.rego", "by_target[entry.target]", 'by_target["all"]'),
        ("networks.rego", "not is_private(network)", "true"),
        ("networks.rego", "; not is_within(network, own)", ""),
        ("networks.rego", "sum(array.slice(groups, 0, 5)) == 0", "false"),
        ("public_access.rego", "\tnot is_narrowed(statement)\n", ""),
        ("public_access.rego", "\tevery value in values { is_one(value) }\n", ""),
        ("public_access.rego", "\tnot networks.is_world(values)\n", ""),
        ("public_access.rego", "\tstatement.notprincipal\n", "\tfalse\n"),
        ("public_access.rego", "\tnot is_limited(rc)\n", ""),
        ("public_access.rego", "\tnot lib.unset(rc, name)\n", ""),
        ("public_access.rego", "lib.present", "lib.written"),
        ("public_network.rego", 'lower(object.get(rule, "access", "Allow")) == "allow"', "true"),
        ("public_network.rego", "from <= port; port <= to", "from <= port"),
        ("public_data.rego", "\tacl in public_acls\n", ""),
        ("public_data.rego", "\tmember in everyone\n", ""),
        ("pinned_providers.rego", "\tis_bounded(constraint)\n", ""),
        ("pinned_providers.rego", "\tnot source in built_in\n", ""),
        ("lib.rego", '{"no-op", "read"}', '{"no-op"}'),
        ("lib.rego", "\tis_object(rc.change.after)\n", ""),
        ("public_data.rego", "\tnot rc.type in exempt\n", ""),
        ("public_data.rego", ") - exempt", ")"),
        ("lib.rego", '\tnot rc.mode == "data"\n', ""),
        ("plan.rego", "if not is_array", "if is_array"),
    ],
)
async def test_its_tests_notice_a_weaker_rule(engine: RegorusEngine, file: str, condition: str, weaker: str) -> None:
    own = file.replace(".rego", "_test.rego")
    pack = {name: text for name, text in read_pack().items() if name == own or not name.endswith("_test.rego")}
    assert condition in pack[file]
    pack[file] = pack[file].replace(condition, weaker, 1)
    try:
        results = await engine.run_tests(PolicyModules.of(pack))
    except ValueError as error:
        pytest.fail(f"the weaker rule does not load: {error}")
    assert any(not one.passed for one in results)
