"""That changes of files are noticed, soon, and only those that matter."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import watchfiles

from setpoint.adapters.local import watcher
from setpoint.adapters.local.tree import is_watched
from setpoint.adapters.local.watcher import watch_home
from setpoint.targets.environment.code import CODE


class Heard:
    """The paths that the watch told of, as they come."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[frozenset[str]] = asyncio.Queue()

    async def __call__(self, paths: frozenset[str]) -> None:
        await self._queue.put(paths)

    async def until(self, *paths: str) -> None:
        """Waits until all of these were told of."""
        missing = set(paths)
        async with asyncio.timeout(60):
            while missing:
                missing -= await self._queue.get()

    async def next(self) -> frozenset[str]:
        async with asyncio.timeout(60):
            return await self._queue.get()

    @property
    def empty(self) -> bool:
        return self._queue.empty()


@contextlib.asynccontextmanager
async def watching(root: Path) -> AsyncIterator[Heard]:
    heard, stop = Heard(), asyncio.Event()
    task = asyncio.create_task(watch_home(root, [CODE], heard, stop))
    try:
        assert await heard.next() == frozenset()
        yield heard
    finally:
        stop.set()
        async with asyncio.timeout(60):
            await task


async def test_tells_of_edits_new_files_and_removals(tmp_path: Path) -> None:
    (tmp_path / "env.yaml").write_text("a")
    (tmp_path / "infra").mkdir()
    async with watching(tmp_path) as heard:
        (tmp_path / "env.yaml").write_text("b")
        (tmp_path / "infra" / "main.tf").write_text("c")
        await heard.until("env.yaml", "infra/main.tf")
        (tmp_path / "env.yaml").unlink()
        await heard.until("env.yaml")


async def test_follows_into_new_folders(tmp_path: Path) -> None:
    async with watching(tmp_path) as heard:
        (tmp_path / "new").mkdir()
        await heard.until("new")
        (tmp_path / "new" / "env.yaml").write_text("a")
        await heard.until("new/env.yaml")


@pytest.mark.parametrize("name", [".setpoint", ".git", ".terraform"])
async def test_hears_nothing_of_folders_that_change_all_the_time(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    async with watching(tmp_path) as heard:
        (tmp_path / name / "file").write_text("a")
        (tmp_path / "after").write_text("b")
        assert await heard.next() == {"after"}


async def test_looks_again_where_nothing_can_be_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_paths: object, **_options: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(watchfiles.main, "RustNotify", refuse)
    monkeypatch.setattr(watcher, "RESCAN_SECONDS", 0.01)
    async with watching(tmp_path) as heard:
        for _ in range(3):
            assert await heard.next() == frozenset()


async def test_looks_again_from_time_to_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "RESCAN_SECONDS", 0.05)
    async with watching(tmp_path) as heard:
        assert await heard.next() == frozenset()


async def test_what_the_listener_raises_ends_the_watch(tmp_path: Path) -> None:
    async def fail(_paths: frozenset[str]) -> None:
        raise OSError("the listener's")

    with pytest.raises(OSError, match="the listener's"):
        async with asyncio.timeout(60):
            await watch_home(tmp_path, [CODE], fail, asyncio.Event())


async def test_can_be_cancelled(tmp_path: Path) -> None:
    stop, heard = asyncio.Event(), Heard()
    task = asyncio.create_task(watch_home(tmp_path, [CODE], heard, stop))
    await heard.next()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(60):
            await task
    assert not stop.is_set()


@pytest.mark.parametrize(
    ("name", "watched"),
    [
        ("main.tf", True),
        ("terraform.tfstate", True),
        ("terraform.tfstate.backup", False),
        (".terraform", False),
        (".git", False),
        (".setpoint", False),
    ],
)
def test_what_tools_keep_for_themselves_wakes_nobody(name: str, watched: bool) -> None:
    """A state beside the code stands in the way of a pass, so that its end is heard of."""
    assert is_watched(name, [CODE]) is watched
    assert is_watched(name, []) is (name not in {".git", ".setpoint"})
