"""Policies in a whole home judge what is secret, and nothing of it shows or stands in clear below `.setpoint/`."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "grebe-and-tern-2207"
CODE = """
variable "admin" {}
variable "password" {}
variable "note" {}
variable "cidrs" {
  type      = list(string)
  sensitive = true
}
resource "terraform_data" "firewall" { input = { admin = var.admin, password = var.password, cidrs = var.cidrs } }
"""
RULES = """package rules
deny contains {"rule": "open", "resource": rc.address, "msg": msg} if {
	some rc in input.plan.resource_changes
	rc.type == "terraform_data"
	cidr := rc.change.after.input.cidrs[_]
	cidr == "0.0.0.0/0"
	made := base64.encode(rc.change.after.input.password)
	msg := sprintf("%s is open to %s for %s, %s", [rc.type, cidr, rc.change.after.input.password, made])
}
"""


def setpoint(root: Path, *words: str) -> str:
    environment = {**os.environ, "SETPOINT_HOME": str(root)}
    command = [sys.executable, "-m", "setpoint", *words]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, check=False)
    return ended.stdout + ended.stderr


def write(root: Path, kind: str, name: str, **rest: Any) -> None:
    version = "v1" if kind == "Secret" else "setpoint.dev/v1alpha1"
    (root / f"{kind}.yaml").write_text(
        json.dumps({"apiVersion": version, "kind": kind, "metadata": {"name": name}} | rest)
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A home whose Secret holds a part of a type, a constant of a policy, and a password."""
    root = tmp_path / "home"
    (root / "infra").mkdir(parents=True)
    (root / "infra" / "main.tf").write_text(CODE)
    write(root, "Secret", "s", stringData={"admin": "terraform", "password": PASSWORD, "note": "0.0.0.0/0"})
    gate = {"name": "g", "stages": ["plan", "apply"], "policySets": [{"name": "rules"}], "level": "invariant"}
    write(root, "PolicySet", "rules", spec={"source": {"inline": {"rules.rego": RULES}}})
    write(root, "EnforcementGates", "org", spec={"gates": [gate]})
    declare(root, ["10.0.0.0/8", "0.0.0.0/0"])
    return root


def declare(root: Path, cidrs: list[str]) -> None:
    spec = {"source": {"path": "./infra"}, "variables": {"cidrs": cidrs}, "apply": {"mode": "Auto"}}
    write(root, "Environment", "e", spec={"stage": "dev", "variablesFrom": [{"secretRef": {"name": "s"}}], **spec})


def test_a_secret_switches_no_policy_off_and_none_comes_out(root: Path) -> None:
    shown = setpoint(root, "up", str(root), "--once")
    assert "GateBlocked" in shown
    said = "terraform_data.firewall: terraform_data is open to (sensitive) for (sensitive), "
    assert f"gate g: [medium] open: {said}" in shown
    for words in (
        ("describe", "environment/e"),
        ("get", "all", "-o", "yaml"),
        ("audit", "log"),
        ("plan", "environment/e"),
    ):
        shown += setpoint(root, *words)
    files = [path.read_bytes() for path in (root / ".setpoint").rglob("*") if path.is_file() and not path.is_symlink()]
    kept = b"\0".join(files).decode("latin-1")
    for writing in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode()):
        assert writing not in shown
        assert writing not in kept
    declare(root, ["10.0.0.0/8"])
    assert "GateBlocked" not in setpoint(root, "up", str(root), "--once")
