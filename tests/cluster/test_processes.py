"""The processes of the tests end with them, and no stranger does: a number that was theirs may soon be another's."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.operators import until
from tests.cluster.processes import Process, Reaper


class NotingReaper(Reaper):
    """Says whom it would kill."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: set[int] = set()

    def watch(self, pid: int) -> None:
        self.watched.add(pid)
        super().watch(pid)

    def forget(self, pid: int) -> None:
        self.watched.discard(pid)
        super().forget(pid)


@pytest.fixture
def reaper() -> Iterator[NotingReaper]:
    made = NotingReaper()
    yield made
    with contextlib.suppress(ValueError):
        made.close()


def sleeping(folder: Path, reaper: Reaper) -> Process:
    return Process("sleeper", ["sleep", "600"], folder / "log", lambda: True, reaper)


@pytest.mark.parametrize("ended_by", ["itself", "stop", "kill"])
def test_one_that_ended_is_nobody_s_to_kill(tmp_path: Path, reaper: NotingReaper, ended_by: str) -> None:
    process = sleeping(tmp_path, reaper)
    for _ in range(2):
        process.start()
        assert reaper.watched == {process.pid}
        if ended_by == "itself":
            os.kill(process.pid, signal.SIGKILL)
        else:
            getattr(process, ended_by)()
        until(lambda: not process.running)
        assert reaper.watched == set()


def test_one_that_ended_unseen_is_nobody_s_to_kill(tmp_path: Path, reaper: NotingReaper) -> None:
    process = sleeping(tmp_path, reaper)
    process.start()
    os.kill(process.pid, signal.SIGKILL)
    process.stop()
    assert reaper.watched == set()


def test_one_that_runs_ends_with_the_reaper(tmp_path: Path, reaper: NotingReaper) -> None:
    process = sleeping(tmp_path, reaper)
    process.start()
    reaper.close()
    until(lambda: not process.running)


def test_a_stranger_is_spared(tmp_path: Path) -> None:
    """As where the number of one that ended was given to a stranger."""
    reaper = Reaper()
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        reaper.watch(stranger.pid)
        reaper.forget(stranger.pid)
        reaper.close()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
