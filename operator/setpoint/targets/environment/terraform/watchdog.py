"""Owns the dead man's switch of runs: a heartbeat while their manager leads, as a dead leader's must not go on.

Only on a cluster: in a local home nobody else takes over, and Terraform ends what it has begun by itself.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from setpoint.domain.errors import StoreError

_SCRIPT = Path(__file__).with_name("watchdog_process.py")


class Watchdog(Protocol):
    """A dead man's switch: ends the processes of runs whose manager beats no more."""

    def began(self, pid: int) -> None:
        """A run's process began. Raises StoreError where nobody watches: then the process must not go on."""
        ...

    def ended(self, pid: int) -> None:
        """It has ended."""
        ...


class NoWatchdog:
    """No watchdog: runs end by themselves."""

    def began(self, pid: int) -> None:
        """Nothing."""

    def ended(self, pid: int) -> None:
        """Nothing."""


class WatchdogProcess:
    """A process beside ours. `silence` seconds without a beat bring SIGINT to all runs, `patience` more SIGKILL."""

    def __init__(self, silence: float, patience: float) -> None:
        self.patience = patience
        reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-E", str(_SCRIPT), str(silence), str(patience)],
                stdin=reader,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            os.close(reader)

    def beat(self) -> None:
        """Says that we still lead. A watchdog that is gone is noticed when the next run begins."""
        with contextlib.suppress(StoreError):
            self._send(".")

    def began(self, pid: int) -> None:
        """Takes a run under its watch."""
        self._send(f"+{pid}")

    def ended(self, pid: int) -> None:
        """Takes it off."""
        with contextlib.suppress(StoreError):
            self._send(f"-{pid}")

    async def close(self) -> None:
        """Ends the watchdog, after whatever still runs."""
        os.close(self._writer)
        await asyncio.to_thread(self._process.wait)

    def _send(self, line: str) -> None:
        try:
            os.write(self._writer, f"{line}\n".encode())
        except OSError as error:
            msg = f"nobody watches over runs: the watchdog is gone ({error.strerror})"
            raise StoreError(msg) from None
