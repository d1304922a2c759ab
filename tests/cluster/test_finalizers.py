"""`setpoint finalizers release` on a real API server with the admission policies in force."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.apiserver import NAMESPACE, Cluster
from tests.cluster.operators import People, environment, running, until

from setpoint.api.meta import FINALIZER

RELEASE = ("finalizers", "release")


@pytest.fixture(scope="module", autouse=True)
def nobody_leads(cluster: Cluster, installed: Path) -> None:
    """On a cluster of a user's an operator of other tests may have left its Lease."""
    cluster.kubectl("delete", "lease", "--all", "-n", NAMESPACE, "--ignore-not-found")


@pytest.fixture
def people(cluster: Cluster, namespace: str) -> Iterator[People]:
    made = People(cluster, namespace)
    yield made
    # Else the policies keep the namespace of what is to be destroyed.
    retain = '{"spec":{"protection":{"deletionPolicy":"Retain"}}}'
    for name in finalizers(made):
        cluster.kubectl("patch", "environment", name, "-n", namespace, "--type=merge", "-p", retain)


def held(people: People, name: str, *, delete: bool = True) -> None:
    """An Environment that an operator left behind: with its finalizer, deleted already or not."""
    made = environment(name, protection={"deletionPolicy": "Destroy"})
    made["metadata"]["finalizers"] = [FINALIZER, "example.com/other"] if name == "other" else [FINALIZER]
    people.apply(made)
    if delete:
        people.cluster.kubectl("delete", "environment", name, "-n", people.namespace, "--wait=false")


def finalizers(people: People) -> dict[str, list[str]]:
    return {one["metadata"]["name"]: one["metadata"].get("finalizers", []) for one in people.all("environments")}


def lease(people: People, *, holder: str) -> None:
    """A Lease as a leader that was killed left it; it lasts a second, so that nobody waits here."""
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 1, "renewTime": "2026-01-01T00:00:00.000000Z"}
    meta = {"name": "setpoint-operator-3", "namespace": NAMESPACE}
    given = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}
    people.cluster.kubectl("apply", "-f", "-", given=json.dumps(given))


def test_governance_lets_go_of_what_a_dead_operator_left(people: People) -> None:
    held(people, "gone")
    held(people, "other")
    held(people, "kept", delete=False)
    lease(people, holder="pod-that-was-killed")
    where = ("--all", "-n", people.namespace)
    shown = people.setpoint(*RELEASE, *where, "--dry-run", role="governance")
    assert "pod-that-was-killed holds Lease setpoint-operator-3" in shown.stderr
    assert shown.stdout.count("nothing was ever applied") == 3
    assert [*finalizers(people)] == ["gone", "kept", "other"]

    done = people.setpoint(*RELEASE, *where, "--yes", "-o", "json", role="governance")
    assert {one["name"]: one["outcome"] for one in json.loads(done.stdout)} == dict.fromkeys(
        ("gone", "kept", "other"), "Released"
    )
    assert finalizers(people) == {"kept": [], "other": ["example.com/other"]}


@pytest.mark.parametrize(
    ("role", "said"),
    [
        pytest.param("platform-engineer", 'cannot get resource "leases"', id="no_look_at_leases"),
        pytest.param("nobody", 'cannot list resource "environments"', id="no_rights"),
    ],
)
def test_others_are_told_what_they_lack(people: People, role: str, said: str) -> None:
    held(people, "gone")
    refused = people.setpoint(*RELEASE, "--all", "-n", people.namespace, "--yes", role=role, check=False)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert "gone" in finalizers(people)


def test_the_policy_refuses_who_may_patch_and_is_not_of_governance(people: People) -> None:
    held(people, "gone")
    words = (*RELEASE, "environment/gone", "-n", people.namespace, "--yes", "--force")
    refused = people.setpoint(*words, role="platform-engineer", check=False)
    assert refused.returncode == 1
    assert "only the operator or the group setpoint:governance removes the finalizer" in refused.stderr
    assert "and you are paula" in refused.stderr
    assert "with the role setpoint-governance" in refused.stderr
    assert finalizers(people) == {"gone": [FINALIZER]}
    people.setpoint(*words, role="governance")
    assert finalizers(people) == {}


def test_a_living_operator_is_left_to_do_it(people: People, tmp_path: Path) -> None:
    people.cluster.kubectl("delete", "lease", "--all", "-n", NAMESPACE, "--ignore-not-found")
    words = (*RELEASE, "environment/shop", "-n", people.namespace, "--yes")
    with running(people.cluster, tmp_path, "pod-1", role="operator") as operator:
        until(operator.leads)
        people.apply(environment("shop"))
        until(lambda: finalizers(people) == {"shop": [FINALIZER]})
        refused = people.setpoint(*words, role="governance", check=False)
        assert refused.returncode == 1
        assert "error: an operator leads: pod-1 (Lease setpoint-operator)" in refused.stderr
        assert finalizers(people) == {"shop": [FINALIZER]}
    # It gave its Lease back as it stopped: there is nothing to wait for.
    released = people.setpoint(*words, role="governance")
    assert "environment/shop released" in released.stderr
    assert "whether it still renews" not in released.stderr
    assert finalizers(people) == {"shop": []}
