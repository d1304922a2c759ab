"""Changes and Snapshots that an API server stored under the definitions of an earlier version, and then has today's."""

import functools
import json
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.apiserver import NAMESPACE, ROOT, Cluster
from tests.cluster.operators import People, environment, running, until

BEFORE = ROOT / "tests" / "data" / "crds" / "before_members"
"""Those of Changes and Snapshots as they were before these had a member of their target's kind."""

pytestmark = [pytest.mark.usefixtures("crds"), pytest.mark.timeout(300)]


def flat(obj: dict[str, Any]) -> dict[str, Any]:
    """An object as an earlier version made it."""
    spec = {name: value for name, value in obj["spec"].items() if name not in {"environment", "base", "configuration"}}
    kept = {"name", "namespace", "labels"}
    metadata = {name: value for name, value in obj["metadata"].items() if name in kept}
    return {**obj, "metadata": metadata, "spec": spec | obj["spec"]["environment"]}


def store_as_before(people: People) -> None:
    """Has every Change and Snapshot stored anew, in the form and under the definitions of before."""
    cluster = people.cluster
    found = [*people.all("change"), *people.all("snapshot")]
    cluster.kubectl("delete", "changes,snapshots", "--all", "-n", people.namespace)
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(BEFORE))
    for obj in found:
        older = flat(obj)
        # Until the server has taken up the definitions, it refuses what today's do not know.
        until(functools.partial(_creates, people, older))
        if "status" in obj:
            there = people.get(obj["kind"].lower(), obj["metadata"]["name"])
            given = json.dumps({**there, "status": obj["status"]})
            cluster.kubectl("replace", "--subresource=status", "-f", "-", given=given)
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))


def _creates(people: People, obj: dict[str, Any]) -> bool:
    made = people.cluster.kubectl("create", "--validate=strict", "-f", "-", given=json.dumps(obj), check=False)
    return made.returncode == 0


def names(people: People, kind: str) -> set[str]:
    return {found["metadata"]["name"] for found in people.all(kind)}


def test_they_are_void__say_so__and_are_in_nobodys_way(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    cluster.kubectl("create", "namespace", NAMESPACE, check=False)
    people, state = People(cluster, namespace), tmp_path / "state"
    one, two = (environment("shop", f'resource "terraform_data" "a" {{ input = {n} }}') for n in (1, 2))
    with running(cluster, tmp_path, "before", state=state):
        people.apply(one)
        people.approve("shop")
        people.until_reason("shop", "AtSetpoint")
        people.apply(two)
        people.until_reason("shop", "ApprovalRequired")
        opened = people.get("environment", "shop")["status"]["change"]
    changes, snapshots = names(people, "change"), names(people, "snapshot")
    store_as_before(people)
    until(lambda: "stateVersion" not in people.get("change", opened)["spec"])

    with running(cluster, tmp_path, "after", state=state):
        until(lambda: people.get("change", opened)["status"]["outcome"] == "Superseded")
        said = {one["type"]: one["message"] for one in people.get("change", opened)["status"]["conditions"]}
        assert said["Superseded"].startswith("void: an earlier version of Setpoint made it")
        until(lambda: names(people, "change") > changes)
        anew = people.approve("shop")
        assert anew.startswith(opened), "the same change under more digits of its subject"
        people.until_reason("shop", "AtSetpoint")
        assert people.get("change", anew)["status"]["outcome"] == "Applied"

        void, back = min(snapshots), people.get("change", anew)["spec"]["snapshotRef"]
        assert back not in snapshots, "what would have been the way back is taken anew"
        assert f"{len(snapshots)} void" in people.setpoint("describe", "environment/shop", "-n", namespace).stdout
        reset = ("reset", "environment/shop", "-n", namespace, "--reason", "two is too much", "--to")
        people.setpoint(*reset, void)
        until(lambda: bool(people.all("reset")[0].get("status", {}).get("conditions")))
        (complete,) = people.all("reset")[0]["status"]["conditions"]
        assert (complete["status"], complete["reason"]) == ("False", "SnapshotNotFound")
        assert "nothing can be reset to it" in complete["message"]
        people.setpoint(*reset, back)
        people.approve("shop")
        people.until_reason("shop", "ResetHold", "Held")
