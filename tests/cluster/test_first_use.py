"""From nothing to healed drift, as docs/how-to/install-on-a-cluster.md has it: manifests/ as it is, on a new server.

There is no kubelet: the operator is the Deployment's container as a process, with its environment and with the
ServiceAccount's own token.
"""

import base64
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.apiserver import NAMESPACE, PATIENT, ROOT, ApiServer, UnavailableError, tool
from tests.cluster.conftest import unavailable
from tests.cluster.manifests import MANIFESTS, built, named, overlay
from tests.cluster.manifests import until as soon
from tests.cluster.operators import Operator, People, running, until
from tools.resolve import PROVIDER_KUBECTL

BANNER = """
terraform {
  required_providers {
    kubectl = { source = "gavinbunney/kubectl", version = "1.19.0" }
  }
}
variable "host" { type = string }
variable "ca" { type = string }
variable "token" {
  type      = string
  sensitive = true
}
provider "kubectl" {
  host                   = var.host
  cluster_ca_certificate = var.ca
  token                  = var.token
  load_config_file       = false
}
resource "kubectl_manifest" "banner" {
  yaml_body = <<-YAML
    apiVersion: v1
    kind: ConfigMap
    metadata:
      name: banner
      namespace: NAMESPACE
    data:
      greeting: hello
  YAML
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server that nothing of ours was ever applied to, with Setpoint and the people of the how-to."""
    if any(os.environ.get(name) for name in ("SETPOINT_TEST_KUBECONFIG", "KUBECONFIG")):
        pytest.skip("a cluster of yours is not new")
    try:
        made = ApiServer(tmp_path_factory.mktemp("server"))
        made.start()
    except UnavailableError as error:
        unavailable(error)
    try:
        made.start_controllers()
        # Without --server-side, as people type it: no definition may be too large for it.
        made.kubectl("apply", "-k", str(MANIFESTS / "base"))
        made.kubectl("apply", "-f", str(MANIFESTS / "components" / "group-bindings" / "bindings.yaml"))
        made.kubectl("wait", "--for=condition=Established", "-f", str(ROOT / "crds"))
        # Whoever administers the cluster may not write our status: the policies are in force.
        soon(lambda: _refuses_status(made))
        yield made
    finally:
        made.stop()


def _refuses_status(server: ApiServer) -> bool:
    probe = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "PolicySet", "metadata": {"name": "probe"}}
    given = json.dumps({**probe, "spec": {"source": {"builtin": "baseline"}}})
    server.kubectl("apply", "-f", "-", given=given)
    words = ("patch", "policyset", "probe", "--subresource=status", "--type=merge", "--dry-run=server")
    return server.kubectl(*words, "-p", '{"status":{"observedGeneration":1}}', check=False).returncode != 0


@pytest.fixture(scope="module")
def operator(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    folder = tmp_path_factory.mktemp("operator")
    token = server.kubectl("create", "token", "setpoint-operator", "-n", NAMESPACE).stdout.strip()
    with_token(server, "service-account", token)
    with running(server, folder, role="service-account", settings=settings_of_the_pod(server, folder)) as operator:
        yield operator


def with_token(server: ApiServer, name: str, token: str) -> None:
    """The kubeconfig of one more role."""
    config = json.loads(server.kubeconfig().read_text())
    config["users"][0]["user"] = {"token": token}
    server.kubeconfig(name).write_text(json.dumps(config))


def settings_of_the_pod(server: ApiServer, folder: Path) -> dict[str, str]:
    """The settings of the Deployment with SQLite, on this machine's paths."""
    deployment = named(built(server, overlay(folder / "overlay", "base", "single-replica")), "Deployment")
    given = {one["name"]: one.get("value") for one in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}
    key, home = folder / "sealing.key", folder / "home"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(32))
    home.mkdir()
    ours = {
        # --listen and the name of the test's replica say otherwise.
        "SETPOINT_LISTEN": None,
        "SETPOINT_IDENTITY": None,
        "SETPOINT_LEASE_NAMESPACE": NAMESPACE,
        "SETPOINT_STATE_DIR": str(folder / "state"),
        "SETPOINT_SEALING_KEY_FILE": str(key),
        "HOME": str(home),
    }
    assert given.keys() >= ours.keys()
    found = {**given, **ours, "SETPOINT_TERRAFORM_MIRROR": str(_mirror())}
    return {name: value for name, value in found.items() if value is not None}


def _mirror() -> Path:
    try:
        return tool(PROVIDER_KUBECTL)
    except UnavailableError as error:
        unavailable(error)


def columns(server: ApiServer, kind: str, namespace: str) -> list[dict[str, str]]:
    """The output of kubectl for people: the rows of its table, by column."""
    lines = server.kubectl("get", kind, "-n", namespace).stdout.splitlines()
    starts = [index for index, letter in enumerate(lines[0]) if letter != " " and lines[0][index - 2 : index].isspace()]
    edges = [0, *starts, None]
    cut = [[line[one:two].strip() for one, two in itertools.pairwise(edges)] for line in lines]
    return [dict(zip(cut[0], row, strict=True)) for row in cut[1:]]


