"""The watchdog's own process: ends runs whose manager hangs or is dead. Standard library only; imports nothing of ours.

Reads lines from its standard input: `.` is a heartbeat, `+PID` and `-PID` say which runs there are. No heartbeat for
`silence` seconds, or the end of the pipe: SIGINT to each run, which lets Terraform end what it has begun; `patience`
seconds later, SIGKILL to its whole session. What a run has left behind in other sessions ends with it, found by the
variable that names the run in its environment.
"""

import contextlib
import os
import select
import signal
import sys
import time

_ROUND = 0.2
_VARIABLE = b"SETPOINT_RUN="

Run = tuple[str, bytes]
"""When its process began, and the mark of what belongs to it."""


def watch_over(silence: float, patience: float) -> None:
    """Until the pipe has ended and no run is left."""
    runs: dict[int, Run] = {}
    asked: set[tuple[int, Run]] = set()
    rest, last, open_ = b"", time.monotonic(), True
    while open_ or runs:
        if open_ and select.select([0], [], [], _ROUND)[0]:
            read = os.read(0, 65_536)
            open_ = bool(read)
            *lines, rest = (rest + read).split(b"\n")
            last = time.monotonic() if _take_in(lines, runs) else last
        elif not open_:
            time.sleep(_ROUND)
        overdue = time.monotonic() - last - silence
        if overdue >= 0 or not open_:
            _end(runs, asked, kill=overdue >= patience)


def _take_in(lines: list[bytes], runs: dict[int, Run]) -> bool:
    """Takes lines in; True where a heartbeat was among them."""
    for line in lines:
        if line[:1] == b"+":
            pid = int(line[1:])
            runs[pid] = _birth(pid), _mark(pid)
        elif line[:1] == b"-":
            runs.pop(int(line[1:]), None)
    return b"." in lines


def _end(runs: dict[int, Run], asked: set[tuple[int, Run]], *, kill: bool) -> None:
    for pid, run in list(runs.items()):
        birth, mark = run
        if not birth or _birth(pid) != birth:
            del runs[pid]  # it has ended, and its number may be another's
            _kill_marked(mark)
        elif kill:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            _kill_marked(mark)
        elif (pid, run) not in asked:
            asked.add((pid, run))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)


def _mark(pid: int) -> bytes:
    """The entry that names the run in the environment of each of its processes; empty where there is none."""
    return next((entry for entry in _environment(pid) if entry.startswith(_VARIABLE)), b"")


def _kill_marked(mark: bytes) -> None:
    for name in os.listdir("/proc") if mark else ():  # noqa: PTH208 costs less to start
        if name.isdigit() and mark in _environment(int(name)):
            with contextlib.suppress(OSError):
                os.kill(int(name), signal.SIGKILL)


def _environment(pid: int) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 costs less to start
            return file.read().split(b"\0")
    except OSError:
        return []


def _birth(pid: int) -> str:
    """When a process began, in clock ticks (proc(5), field 22 of stat); empty where there is none, or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123 costs less to start
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


if __name__ == "__main__":
    watch_over(float(sys.argv[1]), float(sys.argv[2]))
