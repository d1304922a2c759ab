"""Owns the homes that benchmarks work on: N environments of ten `terraform_data` resources, applied."""

import asyncio
from pathlib import Path

from setpoint.wiring import run_manager

CODE = 'resource "terraform_data" "x" {\n  count = 10\n  input = "v${count.index}"\n}\n'


def lay_out(root: Path, environments: int, *, interval: str = "10m") -> None:
    """Manifests of a home that applies without asking."""
    (root / "infra").mkdir(parents=True)
    (root / "infra" / "main.tf").write_text(CODE)
    for number in range(environments):
        (root / f"e{number}.yaml").write_text(
            "apiVersion: setpoint.dev/v1alpha1\nkind: Environment\n"
            f"metadata: {{name: e{number}}}\nspec:\n  stage: bench\n  interval: {interval}\n"
            "  apply: {mode: Auto}\n  source: {path: ./infra}\n"
        )


async def run_once(root: Path) -> None:
    """One `setpoint up --once`; raises where a target is not at its setpoint."""
    report = await run_manager(
        root,
        once=True,
        due=False,
        metrics_address=None,
        log_format=None,
        progress=lambda *_args, **_options: None,
        stop=asyncio.Event(),
    )
    wrong = [target for target in report.targets if target.state != "at the setpoint"]
    if wrong or report.manifest_errors:
        raise RuntimeError(f"not at the setpoint: {wrong[:3]} {report.manifest_errors}")
