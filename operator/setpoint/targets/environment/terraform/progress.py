"""Owns telling people what a run does while it does it: the steps of an apply, and what a plan waits for."""

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from setpoint.domain.model import ResourceProgress
from setpoint.ports import OnProgress
from setpoint.targets.environment.plan.orphans import ApplyAccount
from setpoint.targets.environment.plan.stream import read_line, read_stream, waits_in
from setpoint.targets.environment.terraform.finishing import finish

_EVERY = 30.0
"""Seconds between two readings of a plan's stream. Most plans are done before the first."""
_LOGGER = logging.getLogger(__name__)

pause = asyncio.sleep
"""The wait between two readings; a test ends it when it wants to."""


class Listener:
    """Reads the lines of an apply. Whoever is told of progress can't break the apply."""

    def __init__(
        self,
        account: ApplyAccount,
        seen: list[ResourceProgress],
        progress: OnProgress,
        show: Callable[[str], str],
    ) -> None:
        self._account = account
        self._seen = seen
        self._progress = progress
        self._show = show

    def __call__(self, line: bytes) -> None:
        """One line, without its end."""
        if not line.strip():
            return
        step = self._account.add(read_line(line))
        if step is None:
            return
        step = dataclasses.replace(step, address=self._show(step.address), id="")
        self._seen.append(step)
        try:
            self._progress(step)
        except Exception:
            _LOGGER.exception("the progress of an apply could not be told")


@contextlib.asynccontextmanager
async def reporting_waits(stream: Path, on_progress: OnProgress) -> AsyncIterator[None]:
    """Tells now and then what the plan that writes this stream has waited for longest."""
    task = asyncio.create_task(_report(stream, on_progress))
    try:
        yield
    finally:
        task.cancel()
        await finish(task)


async def _report(stream: Path, on_progress: OnProgress) -> None:
    while True:
        await pause(_EVERY)
        try:
            waits = waits_in(read_stream(await asyncio.to_thread(stream.read_bytes)), time.time())
            if waits:
                on_progress(waits[0])
        except Exception:
            # A failure to tell can't break the plan.
            _LOGGER.exception("what a plan waits for could not be told")
