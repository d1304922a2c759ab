"""Owns measuring what work costs, for tests of how that grows: a ratio to less of the same work, never seconds."""

import gc
import time
from collections.abc import Callable

LEAST = 0.01
"""Seconds below which a figure is noise."""


def cpu_of(work: Callable[[], object], rounds: int = 3) -> float:
    """The CPU-seconds of the best of a few rounds, without those of collecting what other tests left behind."""
    gc.collect()
    gc.disable()
    try:
        return max(LEAST, min(_once(work) for _ in range(rounds)))
    finally:
        gc.enable()


def _once(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
