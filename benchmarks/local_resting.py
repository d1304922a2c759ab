"""Measures what resting manifests cost a local home: `up --once --due`, `get`, and reading the same files once.

    python benchmarks/local_resting.py [MANIFESTS]

The manifests are ordinary Environments, each in a file of its own, with nothing to make. A first run plans each (10 a
second, so 10,000 take a quarter of an hour) and finds it at its setpoint; what is measured comes after that. Commands
are processes, with their start in the figure. The bare side is a process, too: it reads every file and loads it by
PyYAML's C loader, checks nothing, and keeps nothing. The ratio is that of CPU, which other work disturbs least, by
the medians of three rounds in turn.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

MOST_SECONDS = 45.0
"""That either command may take over 10,000 manifests: three times the first pass of `cluster_resting.py`."""
_START_SECONDS = 3.0
"""A process that only starts."""
ROUNDS = 3
_BARE = """
import pathlib, sys, yaml
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.yaml")):
    list(yaml.load_all(path.read_bytes(), Loader=yaml.CSafeLoader))
"""


class Took(NamedTuple):
    """Of one process, to its end."""

    seconds: float
    cpu: float


def lay_out(root: Path, manifests: int) -> None:
    """Environments of which each has a folder of its own beside its manifest, as most have."""
    for number in range(manifests):
        folder = root / f"rest-{number:05d}"
        folder.mkdir(parents=True)
        (folder / "main.tf").write_text(f'locals {{\n  name = "{number}"\n}}\n')
        (root / f"rest-{number:05d}.yaml").write_text(
            "apiVersion: setpoint.dev/v1alpha1\nkind: Environment\n"
            f"metadata: {{name: rest-{number:05d}}}\nspec:\n"
            f"  stage: bench\n  interval: 24h\n  source: {{path: ./{folder.name}}}\n"
        )


def run(*words: str) -> Took:
    """One process; raises where it fails."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    ended = subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended.returncode:
        raise RuntimeError(f"{words[:3]}: {ended.stderr.decode()[-500:]}")
    return Took(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def show(name: str, rounds: Sequence[Took], bare: Sequence[Took], most: float | None) -> None:
    """One line; `most` is how many seconds are wanted, None where that is open."""
    seconds, cpu = (statistics.median(one) for one in zip(*rounds, strict=True))
    ratio = cpu / statistics.median(one.cpu for one in bare)
    wanted = f" (at most {most:.0f} s)" if most is not None else ""
    print(f"{name:<22}{seconds:8.2f} s{wanted}, {cpu:.2f} s of CPU: {ratio:.2f} times the bare side's")


def main(manifests: int = 10_000) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "home"
        lay_out(root, manifests)
        up, get = ("-m", "setpoint", "up", str(root), "--once"), ("-m", "setpoint", "--home", str(root), "get")
        first = run(*up)
        rounds = [(run("-c", _BARE, str(root)), run(*up, "--due"), run(*get, "environments")) for _ in range(ROUNDS)]
    bare, ups, gets = zip(*rounds, strict=True)
    most = _START_SECONDS + MOST_SECONDS * manifests / 10_000
    print(f"manifests {manifests}; the first run, which plans each: {first.seconds:.1f} s, {first.cpu:.1f} of CPU")
    show("bare", bare, bare, None)
    show("up --once --due", ups, bare, most)
    show("get", gets, bare, most)


if __name__ == "__main__":
    os.environ.pop("SETPOINT_HOME", None)
    main(*(int(word) for word in sys.argv[1:]))
