"""Owns the ground of attacks: a home, what lies around it, and the commands of the product on it."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from setpoint.cli.main import cli

MARK = "PWNED"
"""The file in `Ground.outside` that an attack makes where it gets something run that must not run."""
CODE = """
variable "v" {
  type    = string
  default = "one"
}
resource "terraform_data" "a" { input = var.v }
"""
RUNS = """
resource "terraform_data" "NAME" {
  provisioner "local-exec" { command = "COMMAND" }
}
"""


@dataclasses.dataclass(frozen=True)
class Ground:
    """A folder with a home in it; `outside` is what no home may reach."""

    root: Path

    @property
    def home(self) -> Path:
        """The home."""
        return self.root / "home"

    @property
    def outside(self) -> Path:
        """A folder beside the home."""
        return self.root / "outside"

    @property
    def state(self) -> Path:
        """The home's own folder."""
        return self.home / ".setpoint"

    @property
    def pwned(self) -> list[str]:
        """The names of files that attacks have made outside."""
        return sorted(path.name for path in self.outside.glob(f"{MARK}*"))

    def write(self, path: str, content: str | bytes) -> Path:
        """A file of the home; the folders above it are made."""
        place = self.home / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
        return place

    def declare(self, kind: str, name: str, /, **parts: Any) -> None:
        """A manifest in a file of its own."""
        version = "v1" if kind == "Secret" else "setpoint.dev/v1alpha1"
        manifest = {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **parts}
        self.write(f"{kind.lower()}-{name}.yaml", json.dumps(manifest))

    def environment(self, name: str, code: str = CODE, /, **spec: Any) -> None:
        """An Environment whose changes are applied by themselves, and its code, if it has any."""
        if code:
            self.write(f"code/{name}/main.tf", code)
        wanted = {"stage": "dev", "source": {"path": f"./code/{name}"}, "apply": {"mode": "Auto"}, **spec}
        self.declare("Environment", name, spec=wanted)

    def runs(self, command: str, name: str = "b") -> str:
        """Code of a resource that runs a command in the folder outside when it is made."""
        return RUNS.replace("NAME", name).replace("COMMAND", f"cd '{self.outside}' && {command}")

    def run(self, *words: str) -> Result:
        """A command that somebody types in this home, without the start of a process."""
        return CliRunner().invoke(cli, ["--home", str(self.home), *words], prog_name="setpoint")

    def up(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """One run of the manager, a process of its own."""
        command = [sys.executable, "-m", "setpoint", "up", str(self.home), "--once", "-o", "json"]
        settings = {**os.environ, "SETPOINT_TERRAFORM_MIRROR": str(self.root / "mirror"), **environment}
        return subprocess.run(command, capture_output=True, text=True, env=settings, timeout=110, check=False)

    def get(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind."""
        return json.loads(self.run("get", kind, "-o", "json").stdout)["items"]

    def copy(self, root: Path) -> "Ground":
        """The same once more, for an attack of its own."""
        shutil.copytree(self.root, root, symlinks=True)
        return Ground(root)


def make_ground(root: Path) -> Ground:
    """An empty home, its surroundings, and a mirror of providers with nothing in it."""
    ground = Ground(root)
    for folder in (ground.home, ground.outside, root / "mirror"):
        folder.mkdir(parents=True)
    (ground.outside / "secret.txt").write_text("outside-of-every-home-4711")
    return ground


def ready(obj: Mapping[str, Any]) -> tuple[str, str]:
    """Reason and message of the condition Ready."""
    conditions = {one["type"]: one for one in obj.get("status", {}).get("conditions", [])}
    found = conditions.get("Ready", {})
    return found.get("reason", ""), found.get("message", "")
