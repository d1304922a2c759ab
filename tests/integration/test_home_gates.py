"""Gates that can't be read, in a whole home: nothing passes them, at first sight and while a manager stays."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from setpoint.wiring.manager import run_manager

GATES = """\
apiVersion: setpoint.dev/v1alpha1
kind: EnforcementGates
metadata: {name: org}
spec:
  gates:
    - name: few
      stages: [plan, apply]
      blastRadius: {maxCreate: 9}
"""
MISTYPED = GATES.replace("blastRadius", "level: advisory\n      blastRadus")
SECONDS = 120


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A home whose one environment is applied at once where nothing blocks it."""
    root = tmp_path / "home"
    (root / "infra").mkdir(parents=True)
    (root / "infra" / "main.tf").write_text('variable "text" {}\nresource "terraform_data" "x" { input = var.text }\n')
    declare(root, "one")
    return root


def declare(root: Path, text: str) -> None:
    spec = {"stage": "dev", "source": {"path": "./infra"}, "variables": {"text": text}, "apply": {"mode": "Auto"}}
    manifest = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Environment", "metadata": {"name": "e"}, "spec": spec}
    (root / "e.yaml").write_text(json.dumps(manifest))


def setpoint(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SETPOINT_HOME": str(root)}
    command = [sys.executable, "-m", "setpoint", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=SECONDS, check=False)


def once(root: Path) -> tuple[int, str, str]:
    """A run's exit code, and how the environment rests."""
    ended = setpoint(root, "up", str(root), "--once", "-o", "json")
    (target,) = [one for one in json.loads(ended.stdout)["targets"] if one["kind"] == "Environment"]
    return ended.returncode, target["reason"], target["message"]


def test_a_mistyped_field_blocks_from_the_first_sight_on(root: Path) -> None:
    (root / "ENFORCEMENT_GATES.yml").write_text(MISTYPED)
    code, reason, message = once(root)
    assert (code, reason) == (1, "GateError")
    assert "gate gates: ENFORCEMENT_GATES.yml:9: spec.gates[0].blastRadus: unknown field" in message
    planned = setpoint(root, "plan", "environment/e", "--home", str(root))
    assert "Blocked by gates." in planned.stdout, planned


def test_policies_that_do_not_load_count_where_a_gate_names_them(root: Path) -> None:
    (root / "e.yaml").unlink()
    rules = "apiVersion: setpoint.dev/v1alpha1\nkind: PolicySet\nmetadata: {name: rules}\n"
    (root / "rules.yaml").write_text(rules + "spec: {source: {path: ./nowhere}}\n")
    ended = setpoint(root, "up", str(root), "--once")
    assert ended.returncode == 0, ended
    assert "policyset/rules  does not load, and no gate names it: spec.source: there is no folder" in ended.stderr
    (root / "gates.yaml").write_text(GATES.replace("blastRadius: {maxCreate: 9}", "policySets: [{name: rules}]"))
    assert setpoint(root, "up", str(root), "--once").returncode == 1


@contextlib.asynccontextmanager
async def staying(root: Path) -> AsyncIterator["asyncio.Queue[str]"]:
    """A manager that stays; the reasons by which the environment rests, as they come."""
    reasons: asyncio.Queue[str] = asyncio.Queue()
    stop = asyncio.Event()

    def hear(ref: object, step: str, _resource: object = None) -> None:
        if str(ref) == "environment/e":
            reasons.put_nowait(step)

    options = {
        "once": False,
        "due": False,
        "metrics_address": None,
        "log_format": "json",
        "progress": hear,
        "stop": stop,
    }
    run = asyncio.create_task(run_manager(root, **options))
    try:
        yield reasons
    finally:
        stop.set()
        await run


async def until(reasons: "asyncio.Queue[str]", wanted: str) -> None:
    async with asyncio.timeout(SECONDS):
        while await reasons.get() != wanted:
            pass


async def test_a_manager_that_stays_sees_them_come_and_go(root: Path) -> None:
    gates = root / "ENFORCEMENT_GATES.yml"
    gates.write_text(MISTYPED)
    async with staying(root) as reasons:
        await until(reasons, "GateError")
        gates.write_text(GATES)
        await until(reasons, "AtSetpoint")
        gates.write_text(GATES + "  : [\n")
        declare(root, "two")
        await until(reasons, "GateError")
        (root / "gates.yaml").write_text(GATES.replace("setpoint.dev", "setpoint.dv"))
        gates.unlink()
        await until(reasons, "GateError")
        (root / "gates.yaml").unlink()
        await until(reasons, "AtSetpoint")
