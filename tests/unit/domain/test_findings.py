"""Findings that no Change can put right, and which of them count."""

import dataclasses

import pytest

from setpoint.domain.findings import DriftClass, Finding, beyond_mending, not_conforming

FIXED = Finding("repo.web", DriftClass.ACTIONABLE, "update", ("visibility",), mendable=False)


@pytest.mark.parametrize("drift_class", [DriftClass.ACTIONABLE, DriftClass.PENDING, DriftClass.CASCADE])
def test_what_can_not_be_mended_counts(drift_class: DriftClass) -> None:
    found = dataclasses.replace(FIXED, drift_class=drift_class)
    assert beyond_mending([found]) == (found,)


@pytest.mark.parametrize("field", [{"mendable": True}, {"ignored": True}, {"drift_class": DriftClass.INFORMATIONAL}])
def test_what_can_be_mended_is_ignored_or_only_told_does_not(field: dict) -> None:
    assert beyond_mending([dataclasses.replace(FIXED, **field)]) == ()


def test_the_worst_are_named_first_with_the_rules_that_they_break() -> None:
    found = [
        FIXED,
        Finding("owners", DriftClass.PENDING, "update", mendable=False, rule="two-owners", severity="low"),
        Finding("branch", DriftClass.PENDING, "update", mendable=False, rule="protected", severity="critical"),
    ]
    message = not_conforming(beyond_mending(found))
    assert message.startswith("no Change can mend branch (protected), owners (two-owners), repo.web: mend it")
