"""policies/admission/ in force on a real API server. No operator runs: the rules hold without one."""

from pathlib import Path

import pytest
from tests.cluster.admission.server import Server
from tests.cluster.apiserver import Cluster


@pytest.fixture(scope="module", autouse=True)
def policies(installed: Path) -> None:
    """They are in force, for every test here."""


@pytest.fixture
def server(cluster: Cluster, namespace: str) -> Server:
    return Server(cluster, namespace)
