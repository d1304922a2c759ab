"""Files that one run plants in the work folder do not outlive the source that planted them, with either engine."""

import os
from pathlib import Path

import pytest
from tests.fakes.typed_home import TypedHome
from tools.resolve import TOFU, ToolError, find

PLANTING = r"""
resource "terraform_data" "p" {
  provisioner "local-exec" {
    command = <<-X
      echo '{"terraform":{"backend":{"local":{"path":"elsewhere.tfstate"}}}}' > '~~_override.tf.json'
      echo 'v = "planted"' > z.auto.tfvars
      echo '# planted' >> main.tf
    X
  }
}
"""
CODE = """
variable "v" { default = "declared" }
resource "terraform_data" "a" { input = var.v }
output "v" { value = terraform_data.a.output }
"""


def has_tofu() -> bool:
    try:
        return find(TOFU, os.environ) is not None
    except ToolError:
        return False


TOFU_TOO = pytest.param("opentofu", marks=pytest.mark.skipif(not has_tofu(), reason="needs OpenTofu: `make tools`"))


@pytest.mark.parametrize("engine", ["terraform", TOFU_TOO])
def test_a_planted_override_does_not_lead_the_state_away(
    tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "opentofu":
        monkeypatch.setenv("SETPOINT_TOFU", str(find(TOFU, os.environ)))
    home = TypedHome(tmp_path / "home", CODE + PLANTING)
    home.declare(engine={"type": engine, "lockFile": "Generate"})
    ended = home.up()
    assert ended.returncode == 0, ended.stderr
    (home.root / "infra" / "main.tf").write_text(CODE.replace("declared", "reverted"))
    ended = home.up()
    assert ended.returncode == 0, ended.stderr
    told = home.setpoint("describe", "environment/e").stdout
    assert "WorkFolderRestored" in told
    assert "z.auto.tfvars, ~~_override.tf.json" in told
    state = home.status()["state"]
    assert (state["resources"], state["version"]) == (1, 2)
    (work,) = (home.state / "work").glob("environment.*")
    assert not [
        path for path in work.iterdir() if path.name in {"~~_override.tf.json", "z.auto.tfvars", "elsewhere.tfstate"}
    ]
    assert home.condition("Ready") == ("True", "AtSetpoint")
