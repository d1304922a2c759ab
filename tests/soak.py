"""Owns how much more `make soak` does than `make test`: what can be exhaustive asks here how far it goes."""

import os

SOAKING = bool(os.environ.get("SETPOINT_TEST_SOAK"))
EACH = 1 if SOAKING else 11
"""Of an exhaustive table `make test` runs each eleventh row to its end. Odd: rows may be pairs, as before and after."""
_TIMES = 20
_FEWEST = 10


def examples(usual: int) -> int:
    """The number of examples that a property is tried on."""
    return usual * _TIMES if SOAKING else usual


def dear_examples(usual: int) -> int:
    """As `examples`, for a property whose usual number takes a second: `make test` tries a tenth of it, at least 10."""
    return usual * _TIMES if SOAKING else max(usual // 10, _FEWEST)
