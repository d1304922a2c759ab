"""Locks between processes: who holds one is told, and a dead process holds none."""

import fcntl
import os
from pathlib import Path

import pytest

from setpoint.runtime import process_lock
from setpoint.runtime.process_lock import FolderLock, ProcessLock, holder_of


def test_the_second_is_told_of_the_first(tmp_path: Path) -> None:
    first, second = (ProcessLock(tmp_path / "lock", name) for name in ("pod-1", "pod-2"))
    assert first.acquire() is None
    told = second.acquire()
    assert told is not None
    assert told.startswith(f"pid {os.getpid()} of pod-1 since 2")
    assert holder_of(tmp_path / "lock") == told
    first.release()
    first.release()
    assert holder_of(tmp_path / "lock") is None
    assert second.acquire() is None
    second.release()


@pytest.mark.parametrize("text", ["", "rubbish", "[]", "9" * 10_000], ids=["nothing", "no json", "a list", "long"])
def test_what_stands_in_the_file_is_not_believed(tmp_path: Path, text: str) -> None:
    first = ProcessLock(tmp_path / "lock", "pod-1")
    assert first.acquire() is None
    (tmp_path / "lock").write_text(text)
    assert ProcessLock(tmp_path / "lock", "pod-2").acquire() == "pid ? of ? since ?: ?"
    first.release()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        ProcessLock(tmp_path / "lock", "pod-1").acquire()
    assert not (tmp_path / "elsewhere").exists()


def test_a_lock_file_that_is_replaced_while_it_is_taken_is_not_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, really = tmp_path / "lock", fcntl.flock

    def replace_first(handle: int, how: int) -> None:
        monkeypatch.setattr(process_lock.fcntl, "flock", really)
        path.unlink()
        path.touch()
        really(handle, how)

    monkeypatch.setattr(process_lock.fcntl, "flock", replace_first)
    lock = ProcessLock(path, "pod-1")
    assert lock.acquire() is None
    assert holder_of(path) is not None, "it is the file at the path that is locked"
    lock.release()


def test_a_folder_is_one_process_at_a_time_whatever_is_in_it(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    assert first.acquire()
    assert not second.acquire()
    first.release()
    first.release()
    assert second.acquire()
    second.release()
