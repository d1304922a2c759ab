"""Owns an apply whose effect comes in stages: sent off, carried out a pass later, and over a pass after that."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

from setpoint.domain.goals import Goal
from setpoint.domain.model import Applying, Outcome, Result


@dataclasses.dataclass
class Stages:
    """The effects of the stages, in their order, as `run stage`; what was sent off; and what tests want to happen."""

    effects: list[str] = dataclasses.field(default_factory=list)
    sent: dict[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    wake_at: dt.datetime | None = None
    at_once: bool = False
    """Nothing is accepted: applies end in the pass that begins them."""
    declined: str = ""
    fails: Exception | None = None
    again_at: dt.datetime | None = None
    """It is too early to verify before then; None: it never is."""
    verified: int = 0


class InStages:
    """The part of a session whose applies are accepted, where its world is slow."""

    _world: Any
    _goal: Goal
    _run: str

    async def send(self, wanted: Mapping[str, str], journal: Any) -> Outcome:
        """Sends an apply off."""
        await journal.intent("send")
        self._world.stages.sent[self._run] = dict(wanted)
        return self._accepted("send")

    async def resume(self, applying: Applying, journal: Any) -> Outcome:
        stages = self._world.stages
        if stages.fails:
            raise stages.fails
        if applying.stage == "send" and applying.run not in stages.sent:
            return Outcome(Result.INTERRUPTED, "it was never sent off")
        if stages.declined and applying.stage == "send":
            return Outcome(Result.FAILED, f"declined by {stages.declined}", declined=True)
        if applying.stage == "recall" or (self._goal.back and applying.stage == "send"):
            await journal.intent("recall")
            self._do("recall")
            return Outcome(Result.FAILED, "taken back")
        if applying.stage == "send":
            await journal.intent("settle")
            self._settle()
            return self._accepted("settle")
        self._settle()
        return Outcome(Result.SUCCEEDED, "", completed=tuple(sorted(stages.sent[self._run])))

    def _settle(self) -> None:
        if self._do("settle"):
            self._world.actual = dict(self._world.stages.sent[self._run])

    def _do(self, stage: str) -> bool:
        """An effect, unless it is there already: the manager may have been killed right after it."""
        effect = f"{self._run} {stage}"
        new = effect not in self._world.stages.effects
        self._world.stages.effects += [effect] * new
        return new

    def _accepted(self, stage: str) -> Outcome:
        self._do(stage)
        return Outcome(Result.ACCEPTED, "", stage=stage, wake_at=self._world.stages.wake_at)
