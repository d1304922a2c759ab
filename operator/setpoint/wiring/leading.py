"""Owns what a replica does with a shard that it leads: recovery, what is stale, work, and its end in time."""

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator

from setpoint.domain.audit import Verdict
from setpoint.domain.errors import SetpointError
from setpoint.domain.sharding import Shard
from setpoint.runtime.manager import Manager, Runnable, ends_within, first_of
from setpoint.runtime.terms import Term, Terms
from setpoint.wiring.cluster import ClusterBackends
from setpoint.wiring.resync import Resync
from setpoint.wiring.services import Services
from setpoint.wiring.work import Work

_LOGGER = logging.getLogger(__name__)

KILL_SECONDS = 20.0
"""How long a run that was interrupted, since its leader was paused or dead, may take to end by itself."""
_RETRY_SECONDS = 2.0


class Leading:
    """Leads shards, each for one term after another."""

    def __init__(self, backends: ClusterBackends, services: Services, terms: Terms, work: Work, resync: Resync) -> None:
        self._backends = backends
        self._services = services
        self._terms = terms
        self._work = work
        self._resync = resync

    async def lead(self, shard: Shard, stop: asyncio.Event) -> None:
        """A term, until `stop`, a cancellation, or the refusal of what it writes, since another has begun."""
        try:
            term = Term(shard, await self._backends.fences.acquire(str(shard)))
        except SetpointError as error:
            await _pause(error, stop)
            return
        self._work.expect(shard)
        with self._terms.standing(term):
            try:
                runnables = [*await self._begin(term), *self._beside(term)]
            except SetpointError as error:
                await _pause(error, stop)
                return
            async with self._ending(term):
                await _run_until(stop, term, Manager(runnables))
        if term.deposed.is_set():
            _LOGGER.warning(
                "Term %d was ended by another's; where the Lease is still ours, a new one begins", term.fence.epoch
            )

    async def _begin(self, term: Term) -> list[Runnable]:
        """Settles what an earlier term left, and queues what is stale; returns what is to be done later."""
        recovery = self._services.recovery(lingering=KILL_SECONDS if self._backends.shared else 0.0)
        in_doubt = await recovery.run(term.shard.__contains__)
        self._work.wake(term.admit(but=in_doubt))
        first = Runnable("first list", functools.partial(self._resync.enqueue_first, term.shard, in_doubt), finite=True)
        if not in_doubt:
            return [first]
        _LOGGER.warning("An earlier leader's runs may still go on, they are waited for: %s", ", ".join(in_doubt))
        due = asyncio.get_running_loop().time() + KILL_SECONDS

        async def settle(ended: asyncio.Event) -> None:
            left, seconds = in_doubt, due - asyncio.get_running_loop().time()
            while left and not await ends_within(ended, seconds):
                # Nothing of an earlier leader can run any more, on any machine.
                left, seconds = await recovery.run(left.__contains__), _RETRY_SECONDS
                self._work.wake(term.admit(but=left))

        return [first, Runnable("in doubt", settle, restart=True, finite=True)]

    def _beside(self, term: Term) -> list[Runnable]:
        """The work that one leader does for all."""
        if term.shard.index:
            return []
        return [self._work.retention(), Runnable("audit", self._check_audit, restart=True, finite=True)]

    async def _check_audit(self, _ended: asyncio.Event) -> None:
        """Beside the work: a long trail must not keep it waiting."""
        verdict = (await self._backends.audit.verify()).verdict
        self._services.metrics.set_audit_chain_ok(verdict is Verdict.INTACT)

    @contextlib.asynccontextmanager
    async def _ending(self, term: Term) -> AsyncIterator[None]:
        """Lets what runs end by itself; cancelled, as where the Lease is lost, all of it ends at once."""
        try:
            yield
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._services.settings.drain_seconds):
                    await term.drain()
        finally:
            await term.cut()
            self._work.leave(term.shard)


async def _run_until(stop: asyncio.Event, term: Term, manager: Manager) -> None:
    """Runs it until the stop, or until the term is over anyway; a cancellation stops it hard."""
    running = asyncio.ensure_future(manager.run())
    closing = asyncio.create_task(_close(stop, term, manager))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        manager.stop_now()
        await asyncio.wait({running})
        raise
    finally:
        closing.cancel()


async def _close(stop: asyncio.Event, term: Term, manager: Manager) -> None:
    await first_of(stop, term.deposed)
    term.close()
    manager.stop()


async def _pause(error: SetpointError, stop: asyncio.Event) -> None:
    _LOGGER.warning("Can't begin to work: %s", error.message)
    await ends_within(stop, _RETRY_SECONDS)
