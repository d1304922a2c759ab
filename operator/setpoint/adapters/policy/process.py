"""Owns one policy worker as the operator sees it: start, one request at a time, deadline, death."""

import asyncio
import dataclasses
import os
import signal
import sys
from pathlib import Path
from typing import Any

import setpoint
from setpoint.adapters.policy import frames

_CLOSE_SECONDS = 2.0
_DEATHS = {
    signal.SIGSEGV: "it crashed; an endless recursion is the usual cause",
    signal.SIGBUS: "it crashed; an endless recursion is the usual cause",
    signal.SIGABRT: "it ran out of its {memory} MiB of memory, or aborted",
    signal.SIGKILL: "it was killed",
    signal.SIGXCPU: "it used too much CPU time",
}


class WorkerError(Exception):
    """A request without an answer. The worker is gone; the message says why."""


@dataclasses.dataclass(eq=False, slots=True)
class WorkerProcess:
    """A running worker. `loaded` is what its operator knows about the sets in it, oldest use first."""

    process: asyncio.subprocess.Process
    memory_mib: int
    loaded: dict[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    async def start(cls, memory_mib: int) -> "WorkerProcess":
        """A worker in a session of its own, with next to no environment. Raises WorkerError."""
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-s", "-m", "setpoint.adapters.policy.worker", str(memory_mib)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=_environment(),
                cwd=os.sep,
                start_new_session=True,
            )
        except OSError as error:
            msg = f"the policy worker does not start: {error.strerror}"
            raise WorkerError(msg) from error
        return cls(process, memory_mib)

    @property
    def alive(self) -> bool:
        """False once it ended, for whatever reason."""
        return self.process.returncode is None

    async def request(self, do: str, seconds: float, body: bytes = b"", **header: Any) -> tuple[dict[str, Any], bytes]:
        """One answer (header, body). Raises WorkerError, and then the worker is gone; so it is when cancelled."""
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(frames.pack({"do": do, "seconds": seconds, **header}, body))
        except BaseException as error:
            died = isinstance(error, OSError | EOFError) and not isinstance(error, TimeoutError)
            await (self._reap() if died else self.kill())
            if not isinstance(error, Exception):
                raise
            raise WorkerError(self._explain(error, seconds)) from error

    def _explain(self, error: Exception, seconds: float) -> str:
        if isinstance(error, TimeoutError):
            return f"the policies took longer than {seconds:g} s and were stopped"
        if isinstance(error, OSError | EOFError):
            return f"the policy worker ended: {self._cause_of_death()}"
        return str(error)

    async def _exchange(self, parts: tuple[bytes, bytes]) -> tuple[dict[str, Any], bytes]:
        requests, answers = self.process.stdin, self.process.stdout
        if requests is None or answers is None:
            raise EOFError
        requests.writelines(parts)
        await requests.drain()
        prefix = await answers.readexactly(frames.PREFIX.size)
        header, body = frames.unpack_prefix(prefix, max_body=frames.MAX_ANSWER)
        return frames.unpack_header(await answers.readexactly(header)), await answers.readexactly(body)

    def _cause_of_death(self) -> str:
        code = self.process.returncode or 0
        try:
            return _DEATHS[signal.Signals(-code)].format(memory=self.memory_mib)
        except (ValueError, KeyError):
            return f"exit code {code}"

    async def close(self) -> None:
        """Ends an idle worker: its input ends, and it follows."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._reap()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """Ends a worker at once."""
        if self.alive:
            self.process.kill()
        await self._reap()

    async def _reap(self) -> None:
        """Closes its input and waits for its end. An answer left unread in the pipe would make `wait` alone hang."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        await self.process.communicate()


def _environment() -> dict[str, str]:
    """The place of the package, and settings that keep regorus small and quiet; nothing of the operator's."""
    root = Path(setpoint.__file__).parents[1]
    return {"PYTHONPATH": str(root), "MIMALLOC_ARENA_RESERVE": "0", "RUST_BACKTRACE": "0"}
