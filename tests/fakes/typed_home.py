"""Owns a home on disk with one environment, and the commands that a person types there."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


class TypedHome:
    """A home in a folder; its environment is called `e` and its code is in `infra`."""

    def __init__(self, root: Path, code: str) -> None:
        self.root = root
        self.state = root / ".setpoint"
        (root / "infra").mkdir(parents=True)
        (root / "infra" / "main.tf").write_text(code)

    def declare(self, **spec: object) -> None:
        """Writes the manifest."""
        wanted = {"stage": "dev", "source": {"path": "./infra"}, "apply": {"mode": "Auto"}, **spec}
        head = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Environment", "metadata": {"name": "e"}}
        (self.root / "e.yaml").write_text(json.dumps({**head, "spec": wanted}))

    def setpoint(self, *words: str) -> subprocess.CompletedProcess:
        """One command and how it ended."""
        environment = {**os.environ, "SETPOINT_HOME": str(self.root)}
        command = [sys.executable, "-m", "setpoint", *words]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100, check=False)

    def up(self) -> subprocess.CompletedProcess:
        """One run."""
        return self.setpoint("up", str(self.root), "--once")

    def status(self) -> dict[str, Any]:
        """The environment's."""
        return json.loads(self.setpoint("get", "environments", "e", "-o", "json").stdout)["status"]

    def condition(self, type_: str) -> tuple[str, str]:
        """Status and reason of one of its conditions."""
        found = {one["type"]: one for one in self.status()["conditions"]}[type_]
        return found["status"], found["reason"]
