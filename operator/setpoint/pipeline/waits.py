"""Owns showing, once in a pass and while it runs, what it waits for: an event, and the condition Reconciling."""

import asyncio
import logging

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.v1alpha1.environment import Environment
from setpoint.domain.errors import SetpointError
from setpoint.domain.model import ResourceProgress
from setpoint.pipeline.draft import StatusDraft
from setpoint.ports import Clock, ClusterClient, EventRecorder
from setpoint.runtime.status import write_status

_LONG = 45.0
"""Seconds of a wait that people should hear of."""
_LOGGER = logging.getLogger(__name__)


class WaitShow:
    """Hears the progress of one pass. `environment` is as it was read: nothing else of its status is moved."""

    def __init__(self, cluster: ClusterClient, recorder: EventRecorder, clock: Clock, environment: Environment) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._clock = clock
        self._environment = environment
        self._writing: asyncio.Task[None] | None = None

    @property
    def wrote(self) -> bool:
        """True where the status is no longer as it was read."""
        return self._writing is not None

    def hear(self, step: ResourceProgress) -> None:
        """Shows the first long wait."""
        if step.state != "waiting" or step.seconds < _LONG or self._writing is not None:
            return
        message = f"waiting for {step.address} for {step.seconds:.0f} s"
        self._recorder.event(self._environment.ref, "Warning", Reason.PROVIDER_SILENT, message)
        self._writing = asyncio.create_task(self._write(message))

    async def end(self) -> None:
        """Waits until what was begun is written: the end of the pass is written over it."""
        if self._writing is not None:
            await asyncio.wait({self._writing})

    async def _write(self, message: str) -> None:
        draft = StatusDraft(self._environment, self._clock.now())
        draft.condition(ConditionType.RECONCILING, "True", Reason.PROVIDER_SILENT, message)
        try:
            await write_status(self._cluster, self._environment.ref, draft.status.as_json())
        except SetpointError as error:
            _LOGGER.warning("what %s waits for could not be shown: %s", self._environment.ref, error.message)
