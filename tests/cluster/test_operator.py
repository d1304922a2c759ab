"""The operator on a real API server, as people meet it: apply, look, approve, drift, delete."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.apiserver import NAMESPACE, PATIENT, Cluster
from tests.cluster.operators import Operator, People, environment, running, until

OUTPUT = """
variable "who" { default = "nobody" }
resource "terraform_data" "a" { input = var.who }
output "greeting" { value = "hello ${terraform_data.a.output}" }
"""


@pytest.fixture(scope="module", autouse=True)
def operator(cluster: Cluster, crds: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    cluster.kubectl("create", "namespace", NAMESPACE, check=False)
    with running(cluster, tmp_path_factory.mktemp("operator")) as operator:
        yield operator


@pytest.fixture
def people(cluster: Cluster, namespace: str) -> Iterator[People]:
    yield People(cluster, namespace)
    cluster.kubectl("delete", "environments", "--all", "-n", namespace, PATIENT)


def test_from_apply_to_ready(people: People) -> None:
    people.apply(environment("shop", OUTPUT, variables={"who": "world"}, outputsTo={"secretRef": {"name": "out"}}))
    change = people.approve("shop")
    people.cluster.kubectl("wait", "--for=condition=Ready", "environment/shop", "-n", people.namespace, PATIENT)
    assert people.get("change", change)["status"]["conditions"][-1]["reason"] in {"Applied", "Verified", "GatesPassed"}
    secret = people.get("secret", "out")
    assert base64.b64decode(secret["data"]["greeting"]) == b"hello world"
    assert len(people.all("snapshots")) == 2


def test_events_tell_the_story_once(people: People) -> None:
    people.apply(environment("shop"))
    people.approve("shop")
    people.until_reason("shop", "AtSetpoint")
    until(lambda: "AtSetpoint" in reasons(people, "shop"))
    assert sorted(reasons(people, "shop")) == sorted(set(reasons(people, "shop")))
    told = people.cluster.kubectl("describe", "environment", "shop", "-n", people.namespace).stdout
    assert "ApprovalRequired" in told
    assert "setpoint approve" in told


def test_the_command_line_gives_the_same_answers_as_kubectl(people: People) -> None:
    people.apply(environment("shop"))
    people.until_reason("shop", "ApprovalRequired")
    ours = people.setpoint("get", "environments", "-n", people.namespace).stdout.split()
    theirs = people.cluster.kubectl("get", "environments", "-n", people.namespace).stdout.split()
    assert ours[: len(["NAME", "READY", "STAGE"])] == theirs[:3]
    assert "shop" in ours
    assert people.setpoint("get", "environments", "nothing", "-n", people.namespace, check=False).returncode == 1


def test_a_new_spec_is_a_new_change_and_a_rejected_one_is_not_proposed_again(people: People) -> None:
    people.apply(environment("shop"))
    first = people.approve("shop")
    people.until_reason("shop", "AtSetpoint")
    people.apply(environment("shop", 'resource "terraform_data" "a" { input = 1 }'))
    people.until_reason("shop", "ApprovalRequired")
    second = people.get("environment", "shop")["status"]["change"]
    assert second != first
    people.setpoint("reject", second, "--reason", "not today", "-n", people.namespace)
    people.until_reason("shop", "Rejected")


def test_a_failed_drill_is_passed_by_a_word_of_kubectl(people: People, tmp_path: Path) -> None:
    (tmp_path / "world.txt").write_text("one")
    reads = f'resource "terraform_data" "a" {{ input = file("{tmp_path}/world.txt") }}'
    people.apply(environment("shop", reads))
    people.approve("shop")
    people.until_reason("shop", "AtSetpoint")
    (tmp_path / "world.txt").unlink()
    people.apply(environment("shop", 'resource "terraform_data" "a" { input = "new" }'))
    people.until_reason("shop", "GateBlocked")
    change = people.get("environment", "shop")["status"]["change"]
    refused = people.setpoint("approve", change, "-n", people.namespace, check=False)
    assert "--accept-undrilled --reason WHY" in refused.stderr
    word = {
        "changeRef": {"name": change},
        "subject": people.get("change", change)["spec"]["subject"],
        "verdict": "Approved",
        "approver": "admin",
        "acceptUndrilled": True,
        "reason": "the file is gone",
    }
    kind = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Approval"}
    people.apply({**kind, "metadata": {"name": "word"}, "spec": word})
    people.until_reason("shop", "AtSetpoint")
    status = people.get("change", change)["status"]
    assert status["undrilledAcceptedBy"] == ["admin"]
    shown = people.cluster.kubectl("get", "changes", change, "-n", people.namespace).stdout
    assert "UndrilledAccepted" in shown


SEEN = """
variable "size" {}
variable "pin" {
  type      = string
  sensitive = true
}
resource "terraform_data" "a" {
  input = { size = var.size, pin = var.pin, large = 9007199254740993, half = 0.5, none = null, text = "a\\u202eb" }
}
"""


def test_an_approver_sees_what_will_change(people: People) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pin"}, "stringData": {"pin": "hidden-4711"}}
    given = {"variablesFrom": [{"secretRef": {"name": "pin"}}]}
    people.apply(secret, environment("shop", SEEN, variables={"size": "small"}, **given))
    people.approve("shop")
    people.until_reason("shop", "AtSetpoint")
    people.apply(environment("shop", SEEN, variables={"size": "large"}, **given))
    people.until_reason("shop", "ApprovalRequired")
    name = people.get("environment", "shop")["status"]["change"]
    told = people.setpoint("describe", f"change/{name}", "--full", "-n", people.namespace).stdout
    assert "~ input.size:" in told
    assert '"small" → "large"' in told
    lines = people.get("change", name)["status"]["content"]["lines"]
    assert any('"before":"small"' in line and '"after":"large"' in line for line in lines)
    assert "hidden-4711" not in told + "".join(lines)
    assert '"small" → "large"' in people.setpoint("approve", name, "-n", people.namespace).stdout


def test_what_has_no_room_on_the_api_server_is_not_approved_unseen(people: People) -> None:
    many = 'resource "terraform_data" "a" { \n count = 300 \n input = "number ${count.index} of many" \n }'
    people.apply(environment("shop", many))
    people.until_reason("shop", "ApprovalRequired")
    name = people.get("environment", "shop")["status"]["change"]
    status = people.get("change", name)["status"]
    assert 15_000 < sum(map(len, status["content"]["lines"])) <= 16_384
    assert len(json.dumps(status)) < 22_000
    refused = people.setpoint("approve", name, "-n", people.namespace, check=False)
    assert refused.returncode == 1
    assert "more lines are not shown. No approval is given unseen" in refused.stderr
    reason = ("--reason", "looked at its code")
    people.setpoint("approve", name, "--unseen", *reason, "-n", people.namespace)
    people.until_reason("shop", "AtSetpoint")


def test_what_a_spec_lacks_is_said(people: People) -> None:
    people.apply(environment("shop", variablesFrom=[{"secretRef": {"name": "absent"}}]))
    people.until_reason("shop", "SecretNotFound", "Stalled")
    assert "absent" in people.condition("shop", "Stalled")["message"]


def test_a_secret_that_comes_and_moves_wakes_its_reader(people: People) -> None:
    people.apply(environment("shop", OUTPUT, variablesFrom=[{"secretRef": {"name": "later"}}]))
    people.until_reason("shop", "SecretNotFound", "Stalled")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "later"}, "stringData": {"who": "one"}}
    people.apply(secret)
    people.approve("shop")
    people.until_reason("shop", "AtSetpoint")
    people.apply({**secret, "stringData": {"who": "two"}})
    people.until_reason("shop", "ApprovalRequired")


def test_a_path_on_a_cluster_is_refused(people: People) -> None:
    made = environment("shop")
    made["spec"]["source"] = {"path": "./infra"}
    people.apply(made)
    until(lambda: people.condition("shop", "Stalled").get("status") == "True")
    assert "local home" in people.condition("shop", "Stalled")["message"]


def test_a_deleted_environment_is_released_and_keeps_what_it_has(people: People) -> None:
    people.apply(environment("shop"))
    people.approve("shop")
    people.until_reason("shop", "AtSetpoint")
    people.cluster.kubectl("delete", "environment", "shop", "-n", people.namespace, PATIENT)
    assert people.all("environments") == []
    until(lambda: "Released" in reasons(people, "shop"))


def test_one_that_always_fails_backs_off_and_harms_no_other(people: People, operator: Operator) -> None:
    broken = environment("broken")
    broken["spec"]["source"] = {"git": {"url": "https://127.0.0.1:1/nothing.git", "ref": "main"}}
    people.apply(broken, environment("shop"))
    people.approve("shop")
    people.until_reason("shop", "AtSetpoint")
    people.until_reason("broken", "SourceUnavailable")
    until(lambda: operator.metric('setpoint_reconcile_errors_total{controller="Environment"}') > 1)
    people.until_reason("broken", "ProgressingWithRetry", "Reconciling")


def reasons(people: People, name: str) -> list[str]:
    """The reasons of an object's events."""
    found = people.cluster.get(
        "events.events.k8s.io", "-n", people.namespace, "--field-selector", f"regarding.name={name}"
    )
    return [one["reason"] for one in found["items"]]
