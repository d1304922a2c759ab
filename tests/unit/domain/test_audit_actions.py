"""The vocabulary of the trail: a row that is in a trail by now reads as one that is written today."""

import ast
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.examples import example

import setpoint
from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1.approval import ApprovalSpec
from setpoint.api.v1alpha1.change import Change
from setpoint.domain import audit_actions
from setpoint.domain.audit import AuditEntry, Phase
from setpoint.domain.audit import draft as write
from setpoint.domain.reading import parse

SHOP = ObjectRef("Environment", "default", "shop")
SPEC = parse(Change, example("Change", name="shop-1")).spec
APPROVED = {"content": SPEC.digest, "subject": SPEC.subject}
ALL = {**APPROVED, "resetPlan": SPEC.reset_plan.digest}
INTENT = AuditEntry("apply", Phase.INTENT, "setpoint", SHOP, run="run-1", digests=ALL, payload={"change": "shop-1"})


def said(**fields: Any) -> ApprovalSpec:
    given = {"changeRef": {"name": "shop-1"}, "subject": SPEC.subject, "verdict": "Approved", "approver": "ada"}
    return ApprovalSpec.model_validate({**given, **fields})


def word(*, unseen: bool = False, **fields: Any) -> AuditEntry:
    return audit_actions.opinion(SHOP, "shop-1", SPEC, approval="shop-1-ada", said=said(**fields), unseen=unseen)


def row(action: str, phase: str, actor: str, **fields: Any) -> dict[str, Any]:
    return {"action": action, "phase": phase, "actor": actor, **fields}


ROWS = [
    (
        audit_actions.change_created(SHOP, "shop-1", SPEC),
        row("change.create", "fact", "setpoint", result="shop-1", digests=ALL),
    ),
    (
        audit_actions.undrilled_accepted(SHOP, "shop-1", SPEC, who="ada", why="ok"),
        row("accept-undrilled", "fact", "ada", result="shop-1", digests=ALL)
        | {"payload": {"reason": "ok", "drill": SPEC.reset_plan.message}},
    ),
    (
        audit_actions.apply_intended(SHOP, "shop-1", SPEC, run="run-1", approved_by=("bob", "ada")),
        row("apply", "intent", "setpoint", run="run-1", digests=ALL)
        | {"payload": {"change": "shop-1", "approvedBy": ["ada", "bob"]}},
    ),
    (
        audit_actions.apply_ended(
            SHOP, SPEC.subject, run="run-1", result="Failed", completed=("a.b",), orphans=("a.c",)
        ),
        row("apply", "outcome", "setpoint", run="run-1", result="Failed", digests={"subject": SPEC.subject})
        | {"payload": {"completed": ["a.b"], "orphans": ["a.c"]}},
    ),
    (
        audit_actions.interrupted(INTENT, message="it ended", orphans=("a.c",)),
        row("apply", "outcome", "setpoint", run="run-1", result="Interrupted", digests=ALL)
        | {"payload": {"message": "it ended", "orphans": ["a.c"]}},
    ),
    (
        audit_actions.proposal_intended(SHOP, "shop-1", SPEC, run="run-1"),
        row("propose", "intent", "setpoint", run="run-1", digests=ALL, payload={"change": "shop-1"}),
    ),
    (
        audit_actions.proposal_ended(SHOP, "shop-1", SPEC.subject, run="run-1", result="Succeeded", where="url"),
        row("propose", "outcome", "setpoint", run="run-1", result="Succeeded", digests={"subject": SPEC.subject})
        | {"payload": {"change": "shop-1", "where": "url"}},
    ),
    (
        audit_actions.declined(SHOP, "shop-1", SPEC, who="bob", why="no", where="url"),
        row("decline", "fact", "bob", result="shop-1", digests=ALL, payload={"reason": "no", "where": "url"}),
    ),
    (
        audit_actions.carried_out(SHOP, "shop-1", SPEC, who="bob", evidence="url", ungated=True),
        row("carry-out", "outcome", "bob", result="shop-1", digests=ALL)
        | {"payload": {"evidence": "url", "ungated": True}},
    ),
    (
        audit_actions.withdrawn(SHOP, "shop-1", SPEC, where="url"),
        row("withdraw", "fact", "setpoint", result="shop-1", digests=ALL, payload={"where": "url"}),
    ),
    (
        audit_actions.snapshot_taken(SHOP, "shop-snap-1", SPEC.digest),
        row("snapshot", "fact", "setpoint", result="shop-snap-1", digests={"snapshot": SPEC.digest}),
    ),
    (
        audit_actions.snapshot_pruned(SHOP, "shop-snap-1"),
        row("snapshot.prune", "fact", "setpoint", result="shop-snap-1"),
    ),
    (audit_actions.destroyed(SHOP), row("destroy", "fact", "setpoint")),
    (
        audit_actions.released(SHOP, [f"a.{n}" for n in range(1001)]),
        row("release", "fact", "setpoint", payload={"stays": [f"a.{n}" for n in range(1000)], "count": 1001}),
    ),
    (word(), row("approve", "fact", "ada", result="shop-1", digests=APPROVED, payload={"approval": "shop-1-ada"})),
    (
        word(reason="ok", overrides=["cost"], acceptUndrilled=True, unseen=True),
        row("approve", "fact", "ada", result="shop-1", digests=APPROVED)
        | {
            "payload": {
                "approval": "shop-1-ada",
                "reason": "ok",
                "overrides": ["cost"],
                "acceptUndrilled": True,
                "unseen": True,
            }
        },
    ),
    (
        word(verdict="Rejected", reason="no"),
        row("reject", "fact", "ada", result="shop-1", digests=APPROVED)
        | {"payload": {"approval": "shop-1-ada", "reason": "no"}},
    ),
    (
        audit_actions.reset_asked(
            SHOP, "shop-reset-1", who="ada", why="back", snapshot="shop-snap-1", digest=SPEC.digest
        ),
        row("reset", "fact", "ada", result="shop-snap-1", digests={"snapshot": SPEC.digest})
        | {"payload": {"reset": "shop-reset-1", "reason": "back"}},
    ),
    (audit_actions.wished(SHOP, "suspend", "ada"), row("suspend", "fact", "ada")),
    (audit_actions.state_imported(SHOP, "ada"), row("import-state", "fact", "user:ada")),
    (
        audit_actions.store_accepted("ada", why="moved", found="it is older"),
        row("store.accept", "fact", "ada", payload={"reason": "moved", "found": "it is older"}),
    ),
]


