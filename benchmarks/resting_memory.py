"""Owns the benchmark of memory: the manager's RSS with many environments that rest at their setpoint.

`python benchmarks/resting_memory.py [ENVIRONMENTS]`, 1000 where not given. Terraform's own memory is not counted:
none runs while all rest.
"""

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil
from _homes import lay_out

WANTED_MB = 200


def main() -> int:
    """Starts the manager, waits until all rest, prints its RSS; exits with 1 where it is too much."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    folder = Path(tempfile.mkdtemp())
    port = free_port()
    lay_out(folder / "home", count, interval="24h")
    command = [sys.executable, "-m", "setpoint", "up", str(folder / "home"), "--listen", f"127.0.0.1:{port}"]
    manager = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ})
    try:
        return asyncio.run(watch(psutil.Process(manager.pid), port, count))
    finally:
        manager.terminate()
        manager.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


async def watch(manager: psutil.Process, port: int, count: int) -> int:
    """RSS once every environment is ready."""
    began = time.monotonic()
    while ready(port) < count:
        print(f"\r{ready(port)} of {count} rest", end="", file=sys.stderr, flush=True)
        await asyncio.sleep(2)
    await asyncio.sleep(5)
    megabytes = manager.memory_info().rss / 1e6
    print(f"\n{count} resting environments, applied in {time.monotonic() - began:.0f} s: {megabytes:.0f} MB of RSS")
    return 0 if megabytes <= WANTED_MB else 1


def ready(port: int) -> int:
    """How many environments are at their setpoint, by the manager's own metrics."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    except OSError:
        return 0
    return len(re.findall(r'^setpoint_condition\{.*status="True".*type="Ready"', text, re.MULTILINE)) or len(
        re.findall(r'^setpoint_condition\{.*type="Ready",status="True"', text, re.MULTILINE)
    )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
