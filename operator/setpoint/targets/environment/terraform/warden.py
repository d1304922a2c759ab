"""Owns the heartbeat by which runs live while their manager leads: a paused or dead leader's Terraform must not go on.

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

_SCRIPT = Path(__file__).with_name("warden_process.py")


class RunWatch(Protocol):
    """Hears of the processes of runs."""

    def began(self, pid: int) -> None:
        """A run's process began. Raises StoreError where nobody watches: then the process must not go on."""
        ...

    def ended(self, pid: int) -> None:
        """It has ended."""
        ...


class NoWatch:
    """Runs that nobody watches over."""

    def began(self, pid: int) -> None:
        """Nothing."""

    def ended(self, pid: int) -> None:
        """Nothing."""


class Warden:
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
        """Says that we still lead. A warden that is gone is noticed when the next run begins."""
        with contextlib.suppress(StoreError):
            self._tell(".")

    def began(self, pid: int) -> None:
        """Takes a run under its watch."""
        self._tell(f"+{pid}")

    def ended(self, pid: int) -> None:
        """Takes it off."""
        with contextlib.suppress(StoreError):
            self._tell(f"-{pid}")

    async def close(self) -> None:
        """Ends the warden, after whatever still runs."""
        os.close(self._writer)
        await asyncio.to_thread(self._process.wait)

    def _tell(self, line: str) -> None:
        try:
            os.write(self._writer, f"{line}\n".encode())
        except OSError as error:
            msg = f"nobody watches over runs: the warden is gone ({error.strerror})"
            raise StoreError(msg) from None
