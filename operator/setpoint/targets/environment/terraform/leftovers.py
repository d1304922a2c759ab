"""Owns finding what processes a run has, wherever they went, and ending those that it left behind.

A process belongs to a run by its environment, which children inherit, or by its group, which Terraform leads. One that
took another session and cleared its environment is not found.
"""

import asyncio
import os
from collections.abc import Callable, Collection

import psutil

RUN_VARIABLE = "SETPOINT_RUN"
"""Environment variable of every process of a run, its providers included: how those of abandoned runs are found."""
_GRACE = 5.0
"""Seconds between the request to end and the kill."""
_POLL = 0.1
_MAX_NAME = 40


def run_of(process: psutil.Process) -> str:
    """The run that a process belongs to, empty where it belongs to none or is gone."""
    try:
        return str(process.environ().get(RUN_VARIABLE, ""))
    except (psutil.Error, OSError):
        return ""


def find(runs: Collection[str]) -> list[psutil.Process]:
    """The processes that carry the name of one of these runs in their environment."""
    return _matching(lambda process: run_of(process) in runs) if runs else []


async def end_leftovers(run: str, leader: int, *, everywhere: bool) -> tuple[str, ...]:
    """Ends what a run left running once its command, the leader of a session, has ended; the names of the programs.

    `everywhere`: in other sessions, too, which takes a look at all processes.
    """
    if not everywhere and not _has_group(leader):
        return ()
    found = _matching(lambda process: run_of(process) == run or os.getpgid(process.pid) == leader)
    names = tuple(sorted({_name(process) for process in found}))
    for process in found:
        _signal(process, kill=False)
    await gone(found, _GRACE)
    for process in found:
        _signal(process, kill=True)
    await gone(found, _GRACE)
    return names


async def gone(processes: Collection[psutil.Process], seconds: float) -> None:
    """Until none of them lives, or the time is over."""
    deadline = asyncio.get_running_loop().time() + seconds
    while any(_is_alive(process) for process in processes):
        if asyncio.get_running_loop().time() > deadline:
            return
        await asyncio.sleep(_POLL)


def _matching(belongs: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if belongs(process) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _has_group(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except OSError:
        return False
    return True


def _name(process: psutil.Process) -> str:
    try:
        return process.name()[:_MAX_NAME]
    except psutil.Error:
        return "a program that ended meanwhile"


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.Error:
        return
