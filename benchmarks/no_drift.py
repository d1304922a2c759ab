"""Owns the benchmark of a no-drift reconcile: throughput against the bare tool, and the manager's own CPU.

`python benchmarks/no_drift.py [--quick]`. The bare side runs `terraform init, plan, show -json` on local state, with
the best of several numbers of workers. Our side is `setpoint up --once` on an applied home, start-up included.
"""

import argparse
import asyncio
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from _homes import CODE, lay_out, run_once

WORKERS = (2, 4, 8, 16)
WANTED_THROUGHPUT = 1.3
WANTED_CPU = 0.10


def main() -> int:
    """Prints both sides and the ratios; exits with 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 environments instead of 60")
    count = 20 if parser.parse_args().quick else 60
    folder = Path(tempfile.mkdtemp())
    try:
        return asyncio.run(compare(folder, count))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def compare(folder: Path, count: int) -> int:
    """Both sides in one run, interleaved."""
    bare = [lay_out_bare(folder / "bare", number) for number in range(count)]
    await run_bare(bare, 4, apply=True)
    lay_out(folder / "home", count)
    lay_out(folder / "small", 1)
    for home in ("home", "small"):
        await run_once(folder / home)
    ours, theirs, own, terraform = 0.0, 0.0, float("inf"), 0.0
    for workers in WORKERS:
        theirs = max(theirs, count / await timed(run_bare(bare, workers)))
        ours = max(ours, count / await timed(run_once(folder / "home")))
        fixed, _ = await cpu_of(run_once(folder / "small"))
        total, children = await cpu_of(run_once(folder / "home"))
        if (total - fixed) / (count - 1) < own:
            own, terraform = (total - fixed) / (count - 1), children / count
    print(f"bare loop, best of {WORKERS} workers: {theirs * 60:.0f} environments a minute")
    print(f"setpoint up --once:                   {ours * 60:.0f} environments a minute, {ours / theirs:.2f} times")
    share = own / terraform
    print(f"manager's own CPU: {own * 1000:.1f} ms a reconcile, {share:.3f} of Terraform's {terraform * 1000:.0f} ms")
    return 0 if ours / theirs >= WANTED_THROUGHPUT and share <= WANTED_CPU else 1


def lay_out_bare(folder: Path, number: int) -> Path:
    """One folder for the bare loop."""
    path = folder / str(number)
    path.mkdir(parents=True)
    (path / "main.tf").write_text(CODE)
    return path


async def run_bare(folders: list[Path], workers: int, *, apply: bool = False) -> None:
    """The loop that a script would run."""
    limit = asyncio.Semaphore(workers)

    async def reconcile(folder: Path) -> None:
        async with limit:
            await terraform(folder, "init", "-input=false")
            await terraform(folder, "plan", "-input=false", "-out=p")
            await terraform(folder, "show", "-json", "p")
            if apply:
                await terraform(folder, "apply", "-input=false", "p")

    await asyncio.gather(*map(reconcile, folders))


async def terraform(folder: Path, *words: str) -> None:
    """One command; raises where it fails."""
    environment = {**os.environ, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    process = await asyncio.create_subprocess_exec(
        "terraform",
        *words,
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    await process.communicate()
    if process.returncode:
        raise RuntimeError(f"terraform {words[0]} ended with {process.returncode}")


async def timed(work) -> float:
    """Seconds of wall clock."""
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def cpu_of(work) -> tuple[float, float]:
    """Seconds of CPU of this process, and of its children."""
    own, children = time.process_time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    await work
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
    return time.process_time() - own, spent


if __name__ == "__main__":
    sys.exit(main())
