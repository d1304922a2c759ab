"""Owns what takes long to make and is made once for a run of the tests, whichever of its workers asks first."""

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that `make` filled, for tests that change nothing in it. Where it fails, each worker tries and fails."""
    alone = factory.getbasetemp()
    base = alone.parent if alone.name.startswith("popen-") else alone
    folder, done = base / name, base / f"{name}.made"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
