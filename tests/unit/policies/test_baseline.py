"""The pack that ships: its own tests pass, each of its rules has a remedy, and its tests notice a missing condition."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from setpoint.adapters.policy.engine import RegorusEngine
from setpoint.domain.policies import PolicyModules

PACK = Path(__file__).parents[3] / "policies" / "baseline"


def read_pack() -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(PACK.glob("*.rego"))}


@pytest.fixture
async def engine() -> AsyncIterator[RegorusEngine]:
    engine = RegorusEngine()
    yield engine
    await engine.aclose()


async def test_its_tests_pass(engine: RegorusEngine) -> None:
    results = await engine.run_tests(PolicyModules.of(read_pack()))
    assert len(results) > 60
    assert [one for one in results if not one.passed] == []


async def test_it_loads_and_every_package_is_described(engine: RegorusEngine) -> None:
    check = await engine.check(PolicyModules.of(read_pack()))
    assert check.problems == ()
    for package in check.packages:
        assert all((package.title, package.description, package.remediation)), package.package
    assert len(check.packages) == 7


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
        ("blast_radius.rego", '; rc.change.actions != ["create"]', ""),
        ("required_tags.rego", "\tnot is_unknown(rc)\n", ""),
        ("required_tags.rego", "lib.written", "lib.changes"),
        ("public_network.rego", '\trc.change.after.type == "ingress"\n', ""),
        ("public_network.rego", 'lower(object.get(rule, "access", "Allow")) == "allow"', "true"),
        ("public_network.rego", "from <= port; port <= to", "from <= port"),
        ("public_data.rego", "\tacl in public_acls\n", ""),
        ("public_data.rego", "\tmember in everyone\n", ""),
        ("pinned_providers.rego", "\tis_bounded(constraint)\n", ""),
        ("pinned_providers.rego", "\tnot source in built_in\n", ""),
        ("lib.rego", '{"no-op", "read"}', '{"no-op"}'),
        ("lib.rego", "\tis_object(rc.change.after)\n", ""),
        ("public_data.rego", ") - exempt", ")"),
        ("lib.rego", '\tnot rc.mode == "data"\n', ""),
        ("plan.rego", "if not is_array", "if is_array"),
    ],
)
async def test_its_tests_notice_a_weaker_rule(engine: RegorusEngine, file: str, condition: str, weaker: str) -> None:
    pack = read_pack()
    assert condition in pack[file]
    pack[file] = pack[file].replace(condition, weaker, 1)
    try:
        results = await engine.run_tests(PolicyModules.of(pack))
    except ValueError as error:
        pytest.fail(f"the weaker rule does not load: {error}")
    assert any(not one.passed for one in results)