@pytest.mark.parametrize(("entry", "expected"), ROWS, ids=[f"{entry.action}-{entry.phase}" for entry, _ in ROWS])
def test_a_row_says_what_rows_of_its_action_always_said(entry: AuditEntry, expected: dict[str, Any]) -> None:
    written = write(entry, at="2026-01-01T00:00:00.000000Z", salt=bytes(16))
    header = json.loads(written.header)
    header |= {"payload": json.loads(written.body)} if written.body is not None else {}
    target = {} if entry.action == "store.accept" else {"target": dataclasses.asdict(SHOP)}
    assert header == {"at": "2026-01-01T00:00:00.000000Z", "v": "1", **target, **expected}


def test_an_approval_is_told_from_everything_else() -> None:
    told = {entry.action for entry, _ in ROWS if audit_actions.is_approval(entry)}
    assert told == {"approve"}


def test_what_is_about_to_be_shown_is_told_from_an_apply() -> None:
    told = [(entry.action, entry.phase) for entry, _ in ROWS if audit_actions.is_proposal(entry)]
    assert told == [("propose", Phase.INTENT)]
    assert not any(audit_actions.is_begun_apply(entry, SHOP) for entry, _ in ROWS if entry.action != "apply")


def test_rows_are_made_in_the_vocabulary_alone() -> None:
    package = Path(setpoint.__file__).parent
    homes = {"audit.py", "audit_actions.py"}
    makers = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if not (path.parent.name == "domain" and path.name in homes) and _makes_an_entry(path)
    }
    assert makers == set()


def _makes_an_entry(path: Path) -> bool:
    calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return any(getattr(func, "id", getattr(func, "attr", "")) == "AuditEntry" for func in calls)
