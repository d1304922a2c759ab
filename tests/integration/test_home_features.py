"""Features of a home that need it whole: adopted states, sources, secrets and outputs, plans, orders to a target."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "correct-horse-battery-staple"
CODE = """
variable "who" { default = "world" }
variable "token" { default = "none" }
resource "terraform_data" "x" { input = var.who }
resource "terraform_data" "y" { input = sha256(var.token) }
output "who" { value = terraform_data.x.output }
output "token" {
  value     = var.token
  sensitive = true
}
"""


class Home:
    """A home with one environment, and the commands that a person types."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "infra").mkdir(parents=True)
        (root / "infra" / "main.tf").write_text(CODE)

    def declare(self, **spec: object) -> None:
        wanted = {"stage": "dev", "source": {"path": "./infra"}, "apply": {"mode": "Auto"}, **spec}
        metadata = {"name": "e"}
        manifest = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Environment", "metadata": metadata, "spec": wanted}
        (self.root / "e.yaml").write_text(json.dumps(manifest))

    def secret(self, name: str, **values: str) -> None:
        manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}
        (self.root / f"{name}.yaml").write_text(json.dumps(manifest))

    def setpoint(self, *words: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "SETPOINT_HOME": str(self.root)}
        command = [sys.executable, "-m", "setpoint", *words]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240, check=False)

    def up(self) -> int:
        ended = self.setpoint("up", str(self.root), "--once")
        assert SECRET not in ended.stdout + ended.stderr
        return ended.returncode

    def status(self) -> dict:
        return json.loads(self.setpoint("get", "environments", "e", "-o", "json").stdout)["status"]


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


