"""Kinds of target: a package is asked for those that it is for, and what it can't judge is an Error, never a pass."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.fakes.inputs import TWO_KINDS

from setpoint.adapters.policy.engine import RegorusEngine
from setpoint.domain.policies import PolicyModules, PolicyResult

ALL = 'package all\ndeny contains "of all" if input.changes[0]\n'
PLAN = 'package plans\ndeny contains "of plans" if input.plan.resource_changes[0]\n'
FILES = 'package files\ndeny contains "of files" if input.document.files[0]\n'
LIBRARY = "package lib\nfirst(list) := list.resource_changes[0]\nchanges := input.plan.resource_changes\n"
DOCUMENTS = {"Environment": {"plan": {"resource_changes": [1]}}, "Repo": {"document": {"files": [1]}}}


def of(kinds: str, text: str) -> str:
    return f"# METADATA\n# custom:\n#   kinds: {kinds}\n{text}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[RegorusEngine]:
    engine = RegorusEngine(TWO_KINDS, load_seconds=10)
    yield engine
    await engine.aclose()


async def ask(engine: RegorusEngine, kind: str, *texts: str) -> PolicyResult:
    document = {"target": {"kind": kind}, "changes": [1], **DOCUMENTS.get(kind, {})}
    return await engine.evaluate(modules(*texts), document, timeout=10, memory_mib=128)


def modules(*texts: str) -> PolicyModules:
    return PolicyModules.of({f"m{number}.rego": text for number, text in enumerate(texts)})


def said(result: PolicyResult) -> set[str]:
    assert result.error == ""
    return {one.message for one in result.violations}


async def test_a_package_is_asked_for_its_kinds_alone(engine: RegorusEngine) -> None:
    texts = (ALL, of("[Environment]", PLAN), of("[Repo]", FILES))
    assert said(await ask(engine, "Environment", *texts)) == {"of all", "of plans"}
    assert said(await ask(engine, "Repo", *texts)) == {"of all", "of files"}
    assert (await engine.check(modules(*texts))).problems == ()


async def test_a_set_that_is_for_another_kind_says_nothing(engine: RegorusEngine) -> None:
    assert said(await ask(engine, "Repo", of("[Environment]", PLAN))) == set()


async def test_a_kind_that_is_none_is_an_error(engine: RegorusEngine) -> None:
    for kind in ("Nothing", ""):
        assert "there is no kind of target" in (await ask(engine, kind, ALL)).error


@pytest.mark.parametrize(
    ("kind", "other", "texts", "read"),
    [
        pytest.param("Repo", "Environment", [PLAN], "m0.rego:2: there is no input.plan for the kind Repo", id="read"),
        pytest.param(
            "Environment", "Repo", [FILES], "m0.rego:2: there is no input.document.files", id="in-the-document"
        ),
        pytest.param(
            "Repo",
            "Environment",
            [LIBRARY, 'package a\nimport data.lib\ndeny contains "x" if lib.changes[0]\n'],
            "m0.rego:3: there is no input.plan for the kind Repo",
            id="by-a-rule-of-another-package",
        ),
        pytest.param(
            "Repo",
            "Environment",
            [LIBRARY, 'package a\nimport data.lib\ndeny contains "x" if lib.first(input.document)\n'],
            "m0.rego:2: there is no input.document.resource_changes for the kind Repo",
            id="by-a-function-that-is-given-it",
        ),
        pytest.param(
            "Repo",
            "Environment",
            ['package a\ndeny contains "x" if not object.get(input, ["plan", "resource_changes"], [])[0]\n'],
            "m0.rego:2: there is no input.plan for the kind Repo",
            id="looked-up",
        ),
        pytest.param(
            "Repo",
            "Environment",
            ['package a\ndeny contains "x" if r[_] with input as input.plan\nr contains 1 if input.resource_changes\n'],
            "m0.rego:2: there is no input.plan for the kind Repo",
            id="by-an-adapter",
        ),
    ],
)
async def test_what_a_kind_has_not_is_an_error_for_it_and_said_at_load(
    engine: RegorusEngine, kind: str, other: str, texts: list[str], read: str
) -> None:
    check = await engine.check(modules(*texts))
    assert check.problems == ()
    (package,) = (one for one in check.packages if one.unfit)
    assert set(package.unfit) == {kind}
    error = (await ask(engine, kind, *texts)).error
    assert error == f"package {package.package} can't judge this: {package.unfit[kind]}"
    assert read in error
    assert (await ask(engine, other, *texts)).error == ""


async def test_only_who_reads_it_can_not_judge(engine: RegorusEngine) -> None:
    """Each package gives a function its own arguments."""
    plans = of("[Environment]", 'package plans\nimport data.lib\ndeny contains "x" if lib.first(input.plan)\n')
    others = 'package others\nimport data.lib\ndeny contains "y" if not lib.first({"resource_changes": [1]})\n'
    assert said(await ask(engine, "Repo", LIBRARY, plans, others)) == set()


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        pytest.param([of("[Repo]", PLAN)], "m0.rego:5: there is no input.plan for the kind Repo", id="reads-another"),
        pytest.param(
            [of("[Repository]", ALL)],
            "m0.rego:4: custom.kinds: there is no kind of target Repository; there is Environment, Repo",
            id="no-such-kind",
        ),
        pytest.param([of("[]", ALL)], "m0.rego:1: custom.kinds is a list of one or more kinds", id="none"),
        pytest.param([of("Repo", ALL)], "m0.rego:1: custom.kinds is a list of one or more kinds", id="no-list"),
        pytest.param(
            [ALL + of("[Repo]", 'deny contains "y"\n')],
            "m0.rego:6: custom.kinds belongs into the METADATA above a package",
            id="above-a-rule",
        ),
        pytest.param(
            [of("[Repo]", ALL), of("[Environment]", ALL)],
            "m1.rego:4: custom.kinds are others than those of another file",
            id="two-that-differ",
        ),
    ],
)
async def test_kinds_that_would_silence_a_package_are_refused(
    engine: RegorusEngine, texts: list[str], problem: str
) -> None:
    found = (await engine.check(modules(*texts))).problems
    assert any(one.startswith(problem) for one in found), found
    assert "the policies do not load" in (await ask(engine, "Repo", *texts)).error
