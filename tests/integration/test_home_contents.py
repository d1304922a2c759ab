"""An approver sees what will change, in a home with a real Terraform, and approves nothing that can't be seen."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
variable "size" {{ default = "{size}" }}
variable "pin" {{
  default   = "hidden-{size}"
  sensitive = true
}}
resource "terraform_data" "host" {{
  input = {{ size = var.size, pin = var.pin, policy = jsonencode({{ Action = ["s3:{size}"], Version = 1 }}) }}
}}
resource "terraform_data" "many" {{
  count = {count}
  input = "number ${{count.index}} of many, with a text that takes some room"
}}
"""


class Home:
    """A home with one environment, and the commands that a person types."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "infra").mkdir(parents=True)
        spec = {"stage": "dev", "source": {"path": "./infra"}}
        manifest = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Environment", "metadata": {"name": "e"}}
        (root / "e.yaml").write_text(json.dumps({**manifest, "spec": spec}))

    def propose(self, size: str, count: int = 0) -> str:
        """Writes the code, and returns the Change that waits for it."""
        (self.root / "infra" / "main.tf").write_text(CODE.format(size=size, count=count))
        self.setpoint("up", str(self.root), "--once", code=3)
        return json.loads(self.setpoint("get", "environments", "e", "-o", "json"))["status"]["change"]

    def setpoint(self, *words: str, code: int = 0) -> str:
        environment = {**os.environ, "SETPOINT_HOME": str(self.root)}
        command = [sys.executable, "-m", "setpoint", *words]
        ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, check=False)
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def blob(self, change: str) -> Path:
        """The file that holds what the Change would do."""
        digest = json.loads(self.setpoint("get", "change", change, "-o", "json"))["spec"]["content"][7:]
        return self.root / ".setpoint" / "blobs" / digest[:2] / digest[2:]


pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_before_and_after_are_shown_and_no_secret(home: Home) -> None:
    home.setpoint("approve", home.propose("small"))
    home.setpoint("up", str(home.root), "--once")
    change = home.propose("large")
    for words, code in (("plan", "environment/e"), 3), (("approve", change), 0):
        told = home.setpoint(*words, code=code)
        assert '"small" → "large"' in told
        assert '-     "s3:small"' in told
        assert '+     "s3:large"' in told
        assert "~ input.pin:    (sensitive) → (sensitive, another value)" in told
        assert "hidden" not in told


def test_what_is_gone_damaged_or_swapped_is_not_approved(home: Home) -> None:
    change = home.propose("small", count=120)
    blob = home.blob(change)
    other = next(path for path in sorted(blob.parents[1].glob("??/*")) if path != blob)
    blob.unlink()
    assert "the store no longer holds what this Change would do" in home.setpoint("approve", change, code=1)
    blob.write_bytes(other.read_bytes())
    assert "No approval is given unseen" in home.setpoint("approve", change, code=1)
    blob.unlink()
    assert home.propose("small", count=120) == change
    assert "NOT SHOWN" not in home.setpoint("approve", change)
