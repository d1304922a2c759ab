"""Owns how long a failing key waits. No clock and no I/O: a delay is a number of seconds."""

import random
from collections.abc import Callable, Hashable

_MAX_DOUBLINGS = 32
"""Beyond this every delay is at its maximum; also keeps 2**n small."""


class Backoff:
    """Per-key exponential back-off: base, 2 base, 4 base, ... up to a maximum, each times a jitter of 0.5 to 1.

    The jitter keeps keys that failed together from coming back together. `uniform` gives floats in [0, 1).
    Memory is one entry per key that has failed since it was last forgotten.
    """

    def __init__(
        self, *, base: float = 0.75, maximum: float = 900.0, uniform: Callable[[], float] = random.random
    ) -> None:
        self._base = base
        self._maximum = maximum
        self._uniform = uniform
        self._failures: dict[Hashable, int] = {}

    def next(self, key: Hashable) -> float:
        """Counts one more failure of a key and returns the seconds to wait."""
        failures = self._failures.get(key, 0)
        self._failures[key] = min(failures + 1, _MAX_DOUBLINGS)
        return min(self._base * 2.0**failures, self._maximum) * (0.5 + 0.5 * self._uniform())

    def failures(self, key: Hashable) -> int:
        """How often the key failed in a row, counted up to 32."""
        return self._failures.get(key, 0)

    def forget(self, key: Hashable) -> None:
        """Starts a key afresh."""
        self._failures.pop(key, None)

    def __len__(self) -> int:
        return len(self._failures)
