"""The place of a home, what makes it one, and that it has one manager."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from setpoint.adapters.local.home import HomeError, LocalHome, ManagerLock, ManagerLockedError, holder


def test_a_folder_becomes_a_home(tmp_path: Path) -> None:
    home = LocalHome.create(tmp_path)
    assert home.state == tmp_path / ".setpoint"
    assert home.state.stat().st_mode & 0o777 == 0o700
    assert (home.state / ".gitignore").read_text() == "*\n"
    assert LocalHome.open(tmp_path) == LocalHome.create(tmp_path) == home


def test_what_others_may_read_is_closed(tmp_path: Path) -> None:
    home = LocalHome.create(tmp_path)
    home.state.chmod(0o755)
    LocalHome.open(tmp_path)
    assert home.state.stat().st_mode & 0o777 == 0o700


def _file_for_folder(folder: Path) -> None:
    (folder / ".setpoint").write_text("")


def _link_for_folder(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    (folder / ".setpoint").symlink_to(folder.parent / "elsewhere")


@pytest.mark.parametrize("make", [_file_for_folder, _link_for_folder], ids=["file", "link"])
def test_refuses_what_is_no_folder(tmp_path: Path, make: object) -> None:
    root = tmp_path / "home"
    root.mkdir()
    make(root)
    with pytest.raises(HomeError, match=r"\.setpoint"):
        LocalHome.create(root)


def test_refuses_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="no such file"):
        LocalHome.create(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match="not a folder"):
        LocalHome.create(tmp_path / "file")


def test_what_can_not_be_written_is_opened_to_be_read_and_not_managed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LocalHome.create(tmp_path).writable
    monkeypatch.setattr(os, "access", lambda _path, how: not how & os.W_OK)
    assert not LocalHome.open(tmp_path).writable
    with pytest.raises(HomeError, match="can't be written"):
        LocalHome.create(tmp_path)


def test_refuses_what_can_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    LocalHome.create(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(HomeError, match="can't be read"):
        LocalHome.open(tmp_path)


def test_refuses_what_is_another_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    LocalHome.create(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(HomeError, match="another user"):
        LocalHome.open(tmp_path)


def test_a_second_manager_is_told_of_the_first(tmp_path: Path) -> None:
    home = LocalHome.create(tmp_path)
    assert holder(home) is None
    with ManagerLock(home):
        with pytest.raises(ManagerLockedError, match=rf"pid {os.getpid()} of \S+ since \d{{4}}-"):
            ManagerLock(home).acquire()
        assert f"pid {os.getpid()}" in (holder(home) or "")
    assert holder(home) is None
    with ManagerLock(home):
        pass


def test_what_stands_in_the_lock_is_not_believed(tmp_path: Path) -> None:
    home = LocalHome.create(tmp_path)
    home.manager_lock.write_text(json.dumps({"pid": 1}))
    with ManagerLock(home) as lock:
        home.manager_lock.write_text("rubbish")
        with pytest.raises(ManagerLockedError, match="pid \\?"):
            ManagerLock(home).acquire()
        lock.release()
        lock.release()


def test_a_killed_manager_leaves_no_lock(tmp_path: Path) -> None:
    home = LocalHome.create(tmp_path)
    program = (
        "import pathlib, subprocess, sys, time\n"
        "from setpoint.adapters.local.home import LocalHome, ManagerLock\n"
        "ManagerLock(LocalHome.open(pathlib.Path(sys.argv[1]))).acquire()\n"
        "subprocess.Popen(['sleep', '30'], stdout=subprocess.DEVNULL)\n"
        "print('locked', flush=True)\n"
        "time.sleep(30)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, env=environment, start_new_session=True
    ) as manager:
        assert manager.stdout is not None
        assert manager.stdout.readline() == b"locked\n"
        with pytest.raises(ManagerLockedError, match=f"pid {manager.pid} "):
            ManagerLock(home).acquire()
        # The child that it started lives on, and must not hold the lock.
        manager.send_signal(signal.SIGKILL)
        manager.wait()
        with ManagerLock(home):
            pass
        os.killpg(manager.pid, signal.SIGKILL)
