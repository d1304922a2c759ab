"""Owns running one command: its own session, output to files, a deadline, a graceful stop. Knows no Terraform.

Output goes to files and never to pipes: with a pipe, killing the manager kills Terraform, too, and what it had made
is lost. The pid, its start time and the command are on disk as it starts, so that a later manager finds it.
"""

import asyncio
import contextlib
import dataclasses
import functools
import json
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from setpoint.api.conditions import Reason
from setpoint.domain.errors import StoreError, TransientError
from setpoint.targets.environment.terraform.finishing import finish
from setpoint.targets.environment.terraform.leftovers import RUN_VARIABLE, end_leftovers
from setpoint.targets.environment.terraform.watchdog import NoWatchdog, Watchdog

HOME = "home"
"""Folder of a run for its HOME: what one run leaves there, such as settings of git, reaches no other."""
READING_GRACE = 20.0
"""Seconds for a command that only reads to end by itself once it was told to."""
WRITING_GRACE = 600.0
"""Seconds for one that changes the world: a call that a provider has begun may take long."""
_SECOND_GRACE = 30.0
_MAX_OUTPUT = 512 << 20

start_deadline = asyncio.timeout
"""When a command is told to end; a test brings it about when it wants to."""


@dataclasses.dataclass(frozen=True, slots=True)
class Command:
    """One command of a run. `folder` is the run's, `name` names its output files; times are in seconds.

    `provisions`: it runs what the code calls, and that may leave programs in sessions of their own.
    """

    argv: Sequence[str]
    cwd: Path
    environment: Mapping[str, str] = dataclasses.field(repr=False)
    folder: Path
    name: str
    timeout: float
    facts: Mapping[str, str | int | None] = dataclasses.field(default_factory=dict)
    grace: float = READING_GRACE
    watchdog: Watchdog = dataclasses.field(default_factory=NoWatchdog)
    provisions: bool = False

    @property
    def stdout(self) -> Path:
        """The file of its standard output."""
        return self.folder / f"{self.name}.out"

    @property
    def stderr(self) -> Path:
        """The file of its standard error."""
        return self.folder / f"{self.name}.err"


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """The end of a command. `stopped` is why it was told to end, empty where it ended by itself.

    `left` are the names of the programs that it had left running, and that were ended after it.
    """

    exit_code: int
    stdout: bytes = dataclasses.field(repr=False)
    stderr: bytes = dataclasses.field(repr=False)
    stopped: str = ""
    left: tuple[str, ...] = ()


async def execute(command: Command) -> Ended:
    """Runs a command to its end. Past its deadline it is stopped gracefully, and so it is when we are cancelled.

    A cancellation is raised again once the command has ended. Raises StoreError where the run folder can't be
    written, TransientError where the command can't be started.
    """
    ended = await run_through(command)
    if ended.stopped == "cancelled":
        raise asyncio.CancelledError
    return ended


async def run_through(command: Command) -> Ended:
    """Like `execute`, but a cancellation only stops the command: its end is returned, for what must be recorded."""
    process, stopped = await _started(command)
    try:
        if not stopped:
            async with start_deadline(command.timeout):
                await process.wait()
    except TimeoutError:
        stopped = "timeout"
    except asyncio.CancelledError:
        stopped = "cancelled"
    if stopped:
        await _stop(process, command.grace)
    code = process.returncode if process.returncode is not None else -signal.SIGKILL
    command.watchdog.ended(process.pid)
    if code < 0:
        # Whoever killed it spared its providers, and they would live on without it.
        _kill_session(process)
    ending = asyncio.ensure_future(end_leftovers(command.folder.name, process.pid, everywhere=command.provisions))
    await finish(ending)
    return Ended(code, _read(command.stdout), _read(command.stderr), stopped, ending.result())


async def _started(command: Command) -> tuple[asyncio.subprocess.Process, str]:
    """The process, and "cancelled" where we were while it started: it must not be lost from sight."""
    starting = asyncio.ensure_future(_start(command))
    stopped = "cancelled" if await finish(starting) else ""
    return starting.result(), stopped


