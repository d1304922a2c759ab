"""Owns the policy worker: a process of its own in which Rego runs, bounded in memory and CPU time.

Started as `python -m setpoint.adapters.policy.worker MEMORY_MIB`; answers frames on standard input with frames on
standard output until its input ends. It is given plans with their secrets: so it has no environment to speak of, can
open no file and no socket, and dumps no core. A policy that crashes it costs this process and nothing else.
"""

import contextlib
import fcntl
import os
import resource
import sys
from typing import Any, BinaryIO

from setpoint.adapters.policy import frames

_PIPE_BYTES = 2**20
_BASE_MIB = 96
"""The memory that Python and regorus take before any policy is loaded."""


def main() -> None:
    """Serves until standard input ends."""
    limit_memory(int(sys.argv[1]))
    requests, answers = _take_pipes()
    from setpoint.adapters.policy.serving import Server  # noqa: PLC0415 under the limits, regorus reserves less

    server = Server()
    seal()
    while (frame := _read(requests)) is not None:
        header, body = frame
        _limit_cpu(float(header["seconds"]))
        for part in frames.pack(*server.answer(header, body)):
            answers.write(part)
        answers.flush()


def limit_memory(mebibytes: int) -> None:
    """Bounds the address space of this process."""
    limit = (mebibytes + _BASE_MIB) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def seal() -> None:
    """Lets this process open and write nothing more than the pipes that it has; a core dump would hold the plan.

    A limit of one byte forbids cores that are piped to a program, too: one of none does not.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def _limit_cpu(seconds: float) -> None:
    """Ends a worker whose operator died while it was computing; the operator's own deadline comes first."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Takes the pipes away from everything else: what prints must not end up between frames."""
    with contextlib.suppress(OSError):  # a plan passes in one piece instead of ten; refused above the user's quota
        fcntl.fcntl(0, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "r+b") as nothing:  # noqa: PTH123 a device, not a path
        for descriptor in (0, 1, 2):
            os.dup2(nothing.fileno(), descriptor)
    return requests, answers


def _read(requests: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    prefix = requests.read(frames.PREFIX.size)
    if len(prefix) < frames.PREFIX.size:
        return None
    header, body = frames.unpack_prefix(prefix)
    return frames.unpack_header(requests.read(header)), requests.read(body)


if __name__ == "__main__":
    main()
