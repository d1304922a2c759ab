"""The test server itself, and that it takes our CRDs and an Environment as they are shipped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from tests.cluster.apiserver import PATIENT, ROLES, ApiServer, Cluster, UnavailableError, UserCluster
from tests.cluster.processes import PATIENCE, Process, Reaper
from tools.resolve import API_SERVER, cache_root

ROOT = Path(__file__).parents[2]
GREETING = ROOT / "examples" / "demo" / "home" / "greeting.yaml"
OLDEST, NEWEST = (1, 30), (1, 37)


def test_it_is_a_version_that_is_supported(cluster: Cluster) -> None:
    told = yaml.safe_load(cluster.kubectl("version", "-o", "json").stdout)["serverVersion"]
    assert OLDEST <= (int(told["major"]), int(told["minor"].rstrip("+"))) <= NEWEST


def test_the_one_that_was_built_tells_the_version_that_is_pinned(api_server: ApiServer) -> None:
    if not api_server.api.command[0].startswith(str(cache_root(os.environ))):
        pytest.skip("the API server is not the one that was built")
    told = yaml.safe_load(api_server.kubectl("get", "--raw", "/version").stdout)
    assert (told["gitVersion"], told["major"], told["minor"]) == (f"v{API_SERVER.version}", "1", "36")


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_who_it_says(cluster: Cluster, role: str) -> None:
    told = yaml.safe_load(cluster.kubectl("auth", "whoami", "-o", "json", role=role).stdout)["status"]["userInfo"]
    if role != "admin":
        assert told["username"] == ROLES[role].user
        assert set(ROLES[role].groups) <= set(told["groups"])
    may = cluster.kubectl("auth", "can-i", "create", "namespaces", role=role, check=False).stdout.strip()
    assert may == ("yes" if role == "admin" else "no")


def test_it_takes_an_environment_and_shows_its_columns(cluster: Cluster, crds: None, namespace: str) -> None:
    cluster.kubectl("apply", "--server-side", "--validate=strict", "-n", namespace, "-f", str(GREETING))
    table = cluster.kubectl("get", "environments", "-n", namespace).stdout.splitlines()
    definition = cluster.get("crd", "environments.setpoint.dev")
    version = next(one for one in definition["spec"]["versions"] if one["storage"])
    columns = [one["name"].upper() for one in version["additionalPrinterColumns"] if not one.get("priority")]
    assert " ".join(table[0].split()) == " ".join(["NAME", *columns])
    assert table[1].split()[0] == "greeting"


def test_it_refuses_a_field_that_no_environment_has(cluster: Cluster, crds: None, namespace: str) -> None:
    sample = yaml.safe_load(GREETING.read_text())
    sample["spec"]["stgae"] = "demo"
    words = ("apply", "--server-side", "--validate=strict", "-n", namespace, "-f", "-")
    done = cluster.kubectl(*words, given=yaml.safe_dump(sample), check=False)
    assert done.returncode != 0
    assert "stgae" in done.stderr


def test_what_was_asked_is_in_the_audit_log(api_server: ApiServer, namespace: str) -> None:
    api_server.kubectl("get", "secrets", "-n", namespace, role="nobody", check=False)
    [asked] = [
        one
        for one in api_server.audited()
        if one["user"]["username"] == ROLES["nobody"].user and one.get("objectRef", {}).get("namespace") == namespace
    ]
    assert (asked["verb"], asked["objectRef"]["resource"], asked["responseStatus"]["code"]) == ("list", "secrets", 403)


@pytest.mark.parametrize("fault", ["kill", "pause"])
@pytest.mark.parametrize("which", ["etcd", "api"])
def test_a_fault_is_one_and_ends(api_server: ApiServer, namespace: str, which: str, fault: str) -> None:
    process: Process = getattr(api_server, which)
    getattr(process, fault)()
    assert process.running is (fault == "pause")
    assert not api_server.serves()
    if fault == "pause":
        process.resume()
    else:
        process.start()
    process.wait_ready()
    api_server.api.wait_ready()
    assert api_server.get("namespace", namespace)["metadata"]["name"] == namespace


def test_restart_keeps_address_and_objects(api_server: ApiServer, namespace: str) -> None:
    for process in (api_server.api, api_server.etcd):
        before = process.pid
        process.restart()
        assert process.pid != before
    api_server.api.wait_ready()
    assert api_server.get("namespace", namespace)["metadata"]["name"] == namespace


def test_after_an_outage_other_controllers_act(api_server: ApiServer, controllers: None, namespace: str) -> None:
    assert api_server.controllers
    before = api_server.controllers.pid
    api_server.api.kill()
    api_server.recover()
    assert api_server.controllers.pid != before
    api_server.kubectl("create", "namespace", f"{namespace}-goes")
    api_server.kubectl("delete", "namespace", f"{namespace}-goes", PATIENT)


def test_with_controllers_a_namespace_goes(cluster: Cluster, controllers: None, namespace: str) -> None:
    cluster.kubectl("create", "namespace", f"{namespace}-goes")
    cluster.kubectl("delete", "namespace", f"{namespace}-goes", PATIENT)
    assert cluster.get("clusterrole", "view")["rules"]


@pytest.mark.parametrize("role", ["admin", "approver", "nobody"])
def test_on_a_users_own_cluster_the_admin_plays_every_role(cluster: Cluster, tmp_path: Path, role: str) -> None:
    theirs = UserCluster(tmp_path, str(cluster.kubeconfig()))
    words = ("auth", "whoami", "-o", "json")
    told = [yaml.safe_load(one.kubectl(*words, role=role).stdout)["status"]["userInfo"] for one in (cluster, theirs)]
    assert [one["username"] for one in told] == [ROLES[role].user] * 2
    assert [sorted(one["groups"]) for one in told] == [sorted([*ROLES[role].groups, "system:authenticated"])] * 2


def test_a_kubeconfig_that_is_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="nowhere can't be used"):
        UserCluster(tmp_path, str(tmp_path / "nowhere"))


def test_a_process_that_ends_by_itself_says_why(tmp_path: Path) -> None:
    reaper = Reaper()
    process = Process("sample", ["/bin/sh", "-c", "echo no such flag; exit 3"], tmp_path / "log", lambda: False, reaper)
    process.start()
    with pytest.raises(RuntimeError, match="sample ended: no such flag"):
        process.wait_ready(10)
    reaper.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.cluster.processes import Process, Reaper
process = Process("sleep", ["sleep", "600"], Path(sys.argv[1]), lambda: True, Reaper())
process.start()
process.pause()
print(process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_outlives_a_session_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path / "log")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + PATIENCE
    while Path(f"/proc/{int(done.stdout)}").exists():
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(0.05)
