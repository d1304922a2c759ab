"""Kills what a test session started and could not stop itself, since it was killed.

Reads `+PID` and `-PID` lines; when the other end of the pipe is gone, whatever was added and not taken off dies.
"""

import contextlib
import os
import signal
import sys

if __name__ == "__main__":
    alive: set[int] = set()
    for line in sys.stdin:
        (alive.add if line[0] == "+" else alive.discard)(int(line[1:]))
    for pid in alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
