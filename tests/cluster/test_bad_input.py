"""Input from people and other versions into a cluster that no schema would let through, or that no operator wrote.

Each ends in a condition with a reason on the object and shows in a metric; a healthy neighbour is served all the while.
"""

import base64
import copy
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.apiserver import NAMESPACE, PATIENT, ROOT, Cluster
from tests.cluster.operators import Operator, People, environment, running, until
from tests.unit.api.test_admission import having

READER = """
variable "who" { default = "nobody" }
resource "terraform_data" "a" { input = var.who }
output "greeting" { value = "hello ${terraform_data.a.output}" }
"""
UNREADABLE = 'setpoint_targets{kind="Environment",ready="False",reason="InvalidSpec"}'
STALLED = 'setpoint_reconcile_total{controller="Environment",result="stalled"}'
APPLIES = 'setpoint_applies_total{result="Succeeded"}'
FAILED = 'setpoint_applies_total{result="Failed"}'


@pytest.fixture(scope="module", autouse=True)
def operator(cluster: Cluster, crds: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    cluster.kubectl("create", "namespace", NAMESPACE, check=False)
    with running(cluster, tmp_path_factory.mktemp("operator")) as operator:
        yield operator
        assert operator.process.running, "the operator survives what it is given"


@pytest.fixture
def people(cluster: Cluster, namespace: str) -> Iterator[People]:
    people = People(cluster, namespace)
    yield people
    cluster.kubectl("delete", "environments", "--all", "-n", namespace, PATIENT)


@pytest.fixture
def neighbour(people: People) -> Iterator[None]:
    """A healthy Environment beside the bad one, which is served before and after."""
    people.apply(environment("neighbour"))
    people.approve("neighbour")
    people.until_reason("neighbour", "AtSetpoint")
    yield
    people.apply(environment("neighbour", 'resource "terraform_data" "a" { input = "edited" }'))
    people.approve("neighbour")
    people.until_reason("neighbour", "AtSetpoint")


# --- Objects stored under an older schema -----------------------------------------------------------------------------

KINDS = ("environments", "changes", "approvals", "resets", "snapshots", "policysets", "enforcementgates")


class Schemas:
    """The CRDs as they are, or as an older version had them: anything goes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def loosen(self) -> None:
        for plural in KINDS:
            crd = yaml.safe_load((ROOT / "crds" / f"setpoint.dev_{plural}.yaml").read_text())
            loose = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
            for version in crd["spec"]["versions"]:
                version["schema"] = {"openAPIV3Schema": loose}
            self._replace(crd)
        # The server takes up a schema within a second or so.
        until(lambda: self._accepts({"spec": {"stage": 1}}))

    def restore(self) -> None:
        words = ("apply", "--server-side", "--force-conflicts", "--field-manager=tests", "--validate=strict")
        self._cluster.kubectl(*words, "-f", str(ROOT / "crds"))
        until(lambda: not self._accepts({"spec": {"stage": 1}}))

    def _replace(self, crd: Mapping[str, Any]) -> None:
        words = ("apply", "--server-side", "--force-conflicts", "--field-manager=tests")
        self._cluster.kubectl(*words, "-f", "-", given=json.dumps(crd))

    def _accepts(self, body: Mapping[str, Any]) -> bool:
        obj = {**environment("probe"), **body}
        words = ("create", "--dry-run=server", "--validate=false", "-n", "default", "-f", "-")
        return self._cluster.kubectl(*words, given=json.dumps(obj), check=False).returncode == 0


def changed(name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """An Environment with other values at some paths; None takes a field away."""
    obj = copy.deepcopy(environment(name))
    for path, value in changes.items():
        *way, last = path.split(".")
        place = obj
        for step in way:
            place = place.setdefault(step, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return obj


OLD: dict[str, dict[str, Any]] = {
    "no-spec": {"spec": None},
    "no-stage": {"spec.stage": None},
    "no-source": {"spec.source": None},
    "stage-is-a-number": {"spec.stage": 7},
    "spec-is-text": {"spec": "text"},
    "interval-is-no-duration": {"spec.interval": "banana"},
    "variables-from-is-a-map": {"spec.variablesFrom": {"secretRef": {"name": "a"}}},
    "reference-without-a-name": {"spec.variablesFrom": [{"secretRef": {}}, "text", None]},
    "mode-of-another-version": {"spec.apply": {"mode": "Sometimes"}},
}
OLD_STATUS: dict[str, Any] = {
    "status-of-wrong-types": {"conditions": "none", "failures": "many", "applied": {"bundle": 3}, "attempts": -1},
    "status-is-text": "text",
    "status-with-unknown-fields": {"phase": "Running", "conditions": [{"type": "Ready"}], "hold": {}},
}


def test_objects_of_an_older_schema(cluster: Cluster, people: People, neighbour: None, operator: Operator) -> None:
    schemas = Schemas(cluster)
    stalled = operator.metric(STALLED)
    schemas.loosen()
    try:
        for name, changes in OLD.items():
            create(people, changed(name, changes))
        for kind in ("Change", "Approval", "Reset", "Snapshot", "PolicySet"):
            for number, spec in enumerate(({}, "text", {"targetRef": "neighbour", "changeRef": [], "source": {}})):
                create(people, {**having(kind, {}), "spec": spec, "metadata": {"name": f"old-{kind.lower()}-{number}"}})
        until(lambda: operator.metric(STALLED) >= stalled + len(OLD), lambda: operator.metric(STALLED))
        operator.process.stop()
        for name, changes in OLD.items():
            create(people, changed(f"{name}-2", changes))
        for name, status in OLD_STATUS.items():
            create(people, {**environment(name), "status": status})
    finally:
        schemas.restore()
    operator.process.start()
    operator.process.wait_ready()
    for name in (*OLD, *(f"{name}-2" for name in OLD)):
        until(
            lambda name=name: reasons(people, name).get("Stalled") == "InvalidSpec",
            lambda name=name: people.get("environment", name),
        )
        assert reasons(people, name)["Ready"] == "InvalidSpec"
    until(lambda: operator.metric(UNREADABLE) == 2 * len(OLD), lambda: operator.metric(UNREADABLE))
    for name in OLD_STATUS:
        people.until_reason(name, "ApprovalRequired")
    told = people.setpoint("describe", "environment/no-stage", "-n", people.namespace).stdout
    assert "spec.stage: Field required" in told
    policy_sets = people.cluster.get("policysets")["items"]
    assert {
        one["status"]["conditions"][0]["reason"] for one in policy_sets if one["metadata"]["name"].startswith("old-")
    } == {"PolicyInvalid"}
    people.cluster.kubectl("delete", "policysets", "--all")


def test_gates_and_policies_that_can_not_be_read_block(cluster: Cluster, people: People) -> None:
    schemas = Schemas(cluster)
    schemas.loosen()
    try:
        create(
            people, {**having("EnforcementGates", {}), "spec": {"gates": [{"name": "g"}]}, "metadata": {"name": "old"}}
        )
    finally:
        schemas.restore()
    automatic = environment("guarded", apply={"mode": "Auto"})
    people.apply(automatic)
    people.until_reason("guarded", "GateError")
    assert "gate gates: EnforcementGates old: spec.gates.0.stages: Field required" in ready_message(people, "guarded")
    cluster.kubectl("delete", "enforcementgates", "old")
    # The change of the schema began the watches anew, so this deletion may be missed until the next resync.
    people.setpoint("reconcile", "environment/guarded", "-n", people.namespace)
    people.until_reason("guarded", "AtSetpoint")
    policies = having("PolicySet", {"spec.source": {"builtin": "baseline"}, "spec.params": {"max_delete": 1}})
    gates = {"gates": [{"name": "base", "stages": ["plan", "apply"], "policySets": [{"name": "baseline"}]}]}
    try:
        create(people, {**policies, "metadata": {"name": "baseline"}})
        create(people, {**having("EnforcementGates", {}), "spec": gates, "metadata": {"name": "new"}})
        people.apply(environment("guarded", 'resource "terraform_data" "b" {}', apply={"mode": "Auto"}))
        people.until_reason("guarded", "GateError")
        assert "gate base: PolicySet baseline: spec.params.max_delete: the pack" in ready_message(people, "guarded")
        right = [{"op": "replace", "path": "/spec/params", "value": {"max_destroyed": 1}}]
        cluster.kubectl("patch", "policyset", "baseline", "--type=json", "-p", json.dumps(right))
        people.until_reason("guarded", "AtSetpoint")
    finally:
        cluster.kubectl("delete", "enforcementgates,policysets", "--all")


def ready_message(people: People, name: str) -> str:
    conditions = people.get("environment", name)["status"]["conditions"]
    return str(next(one["message"] for one in conditions if one["type"] == "Ready"))


def create(people: People, obj: Mapping[str, Any]) -> None:
    people.cluster.kubectl("create", "--validate=false", "-n", people.namespace, "-f", "-", given=json.dumps(obj))


def reasons(people: People, name: str) -> dict[str, str]:
    """The reason of each condition."""
    status = people.get("environment", name).get("status") or {}
    return {one["type"]: one["reason"] for one in status.get("conditions", [])}


# --- Status edited by hand --------------------------------------------------------------------------------------------

DIGEST = "sha256:" + "ab" * 32
NOW = "2026-01-01T00:00:00Z"
CONFIGURATION = {"bundle": DIGEST, "archive": DIGEST, "variables": DIGEST, "generation": 1, "at": NOW}


def stated(type_: str, status: str = "True", reason: str = "Forged") -> dict[str, Any]:
    return {"type": type_, "status": status, "reason": reason, "lastTransitionTime": NOW, "observedGeneration": 99}


def forge(people: People, kind: str, name: str, status: Mapping[str, Any]) -> None:
    """Writes a status, as an admin does where no admission policy keeps them from it."""
    words = ("patch", kind, name, "-n", people.namespace, "--subresource=status", "--type=merge", "-p")
    people.cluster.kubectl(*words, json.dumps({"status": status}))


def look(people: People, name: str) -> None:
    """setpoint reconcile, and waits until it was handled."""
    people.setpoint("reconcile", f"environment/{name}", "-n", people.namespace)
    asked = people.get("environment", name)["metadata"]["annotations"]["setpoint.dev/reconcile-requested-at"]
    until(
        lambda: people.get("environment", name).get("status", {}).get("handledReconcile") == asked,
        lambda: people.get("environment", name).get("status"),
    )


def test_a_forged_status_approves_nothing_and_is_written_right(
    people: People, neighbour: None, operator: Operator
) -> None:
    applies = operator.metric(APPLIES)
    people.apply(environment("shop"))
    people.until_reason("shop", "ApprovalRequired")
    honest = people.get("environment", "shop")["status"]
    change = honest["change"]
    everything = [stated(type_) for type_ in ("Ready", "Gated", "Approved", "Applied", "Verified", "Rejected")]
    forge(
        people, "change", change, {"conditions": everything, "approvedBy": ["eve"], "outcome": "Approved", "gates": []}
    )
    contradictions = [stated(type_) for type_ in ("Ready", "Stalled", "Reconciling", "Held")]
    strangers = [stated(f"Stranger{number}") for number in range(12)]
    forge(
        people,
        "environment",
        "shop",
        {
            "conditions": [*contradictions, *strangers],
            "observedGeneration": 99,
            "failures": -5,
            "attempts": 9223372036854775807,
            "change": "another",
            "applied": {**CONFIGURATION, "change": change, "seal": DIGEST},
            "applying": {**CONFIGURATION, "change": change},
            "state": {"version": 7, "serial": 7, "lineage": "\u001b[31mred"},
            "snapshot": "nothing",
        },
    )
    look(people, "shop")
    people.until_reason("shop", "ApprovalRequired")
    status = people.get("environment", "shop")["status"]
    assert "applied" not in status
    assert "applying" not in status
    assert status["observedGeneration"] == 1
    assert not {one["type"] for one in status["conditions"]} & {"Stalled", "Reconciling", "Stranger0"}
    found = people.get("change", status["change"])["status"]
    assert (found["outcome"], found.get("approvedBy", [])) == ("Waiting", [])
    assert "Applied" not in {one["type"] for one in found["conditions"]}
    assert operator.metric(APPLIES) == applies
    people.approve("shop")
    people.until_reason("shop", "AtSetpoint")


def test_a_forged_count_of_applies_renews_no_approval(people: People, operator: Operator) -> None:
    failing = 'resource "terraform_data" "a" { \n provisioner "local-exec" { command = "false" } \n }'
    failed = operator.metric(FAILED)
    people.apply(environment("shop", failing, interval="1h"))
    people.approve("shop")
    until(lambda: operator.metric(FAILED) > failed)
    people.until_reason("shop", "ApprovalRequired")
    applies = operator.metric(FAILED)
    forge(people, "environment", "shop", {"attempts": 0, "failures": 0, "orphans": []})
    look(people, "shop")
    people.until_reason("shop", "ApprovalRequired")
    assert operator.metric(FAILED) == applies


def test_a_forged_configuration_is_not_what_is_applied(people: People) -> None:
    people.apply(environment("shop"))
    people.approve("shop")
    people.until_reason("shop", "AtSetpoint")
    applied = people.get("environment", "shop")["status"]["applied"]
    forge(people, "environment", "shop", {"applied": {**applied, "bundle": DIGEST}})
    look(people, "shop")
    found = people.get("environment", "shop")["status"]["applied"]
    assert {**found, "at": "", "seal": "", "change": ""} == {**applied, "at": "", "seal": "", "change": ""}
    people.until_reason("shop", "AtSetpoint")


# --- Hostile content --------------------------------------------------------------------------------------------------

CANARY = Path("/tmp") / f"setpoint-canary-{os.getpid()}"
TERMINAL = "\u001b[2J\u001b]0;owned\u0007\u009b31m"
FORGED_LINE = "\n00:00:00 ERROR   environment/neighbour everything is lost"
HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "git-option": ({"spec.source": {"git": {"url": f"--upload-pack=touch {CANARY}"}}}, "SourceRefused"),
    "git-ext": ({"spec.source": {"git": {"url": f"ext::sh -c touch% {CANARY}"}}}, "SourceRefused"),
    "git-ref": (
        {"spec.source": {"git": {"url": "https://127.0.0.1:1/x.git", "ref": f"--upload-pack=touch {CANARY}"}}},
        "SourceRefused",
    ),
    "git-path": (
        {"spec.source": {"git": {"url": "https://127.0.0.1:1/x.git", "path": "../../../etc"}}},
        "SourceRefused",
    ),
    "git-file": ({"spec.source": {"git": {"url": "file:///etc"}}}, "SourceRefused"),
    "inline-above": ({"spec.source": {"inline": {"../../../evil.tf": ""}}}, "SourceRefused"),
    "inline-absolute": ({"spec.source": {"inline": {"/tmp/evil.tf": ""}}}, "SourceRefused"),
    "inline-terminal": (
        {"spec.source": {"inline": {f"a{TERMINAL}{FORGED_LINE}.tf": "", "main.tf": "x"}}},
        "SourceRefused",
    ),
    "variable-shell": ({"spec.variables": {f"$(touch {CANARY})": "`x`"}}, "VariableUndeclared"),
    "variable-terminal": ({"spec.variables": {f"x{TERMINAL}{FORGED_LINE}": 1}}, "VariableUndeclared"),
    "engine-version": ({"spec.engine": {"lockFile": "Generate", "version": f"; touch {CANARY}"}}, "InvalidSpec"),
    "code-terminal": ({"spec.source": {"inline": {"main.tf": f"{TERMINAL}{FORGED_LINE}"}}}, "ConfigurationInvalid"),
}
NOTES = {
    "long": "x" * (200 * 1024),
    "setpoint.dev/reconcile-requested-at": "y" * 4096 + TERMINAL,
    "setpoint.dev/resume-requested-at": TERMINAL + FORGED_LINE,
    "setpoint.dev/requested-by": TERMINAL + FORGED_LINE + "eve",
    "terminal": TERMINAL + FORGED_LINE,
}


def test_hostile_content(people: People, neighbour: None, operator: Operator) -> None:
    for name, (changes, _) in HOSTILE.items():
        create(people, changed(name, changes))
    for name in HOSTILE:
        until(
            lambda name=name: "Stalled" in reasons(people, name) or "Reconciling" in reasons(people, name),
            lambda name=name: people.condition(name),
        )
    found = {name: people.condition(name)["reason"] for name in HOSTILE}
    assert found == {name: reason for name, (_, reason) in HOSTILE.items()}
    assert not CANARY.exists()
    for text in (
        people.setpoint("describe", "environments", "-n", people.namespace).stdout,
        *(people.setpoint("get", "environments", "-o", "wide", "-n", people.namespace).stdout,),
        operator.process.said(),
    ):
        assert not set("\u001b\u0007\u009b") & set(text)
        assert not any(line.startswith(FORGED_LINE.strip()) for line in text.splitlines())
    for one in people.all("environments"):
        for condition in one["status"]["conditions"]:
            assert not set("\u001b\u0007\u009b") & set(condition["message"])


def test_the_longest_name_and_hostile_annotations(people: People, neighbour: None, operator: Operator) -> None:
    longest = "e" * 253
    made = environment("noted")
    made["metadata"]["annotations"] = NOTES
    create(people, made)
    create(people, environment(longest))
    for name in ("noted", longest):
        change = people.approve(name)
        people.until_reason(name, "AtSetpoint")
        told = people.setpoint("describe", f"environment/{name}", f"change/{change}", "-n", people.namespace).stdout
        assert not set("\u001b\u0007\u009b") & set(told)
        assert not any(line.startswith(FORGED_LINE.strip()) for line in told.splitlines())
    people.cluster.kubectl("delete", "environment", longest, "-n", people.namespace, PATIENT)


# --- Secrets ----------------------------------------------------------------------------------------------------------

CONFIDENTIAL = "hunter2-hunter2"


def secret(name: str, data: Mapping[str, bytes]) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded}


WRONG: dict[str, tuple[dict[str, bytes] | None, str]] = {
    "missing": (None, "SecretNotFound"),
    "undeclared": ({"whom": CONFIDENTIAL.encode()}, "VariableUndeclared"),
    "binary": ({"who": CONFIDENTIAL.encode() + b"\xff\x00\xfe"}, "SecretNotFound"),
    "hostile-key": ({"-who.": b"x", "who": b"x"}, "VariableUndeclared"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_secret_that_is_wrong_is_said_and_mended_it_wakes_its_reader(
    people: People, operator: Operator, name: str
) -> None:
    given, reason = WRONG[name]
    if given is not None:
        people.cluster.kubectl("create", "-n", people.namespace, "-f", "-", given=json.dumps(secret("creds", given)))
    people.apply(environment("shop", READER, interval="1h", variablesFrom=[{"secretRef": {"name": "creds"}}]))
    people.until_reason("shop", reason, "Stalled")
    mended = secret("creds", {"who": CONFIDENTIAL.encode()})
    people.cluster.kubectl(
        "replace" if given is not None else "create", "-n", people.namespace, "-f", "-", given=json.dumps(mended)
    )
    people.until_reason("shop", "ApprovalRequired")
    assert CONFIDENTIAL not in json.dumps(people.get("environment", "shop")["status"])
    assert CONFIDENTIAL not in json.dumps(people.all("changes"))
    assert CONFIDENTIAL not in operator.process.said()


def test_a_huge_secret_is_used_as_it_is(people: People) -> None:
    people.cluster.kubectl(
        "create", "-n", people.namespace, "-f", "-", given=json.dumps(secret("creds", {"who": b"x" * 900_000}))
    )
    people.apply(environment("shop", READER, variablesFrom=[{"secretRef": {"name": "creds"}}]))
    people.approve("shop")
    people.until_reason("shop", "AtSetpoint")


@pytest.fixture
def elsewhere(cluster: Cluster, namespace: str) -> Iterator[str]:
    """Another namespace, with a Secret that looks as if it was anybody's."""
    name = f"{namespace}-else"
    cluster.kubectl("create", "namespace", name)
    given = secret("creds", {"who": CONFIDENTIAL.encode(), "username": b"u", "password": b"p", "greeting": b"theirs"})
    given["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "setpoint"}
    cluster.kubectl("create", "-n", name, "-f", "-", given=json.dumps(given))
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


GIT = {"url": "https://127.0.0.1:1/x.git", "secretRef": {"name": "creds"}}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"spec.variablesFrom": [{"secretRef": {"name": "creds"}}]}, id="variablesFrom"),
        pytest.param({"spec.credentials": {"plan": [{"secretRef": {"name": "creds"}}]}}, id="credentials.plan"),
        pytest.param({"spec.credentials": {"apply": [{"secretRef": {"name": "creds"}}]}}, id="credentials.apply"),
        pytest.param({"spec.source": {"git": GIT}}, id="git"),
    ],
)
def test_a_secret_of_another_namespace_is_not_read(people: People, elsewhere: str, changes: dict[str, Any]) -> None:
    create(people, changed("shop", changes))
    people.until_reason("shop", "SecretNotFound", "Stalled")
    message = people.condition("shop", "Stalled")["message"]
    assert f"there is no Secret {people.namespace}/creds" in message
    assert elsewhere not in message


