"""Owns a home on disk with one environment, and the commands that a person types there."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
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
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240, check=False)

    def up(self) -> subprocess.CompletedProcess:
        """One run."""
        return self.setpoint("up", str(self.root), "--once")

    @contextlib.contextmanager
    def manager(self) -> Iterator[subprocess.Popen]:
        """A manager that stays, from when it has looked at the environment; killed at the end where it still runs."""
        environment = {**os.environ, "SETPOINT_HOME": str(self.root)}
        command = [sys.executable, "-m", "setpoint", "up", str(self.root)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
            try:
                assert process.stderr is not None
                for line in process.stderr:
                    if "AtSetpoint" in line:
                        break
                yield process
            finally:
                process.kill()

    def status(self) -> dict[str, Any]:
        """The environment's."""
        return json.loads(self.setpoint("get", "environments", "e", "-o", "json").stdout)["status"]

    def condition(self, type_: str) -> tuple[str, str]:
        """Status and reason of one of its conditions."""
        found = {one["type"]: one for one in self.status()["conditions"]}[type_]
        return found["status"], found["reason"]
