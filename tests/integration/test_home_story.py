"""The story that the README tells, command by command, with the real hashicorp/local provider and real Terraform."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
terraform {
  required_providers {
    local = { source = "hashicorp/local", version = "1.4.0" }
  }
}
variable "site" { type = string }
variable "pages" { type = map(string) }
resource "local_file" "page" {
  for_each = var.pages
  filename = "${var.site}/${each.key}"
  content  = each.value
}
output "names" { value = keys(var.pages) }
"""


class Story:
    """A home, and the commands that a person types."""

    def __init__(self, root: Path, mirror: str | None) -> None:
        self.root = root
        self.site = root / "site"
        self.environment = {**os.environ, "SETPOINT_HOME": str(root)}
        if mirror:
            self.environment["SETPOINT_TERRAFORM_MIRROR"] = mirror
        (root / "infra").mkdir(parents=True)
        (root / "infra" / "main.tf").write_text(CODE)

    def declare(self, pages: dict[str, str], **spec: object) -> None:
        manifest = {
            "apiVersion": "setpoint.dev/v1alpha1",
            "kind": "Environment",
            "metadata": {"name": "web"},
            "spec": {
                "stage": "dev",
                "engine": {"lockFile": "Generate"},
                "source": {"path": "./infra"},
                "variables": {"site": str(self.site), "pages": pages},
                "outputsTo": {"secretRef": {"name": "web-outputs"}},
                **spec,
            },
        }
        (self.root / "web.yaml").write_text(json.dumps(manifest))

    def setpoint(self, *words: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "setpoint", *words]
        return subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=240, check=False)

    def up(self) -> int:
        return self.setpoint("up", str(self.root), "--once").returncode

    def get(self, *words: str) -> dict:
        return json.loads(self.setpoint("get", *words, "-o", "json").stdout)

    def status(self) -> dict:
        return self.get("environments", "web")["status"]

    def condition(self, type_: str) -> tuple[str, str]:
        found = {one["type"]: one for one in self.status()["conditions"]}[type_]
        return found["status"], found["reason"]

    def approve(self) -> None:
        name = self.status()["change"]
        assert self.setpoint("approve", name).returncode == 0

    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in sorted(self.site.iterdir())} if self.site.exists() else {}


@pytest.fixture(scope="session")
def mirror():
    """The provider mirror that the tools made; none where the registry serves the provider."""
    tools = Path(__file__).parents[2] / "tools" / "resolve.py"
    told = subprocess.run([sys.executable, tools, "provider-local"], capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in told.split()).get("SETPOINT_TERRAFORM_MIRROR")


@pytest.fixture
def story(tmp_path, mirror):
    return Story(tmp_path / "home", mirror)


def test_from_the_first_apply_to_a_reset(story):
    story.declare({"a.txt": "one"})
    assert story.up() == 3
    changes = story.get("changes")
    assert changes["kind"] == "List"
    change = changes["items"][0]
    assert change["spec"]["cause"] == "SpecChanged"
    assert change["spec"]["digest"].startswith("sha256:")
    assert change["spec"]["summary"]["create"] == 1
    assert {one["type"] for one in change["status"]["conditions"]} >= {"Gated", "Approved"}
    assert not story.files()

    story.approve()
    assert story.up() == 0
    assert story.files() == {"a.txt": "one"}
    assert story.condition("Verified") == ("True", "Verified")
    first = story.status()["snapshot"]

    (story.site / "a.txt").write_text("tampered\n")
    assert story.up() == 3
    assert story.condition("Drifted") == ("True", "DriftDetected")
    assert story.status()["drift"]["actionable"] == 1
    assert story.get("changes", story.status()["change"])["spec"]["cause"] == "Drift"
    story.approve()
    assert story.up() == 0
    assert story.files() == {"a.txt": "one"}

    story.declare({"a.txt": "one", "b.txt": "two"})
    assert story.up() == 3
    story.approve()
    assert story.up() == 0
    assert story.files() == {"a.txt": "one", "b.txt": "two"}

    assert story.setpoint("reset", "environment/web", "--to", first, "--reason", "b was wrong").returncode == 0
    assert story.up() == 3
    story.approve()
    assert story.up() == 3, "held from now on"
    assert story.files() == {"a.txt": "one"}
    assert story.condition("Held") == ("True", "ResetHold")
    assert story.up() == 3

    assert story.setpoint("resume", "environment/web").returncode == 0
    assert story.up() == 3
    assert story.get("changes", story.status()["change"])["spec"]["cause"] == "SpecChanged"
    assert story.setpoint("audit", "verify").returncode == 0


def test_retain_lets_go_and_a_new_manifest_takes_up_the_state_again(story):
    story.declare({"a.txt": "one"}, apply={"mode": "Auto"})
    assert story.up() == 0
    (story.root / "web.yaml").rename(story.root / "web.txt")
    assert story.up() == 0
    assert story.files() == {"a.txt": "one"}
    assert not story.get("environments")["items"]
    (story.root / "web.txt").rename(story.root / "web.yaml")
    assert story.up() == 0
    assert story.status()["state"]["version"] == 1


def test_destroy_waits_for_a_person_and_is_built_from_what_was_applied(story):
    story.declare({"a.txt": "one"}, apply={"mode": "Auto"}, protection={"deletionPolicy": "Destroy"})
    assert story.up() == 0
    (story.root / "web.yaml").unlink()
    (story.root / "infra" / "main.tf").write_text("this is no Terraform any more")
    assert story.up() == 3
    assert story.files() == {"a.txt": "one"}
    story.approve()
    assert story.up() == 0
    assert story.files() == {}
    assert not story.get("environments")["items"]


def test_a_file_that_is_refused_is_no_orphan_and_is_tried_again(story):
    """Mode Auto asks nobody: what the create answered is a no."""
    (story.site / "b.txt").mkdir(parents=True)
    story.declare({"a.txt": "one", "b.txt": "two"}, apply={"mode": "Auto"})
    assert story.up() == 1
    assert (story.site / "a.txt").read_text() == "one"
    assert story.condition("Ready")[1] == "ApplyFailed"
    assert not story.status().get("orphans")
    (story.site / "b.txt").rmdir()
    assert story.up() == 0
    assert story.files() == {"a.txt": "one", "b.txt": "two"}
