"""Version constraints in Terraform's syntax."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.domain.errors import InvalidError
from setpoint.targets.environment.plan.versions import is_newer, satisfies

VERSIONS = st.tuples(*[st.integers(0, 99)] * 3).map(lambda parts: ".".join(map(str, parts)))


@pytest.mark.parametrize(
    ("version", "constraint", "expected"),
    [
        pytest.param("1.11.4", "1.11.4", True, id="bare-is-exact"),
        pytest.param("1.11.4", "= 1.11", False, id="exact-fills-with-zero"),
        pytest.param("1.11.0", "= 1.11", True, id="exact-two-parts"),
        pytest.param("1.11.4", "!= 1.11.4", False, id="not-equal"),
        pytest.param("1.11.4", ">= 1.9, < 2", True, id="all-terms"),
        pytest.param("2.0.0", ">= 1.9, < 2", False, id="one-term-fails"),
        pytest.param("1.99.0", "~> 1.11", True, id="pessimistic-minor"),
        pytest.param("2.0.0", "~> 1.11", False, id="pessimistic-minor-ends"),
        pytest.param("1.11.9", "~> 1.11.4", True, id="pessimistic-patch"),
        pytest.param("1.12.0", "~> 1.11.4", False, id="pessimistic-patch-ends"),
        pytest.param("1.11.3", "~>1.11.4", False, id="pessimistic-begins"),
        pytest.param("1.9.0", "~> 1", True, id="pessimistic-major"),
        pytest.param("1.10.0", "> 1.9", True, id="numbers-not-text"),
        pytest.param("v1.11.4", ">= v1.11", True, id="leading-v"),
        pytest.param("1.12.0-beta1", ">= 1.9", False, id="pre-release-only-by-name"),
        pytest.param("1.12.0-beta1", "1.12.0-beta1", True, id="pre-release-exact"),
        pytest.param("1.12.0-beta2", ">= 1.12.0-beta1", True, id="pre-release-with-pre-release"),
        pytest.param("1.12.0", ">= 1.12.0-beta1", True, id="release-after-pre-release"),
        pytest.param("unknown", "< 2", False, id="no-version-meets-nothing"),
        pytest.param("unknown", "!= 2", False, id="no-version-is-not-even-unequal"),
        pytest.param("9" * 5000, "> 1", False, id="endless-version"),
    ],
)
def test_a_version_meets_a_constraint_as_in_terraform(version: str, constraint: str, expected: bool) -> None:
    assert satisfies(version, constraint) is expected


@pytest.mark.parametrize(
    "constraint",
    ["", "latest", ">= 1.9,", "=> 1", "1.2.3.4", "1.x", ">= 1 < 2", "9" * 5000, "> ١.٢", "1.0-" + "a" * 99],
)
def test_what_is_no_constraint_is_refused_by_field(constraint: str) -> None:
    with pytest.raises(InvalidError) as refused:
        satisfies("1.11.4", constraint, field="spec.engine.version")
    assert refused.value.field == "spec.engine.version"
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param("1.12.0", "1.11.4", True, id="newer"),
        pytest.param("1.11.4", "1.11.4", False, id="same"),
        pytest.param("1.9.0", "1.10.0", False, id="numbers-not-text"),
        pytest.param("1.12.0", "1.12.0-rc1", True, id="release-over-candidate"),
        pytest.param("1.12.0-rc1", "1.12.0-beta3", True, id="candidate-over-beta"),
        pytest.param("1.12.0-beta10", "1.12.0-beta9", True, id="tenth-beta-over-ninth"),
        pytest.param("0.0.0", "", True, id="anything-over-none"),
        pytest.param("nonsense", "0.0.1", False, id="nonsense-is-oldest"),
    ],
)
def test_newer(one: str, other: str, expected: bool) -> None:
    assert is_newer(one, other) is expected


@given(VERSIONS, VERSIONS)
def test_newer_agrees_with_the_constraints(one: str, other: str) -> None:
    assert is_newer(one, other) is satisfies(one, f"> {other}")
    assert is_newer(one, other) is not satisfies(one, f"<= {other}")


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_answered_or_refused(version: str, constraint: str) -> None:
    try:
        satisfies(version, constraint)
    except InvalidError:
        assert not constraint.startswith(">= 1.9")
