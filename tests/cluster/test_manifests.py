"""manifests/ on a real API server: they build, apply, and give each role what it needs and no more."""

import itertools
import json
import re
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.cluster.apiserver import NAMESPACE, Cluster
from tests.cluster.manifests import MANIFESTS, built, named, namespaced, overlay, rights

from setpoint.settings import Settings, read_settings
from setpoint.wiring.leases import LEASES

COMPONENTS = sorted(path.name for path in (MANIFESTS / "components").iterdir())


# --- As kustomize builds them -----------------------------------------------------------------------------------------


class TestBuilt:
    @pytest.fixture(scope="class")
    @staticmethod
    def base(cluster: Cluster) -> list[dict[str, Any]]:
        return built(cluster, MANIFESTS / "base")

    @pytest.mark.parametrize("component", COMPONENTS)
    def test_each_component_builds_on_the_base(self, cluster: Cluster, tmp_path: Path, component: str) -> None:
        assert len(built(cluster, overlay(tmp_path / "o", "base", component))) > 40

    @pytest.mark.parametrize("folder", ["samples", "kind"])
    def test_the_others_build(self, cluster: Cluster, folder: str) -> None:
        assert len(built(cluster, MANIFESTS / folder)) > 3

    def test_all_components_build_together(self, cluster: Cluster, tmp_path: Path) -> None:
        kinds = [one["kind"] for one in built(cluster, overlay(tmp_path / "o", "base", *COMPONENTS))]
        assert {"ServiceMonitor", "MutatingAdmissionPolicy", "PersistentVolumeClaim"} <= set(kinds)

    def test_base_needs_no_definition_that_a_cluster_lacks(self, base: list[dict[str, Any]]) -> None:
        assert {one["kind"] for one in base} & {"ServiceMonitor", "MutatingAdmissionPolicy"} == set()

    def test_a_single_replica_has_a_volume_and_no_second(self, cluster: Cluster, tmp_path: Path) -> None:
        objects = built(cluster, overlay(tmp_path / "o", "base", "single-replica"))
        spec = named(objects, "Deployment")["spec"]
        assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
        volumes = {one.pop("name"): one for one in spec["template"]["spec"]["volumes"]}
        assert volumes["state"] == {"persistentVolumeClaim": {"claimName": "setpoint-state"}}
        assert "PodDisruptionBudget" not in {one["kind"] for one in objects}
        assert "SETPOINT_STORE_URL" not in str(spec)
        assert volumes["store"]["secret"]["items"] == [{"key": "sealing.key", "path": "sealing.key"}]

    def test_another_namespace_is_written_into_the_policies(self, cluster: Cluster, tmp_path: Path) -> None:
        """As docs/how-to/install-on-a-cluster.md tells."""
        rename = tmp_path / "namespace"
        rename.mkdir()
        component = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component", "namespace": "platform"}
        (rename / "kustomization.yaml").write_text(yaml.safe_dump(component))
        objects = built(cluster, overlay(tmp_path / "o", "base", str(rename), "operator-name"))
        assert "'setpoint-system'" not in yaml.safe_dump_all(objects)
        policies = [one for one in objects if one["kind"] == "ValidatingAdmissionPolicy"]
        variables = itertools.chain.from_iterable(one["spec"].get("variables", ()) for one in policies)
        known = {variable["expression"] for variable in variables if variable["name"] == "operator"}
        user = "['system:serviceaccount', 'platform', 'setpoint-operator'].join(':')"
        assert known == {f"request.userInfo.username == {user}"}
        for kind in ("ClusterRoleBinding", "RoleBinding"):
            assert named(objects, kind)["subjects"][0]["namespace"] == "platform"
        assert {named(objects, kind)["metadata"]["namespace"] for kind in ("Deployment", "Role")} == {"platform"}

    def test_every_policy_that_knows_the_operator_is_told_its_name(self, base: list[dict[str, Any]]) -> None:
        component = yaml.safe_load((MANIFESTS / "components" / "operator-name" / "kustomization.yaml").read_text())
        told = [{each["select"]["name"] for each in one["targets"]} for one in component["replacements"]]
        policies = [one for one in base if one["kind"] == "ValidatingAdmissionPolicy"]
        knowing = {one["metadata"]["name"] for one in policies if "name: operator\n" in yaml.safe_dump(one["spec"])}
        assert told == [knowing, knowing]

    @pytest.mark.parametrize(
        ("file", "least"),
        [
            ("base/rbac-operator.yaml", 25),
            ("served-namespace/rbac.yaml", 20),
            ("components/namespaced/cluster-role.yaml", 4),
        ],
    )
    def test_each_verb_of_the_operator_has_a_reason(self, file: str, least: int) -> None:
        lines = (MANIFESTS / file).read_text().splitlines()
        listed = [line for line in lines if re.match(r"^ {6}- (\S+)", line)]
        verbs = [line for line in listed if "/status" not in line and "setpoint-operator" not in line]
        assert len(verbs) > least
        assert [line for line in verbs if not re.search(r"- [a-z]+ # \S", line)] == []

    @pytest.mark.parametrize(("kind", "name"), [("Role", "setpoint-operator"), ("ClusterRole", "setpoint-govern")])
    def test_the_leases_that_a_role_names_are_those_of_the_code(
        self, base: list[dict[str, Any]], kind: str, name: str
    ) -> None:
        rules = [one for one in named(base, kind, name)["rules"] if "resourceNames" in one]
        assert [(one["resources"], one["resourceNames"]) for one in rules] == [(["leases"], [*LEASES])]

    def test_rights_in_some_namespaces_add_up_to_those_in_all(
        self, cluster: Cluster, base: list[dict[str, Any]], tmp_path: Path
    ) -> None:
        served = built(cluster, namespaced(tmp_path, "shop"))
        everywhere, there = named(served, "ClusterRole")["rules"], named(served, "Role", "setpoint-targets")
        assert there["metadata"]["namespace"] == "shop"
        # kopf asks which kinds there are only where it has to find the namespaces, too.
        scan = {("apiextensions.k8s.io", "customresourcedefinitions", verb) for verb in ("list", "watch")}
        assert rights(everywhere) | rights(there["rules"]) | scan == rights(named(base, "ClusterRole")["rules"])
        assert {resource for _, resource, _ in rights(everywhere)} == {
            "policysets", "enforcementgates", "policysets/status", "enforcementgates/status",
        }  # fmt: skip

    def test_the_served_namespaces_reach_the_pod(self, cluster: Cluster, tmp_path: Path) -> None:
        objects = built(cluster, namespaced(tmp_path, "shop", "blog"))
        (names,) = [one for one in objects if one["kind"] == "ConfigMap"]
        assert names["data"] == {"namespaces": "shop,blog"}
        pod = named(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
        (given,) = [one for one in pod["env"] if one["name"] == "SETPOINT_NAMESPACES"]
        assert given["valueFrom"]["configMapKeyRef"] == {"name": names["metadata"]["name"], "key": "namespaces"}
        subjects = [
            one["subjects"] for one in objects if one["metadata"]["name"] == "setpoint-targets" and "subjects" in one
        ]
        assert subjects == [[{"kind": "ServiceAccount", "name": "setpoint-operator", "namespace": NAMESPACE}]] * 2

    def test_nothing_holds_a_secret(self, base: list[dict[str, Any]]) -> None:
        assert [one for one in base if one["kind"] == "Secret"] == []


class TestPod:
    @pytest.fixture(scope="class")
    @staticmethod
    def pod(cluster: Cluster) -> dict[str, Any]:
        return named(built(cluster, MANIFESTS / "base"), "Deployment")["spec"]["template"]["spec"]

    @pytest.fixture(scope="class")
    @staticmethod
    def dockerfile() -> dict[str, list[str]]:
        """The instructions of the Dockerfile, by name."""
        text = (MANIFESTS.parent / "Dockerfile").read_text().replace("\\\n", " ")
        found: dict[str, list[str]] = defaultdict(list)
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, _, rest = line.partition(" ")
                found[name].append(rest)
        return found

    def test_every_setting_exists(self, pod: dict[str, Any], tmp_path: Path) -> None:
        given = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
        mounted = tmp_path / "store.url"
        mounted.write_text("postgresql://db/setpoint")
        given["SETPOINT_STORE_URL_FILE"] = str(mounted)
        ours = {name for name in given if name.startswith("SETPOINT_")}
        assert ours <= {f"SETPOINT_{name.upper()}" for name in Settings.model_fields}
        assert read_settings({name: given[name] or "x" for name in ours}).listen == "0.0.0.0:8080"

    def test_a_graceful_stop_has_its_time(self, pod: dict[str, Any]) -> None:
        (drain,) = [one["value"] for one in pod["containers"][0]["env"] if one["name"] == "SETPOINT_DRAIN_SECONDS"]
        assert pod["terminationGracePeriodSeconds"] >= float(drain) + 15

    def test_what_is_written_to_is_a_volume(self, pod: dict[str, Any]) -> None:
        container = pod["containers"][0]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        writable = {one["mountPath"] for one in container["volumeMounts"] if not one.get("readOnly")}
        given = {one["name"]: one.get("value") for one in container["env"]}
        assert writable == {given["HOME"], given["SETPOINT_STATE_DIR"]}

    def test_the_image_is_for_this_pod(self, pod: dict[str, Any], dockerfile: dict[str, list[str]]) -> None:
        user = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
        assert dockerfile["USER"] == [user]
        assert [json.loads(one) for one in dockerfile["CMD"]] == [pod["containers"][0]["args"]]
        assert len(dockerfile["ENTRYPOINT"]) == 1

    def test_the_image_is_pinned_hashed_and_names_no_host(self, dockerfile: dict[str, list[str]]) -> None:
        arguments = dict(one.split("=", 1) for one in dockerfile["ARG"] if "=" in one)
        bases = [re.sub(r"\$\{(\w+)\}", lambda each: arguments[each[1]], one.split()[0]) for one in dockerfile["FROM"]]
        assert len(bases) == 3
        assert [one for one in bases if ":" not in one or re.match(r"[^/]*[.:][^/]*/", one)] == []
        installs = re.findall(r"pip install ([^&]+)", " ".join(dockerfile["RUN"]))
        assert installs
        assert [one for one in installs if "--require-hashes" not in one and "--no-index" not in one] == []

    def test_the_image_installs_what_the_tests_ran_with(self) -> None:
        def pins(lock: str) -> set[str]:
            text = (MANIFESTS.parent / "requirements" / f"{lock}.lock").read_text()
            return set(re.findall(r"^([a-z0-9._-]+==[^ ;]+)", text, re.MULTILINE))

        assert pins("run") < pins("dev")
        project = tomllib.loads((MANIFESTS.parent / "pyproject.toml").read_text())["project"]
        wanted = {canonicalize_name(Requirement(one).name) for one in project["dependencies"]}
        assert wanted <= {one.partition("==")[0] for one in pins("run")}


# --- On the server ----------------------------------------------------------------------------------------------------


def test_applying_again_changes_nothing_and_conflicts_with_nobody(cluster: Cluster, installed: Path) -> None:
    def written() -> dict[str, Any]:
        found = cluster.get("clusterroles,validatingadmissionpolicies,crds")["items"]
        ours = [one for one in found if "setpoint" in one["metadata"]["name"]]
        return {one["metadata"]["name"]: one["metadata"].get("generation") or one["rules"] for one in ours}

    before = written()
    cluster.kubectl("apply", "--server-side", "--validate=strict", "-k", str(installed))
    assert written() == before
    assert len(before) > 20


def test_samples_are_taken(cluster: Cluster, installed: Path) -> None:
    words = ("--server-side", "--validate=strict", "--dry-run=server")
    cluster.kubectl("create", "namespace", "setpoint-samples", check=False)
    cluster.kubectl("apply", *words, "-k", str(MANIFESTS / "samples"))


def test_the_pod_meets_the_restricted_standard(cluster: Cluster, installed: Path) -> None:
    template = cluster.get("deployment", "setpoint-operator", "-n", NAMESPACE)["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried", "namespace": NAMESPACE}, **template}
    pod["metadata"] = {"name": "tried", "namespace": NAMESPACE, "labels": template["metadata"]["labels"]}
    words = ("create", "--dry-run=server", "-f", "-")
    assert "Warning" not in cluster.kubectl(*words, given=json.dumps(pod)).stderr
    del pod["spec"]["containers"][0]["securityContext"]["capabilities"]
    refusal = cluster.kubectl(*words, given=json.dumps(pod), check=False).stderr
    assert 'violates PodSecurity "restricted:latest": unrestricted capabilities' in refusal


