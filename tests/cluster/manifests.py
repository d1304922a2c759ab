"""Owns manifests/ on a test's API server: what kustomize makes of it, applied, in force, and taken away again."""

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from tests.cluster.apiserver import ROOT, Cluster
from tests.cluster.processes import PATIENCE

MANIFESTS = ROOT / "manifests"
_KEPT = {"CustomResourceDefinition", "Namespace"}
"""Their deletion would take along what others keep in them."""


def overlay(folder: Path, base: str, *components: str, **more: Any) -> Path:
    """A kustomization in a folder, as a user would write one; components are names, or paths of their folders."""
    folder.mkdir(parents=True, exist_ok=True)

    def relative(path: Path) -> str:
        return os.path.relpath(path.resolve(), folder.resolve())

    named = [relative(Path(one) if "/" in one else MANIFESTS / "components" / one) for one in components]
    content = {"resources": [relative(MANIFESTS / base)], "components": named, **more}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return folder


def namespaced(folder: Path, *namespaces: str) -> Path:
    """An overlay for an operator that serves these namespaces alone, as docs/how-to/install-on-a-cluster.md has it."""
    served = os.path.relpath(MANIFESTS / "served-namespace", folder / "overlay" / "any")
    for name in namespaces:
        inner = folder / "overlay" / name
        inner.mkdir(parents=True)
        (inner / "kustomization.yaml").write_text(yaml.safe_dump({"namespace": name, "resources": [served]}))
    made = overlay(folder / "overlay", "base", "namespaced")
    content = yaml.safe_load((made / "kustomization.yaml").read_text())
    content["resources"] += namespaces
    listed = {"name": "setpoint-namespaces", "literals": [f"namespaces={','.join(namespaces)}"]}
    content["configMapGenerator"] = [{**listed, "namespace": "setpoint-system"}]
    (made / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return made


def rights(rules: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """The single rights that rules grant: (group, resource, verb)."""
    found: set[tuple[str, str, str]] = set()
    for rule in rules:
        found |= set(itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"]))
    return found


def built(cluster: Cluster, folder: Path) -> list[dict[str, Any]]:
    """The objects that kustomize makes."""
    return [*yaml.safe_load_all(cluster.kubectl("kustomize", str(folder)).stdout)]


def named(objects: list[dict[str, Any]], kind: str, name: str = "setpoint-operator") -> dict[str, Any]:
    """The object of that kind and name."""
    (found,) = [one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


@contextlib.contextmanager
def applied(cluster: Cluster, folder: Path) -> Iterator[None]:
    """The objects are there and the policies in force; afterwards all are gone but CRDs and namespaces."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "--validate=strict", "-k", str(folder))
    cluster.kubectl("wait", "--for=condition=Established", "-f", str(ROOT / "crds"))
    try:
        until(lambda: not _admin_writes_status(cluster))
        yield
    finally:
        removed = [one for one in built(cluster, folder) if one["kind"] not in _KEPT]
        words = ("delete", "--ignore-not-found", "--wait=false", "-f", "-")
        cluster.kubectl(*words, given=yaml.safe_dump_all(removed))
        until(lambda: _admin_writes_status(cluster))


def until(holds: Callable[[], bool]) -> None:
    """Waits for the API server to take up what it was told: policies are in force, and out of it, within seconds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "the policies were not taken up"
        time.sleep(0.1)


def _admin_writes_status(cluster: Cluster) -> bool:
    """False where the policies are in force: this one's binding is the last that is applied."""
    probe = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "PolicySet", "metadata": {"name": "probe"}}
    given = yaml.safe_dump({**probe, "spec": {"source": {"builtin": "baseline"}}})
    cluster.kubectl("apply", "-f", "-", given=given, check=False)
    words = ("patch", "policyset", "probe", "--subresource=status", "--type=merge", "--dry-run=server")
    return cluster.kubectl(*words, "-p", '{"status":{"observedGeneration":1}}', check=False).returncode == 0
