"""The Kubernetes API that the tests of this folder talk to: a new one for each module, so that their order is nothing.

With SETPOINT_TEST_KUBECONFIG or KUBECONFIG set it is that cluster. SETPOINT_REQUIRE_CLUSTER=1 makes a failure of what
is skipped otherwise.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from tests.cluster.apiserver import ROOT, ApiServer, Cluster, UnavailableError, UserCluster
from tests.cluster.manifests import applied, overlay, until


def _named() -> str:
    return os.environ.get("SETPOINT_TEST_KUBECONFIG") or os.environ.get("KUBECONFIG") or ""


def pytest_report_header() -> str:
    return f"cluster: {_named() or 'an API server of our own'}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the module that takes longest: begun last, it would go on for minutes when all others are done."""
    items.sort(key=lambda item: item.path.name != "test_kills.py")


def unavailable(error: UnavailableError) -> NoReturn:
    """Skips what needs a cluster, or fails it where one is required."""
    if os.environ.get("SETPOINT_REQUIRE_CLUSTER"):
        pytest.fail(f"the cluster suite can't run: {error}", pytrace=False)
    pytest.skip(str(error))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Kubernetes API with every role; no namespace, CRD or RBAC of ours yet."""
    folder = tmp_path_factory.mktemp("cluster")
    try:
        made = UserCluster(folder, _named()) if _named() else ApiServer(folder)
    except UnavailableError as error:
        unavailable(error)
    if not isinstance(made, ApiServer):
        yield made
        return
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def api_server(cluster: Cluster) -> Iterator[ApiServer]:
    """The server of this module, for tests that stop, kill or pause its processes. It serves again afterwards."""
    if not isinstance(cluster, ApiServer):
        pytest.skip("takes its API server down: not done to a cluster of yours")
    yield cluster
    cluster.recover()


@pytest.fixture(scope="module")
def controllers(cluster: Cluster) -> None:
    """kube-controller-manager runs: owned objects and namespaces go, aggregated roles are filled."""
    if isinstance(cluster, ApiServer):
        try:
            cluster.start_controllers()
        except UnavailableError as error:
            unavailable(error)


@pytest.fixture(scope="module")
def crds(cluster: Cluster) -> None:
    """Our CRDs are there, as an administrator applies them."""
    cluster.kubectl("apply", "--server-side", "--validate=strict", "-f", str(ROOT / "crds"))
    cluster.kubectl("wait", "--for=condition=Established", "-f", str(ROOT / "crds"))


@pytest.fixture(scope="module")
def installed(cluster: Cluster, controllers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The base and the bindings of people, in force."""
    folder = overlay(tmp_path_factory.mktemp("overlay"), "base", "group-bindings")
    with applied(cluster, folder):
        until(lambda: bool(cluster.get("clusterrole", "setpoint-governance").get("rules")))
        yield folder


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A new namespace. Without controllers it stays, empty of what a test deletes, until the server ends."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