@pytest.mark.parametrize("field", ["variablesFrom", "outputsTo", "source"])
@pytest.mark.parametrize(
    "reference", [{"name": "creds", "namespace": "other"}, {"name": "other/creds"}, {"name": "../other/secrets/creds"}]
)
def test_a_reference_can_name_no_other_namespace(people: People, field: str, reference: dict[str, str]) -> None:
    ref = {"secretRef": reference}
    value = (
        [ref]
        if field == "variablesFrom"
        else {"git": {"url": "https://x.example/y", **ref}}
        if field == "source"
        else ref
    )
    made = environment("shop")
    made["spec"][field] = value
    words = ("create", "--validate=strict", "-n", people.namespace, "-f", "-")
    refused = people.cluster.kubectl(*words, given=json.dumps(made), check=False)
    assert refused.returncode != 0
    assert "secretRef" in refused.stderr


def test_outputs_go_to_the_same_namespace(people: People, elsewhere: str) -> None:
    people.apply(environment("shop", READER, outputsTo={"secretRef": {"name": "creds"}}))
    people.approve("shop")
    people.until_reason("shop", "AtSetpoint")
    assert base64.b64decode(people.get("secret", "creds")["data"]["greeting"]) == b"hello nobody"
    theirs = people.cluster.get("secret", "creds", "-n", elsewhere)
    assert base64.b64decode(theirs["data"]["greeting"]) == b"theirs"


def test_outputs_replace_nobodys_secret(people: People) -> None:
    people.cluster.kubectl(
        "create", "-n", people.namespace, "-f", "-", given=json.dumps(secret("creds", {"who": b"x"}))
    )
    people.apply(environment("shop", READER, outputsTo={"secretRef": {"name": "creds"}}))
    people.approve("shop")
    people.until_reason("shop", "InvalidSpec", "Stalled")
    assert set(people.get("secret", "creds")["data"]) == {"who"}
