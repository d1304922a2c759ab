"""The Secrets that there are, and those that moved: also after a watch was lost, and where nobody may look."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from setpoint.api.meta import JsonObject
from setpoint.domain.errors import ForbiddenError, GoneError, InvalidError, SetpointError, TransientError
from setpoint.ports import ObjectList, WatchEvent
from setpoint.wiring.secret_watch import SecretWatch

pytestmark = pytest.mark.looptime(start=0, end=100)


def secret(name: str) -> JsonObject:
    return {"kind": "Secret", "metadata": {"name": name}}


class Server:
    """Refuses lists and ends watches as a test says, in that order; then a watch goes on for ever."""

    def __init__(self, *, lists: list[SetpointError | None], watches: list[SetpointError]) -> None:
        self.lists = lists
        self.watches = watches
        self.seen: list[object] = []

    async def list(self, _kind: str) -> ObjectList:
        refusal = self.lists.pop(0) if self.lists else None
        if refusal is not None:
            raise refusal
        return ObjectList((secret("listed"),), "1")

    async def watch(self, _kinds: object, *, resource_version: str) -> AsyncIterator[WatchEvent]:
        yield WatchEvent("MODIFIED", secret(f"moved-after-{resource_version}"))
        if self.watches:
            raise self.watches.pop(0)
        await asyncio.Event().wait()

    async def run(self, seconds: float) -> SecretWatch:
        watch = SecretWatch(
            cast("Any", self),
            on_list=lambda items: self.seen.append([item["metadata"]["name"] for item in items]),
            on_move=lambda event: self.seen.append(event.object["metadata"]["name"]),
        )
        running = asyncio.ensure_future(watch.run(asyncio.Event()))
        await asyncio.wait({running}, timeout=seconds)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return watch


ONCE: list[object] = [["listed"], "moved-after-1"]


async def test_what_there_is_and_what_moves() -> None:
    server = Server(lists=[], watches=[])
    watch = await server.run(1)
    assert server.seen == ONCE
    await watch.tried()


@pytest.mark.parametrize(
    "loss", [GoneError("410"), TransientError("Unavailable", "503"), ForbiddenError("403")], ids=str
)
async def test_a_watch_that_is_lost__is_begun_with_a_list(loss: SetpointError) -> None:
    server = Server(lists=[], watches=[loss])
    await server.run(10)
    assert server.seen == ONCE * 2


async def test_a_fault__keeps_nobody_waiting() -> None:
    watch = await Server(lists=[InvalidError("400")], watches=[]).run(1)
    await watch.tried()


@pytest.mark.parametrize("refusal", [TransientError("Unavailable", "503"), ForbiddenError("403")], ids=str)
async def test_who_may_not_list__keeps_nobody_waiting_and_tries_again(refusal: SetpointError) -> None:
    server = Server(lists=[refusal], watches=[])
    watch = await server.run(1)
    assert server.seen == []
    await watch.tried()
    server.lists = [refusal]
    await server.run(10)
    assert server.seen == ONCE