def terraform(folder: Path, *words: str) -> str:
    environment = {"PATH": os.environ["PATH"], "TF_CLI_CONFIG_FILE": os.devnull, "HOME": str(folder)}
    done = subprocess.run(
        ["terraform", *words], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_root_module_uses_what_is_beside_it_in_the_home(home):
    """The same as `terraform apply` in that folder: a module, a link and a file elsewhere in the home."""
    site, shared = home.root / "modules" / "site", home.root / "shared"
    eu = home.root / "live" / "eu"
    for folder in (site, shared, eu):
        folder.mkdir(parents=True)
    (shared / "variables.tf").write_text('variable "colour" { default = "teal" }\n')
    (shared / "motto.txt").write_text("steady")
    (eu / "variables.tf").symlink_to("../../shared/variables.tf")
    (eu / "main.tf").write_text('module "site" {\n  source = "../../modules/site"\n  colour = var.colour\n}\n')
    seen = home.root.parent / "seen.txt"
    (site / "main.tf").write_text(f"""
      variable "colour" {{}}
      resource "terraform_data" "x" {{
        triggers_replace = "${{var.colour}} ${{file("${{path.module}}/../../shared/motto.txt")}}"
        provisioner "local-exec" {{ command = "echo '${{self.triggers_replace}}' >{seen}" }}
      }}
    """)
    home.declare(source={"path": "./live/eu"})
    assert home.up() == 0
    assert seen.read_text() == "teal steady\n"
    before = home.status()["bundle"]["digest"]
    (home.root / "live" / "us.txt").write_text("not reached")
    assert home.up() == 0
    assert home.status()["bundle"]["digest"] == before
    (shared / "motto.txt").write_text("swift")
    assert home.up() == 0
    assert home.status()["bundle"]["digest"] != before
    assert seen.read_text() == "teal swift\n"


def test_an_existing_state_is_adopted_and_nothing_is_made_anew(home, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "main.tf").write_text(CODE)
    terraform(other, "init")
    terraform(other, "apply", "-auto-approve")
    home.declare()
    state = tmp_path / "pulled.tfstate"
    state.write_text(terraform(other, "state", "pull"))
    assert home.setpoint("import-state", "e", str(state)).returncode == 0
    assert home.up() == 0
    assert home.status()["state"]["version"] == 1
    assert not json.loads(home.setpoint("get", "changes", "-o", "json").stdout)["items"]
    again = home.setpoint("import-state", "e", str(state))
    assert again.returncode == 1
    assert "already" in again.stderr


def test_what_is_no_state_is_not_adopted(home, tmp_path):
    home.declare()
    (tmp_path / "no.tfstate").write_text('{"version": 4}')
    ended = home.setpoint("import-state", "e", str(tmp_path / "no.tfstate"))
    assert ended.returncode == 1
    assert "no Terraform state" in ended.stderr


@pytest.mark.parametrize("kind", ["inline", "git"])
def test_other_sources(home, tmp_path, kind):
    source: dict = {"inline": {"main.tf": CODE}}
    if kind == "git":
        source = {"git": {"url": f"file://{commit(tmp_path / 'repo')}", "ref": "main", "path": "live"}}
    home.declare(source=source)
    assert home.up() == 0
    assert home.status()["state"]["resources"] == 2


def commit(folder: Path) -> Path:
    (folder / "live").mkdir(parents=True)
    (folder / "live" / "main.tf").write_text(CODE)
    who = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], [*who, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


def test_local_modules_come_along(home):
    (home.root / "infra" / "parts").mkdir()
    (home.root / "infra" / "parts" / "main.tf").write_text('resource "terraform_data" "part" {}\n')
    with (home.root / "infra" / "main.tf").open("a") as file:
        file.write('module "parts" {\n  source = "./parts"\n}\n')
    home.declare()
    assert home.up() == 0
    assert home.status()["state"]["resources"] == 3


def test_secrets_go_in_and_outputs_come_out_sealed(home):
    home.secret("tokens", token=SECRET)
    home.declare(variablesFrom=[{"secretRef": {"name": "tokens"}}], outputsTo={"secretRef": {"name": "out"}})
    assert home.up() == 0
    shown = "".join(
        home.setpoint(*words).stdout
        for words in (
            ("get", "all", "-o", "json"),
            ("describe", "environment/e"),
            ("audit", "log", "-o", "json"),
            ("plan", "environment/e"),
        )
    )
    assert SECRET not in shown
    for path in (home.root / ".setpoint").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert SECRET.encode() not in content, path
            assert base64.b64encode(SECRET.encode()) not in content, path


def test_a_rotated_secret_is_a_change_that_names_no_value(home):
    home.secret("tokens", token="first-secret-value")
    home.declare(variablesFrom=[{"secretRef": {"name": "tokens"}}])
    assert home.up() == 0
    home.secret("tokens", token=SECRET)
    home.declare(variablesFrom=[{"secretRef": {"name": "tokens"}}], apply={"mode": "Manual"})
    assert home.up() == 3
    assert SECRET not in home.setpoint("get", "changes", "-o", "yaml").stdout


def test_a_key_that_goes_with_its_input_is_drilled_while_it_is_kept(home):
    home.secret("tokens", token=SECRET)
    (home.root / "infra" / "main.tf").write_text('variable "token" {}\nresource "terraform_data" "x" {}\n')
    home.declare(variablesFrom=[{"secretRef": {"name": "tokens"}}])
    assert home.up() == 0
    (home.root / "infra" / "main.tf").write_text('resource "terraform_data" "x" { input = 1 }\n')
    home.secret("tokens")
    assert home.up() == 3
    change = home.status()["change"]
    told = home.setpoint("describe", f"change/{change}").stdout
    assert "was NOT drilled: a person must approve" in told
    assert "planned with today's Secrets, lacks key token: keep key token until this Change is applied" in told
    assert home.setpoint("approve", change, "--reason", "seen").returncode == 0
    assert home.up() == 0


def test_a_plan_changes_nothing(home):
    home.declare(apply={"mode": "Manual"})
    ended = home.setpoint("plan", "environment/e", "-o", "json")
    assert ended.returncode == 3, ended.stderr
    report = json.loads(ended.stdout)
    assert report["summary"]["create"] == 2
    assert report["approvalsRequired"] == 1
    assert not json.loads(home.setpoint("get", "changes,snapshots", "-o", "json").stdout)["items"]
    assert home.up() == 3
    assert home.status()["change"].endswith(report["subject"][7:39])


def test_suspended_resumed_and_rejected(home):
    home.declare(apply={"mode": "Manual"})
    assert home.setpoint("up", str(home.root), "--once").returncode == 3
    change = home.status()["change"]
    assert home.setpoint("reject", change, "--reason", "not today").returncode == 0
    assert home.up() == 3
    assert home.status()["conditions"][0]["reason"] == "Rejected"
    assert home.setpoint("suspend", "environment/e").returncode == 0
    assert home.up() == 3
    assert home.status()["conditions"][0]["reason"] == "Suspended"
    again = home.setpoint("up", str(home.root), "--once")
    assert (again.returncode, "Suspended" in again.stdout) == (3, True)
    assert home.setpoint("resume", "environment/e").returncode == 0
    assert home.up() == 3
    assert home.status()["conditions"][0]["reason"] == "Rejected"


def test_a_policy_that_does_not_parse_blocks_and_says_where(home):
    rules = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "PolicySet", "metadata": {"name": "rules"}}
    rules["spec"] = {"source": {"inline": {"bad.rego": "package bad\n\ndeny contains {"}}}
    gates = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "EnforcementGates", "metadata": {"name": "gates"}}
    gates["spec"] = {"gates": [{"name": "rules", "stages": ["plan"], "policySets": [{"name": "rules"}]}]}
    (home.root / "rules.yaml").write_text(json.dumps(rules) + "\n---\n" + json.dumps(gates))
    home.declare()
    assert home.up() == 1
    assert home.status()["conditions"][0]["reason"] == "GateError"
    policy_set = json.loads(home.setpoint("get", "policysets", "rules", "-o", "json").stdout)
    ready = policy_set["status"]["conditions"][0]
    assert (ready["status"], ready["reason"]) == ("False", "PolicyInvalid")
    assert "bad.rego" in ready["message"]


def test_what_the_environment_says_of_a_type_is_in_the_way_back(home):
    home.declare()
    assert home.up() == 0
    (home.root / "infra" / "main.tf").write_text(CODE.replace('"terraform_data" "y"', '"terraform_data" "z"'))
    home.declare(protection={"reversibility": {"terraform_*": "Data"}})
    shown = home.setpoint("plan", "environment/e").stdout
    assert "terraform_data.y can NOT be undone: data is lost" in shown
    assert "(spec.protection.reversibility: terraform_*: Data)" in shown
    home.declare(protection={"reversibility": {"terraform_data.y": "Data"}})
    assert "spec.protection.reversibility" in home.setpoint("plan", "environment/e").stderr
