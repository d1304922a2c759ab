"""Owns the values that commands show: read-only protocols, which the dataclasses of `setpoint.wiring` fulfil."""
# ruff: noqa: D102 the docstrings of the classes say what their fields are

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from setpoint.api.meta import ObjectRef
    from setpoint.api.v1alpha1.change import ActionSummary, ChangeSummary, GateResult, ResetPlanSummary
    from setpoint.domain.shown_content import ShownContent


class PlanReport(Protocol):
    """The changes to be made and why. `cause` is None at the setpoint; `error` says why nothing could be planned.

    `findings` counts differences by drift class; `actions` are all of them, `summary` holds the counts. `content` is
    what may be shown of the values.
    """

    @property
    def target(self) -> ObjectRef: ...
    @property
    def cause(self) -> str | None: ...
    @property
    def summary(self) -> ChangeSummary: ...
    @property
    def actions(self) -> Sequence[ActionSummary]: ...
    @property
    def content(self) -> ShownContent | None: ...
    @property
    def reset_plan(self) -> ResetPlanSummary | None: ...
    @property
    def gates(self) -> Sequence[GateResult]: ...
    @property
    def approvals_required(self) -> int: ...
    @property
    def subject(self) -> str: ...
    @property
    def findings(self) -> Mapping[str, int]: ...
    @property
    def warnings(self) -> Sequence[str]: ...
    @property
    def notes(self) -> Sequence[str]: ...
    @property
    def error(self) -> str: ...


class VerifyReport(Protocol):
    """The verdict on the trail: is it what was written? `first_bad` is the number of the first row that is not.

    `erased` rows have lost their payload, as they may; `unsealed` ones are from before rows were sealed. `remedy` is
    what to do where nothing is applied on it.
    """

    @property
    def status(self) -> Literal["intact", "tampered", "unverifiable"]: ...
    @property
    def rows(self) -> int: ...
    @property
    def first_bad(self) -> int | None: ...
    @property
    def message(self) -> str: ...
    @property
    def erased(self) -> int: ...
    @property
    def unsealed(self) -> int: ...
    @property
    def remedy(self) -> str: ...


class Check(Protocol):
    """One thing that this machine must have, or, where it is not `needed`, may; `remedy` says how to get it."""

    @property
    def name(self) -> str: ...
    @property
    def ok(self) -> bool: ...
    @property
    def detail(self) -> str: ...
    @property
    def remedy(self) -> str: ...
    @property
    def needed(self) -> bool: ...


class TargetReport(Protocol):
    """How one target rests. `change` names the Change that waits, if any."""

    @property
    def ref(self) -> ObjectRef: ...
    @property
    def state(self) -> Literal["at the setpoint", "held", "released", "needs attention", "failed"]: ...
    @property
    def reason(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def change(self) -> str | None: ...


class RunReport(Protocol):
    """The end of a run of the manager. Manifest errors are shown with `str`.

    `store` says why nothing is applied on the store as it is, and what to do; empty where nothing is in the way.
    """

    @property
    def targets(self) -> Sequence[TargetReport]: ...
    @property
    def manifest_errors(self) -> Sequence[object]: ...
    @property
    def store(self) -> str: ...
