"""One command: its output in files, its deadline, its graceful stop, and the note by which a later manager finds it."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from tests.fakes.deadlines import Deadlines

from setpoint.domain.errors import SetpointError
from setpoint.targets.environment.terraform import process as processes
from setpoint.targets.environment.terraform.leftovers import RUN_VARIABLE
from setpoint.targets.environment.terraform.process import Command, execute, run_through

SAVES = """
import pathlib, signal, sys, time
def stop(*_):
    print("saved", flush=True)
    sys.exit(1)
signal.signal(signal.SIGINT, stop)
pathlib.Path("ready").touch()
time.sleep(60)
"""
DEAF = """
import pathlib, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
pathlib.Path("ready").touch()
time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "0a1b"
    made.mkdir()
    return made


def command(folder: Path, program: str, *, timeout: float = 60.0, environment: dict[str, str] | None = None) -> Command:
    argv = (sys.executable, "-c", program)
    facts = {"target": "t", "operation": "apply"}
    return Command(argv, folder.parent, environment or {}, folder, "apply", timeout, facts)


async def started(folder: Path) -> None:
    ready = folder.parent / "ready"
    while not ready.exists():
        await asyncio.sleep(0.01)


async def test_output_goes_to_files_and_the_exit_code_is_told(folder: Path) -> None:
    ended = await execute(command(folder, "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"))
    assert (ended.exit_code, ended.stdout, ended.stderr, ended.stopped) == (3, b"out\n", b"err\n", "")
    assert ((folder / "apply.out").read_bytes(), (folder / "apply.err").read_bytes()) == (b"out\n", b"err\n")


async def test_the_process_has_what_it_was_given_and_its_runs_name(folder: Path) -> None:
    given = {"A": "1", "LC_ALL": "C.UTF-8"}
    ended = await execute(command(folder, "import json, os; print(json.dumps(dict(os.environ)))", environment=given))
    assert json.loads(ended.stdout) == {**given, RUN_VARIABLE: "0a1b"}


async def test_it_leads_a_session_of_its_own_and_reads_nothing(folder: Path) -> None:
    ended = await execute(command(folder, "import os, sys; print(os.getsid(0) == os.getpid(), repr(sys.stdin.read()))"))
    assert ended.stdout == b"True ''\n"


async def test_where_memory_is_short_it_ends_before_its_manager(folder: Path) -> None:
    """The process is there before the score is written: it waits for that."""
    program = """
import os
while open("/proc/self/oom_score_adj").read() != "1000\\n":
    os.sched_yield()
print(os.popen("cat /proc/self/oom_score_adj").read())
"""
    ended = await execute(command(folder, program))
    assert ended.stdout.split() == [b"1000"]
    assert Path("/proc/self/oom_score_adj").read_text() != "1000\n"


async def test_the_note_says_what_runs(folder: Path) -> None:
    await execute(command(folder, "import os; print(os.getpid())", environment={"TOKEN": "a-secret-value"}))
    text = (folder / "process.json").read_text()
    note = json.loads(text)
    assert (note["target"], note["operation"], note["name"]) == ("t", "apply", "apply")
    assert note["command"][0] == sys.executable
    assert note["pid"] == int((folder / "apply.out").read_text())
    assert note["start"] >= 0
    assert "a-secret-value" not in text
    assert not list(folder.glob("*.new"))


async def test_the_note_tells_a_power_cut_from_a_killed_manager(folder: Path) -> None:
    await execute(command(folder, "print()"))
    note = json.loads((folder / "process.json").read_text())
    assert not processes.outlived_a_boot(note)
    assert processes.outlived_a_boot({**note, "boot": "another"})


async def test_past_its_deadline_it_is_asked_to_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines = Deadlines()
    monkeypatch.setattr(processes, "start_deadline", deadlines)
    task = asyncio.create_task(execute(command(folder, SAVES)))
    await started(folder)
    await deadlines.expire()
    ended = await task
    assert (ended.exit_code, ended.stdout, ended.stopped) == (1, b"saved\n", "timeout")


async def test_a_cancelled_run_ends_gracefully_and_is_raised_again(folder: Path) -> None:
    task = asyncio.create_task(execute(command(folder, SAVES)))
    await started(folder)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (folder / "apply.out").read_bytes() == b"saved\n"


async def test_a_cancelled_run_through_tells_how_it_ended(folder: Path) -> None:
    task = asyncio.create_task(run_through(command(folder, SAVES)))
    await started(folder)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    ended = await task
    assert (ended.exit_code, ended.stdout, ended.stopped) == (1, b"saved\n", "cancelled")


async def test_a_cancellation_while_it_starts_loses_nothing(folder: Path) -> None:
    task = asyncio.create_task(run_through(command(folder, "import time; time.sleep(60)")))
    await asyncio.sleep(0)
    task.cancel()
    ended = await task
    assert ended.stopped == "cancelled"
    assert ended.exit_code not in {0, -signal.SIGKILL}, "the interrupt was heard"
    pid = json.loads((folder / "process.json").read_text())["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_what_heeds_no_signal_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_SECOND_GRACE", 0.2)
    deaf = command(folder, DEAF)
    task = asyncio.create_task(run_through(Command(**{**_fields(deaf), "grace": 0.2})))
    await started(folder)
    task.cancel()
    ended = await task
    assert (ended.exit_code, ended.stopped) == (-9, "cancelled")


def _fields(one: Command) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__slots__}


async def test_a_command_that_is_not_there_is_one_of_our_errors(folder: Path) -> None:
    gone = Command(("/nowhere/terraform",), folder.parent, {}, folder, "plan", 5.0)
    with pytest.raises(SetpointError, match="/nowhere/terraform"):
        await execute(gone)
