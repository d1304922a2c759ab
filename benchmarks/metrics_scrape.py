"""The cost of a scrape to the operator: CPU, bytes and series, over HTTP, by the number of targets.

    python benchmarks/metrics_scrape.py [TARGETS ...]

Only this process's CPU is counted: the scrapes come from another.
"""

import asyncio
import sys
import time

from setpoint.api.meta import ObjectRef
from setpoint.runtime.metrics import Metrics
from setpoint.runtime.target_series import MAX_SHOWN, TargetSample
from setpoint.server.http import serve_http

SCRAPES = 20
SCRAPER = """
import sys, urllib.request
for _ in range(int(sys.argv[2])):
    body = urllib.request.urlopen(sys.argv[1], timeout=60).read()
print(len(body), sum(not line.startswith(b"#") for line in body.splitlines()))
"""
_STATUS = ("True", "False", "Unknown")
_CONDITIONS = ("Ready", "Reconciling", "Stalled", "Drifted", "ResetReady", "Gated", "Verified", "Held")
"""All that an Environment can have at once, and more: Reconciling and Stalled exclude each other."""


def measured(targets: int) -> Metrics:
    """Metrics of targets that show all that a target can."""
    metrics = Metrics()
    for kind in ("Environment", "PolicySet", "EnforcementGates"):
        metrics.observe_controller(kind, depth=lambda: 0, active=lambda: 0)
        metrics.queue_latency(kind)
    for number in range(targets):
        status = _STATUS[number % 3]
        sample = TargetSample(
            stage="prod",
            reason=("AtSetpoint", "ApprovalRequired", "Suspended")[number % 3],
            conditions=tuple((type_, status) for type_ in _CONDITIONS),
            actionable=number % 5,
            drift_since=1_700_000_000.0 + number,
            last_success=1_700_000_000.5 + number,
            snapshot=1_700_000_001.5 + number,
            reset_ready=True,
        )
        metrics.set_target(ObjectRef("Environment", f"team-{number % 50}", f"environment-{number:05d}"), sample)
    return metrics


async def scrape(metrics: Metrics) -> tuple[float, int, int]:
    """(CPU-seconds a scrape, bytes, series)."""
    async with serve_http("127.0.0.1:0", metrics=metrics, live={}, ready={}) as url:
        await _ask(url, 1)
        before = time.process_time()
        size, series = await _ask(url, SCRAPES)
        return (time.process_time() - before) / SCRAPES, size, series


async def _ask(url: str, times: int) -> tuple[int, int]:
    command = (sys.executable, "-c", SCRAPER, f"{url}/metrics", str(times))
    asking = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    told, _ = await asking.communicate()
    size, series = map(int, told.split())
    return size, series


def main(*counts: int) -> None:
    for targets in counts or (0, MAX_SHOWN, 10 * MAX_SHOWN):
        seconds, size, series = asyncio.run(scrape(measured(targets)))
        wanted = " (at most 100)" if targets == MAX_SHOWN else ""
        print(f"{targets:6} targets: {1000 * seconds:6.1f} ms CPU{wanted}, {series} series, {size / 2**10:.0f} KiB")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
