"""Programs that a run leaves behind are ended with it, in its session and out of it; nothing else is."""

import asyncio
import dataclasses
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from setpoint.targets.environment.terraform.leftovers import RUN_VARIABLE
from setpoint.targets.environment.terraform.process import Command, run_through

STAYS = "import time; print('stays', flush=True); time.sleep(600)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {STAYS}"
STARTS = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {code!r}], start_new_session={daemon}, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid)
"""


@pytest.fixture
async def other() -> AsyncIterator[psutil.Process]:
    """A program of another run."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STAYS, env={RUN_VARIABLE: "another"}, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    yield psutil.Process(process.pid)
    process.kill()
    await process.communicate()


def command(folder: Path, program: str) -> Command:
    folder.mkdir()
    return Command((sys.executable, "-c", program), folder, {}, folder, "apply", 60.0)


@pytest.mark.parametrize("code", [STAYS, DEAF], ids=["obedient", "deaf"])
@pytest.mark.parametrize("daemon", [False, True], ids=["in its session", "in a session of its own"])
async def test_what_an_apply_leaves_is_ended(
    tmp_path: Path, other: psutil.Process, monkeypatch: pytest.MonkeyPatch, code: str, daemon: bool
) -> None:
    monkeypatch.setattr("setpoint.targets.environment.terraform.leftovers._GRACE", 0.5)
    applies = dataclasses.replace(command(tmp_path / "0a1b", STARTS.format(code=code, daemon=daemon)), provisions=True)
    ended = await run_through(applies)
    assert (ended.exit_code, ended.stopped) == (0, "")
    assert not _lives(int(ended.stdout))
    assert len(ended.left) == 1
    assert ended.left[0].startswith("python")
    assert _lives(other.pid)


async def test_a_command_that_only_reads_looks_at_its_own_session(tmp_path: Path) -> None:
    ended = await run_through(command(tmp_path / "0a1b", STARTS.format(code=STAYS, daemon=False)))
    assert not _lives(int(ended.stdout))
    assert ended.left


async def test_where_nothing_is_left_nothing_is_told(tmp_path: Path) -> None:
    applies = dataclasses.replace(command(tmp_path / "0a1b", "print()"), provisions=True)
    assert (await run_through(applies)).left == ()


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