async def _start(command: Command) -> asyncio.subprocess.Process:
    note = {**command.facts, "command": list(command.argv), "name": command.name}
    note_run(command.folder, note)
    try:
        with command.stdout.open("wb") as out, command.stderr.open("wb") as err:
            process = await asyncio.create_subprocess_exec(
                *command.argv,
                cwd=command.cwd,
                env={**command.environment, RUN_VARIABLE: command.folder.name},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
    except OSError as error:
        message = f"{command.argv[0]} can't be started: {error.strerror}"
        raise TransientError(Reason.ENGINE_NOT_FOUND, message) from error
    _offer_to_oom_killer(process.pid)
    try:
        note_run(command.folder, {**note, "pid": process.pid, "start": _start_time(process.pid)})
        command.watchdog.began(process.pid)
    except StoreError:
        _kill_session(process)
        await process.wait()
        raise
    return process


def _offer_to_oom_killer(pid: int) -> None:
    """Lets a run end before its manager where memory is short, since the manager records the end.

    All that the run starts inherits it. A run goes on without it, too: it may have ended, or the system be no Linux.
    See https://man7.org/linux/man-pages/man5/proc_pid_oom_score_adj.5.html.
    """
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_bytes(b"1000")


def note_run(folder: Path, note: Mapping[str, object]) -> None:
    """Writes what a run does. Raises StoreError.

    Written by rename: a killed manager leaves the old note or the new one. A power cut kills the process, too.
    """
    temporary = folder / "process.json.new"
    try:
        temporary.write_bytes(json.dumps({**note, "maker": _own_identity(os.getpid()), "boot": _boot()}).encode())
        temporary.replace(folder / "process.json")
    except OSError as error:
        msg = f"can't write the run folder: {error.strerror}"
        raise StoreError(msg) from error


def remove_run(folder: Path) -> None:
    """Removes a run folder: files, and a HOME that is empty. Where there is more, by rmtree, at twice the cost."""
    try:
        with contextlib.suppress(FileNotFoundError):
            (folder / HOME).rmdir()
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)


def started_by_living(note: Mapping[str, object]) -> bool:
    """True where the process that wrote a note still runs."""
    maker = note.get("maker")
    return isinstance(maker, list) and len(maker) == 2 and maker[1] == _start_time(maker[0]) != 0.0


def outlived_a_boot(note: Mapping[str, object]) -> bool:
    """True where the machine, or its power, went down since a note was written: what was written later may be lost."""
    return note.get("boot") != _boot()


@functools.cache
def _boot() -> str:
    """The kernel's name for this boot; empty where it tells none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


@functools.cache
def _own_identity(pid: int) -> tuple[int, float]:
    """This process, for whoever reads its notes; ids are used again, so that the start counts, too."""
    return pid, _start_time(pid)


def _start_time(pid: int) -> float:
    try:
        return psutil.Process(pid).create_time()
    except (psutil.Error, TypeError, ValueError):
        return 0.0


async def _stop(process: asyncio.subprocess.Process, grace: float) -> None:
    """SIGINT to Terraform alone (a group signal would kill providers in mid-call), once more, then the whole group.

    Further cancellations do not hasten it: what Terraform has begun must be in the state.
    """
    for seconds in (grace, _SECOND_GRACE):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        if await _ends_within(process, seconds):
            return
    _kill_session(process)
    await _ends_within(process, _SECOND_GRACE)


def _kill_session(process: asyncio.subprocess.Process) -> None:
    """The process leads its session and its group, so that the group's id is its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def _ends_within(process: asyncio.subprocess.Process, seconds: float) -> bool:
    waiter = asyncio.ensure_future(process.wait())
    deadline = asyncio.get_running_loop().time() + seconds
    while not waiter.done():
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            waiter.cancel()
            return False
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({waiter}, timeout=left)
    return True


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_OUTPUT)
