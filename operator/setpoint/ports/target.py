"""Owns the ports for what differs between kinds of target. Declarations only."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from setpoint.api.conditions import Reason
from setpoint.api.meta import ObjectRef
from setpoint.api.target import Target
from setpoint.domain.gating import GateDecision
from setpoint.domain.goals import Goal
from setpoint.domain.model import (
    Applying,
    Captured,
    Change,
    Configuration,
    Observation,
    Outcome,
    Plan,
    ResetPlan,
    ResourceProgress,
    Review,
    Run,
    Snapshot,
    Verification,
)

OnProgress = Callable[[ResourceProgress], None]
"""Hears of each step, in the order in which they come."""


@dataclasses.dataclass(frozen=True, slots=True)
class Notice:
    """Something that people should hear of, beside how a step ended."""

    reason: Reason
    text: str


class Journal(Protocol):
    """The record of an apply whose effect comes in stages."""

    async def intent(self, stage: str) -> None:
        """Writes down that a stage, of at most 63 characters, begins: awaited before its effect.

        It is durable when this returns. Said again of the stage that was said last, it changes nothing.
        """
        ...


class TargetSession(Protocol):
    """The one thing that differs between kinds of target: the I/O steps of one pass."""

    async def observe(self) -> Observation:
        """Reads the actual state with read-only credentials and compares it with the goal.

        Asked again in one pass, it also says in `moved` how its content differs from that of the time before.
        """
        ...

    async def plan(self, observation: Observation) -> Plan:
        """The answer to an observation: the exact change, unless there is none, or none can help."""
        ...

    async def capture(self, configuration: Configuration | None) -> Captured:
        """Everything that a reset to what is now under this configuration needs, sealed; None: nothing was applied."""
        ...

    async def plan_reset(self, change: Change | None, snapshot: Snapshot | None) -> ResetPlan:
        """The reset plan of a change, drilled; None and None: of all that is there, back to nothing."""
        ...

    @property
    def shows_changes(self) -> bool:
        """True where Changes of this target are shown to people elsewhere: where False, the next two never act."""
        ...

    async def propose(self, decision: GateDecision, name: str) -> Review:
        """Shows the Change of that name where its people look, once: one that is shown is only looked after.

        Raises StalledError for a decision that does not permit it. Proposed again after it was withdrawn, it is shown
        anew: what people did to what was shown before says nothing of it.
        """
        ...

    async def withdraw(self, name: str) -> None:
        """Ends what is shown of a Change that is no more; nothing is done where nothing of it is shown."""
        ...

    async def apply(self, decision: GateDecision, journal: Journal) -> Outcome:
        """Executes what was decided, and nothing else. Raises ConflictError where the base moved.

        Where it succeeds, it also ends what `propose` showed of the Change. One whose effect comes later is accepted:
        it goes on by `resume` in later passes, whose goal is CONTINUE, and each of its stages is in the journal first.
        """
        ...

    async def resume(self, applying: Applying, journal: Journal) -> Outcome:
        """Says what an accepted apply came to, and takes it further: without an observation, plan or gate before it.

        Where the goal says `back`, it goes back as far as it can, and has failed once it did. The manager may have died
        before or after the effect of the stage: that is found out here.
        """
        ...

    def outcome_recorded(self) -> None:
        """The apply's outcome is on record: its traces may go."""
        ...

    def take_notices(self) -> tuple[Notice, ...]:
        """The notices for people since this was last asked: what was put right where Setpoint works."""
        ...

    async def verify(self, change: Change | None) -> Verification:
        """A second observation, after a change was applied; None: of the health alone, as seen from outside."""
        ...

    async def configuration(self) -> Configuration:
        """The configuration that this pass holds the target to, for the record."""
        ...

    async def publish(self, *, at_setpoint: bool) -> bool:
        """Ends each pass that observed: hands out what the target produces; True where something was written."""
        ...


class TargetDriver(Protocol):
    """Opens sessions. A new kind of target is a new driver, never a second pipeline."""

    @property
    def kind(self) -> type[Target]:
        """The kind of target that it drives."""
        ...

    @property
    def inputs(self) -> frozenset[str]:
        """The fields of a policy's input that this kind alone has, as dotted paths such as `document.files`."""
        ...

    async def abandoned(self) -> Collection[Run]:
        """The runs of ended managers that left anything: a trace, a lock. Their outcomes may be on record already."""
        ...

    async def recover(self, runs: Collection[Run]) -> Mapping[str, Outcome]:
        """The outcomes of these runs of an ended manager, by their id, once they go on no more.

        One that is left out is in doubt, as where it may still go on on another machine: its target has to wait.
        """
        ...

    async def recorded(self, runs: Collection[Run]) -> None:
        """Notes that what `recover` said of these runs is durable: their traces and locks may go."""
        ...

    async def references(self) -> frozenset[str]:
        """The sealed blobs that must be kept for targets of this kind, beside those that objects name."""
        ...

    async def holdings(self, ref: ObjectRef) -> tuple[str, ...]:
        """The names of what stays where a target is released, as people may see them; empty: nothing was made."""
        ...

    def session(
        self, target: Any, goal: Goal, run: str, progress: OnProgress
    ) -> AbstractAsyncContextManager[TargetSession]:
        """Waits for the target, one of that kind, and holds it for one pass.

        `run` is the id of what the pass applies, in letters and digits: each trace, lock and state of it bears it.
        """
        ...
