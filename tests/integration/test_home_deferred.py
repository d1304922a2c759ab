"""Drift that a data source waits for: it is read during the apply, and what is behind it heals along with the drift."""

import pytest
from tests.integration.test_home_story import Story, mirror

__all__ = ["mirror"]

CODE = """
terraform {
  required_providers {
    local = { source = "hashicorp/local", version = "1.4.0" }
  }
}
variable "site" { type = string }
variable "text" { default = "one" }
resource "local_file" "page" {
  filename = "${var.site}/page"
  content  = var.text
}
data "local_file" "seen" {
  filename   = "${var.site}/page"
  depends_on = [local_file.page]
}
module "copy" {
  source = "./copy"
  file   = "${var.site}/copy"
  text   = data.local_file.seen.content
}
output "seen" { value = data.local_file.seen.content }
output "copied" { value = module.copy.id }
"""
MODULE = """
variable "file" { type = string }
variable "text" { type = string }
resource "local_file" "copy" {
  filename = var.file
  content  = var.text
}
output "id" { value = local_file.copy.id }
"""


@pytest.fixture
def story(tmp_path, mirror):
    story = Story(tmp_path / "home", mirror)
    (story.root / "infra" / "main.tf").write_text(CODE)
    (story.root / "infra" / "copy").mkdir()
    (story.root / "infra" / "copy" / "main.tf").write_text(MODULE)
    return story


def declare(story: Story, text: str, **spec: object) -> None:
    variables = {"site": str(story.site), "text": text}
    story.declare({}, **{"variables": variables, "apply": {"mode": "Auto"}, "drift": {"mode": "Heal"}, **spec})


def changes(story: Story) -> list[tuple[str, str]]:
    """The cause of each Change, and how its way back was drilled."""
    found = (item["spec"] for item in story.get("changes")["items"])
    return sorted((spec["cause"], spec["resetPlan"]["drill"]) for spec in found)


def test_what_waits_for_a_drifted_resource_heals_with_it(story: Story) -> None:
    declare(story, "one")
    assert story.up() == 0
    healthy = {"copy": "one", "page": "one"}
    assert story.files() == healthy

    (story.site / "page").write_text("tampered")
    assert story.up() == 0, "from the drift through the drill to the setpoint, and no person was asked"
    assert story.files() == healthy
    assert story.condition("Ready") == ("True", "AtSetpoint")
    assert changes(story) == [("Drift", "Passed"), ("SpecChanged", "NotDrillable")]

    (story.site / "page").unlink()
    declare(story, "two")
    assert story.up() == 0, "the drill of an edit that meets drift shows nothing but the drift and what waits for it"
    assert story.files() == {"copy": "two", "page": "two"}
    assert changes(story) == [("Drift", "Passed"), ("SpecChanged", "NotDrillable"), ("SpecChanged", "Passed")]
    assert not any(story.status()["drift"].values())
