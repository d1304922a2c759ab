"""Owns showing, once in a pass and while it runs, what it waits for: an event, and the condition Reconciling."""

import asyncio
import logging

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.meta import ObjectRef
from setpoint.api.target import Target, TargetStatus
from setpoint.domain.errors import SetpointError
from setpoint.domain.model import ResourceProgress
from setpoint.pipeline.draft import StatusDraft
from setpoint.pipeline.stored import StoredStatus
from setpoint.ports import Clock, EventRecorder

_LONG = 45.0
"""Seconds of a wait that people should hear of."""
_LOGGER = logging.getLogger(__name__)


class WaitShow:
    """Shows the progress of one pass; nothing but that condition is moved."""

    def __init__(self, stored: StoredStatus, recorder: EventRecorder, clock: Clock, ref: ObjectRef) -> None:
        self._stored = stored
        self._recorder = recorder
        self._clock = clock
        self._ref = ref
        self._writing: asyncio.Task[None] | None = None

    def on_progress(self, step: ResourceProgress) -> None:
        """Shows the first long wait."""
        if step.state != "waiting" or step.seconds < _LONG or self._writing is not None:
            return
        message = f"waiting for {step.address} for {step.seconds:.0f} s"
        self._recorder.event(self._ref, "Warning", Reason.PROVIDER_SILENT, message)
        self._writing = asyncio.create_task(self._write(message))

    async def end(self) -> None:
        """Waits until what was begun is written: the end of the pass is written over it."""
        if self._writing is not None:
            await asyncio.wait({self._writing})

    async def _write(self, message: str) -> None:
        def waiting(target: Target) -> TargetStatus:
            draft = StatusDraft(target, self._clock.now())
            draft.condition(ConditionType.RECONCILING, "True", Reason.PROVIDER_SILENT, message)
            return draft.status

        try:
            await self._stored.amend(waiting)
        except SetpointError as error:
            _LOGGER.warning("what %s waits for could not be shown: %s", self._ref, error.message)
