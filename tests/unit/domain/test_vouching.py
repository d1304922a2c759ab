"""Approvals of a local home of which the trail tells."""

import dataclasses
from typing import Any

import pytest
from tests.fakes.examples import example

from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1.approval import Approval
from setpoint.domain.audit import AuditEntry, AuditRow, Phase
from setpoint.domain.reading import parse
from setpoint.domain.vouching import is_recorded

SUBJECT, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
AT = "2026-01-01T00:00:05.000000Z"


def approval(**spec: Any) -> Approval:
    given = {"changeRef": {"name": "shop-1"}, "subject": SUBJECT, "verdict": "Approved", "approver": "ada", **spec}
    made = example("Approval", name="shop-1-ada", reason="because", **given)
    made["metadata"]["creationTimestamp"] = "2026-01-01T00:00:05Z"
    return parse(Approval, made)


ENTRY = AuditEntry(
    "approve",
    Phase.FACT,
    "ada",
    ObjectRef("Environment", "default", "shop"),
    result="shop-1",
    digests={"subject": SUBJECT},
    payload={"approval": "shop-1-ada", "reason": "because"},
)


def row(*, vouched: bool = True, at: str = AT, **changes: Any) -> AuditRow:
    return AuditRow(1, at, dataclasses.replace(ENTRY, **changes), b"", b"", b"", b"", vouched)


def test_an_approval_with_its_row_counts() -> None:
    assert is_recorded(approval(), [row(action="apply"), row()])


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([], id="no row"),
        pytest.param([row(vouched=False)], id="a row without this home's seal"),
        pytest.param([row(action="reject")], id="a rejection"),
        pytest.param([row(phase=Phase.INTENT)], id="an intent"),
        pytest.param([row(actor="bob")], id="another person's"),
        pytest.param([row(result="shop-2")], id="of another Change"),
        pytest.param([row(digests={"subject": OTHER})], id="of another subject"),
        pytest.param([row(digests={})], id="of no subject"),
        pytest.param([row(payload={"approval": "shop-1-ada-2"})], id="of another object"),
        pytest.param([row(payload=None)], id="erased"),
        pytest.param([row(at="2025-12-31T23:00:00.000000Z")], id="given long before the object says so"),
        pytest.param([row(at="yesterday")], id="of an unreadable time"),
    ],
)
def test_an_approval_without_its_own_row_does_not(rows: list[AuditRow]) -> None:
    assert not is_recorded(approval(), rows)


@pytest.mark.parametrize(
    ("written", "recorded", "counts"),
    [(["a"], ["a"], True), ([], [], True), (["a"], [], False), (["a", "b"], ["a"], False), ([], ["a"], False)],
)
def test_what_it_overrides_is_what_was_recorded(written: list[str], recorded: list[str], counts: bool) -> None:
    payload = {"approval": "shop-1-ada", "overrides": recorded}
    assert is_recorded(approval(overrides=written), [row(payload=payload)]) is counts


@pytest.mark.parametrize(("written", "recorded"), [(True, True), (False, False), (True, False), (False, True)])
def test_an_acceptance_is_what_was_recorded(written: bool, recorded: bool) -> None:
    payload = {"approval": "shop-1-ada", **({"acceptUndrilled": True} if recorded else {})}
    assert is_recorded(approval(acceptUndrilled=written), [row(payload=payload)]) is (written == recorded)


def test_a_rejection_needs_no_row() -> None:
    assert is_recorded(approval(verdict="Rejected"), [])
