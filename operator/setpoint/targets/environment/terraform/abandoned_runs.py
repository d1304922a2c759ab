"""Owns what a killed manager left running: finds it, stops it gracefully, keeps what it made."""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from setpoint.targets.environment.plan.orphans import ApplyAccount
from setpoint.targets.environment.plan.stream import read_stream
from setpoint.targets.environment.ports import AbandonedRun
from setpoint.targets.environment.terraform.leftovers import find, gone, run_of
from setpoint.targets.environment.terraform.process import outlived_a_boot, started_by_living
from setpoint.targets.environment.terraform.workfolder import WorkFolder

_GRACE = 600.0
_UNFINISHED = 3600.0
_POLL = 0.2
_MAX_OUTPUT = 512 << 20


async def settle(root: Path) -> tuple[AbandonedRun, ...]:
    """Ends every run of an earlier manager and tells what each did. Run folders of applies stay until `forget`.

    Runs of a process that lives, such as a `setpoint plan`, are left alone while it holds the target's work folder.
    """
    _sweep(root / "build")
    found = _notes(root)
    folders = [folder for folder, note in found.items() if not _is_held_by_its_maker(root, note)]
    notes = {folder.name: found[folder] for folder in folders}
    await _end_processes({run: note.get("command", ()) for run, note in notes.items()})
    abandoned = []
    for folder in folders:
        note = notes[folder.name]
        if _is_apply(note):
            abandoned.append(_abandoned(root, folder, note))
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return tuple(abandoned)


def find_running(root: Path, target: str) -> str:
    """The run of a killed manager that goes on in a target's folder, empty where there is none.

    For the holder of the folder: nothing of a living process runs there besides its own.
    """
    runs = {folder.name for folder, note in _notes(root).items() if _target(note) == target}
    return next((run for process in find(runs) if (run := run_of(process))), "")


def find_applied(root: Path, target: str) -> tuple[str, int | None]:
    """The last apply in a target's folder whose run folder is still there, and the StateVersion that it started from.

    Empty and None where there is none.
    """
    notes = _notes(root)
    applied = [folder for folder, note in notes.items() if _target(note) == target and _is_apply(note)]
    if not applied:
        return "", None
    last = max(applied, key=lambda folder: folder.stat().st_mtime_ns)
    return last.name, _base(notes[last])


def _notes(root: Path) -> dict[Path, Mapping[str, Any]]:
    """The run folders with their notes."""
    runs = root / "runs"
    return {folder: _read_note(folder) for folder in (sorted(runs.iterdir()) if runs.is_dir() else ())}


def _is_apply(note: Mapping[str, Any]) -> bool:
    return note.get("operation") == "apply" and note.get("name") == "apply"


def _is_held_by_its_maker(root: Path, note: Mapping[str, Any]) -> bool:
    """Another's hold says nothing of this run: a `setpoint plan` may look at the folder just now."""
    return started_by_living(note) and WorkFolder(root, _target(note)).is_held()


def _sweep(build: Path) -> None:
    """Bundles that were never finished; nobody makes one for longer than this."""
    for folder in build.iterdir() if build.is_dir() else ():
        if time.time() - folder.stat().st_mtime > _UNFINISHED:
            shutil.rmtree(folder, ignore_errors=True)


def forget(root: Path, run: str) -> None:
    """Removes the folder of a run whose outcome is on record."""
    if "/" not in run and run not in {"", ".", ".."}:
        shutil.rmtree(root / "runs" / run, ignore_errors=True)


def _read_note(folder: Path) -> Mapping[str, Any]:
    try:
        note = json.loads((folder / "process.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _base(note: Mapping[str, Any]) -> int | None:
    base = note.get("base")
    return base if isinstance(base, int) else None


def _target(note: Mapping[str, Any]) -> str:
    return str(note.get("target", ""))


def _abandoned(root: Path, folder: Path, note: Mapping[str, Any]) -> AbandonedRun:
    target = _target(note)
    account = _account(folder / "apply.out")
    return AbandonedRun(
        target=target,
        run=folder.name,
        operation="apply",
        created=None if outlived_a_boot(note) else account.creations(ended=False),
        completed=tuple(step.address for step in account.steps if step.state == "completed"),
        errored_state=WorkFolder(root, target).errored_state(),
        base=_base(note),
    )


def _account(path: Path) -> ApplyAccount:
    account = ApplyAccount()
    try:
        with path.open("rb") as file:
            output = file.read(_MAX_OUTPUT)
    except OSError:
        return account
    for message in read_stream(output):
        account.add(message)
    return account


# --- Processes ----------------------------------------------------------------------------------------------------


async def _end_processes(commands: Mapping[str, Sequence[str]]) -> None:
    """SIGINT to each Terraform, so that it saves its state; what is left after the grace is killed.

    Providers whose Terraform is dead are killed at once: they heed no SIGINT, and nobody hears what they answer.
    """
    runs = set(commands)
    leaders = [process for process in find(runs) if _is_leader(process, commands)]
    for process in leaders:
        _signal(process, graceful=True)
    await gone(leaders, _GRACE)
    for process in find(runs):
        _signal(process, graceful=False)
    await gone(find(runs), _POLL * 50)


def _is_leader(process: psutil.Process, commands: Mapping[str, Sequence[str]]) -> bool:
    """Terraform, and not its providers: those it stops itself, once their calls are through."""
    try:
        arguments = list(commands[run_of(process)])[1:]
        return bool(arguments) and process.cmdline()[-len(arguments) :] == arguments
    except (psutil.Error, OSError, KeyError):
        return False


def _signal(process: psutil.Process, *, graceful: bool) -> None:
    try:
        if graceful:
            process.send_signal(2)
        else:
            process.kill()
    except psutil.Error:
        return
