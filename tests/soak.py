"""Owns how much more `make soak` does than `make test`: what can be exhaustive asks here how far it goes."""

import os

SOAKING = bool(os.environ.get("SETPOINT_TEST_SOAK"))
_TIMES = 20


def examples(usual: int) -> int:
    """The number of examples that a property is tried on."""
    return usual * _TIMES if SOAKING else usual
