"""Owns running git: one process, without a shell, with a deadline and bounded output."""

import asyncio
import contextlib
import dataclasses
import os
import resource
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from setpoint.adapters.source.git_access import scrub
from setpoint.api.conditions import Reason
from setpoint.domain.errors import StalledError, TransientError
from setpoint.domain.transport_errors import Fault, fault_in
from setpoint.domain.visible import visible

MAX_PACK_BYTES = 1024 * 1024 * 1024
_MAX_OUTPUT = 1024 * 1024
_MAX_SHOWN = 300
_CHUNK = 65_536
_CUT_OFF = "fatal: fetch-pack: invalid index-pack output"  # and no word of why: its writer died of the limit


@dataclasses.dataclass(frozen=True, slots=True)
class GitResult:
    """How a git process ended; `output` is its stdout, `complaint` its stderr, both bounded."""

    code: int
    output: str
    complaint: str


async def run_git(
    arguments: Sequence[str], *, cwd: Path, environ: Mapping[str, str], seconds: float, held: Sequence[int] = ()
) -> GitResult:
    """Runs git to its end; `held` are handles that it keeps open. Raises TransientError at the deadline."""
    process = await asyncio.create_subprocess_exec(
        "git",
        *arguments,
        cwd=cwd,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        pass_fds=tuple(held),
    )
    _limit_files(process.pid)
    assert process.stdout is not None  # noqa: S101 both are pipes
    assert process.stderr is not None  # noqa: S101
    try:
        async with asyncio.timeout(seconds):
            output, complaint = await asyncio.gather(_bounded(process.stdout), _bounded(process.stderr))
            code = await process.wait()
    except TimeoutError:
        why = f"git took longer than {seconds:.0f} s"
        raise TransientError(Reason.SOURCE_UNAVAILABLE, why) from None
    finally:
        await _end(process)
    if output is None or complaint is None:
        raise TransientError(Reason.SOURCE_UNAVAILABLE, "git wrote more than could be of use")
    return GitResult(code, output, complaint)


def _limit_files(pid: int) -> None:
    """No file of this process and its children may grow beyond the limit: the other side decides what it sends."""
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (MAX_PACK_BYTES, MAX_PACK_BYTES))


async def _bounded(stream: asyncio.StreamReader) -> str | None:
    """The stream's text; the other side writes part of it. None for too much, read and dropped to let it end."""
    parts, size = [], 0
    while chunk := await stream.read(_CHUNK):
        size += len(chunk)
        if size <= _MAX_OUTPUT:
            parts.append(chunk)
    return b"".join(parts).decode(errors="replace") if size <= _MAX_OUTPUT else None


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kills what is left of the process group, and reaps it; asyncio's `wait` hangs while a pipe is not read."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.communicate()


def failure(result: GitResult, url: str) -> StalledError | TransientError:
    """The error that a failed git process means for the source."""
    lines = [line.strip() for line in scrub(result.complaint).splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", "ERROR:"))] or lines
    why = visible(" ".join(fatal))[:_MAX_SHOWN]
    message = f"{scrub(url)}: {why or f'git ended with code {result.code}'}"
    if why == _CUT_OFF:
        why = f"a fetch of more than {MAX_PACK_BYTES // 1024**2} MiB"
        return StalledError(Reason.SOURCE_REFUSED, f"{scrub(url)}: {why}")
    if "not allowed" in why:
        return StalledError(Reason.SOURCE_REFUSED, message)
    fault = fault_in(result.complaint)
    if fault is Fault.ABSENT:
        return StalledError(Reason.SOURCE_NOT_FOUND, f"spec.source.git.url: {message}")
    if fault is Fault.LOGIN:
        return TransientError(Reason.SOURCE_UNAUTHORIZED, f"{message}; see spec.source.git.secretRef")
    if fault is Fault.CERTIFICATE:
        message = f"{message}; its certificate or host key is none that is trusted here"
    return TransientError(Reason.SOURCE_UNAVAILABLE, message)
