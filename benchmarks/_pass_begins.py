"""Runs setpoint as it is, and prints the moment at which each pass over an Environment begins (CLOCK_MONOTONIC)."""

import time

from setpoint.cli.main import main
from setpoint.pipeline.reconciler import EnvironmentReconciler
from setpoint.runtime.requests import Request, Result

WORD = "pass-begins"
_reconcile = EnvironmentReconciler.reconcile


async def _announced(self: EnvironmentReconciler, request: Request) -> Result:
    print(WORD, request.ref.name, time.monotonic(), flush=True)
    return await _reconcile(self, request)


if __name__ == "__main__":
    EnvironmentReconciler.reconcile = _announced  # type: ignore[method-assign]
    main()
