"""Runs setpoint as it is, and prints the moment at which each pass over an Environment begins (CLOCK_MONOTONIC)."""

import time

from setpoint.cli.main import main
from setpoint.pipeline.reconciler import TargetReconciler
from setpoint.runtime.requests import Request, Result

WORD = "pass-begins"
_reconcile = TargetReconciler.reconcile


async def _announced(self: TargetReconciler, request: Request) -> Result:
    print(WORD, request.ref.name, time.monotonic(), flush=True)
    return await _reconcile(self, request)


if __name__ == "__main__":
    TargetReconciler.reconcile = _announced  # type: ignore[method-assign]
    main()
