"""No writing of a secret shows, or stands in clear below `.setpoint/`, whatever code and programs do with it."""

import base64
import json
import os
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest

PASSWORD = "grebe & tern/2207?"
INNER = "inner-key-of-a-list"
CODE = """
variable "password" { type = string }
variable "keys" { type = list(string) }
locals { basic = base64encode("admin:${nonsensitive(var.password)}") }
resource "terraform_data" "by_key" {
  for_each = toset(["plain", nonsensitive(var.password), local.basic, "user ${nonsensitive(var.keys[0])}"])
  input    = each.key
}
resource "terraform_data" "login" {
  depends_on = [terraform_data.by_key]
  provisioner "local-exec" {
    command     = "echo with $PW; echo Basic $AUTH >&2; echo ?pw=$URL; printf %s \\"$PW\\" | od -An -tx1; exit 9"
    environment = {
      PW   = var.password
      AUTH = local.basic
      URL  = urlencode(var.password)
    }
  }
}
"""
WRITINGS = (
    PASSWORD,
    INNER,
    base64.b64encode(f"admin:{PASSWORD}".encode()).decode(),
    urllib.parse.quote_plus(PASSWORD),
    urllib.parse.quote(PASSWORD, safe=""),
    PASSWORD[:16].encode().hex(" "),
)


def setpoint(root: Path, *words: str) -> str:
    environment = {**os.environ, "SETPOINT_HOME": str(root)}
    command = [sys.executable, "-m", "setpoint", *words]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, check=False)
    return ended.stdout + ended.stderr


def declare(root: Path, **spec: object) -> None:
    wanted = {
        "stage": "dev",
        "source": {"path": "./infra"},
        "apply": {"mode": "Auto"},
        "reset": {"onVerifyFailure": "Never"},
        "variablesFrom": [{"secretRef": {"name": "s"}}],
        **spec,
    }
    metadata = {"name": "e"}
    manifest = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Environment", "metadata": metadata, "spec": wanted}
    (root / "e.yaml").write_text(json.dumps(manifest))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "home"
    (root / "infra").mkdir(parents=True)
    (root / "infra" / "main.tf").write_text(CODE)
    values = {"password": PASSWORD, "keys": json.dumps([INNER])}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": values}
    (root / "secret.yaml").write_text(json.dumps(secret))
    declare(root)
    return root


def test_a_failing_program_and_keys_of_for_each_show_no_secret(root: Path) -> None:
    shown = setpoint(root, "up", str(root), "--once")
    assert "exit status 9" in shown
    assert 'terraform_data.by_key["(sensitive)#' in shown
    assert 'terraform_data.by_key["plain"]' in shown
    for words in (
        ("describe", "environment/e"),
        ("get", "all", "-o", "yaml"),
        ("audit", "log"),
        ("plan", "environment/e"),
    ):
        shown += setpoint(root, *words)
    files = [path.read_bytes() for path in (root / ".setpoint").rglob("*") if path.is_file() and not path.is_symlink()]
    kept = b"\0".join(files).decode("latin-1")
    assert [one for one in WRITINGS if one in shown] == []
    assert [one for one in WRITINGS if one in kept] == []
    # Rules still see what a key is: this one is about to go.
    declare(root, protection={"addresses": [f'*["{PASSWORD}"]']})
    (root / "infra" / "main.tf").write_text(CODE.replace("nonsensitive(var.password), local", "local"))
    blocked = setpoint(root, "up", str(root), "--once")
    assert "which spec.protection.addresses protects;" in blocked
    assert [one for one in WRITINGS if one in blocked] == []


LOGIN = """
resource "terraform_data" "login" {
  provisioner "local-exec" { command = "echo as $PGUSER@$PGHOST by $PGPASSWORD by $APP; exit 9" }
}
"""


def test_of_credentials_the_secrets_are_hidden_and_no_address_is_torn(root: Path) -> None:
    """A password that is a resource's type, and a user that is a part of it."""
    values = {"PGUSER": "terraform", "PGHOST": "db.example.com", "PGPASSWORD": "terraform_data", "APP": "x7Kq2mZp"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": values}
    (root / "db.yaml").write_text(json.dumps(secret))
    (root / "infra" / "main.tf").write_text(LOGIN)
    declare(root, variablesFrom=[], credentials={"plan": [{"secretRef": {"name": "db"}}]})
    shown = setpoint(root, "up", str(root), "--once")
    assert "as terraform@db.example.com by (sensitive) by (sensitive)" in shown
    assert "terraform_data.login" in shown
    assert "(sensitive).login" not in shown
    # Named as plain, a value is shown; a name that is none is told of.
    secret["metadata"] = {"name": "db", "annotations": {"setpoint.dev/plain": "APP, PGHSOT"}}
    (root / "db.yaml").write_text(json.dumps(secret))
    shown = setpoint(root, "up", str(root), "--once") + setpoint(root, "describe", "environment/e")
    assert "by (sensitive) by x7Kq2mZp" in shown
    assert "spec.credentials.plan[0].secretRef: the annotation setpoint.dev/plain of Secret db names PGHSOT" in shown
    assert "(sensitive).login" not in shown