READ = ["environments", "changes", "snapshots", "approvals", "resets", "policysets", "enforcementgates"]
MAY = {
    "platform-engineer": {"create environments", "patch environments", "delete environments", "create resets"},
    "approver": {"create approvals", "delete approvals", "approve changes"},
    "governance": {
        "update enforcementgates", "delete enforcementgates", "update policysets", "create policysets",
        "patch environments", "delete approvals",
    },
    "operator": {
        "create changes", "create snapshots", "delete snapshots", "create resets", "patch environments",
        "create secrets", "update secrets", "patch environments/status", "update changes/status",
    },
    "nobody": set(),
}  # fmt: skip
ASKED = sorted(
    {*itertools.chain.from_iterable(MAY.values()), "update environments/status", "delete changes", "delete secrets"}
    | {"patch changes", "update approvals", "create pods", "delete crds", "patch validatingadmissionpolicies"}
)


@pytest.mark.parametrize("role", MAY)
def test_each_role_may_what_it_needs_and_no_more(cluster: Cluster, installed: Path, role: str) -> None:
    def may(question: str) -> bool:
        verb, resource = question.split()
        words = [resource] if "/" not in resource else [resource.split("/")[0], "--subresource=status"]
        return cluster.kubectl("auth", "can-i", verb, *words, "-n", "default", role=role, check=False).stdout == "yes\n"

    allowed = {question for question in ASKED if may(question)}
    assert allowed == MAY[role] | ({"update environments/status"} if role == "operator" else set())
    assert all(may(f"list {plural}") for plural in READ) == (role != "nobody")


@pytest.mark.parametrize(
    ("role", "verbs"), [("view", {"get"}), ("edit", {"get", "patch"}), ("admin", {"get", "patch"})]
)
def test_kubernetes_own_roles_know_our_kinds(
    cluster: Cluster, installed: Path, namespace: str, role: str, verbs: set[str]
) -> None:
    user = f"user-of-{role}"
    cluster.kubectl("create", "rolebinding", "it", f"--clusterrole={role}", f"--user={user}", "-n", namespace)
    words = ("-n", namespace, "--as", user)
    allowed = {
        verb
        for verb in ("get", "patch")
        if cluster.kubectl("auth", "can-i", verb, "environments", *words, check=False).stdout == "yes\n"
    }
    assert allowed == verbs
    assert cluster.kubectl("auth", "can-i", "approve", "changes", *words, check=False).stdout == "no\n"
