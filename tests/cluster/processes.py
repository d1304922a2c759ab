"""Owns the child processes of a test server: starting them, every way to end them, and that none outlives the tests."""

import contextlib
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PATIENCE = 240.0
"""Seconds within which comes what must come, however busy the machine is; on an idle one nothing takes that long."""
_STOP_SECONDS = 90.0
_POLL_SECONDS = 0.05
_PORTS = range(20_000, 30_000)
_TAIL = 2_000


class Reaper:
    """Watches over processes: if this one dies, even by SIGKILL, they do. Works from any thread."""

    def __init__(self) -> None:
        script = str(Path(__file__).with_name("reaper.py"))
        # A session of its own: Ctrl-C is for the tests, which end their servers in order.
        self._watcher: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-S", "-E", script], stdin=subprocess.PIPE, start_new_session=True, text=True
        )

    def watch(self, pid: int) -> None:
        """From now on it dies with us."""
        self._tell(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        """It has ended, and its number may soon be another's."""
        self._tell(f"-{pid}\n")

    def close(self) -> None:
        """Ends the watcher, and what it watches."""
        self._watcher.communicate()

    def _tell(self, line: str) -> None:
        assert self._watcher.stdin is not None
        if not self._watcher.stdin.closed:
            self._watcher.stdin.write(line)
            self._watcher.stdin.flush()


class Process:
    """One server process. Its output is appended to a file; `is_ready` asks it whether it serves."""

    def __init__(self, name: str, command: Sequence[str], log: Path, is_ready: Callable[[], bool], reaper: Reaper):
        self.name = name
        self.command = tuple(command)
        self.log = log
        self._is_ready = is_ready
        self._reaper = reaper
        self._popen: subprocess.Popen[bytes] | None = None
        self._watched: int | None = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._popen is not None, f"{self.name} does not run"
        return self._popen.pid

    @property
    def running(self) -> bool:
        """True where it runs, paused or not. One that ended by itself is not watched over from here on."""
        if self._popen is None or self._watched is None:
            return False
        if self._popen.poll() is None:
            return True
        self._forget()
        return False

    def start(self) -> None:
        """Starts it, and does not wait until it serves."""
        assert not self.running, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._watched = self._popen.pid
        self._reaper.watch(self._watched)

    def wait_ready(self, seconds: float = PATIENCE) -> None:
        """Returns when it serves. Raises RuntimeError with the end of its log where it ends, or the time does."""
        deadline = time.monotonic() + seconds
        while not self._is_ready():
            if not self.running:
                raise RuntimeError(f"{self.name} ended: {self.said()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not get ready in {seconds:.0f} s: {self.said()}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """SIGTERM, as a node that is drained does; SIGKILL where that is of no use."""
        if not self.running:
            return
        self.resume()
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._end(_STOP_SECONDS)
            return
        self.kill()

    def kill(self) -> None:
        """SIGKILL, as a node that loses its power does."""
        if self.running:
            self._signal(signal.SIGKILL)
            self._end(_STOP_SECONDS)

    def pause(self) -> None:
        """SIGSTOP: connections stay open, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def restart(self, seconds: float = PATIENCE) -> None:
        """Stops it, starts it with the same command, and waits until it serves."""
        self.stop()
        self.start()
        self.wait_ready(seconds)

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-_TAIL:] if self.log.exists() else ""

    def _signal(self, number: signal.Signals) -> None:
        assert self._popen is not None, f"{self.name} does not run"
        self._popen.send_signal(number)

    def _end(self, seconds: float) -> None:
        assert self._popen is not None
        self._popen.wait(timeout=seconds)
        self._forget()

    def _forget(self) -> None:
        """Its number may soon be another's: whoever kills it then kills a stranger."""
        if self._watched is not None:
            self._reaper.forget(self._watched)
            self._watched = None


def free_ports(count: int) -> tuple[int, ...]:
    """Ports that nothing listens on.

    Not those of the kernel's ephemeral range: while a server is down, a client of ours that tries again and again
    could be given its port as its own, connect to itself, and keep the server from coming back.
    """
    found: dict[int, Any] = {}
    while len(found) < count:
        port = random.choice(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found[port] = None
    return tuple(found)
