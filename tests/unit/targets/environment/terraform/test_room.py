"""Room in memory: who begins, who waits, and that nobody waits for ever."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from setpoint.runtime.memory import MemoryGroup, memory_group
from setpoint.targets.environment.terraform.room import Room

LIMIT = 1000


@pytest.fixture
def group(tmp_path: Path) -> MemoryGroup:
    (tmp_path / "memory.max").write_text(str(LIMIT))
    (tmp_path / "memory.stat").write_text("")
    found = memory_group(tmp_path)
    assert found is not None
    use(found, 0)
    return found


def use(group: MemoryGroup, used: int) -> None:
    group.usage.write_text(str(used))


class Pauses:
    """The waits of a room: each goes through what is to happen meanwhile."""

    def __init__(self, *meanwhile: Callable[[], object]) -> None:
        self._meanwhile = list(meanwhile)

    async def __call__(self, _seconds: float) -> None:
        self._meanwhile.pop(0)()
        await asyncio.sleep(0)


async def test_while_there_is_room_all_begin(group: MemoryGroup) -> None:
    room = Room(group, pause=Pauses())
    use(group, 699)
    async with room.taken(), room.taken(), room.taken():
        pass


async def test_without_a_limit_all_begin() -> None:
    room = Room(None, pause=Pauses())
    async with room.taken(), room.taken():
        pass


async def test_above_seventy_percent_one_waits_until_some_is_given_back(
    group: MemoryGroup, caplog: pytest.LogCaptureFixture
) -> None:
    room = Room(group, pause=Pauses(lambda: use(group, 701), lambda: use(group, 699)))
    use(group, 700)
    async with room.taken(), room.taken():
        assert group.usage.read_text() == "699"
    assert [one.message for one in caplog.records] == [
        "A run waits for memory: 0 of 0 MiB are used, and 1 other runs go on"
    ]


async def test_one_alone_begins_whatever_is_used(group: MemoryGroup) -> None:
    use(group, LIMIT)
    async with Room(group, pause=Pauses()).taken():
        pass


async def test_one_that_waits_begins_once_the_last_other_has_ended(group: MemoryGroup) -> None:
    other = contextlib.AsyncExitStack()
    ends: list[asyncio.Task[None]] = []
    room = Room(group, pause=Pauses(lambda: ends.append(asyncio.create_task(other.aclose()))))
    await other.enter_async_context(room.taken())
    use(group, LIMIT)
    async with room.taken():
        assert ends[0].done()


async def test_one_that_is_cancelled_gives_its_turn_on(group: MemoryGroup) -> None:
    use(group, LIMIT)
    waits = asyncio.Event()

    async def pause(_seconds: float) -> None:
        waits.set()
        await asyncio.Event().wait()

    async def begin(room: Room) -> None:
        async with room.taken():
            pass

    room = Room(group, pause=pause)
    async with room.taken():
        waiting = asyncio.create_task(begin(room))
        await waits.wait()
        waiting.cancel()
        use(group, 0)
        async with room.taken():
            assert waiting.cancelled()


async def test_where_the_kernel_does_not_tell_one_goes_on_at_a_time(group: MemoryGroup) -> None:
    room = Room(group, pause=Pauses(lambda: use(group, 0)))
    group.usage.unlink()
    async with room.taken(), room.taken():
        assert group.usage.read_text() == "0"
