"""The queue loses nothing and never hands one request to two workers, whatever the order of calls."""

import asyncio
import itertools

import looptime
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.soak import dear_examples

from setpoint.api.meta import ObjectRef
from setpoint.runtime.backoff import Backoff
from setpoint.runtime.requests import Request
from setpoint.runtime.workqueue import Priority, WorkQueue

REQUESTS = [Request(ObjectRef("Environment", "default", name)) for name in "abcd"]
requests = st.sampled_from(REQUESTS)
priorities = st.sampled_from(list(Priority))


class QueueMachine(RuleBasedStateMachine):
    """Compares the queue with a model: per request, the time at which it is due to be handed out."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = looptime.new_event_loop()
        self.queue = WorkQueue(backoff=Backoff(base=1, maximum=8, uniform=lambda: 1.0))
        self.due: dict[Request, float] = {}
        self.held: set[Request] = set()

    def teardown(self) -> None:
        self.run(self.close())
        self.loop.close()

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    async def close(self) -> None:
        self.queue.close()

    def expect(self, request: Request, delay: float) -> None:
        when = self.loop.time() + delay
        self.due[request] = min(when, self.due.get(request, when))

    @rule(request=requests, priority=priorities)
    def add(self, request: Request, priority: Priority) -> None:
        async def add() -> None:
            self.queue.add(request, priority)

        self.run(add())
        self.expect(request, 0)

    @rule(request=requests, priority=st.none() | priorities, delay=st.integers(1, 20))
    def add_after(self, request: Request, priority: Priority | None, delay: int) -> None:
        async def add() -> None:
            self.queue.add_after(request, delay, priority)

        self.run(add())
        self.expect(request, delay)

    @rule(request=requests)
    def add_rate_limited(self, request: Request) -> None:
        async def add() -> float:
            return self.queue.add_rate_limited(request)

        self.expect(request, self.run(add()))

    @rule(request=requests)
    def forget(self, request: Request) -> None:
        self.queue.forget(request)

    @rule(seconds=st.integers(1, 15))
    def wait(self, seconds: int) -> None:
        self.run(asyncio.sleep(seconds))

    @precondition(lambda self: len(self.queue))
    @rule()
    def take(self) -> None:
        request = self.run(self.queue.get())
        assert request not in self.held, "one request in two workers"
        assert self.due.pop(request) <= self.loop.time() + 1e-6, "handed out too early"
        self.held.add(request)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(sorted(self.held, key=lambda one: one.ref)))

        async def done() -> None:
            self.queue.done(request)

        self.run(done())
        self.held.remove(request)

    @invariant()
    def nothing_is_lost(self) -> None:
        now = self.loop.time()
        ready = {request for request, when in self.due.items() if when <= now - 1e-6 and request not in self.held}
        self.run(asyncio.sleep(0))
        waiting = set(itertools.chain.from_iterable(self.queue._ready.values()))
        assert ready <= waiting
        assert set(self.queue._processing) == self.held
        assert waiting | set(self.queue._dirty) | set(self.queue._delays._live) == set(self.due)

    @invariant()
    def idle_means_idle(self) -> None:
        self.run(asyncio.sleep(0))
        assert self.queue._idle.is_set() == (not len(self.queue) and not self.held)


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=dear_examples(60), stateful_step_count=30)
