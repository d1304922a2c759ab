"""Owns looking again and again at whether the store still is the one that was opened, while a manager runs on it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from setpoint.domain.errors import StoreError, StoreMovedError, StoreSetBackError
from setpoint.ports import AuditLog
from setpoint.runtime.manager import ends_within

_LOGGER = logging.getLogger(__name__)

STORE_SECONDS = 5.0
"""Between two checks. Each apply checks by itself."""


async def _nothing() -> None:
    """Does nothing: nothing waits for the store."""


class StoreWatch:
    """Says once why nothing is applied, and when it is again; ends the manager where the files are gone."""

    def __init__(
        self, trail: AuditLog, *, on_standing: Callable[[], Awaitable[object]] = _nothing, quiet: bool = False
    ) -> None:
        """`on_standing` is called when something may be applied again. `quiet`: somebody else says `problem`."""
        self._trail = trail
        self._on_standing = on_standing
        self._quiet = quiet
        self.problem = ""

    async def run(self, ended: asyncio.Event) -> None:
        """Until the end. Raises StoreMovedError."""
        while True:
            before, self.problem = self.problem, await self._ask()
            if self.problem and self.problem != before and not self._quiet:
                _LOGGER.error("%s", self.problem)
            if before and not self.problem:
                _LOGGER.warning("the store is the one that was accepted: what waited for it goes on")
                await self._on_standing()
            if await ends_within(ended, STORE_SECONDS):
                return

    async def _ask(self) -> str:
        try:
            await self._trail.require_standing()
        except StoreMovedError:
            raise
        except (StoreSetBackError, StoreError) as error:
            return error.message
        return ""
