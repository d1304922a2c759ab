"""Following a file that a process writes: whole lines, once, in order, and the last of it."""

import asyncio
from pathlib import Path

from setpoint.targets.environment.terraform import tailing
from setpoint.targets.environment.terraform.tailing import tail


async def test_whole_lines_are_heard_as_they_come(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tailing, "_POLL", 0.001)
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    with (tmp_path / "out").open("wb", buffering=0) as file:
        async with tail(tmp_path / "out", heard.put_nowait):
            file.write(b"one\ntw")
            assert await heard.get() == b"one"
            file.write(b"o\nthree\n")
            assert [await heard.get(), await heard.get()] == [b"two", b"three"]
    assert heard.empty()


async def test_what_is_written_at_the_very_end_is_heard(tmp_path: Path) -> None:
    heard: list[bytes] = []
    async with tail(tmp_path / "out", heard.append):
        (tmp_path / "out").write_bytes(b"one\ntwo\nhalf")
    assert heard == [b"one", b"two", b"half"]


async def test_a_file_that_never_comes_says_nothing(tmp_path: Path) -> None:
    heard: list[bytes] = []
    async with tail(tmp_path / "out", heard.append):
        await asyncio.sleep(0)
    assert heard == []


async def test_a_line_without_end_is_not_kept(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tailing, "_MAX_LINE", 10)
    monkeypatch.setattr(tailing, "_POLL", 0.001)
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    with (tmp_path / "out").open("wb", buffering=0) as file:
        async with tail(tmp_path / "out", heard.put_nowait):
            file.write(b"first\n" + b"x" * 50)
            assert await heard.get() == b"first"
            file.write(b"x\nlast\n")
            while (line := await heard.get()) != b"last":
                assert len(line) <= 10


async def test_a_cancellation_at_the_end_loses_nothing(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def follow() -> str:
        async with tail(tmp_path / "out", heard.append):
            (tmp_path / "out").write_bytes(b"one\n")
            task.get_loop().call_soon(task.cancel)
        return "told"

    task = asyncio.create_task(follow())
    assert await task == "told"
    assert heard == [b"one"]