def wait_ready(server: ApiServer, name: str, namespace: str) -> None:
    words = ("wait", "--for=condition=Ready", f"environment/{name}", "-n", namespace, PATIENT)
    assert "condition met" in server.kubectl(*words).stdout


def test_the_samples_become_ready_with_an_approval(server: ApiServer, operator: Operator) -> None:
    server.kubectl("apply", "-k", str(MANIFESTS / "samples"))
    people = People(server, "setpoint-samples")
    people.until_reason("hello", "ApprovalRequired")
    (row,) = columns(server, "environments", people.namespace)
    (change,) = columns(server, "changes", people.namespace)
    assert (row["NAME"], row["READY"], row["WAY BACK"]) == ("hello", "False", "True")
    assert row["CHANGE"] == change["NAME"]
    assert (change["CAUSE"], change["ACTIONS"], change["OUTCOME"]) == ("SpecChanged", "+1 ~0 -0", "Waiting")
    told = server.kubectl("describe", "environment", "hello", "-n", people.namespace).stdout
    assert f"setpoint approve {change['NAME']}" in told
    refused = people.setpoint("approve", change["NAME"], "-n", people.namespace, role="nobody", check=False)
    assert refused.returncode == 1
    assert 'User "norman" cannot get resource "changes"' in refused.stderr
    people.setpoint("approve", change["NAME"], "-n", people.namespace, role="approver")
    wait_ready(server, "hello", people.namespace)
    secret = people.get("secret", "hello-outputs")
    assert base64.b64decode(secret["data"]["greeting"]) == b"Hello from Setpoint"


@pytest.fixture
def shop(server: ApiServer) -> People:
    """A namespace with somebody in it who may write ConfigMaps, and the Secret with that one's token."""
    people, words = People(server, "shop"), ("-n", "shop")
    server.kubectl("create", "namespace", "shop")
    server.kubectl("create", "serviceaccount", "deployer", *words)
    verbs = "--verb=get,list,watch,create,update,patch,delete"
    server.kubectl("create", "role", "deployer", verbs, "--resource=configmaps", *words)
    server.kubectl("create", "rolebinding", "deployer", "--role=deployer", "--serviceaccount=shop:deployer", *words)
    token = server.kubectl("create", "token", "deployer", *words).stdout.strip()
    literals = (f"--from-literal=host={server.url}", f"--from-literal=token={token}", f"--from-file=ca={server.ca}")
    server.kubectl("create", "secret", "generic", "deployer", *literals, *words)
    return people


def test_what_somebody_changes_is_noticed_and_healed(server: ApiServer, operator: Operator, shop: People) -> None:
    spec: dict[str, Any] = {
        "stage": "dev",
        "engine": {"lockFile": "Generate"},
        "source": {"inline": {"main.tf": BANNER.replace("NAMESPACE", "shop")}},
        "variablesFrom": [{"secretRef": {"name": "deployer"}}],
    }
    declared = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Environment", "metadata": {"name": "shop"}}
    shop.apply({**declared, "spec": spec}, role="platform-engineer")
    shop.approve("shop", role="approver")
    wait_ready(server, "shop", "shop")
    assert shop.get("configmap", "banner")["data"] == {"greeting": "hello"}

    server.kubectl("patch", "configmap", "banner", "-n", "shop", "--type=merge", "-p", '{"data":{"greeting":"bye"}}')
    shop.setpoint("reconcile", "environment/shop", "-n", "shop", role="platform-engineer")
    shop.until_reason("shop", "DriftDetected", "Drifted")
    shop.until_reason("shop", "ApprovalRequired")
    (row,) = columns(server, "environments", "shop")
    assert (row["READY"], row["DRIFT"], row["WAY BACK"]) == ("False", "1", "True")
    drifted = next(one for one in columns(server, "changes", "shop") if one["NAME"] == row["CHANGE"])
    assert (drifted["CAUSE"], drifted["ACTIONS"], drifted["WAY BACK"]) == ("Drift", "+0 ~1 -0", "NotRestorable")
    assert shop.condition("shop", "Drifted")["message"] == "1 drifted: kubectl_manifest.banner"
    until(lambda: ("Warning", "DriftDetected") in told(shop), lambda: told(shop))
    assert shop.get("configmap", "banner")["data"] == {"greeting": "bye"}, "nothing was applied without an approval"

    shop.approve("shop", role="approver")
    wait_ready(server, "shop", "shop")
    assert shop.get("configmap", "banner")["data"] == {"greeting": "hello"}
    shop.until_reason("shop", "NoDrift", "Drifted")
    assert columns(server, "environments", "shop")[0]["DRIFT"] == "0"
    token = base64.b64decode(shop.get("secret", "deployer")["data"]["token"]).decode()
    assert token not in operator.process.said()
    assert token not in json.dumps([shop.all(kind) for kind in ("environments", "changes", "snapshots", "events")])


def told(people: People) -> set[tuple[str, str]]:
    """The events about the Environment."""
    return {(one["type"], one["reason"]) for one in people.all("events.events.k8s.io")}
