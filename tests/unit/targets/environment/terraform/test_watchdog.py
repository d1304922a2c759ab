"""The watchdog, with real processes: who lives while somebody beats, and who ends when nobody does."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from setpoint.domain.errors import StoreError
from setpoint.targets.environment.terraform.watchdog import WatchdogProcess

SILENCE, PATIENCE = 1.0, 1.0
# A shell that begins the tests in its background has them ignore the interrupt, and all that they begin.
OBEDIENT = (
    "import signal, sys, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "try:\n  print('ready', flush=True); time.sleep(60)\nexcept KeyboardInterrupt:\n  sys.exit(7)"
)
STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)


@pytest.fixture
async def watchdog() -> AsyncIterator[WatchdogProcess]:
    watchdog = WatchdogProcess(SILENCE, PATIENCE)
    yield watchdog
    await watchdog.close()


@pytest.fixture
def runs() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def begin(runs: list[subprocess.Popen[str]], code: str, name: str = "") -> subprocess.Popen[str]:
    environment = {**os.environ, **({"SETPOINT_RUN": name} if name else {})}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True, env=environment
    )
    runs.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


async def end_of(process: subprocess.Popen[str]) -> int:
    return await asyncio.wait_for(asyncio.to_thread(process.wait), 20)


async def test_a_run_lives_as_long_as_we_beat(watchdog: WatchdogProcess, runs: list[subprocess.Popen[str]]) -> None:
    run = begin(runs, OBEDIENT)
    watchdog.began(run.pid)
    for _ in range(10):
        watchdog.beat()
        await asyncio.sleep(SILENCE / 4)
    assert run.poll() is None
    assert await end_of(run) == 7


async def test_one_that_heeds_no_interrupt_is_killed(
    watchdog: WatchdogProcess, runs: list[subprocess.Popen[str]]
) -> None:
    run = begin(runs, STUBBORN)
    watchdog.began(run.pid)
    assert await end_of(run) == -signal.SIGKILL


async def test_one_that_was_taken_off_is_left_alone(
    watchdog: WatchdogProcess, runs: list[subprocess.Popen[str]]
) -> None:
    kept, ended = begin(runs, OBEDIENT), begin(runs, OBEDIENT)
    watchdog.began(kept.pid)
    watchdog.began(ended.pid)
    watchdog.ended(ended.pid)
    assert await end_of(kept) == 7
    assert ended.poll() is None


async def test_runs_of_a_killed_manager_end(runs: list[subprocess.Popen[str]]) -> None:
    run = begin(runs, OBEDIENT)
    manager = (
        "import sys, time; from setpoint.targets.environment.terraform.watchdog import WatchdogProcess\n"
        f"w = WatchdogProcess({SILENCE * 60}, {PATIENCE}); w.began({run.pid}); w.beat()\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    killed = begin(runs, manager)
    killed.kill()
    assert await end_of(run) == 7


async def test_runs_of_a_paused_manager_end(runs: list[subprocess.Popen[str]]) -> None:
    run = begin(runs, OBEDIENT)
    manager = (
        "import sys, time; from setpoint.targets.environment.terraform.watchdog import WatchdogProcess\n"
        f"w = WatchdogProcess({SILENCE}, {PATIENCE}); w.began({run.pid}); print('ready', flush=True)\n"
        "while True: w.beat(); time.sleep(0.1)"
    )
    paused = begin(runs, manager)
    os.kill(paused.pid, signal.SIGSTOP)
    assert await end_of(run) == 7


async def test_what_a_run_left_in_another_session_ends_with_it(runs: list[subprocess.Popen[str]]) -> None:
    run = begin(runs, OBEDIENT, name="0a1b")
    left, other = begin(runs, STUBBORN, name="0a1b"), begin(runs, STUBBORN, name="another")
    manager = (
        "import time; from setpoint.targets.environment.terraform.watchdog import WatchdogProcess\n"
        f"w = WatchdogProcess({SILENCE * 60}, {PATIENCE}); w.began({run.pid}); w.beat()\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    begin(runs, manager).kill()
    assert await end_of(run) == 7
    assert await end_of(left) == -signal.SIGKILL
    assert other.poll() is None


async def test_without_a_watchdog_no_run_begins(watchdog: WatchdogProcess, runs: list[subprocess.Popen[str]]) -> None:
    watchdog._process.kill()
    watchdog._process.wait()
    watchdog.beat()
    with pytest.raises(StoreError, match="watchdog"):
        watchdog.began(begin(runs, OBEDIENT).pid)
