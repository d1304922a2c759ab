"""Wrong uses that the type checker has to find: `mypy` fails on a line below that is no error any more.

Nothing here is run. Each function is one mistake that a program would make only once somebody's target is changed.
"""

from setpoint.api.v1alpha1.change import Change
from setpoint.domain.findings import Finding
from setpoint.domain.model import Beyond, Observation, Proposal
from setpoint.pipeline.changes import ChangeRegister
from setpoint.pipeline.draft import StatusDraft
from setpoint.pipeline.passes import Pass, Planned
from setpoint.ports import Journal, TargetSession


def a_field_that_no_status_has(draft: StatusDraft) -> None:
    draft.set(faliures=1)  # type: ignore[call-arg]


def a_field_of_another_type(draft: StatusDraft) -> None:
    draft.set(failures="1")  # type: ignore[arg-type]


async def a_field_that_no_change_has(changes: ChangeRegister, change: Change) -> None:
    await changes.mark(change, runs="run-1")  # type: ignore[call-arg]


async def an_apply_of_what_no_gate_decided_on(session: TargetSession, proposal: Proposal, journal: Journal) -> None:
    await session.apply(proposal, journal)  # type: ignore[arg-type]


async def a_plan_taken_for_a_change(session: TargetSession, seen: Observation) -> Proposal:
    return await session.plan(seen)  # type: ignore[return-value]


def a_change_that_nothing_proposes(findings: tuple[Finding, ...]) -> Proposal:
    return Beyond(findings)  # type: ignore[return-value]


def a_step_that_is_undone(work: Pass, planned: Planned) -> None:
    planned.waits = False  # type: ignore[misc]
    work.session = None  # type: ignore[assignment, misc]
