"""Owns a real Kubernetes API for tests: etcd and kube-apiserver of our own, or the cluster of whoever runs the tests.

Roles are users with a kubeconfig each; which rights they have is for the tests' manifests to say (admin has all).
"""

import contextlib
import csv
import dataclasses
import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.cluster.processes import PATIENCE, Process, Reaper, free_ports
from tools.resolve import API_SERVER, CONTROLLER_MANAGER, ETCD, KUBECTL, ToolError, find

from setpoint.adapters.kube import ConnectionOptions

ROOT = Path(__file__).parents[2]
NAMESPACE = "setpoint-system"
PATIENT = f"--timeout={PATIENCE:.0f}s"
"""The flag by which kubectl waits that long."""
_CONTROLLERS = (
    "namespace-controller",
    "garbage-collector-controller",
    "clusterrole-aggregation-controller",
    "validatingadmissionpolicy-status-controller",
)
_AUDIT_LEVELS = ("Metadata", "Request", "RequestResponse")


class UnavailableError(Exception):
    """No API server can be had here; the message says why, and what would help."""


@dataclasses.dataclass(frozen=True)
class Role:
    """The identity of somebody to the API server."""

    user: str
    groups: tuple[str, ...] = ()


ROLES: Mapping[str, Role] = {
    "admin": Role("admin", ("system:masters",)),
    "operator": Role(
        f"system:serviceaccount:{NAMESPACE}:setpoint-operator",
        ("system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}"),
    ),
    "platform-engineer": Role("paula", ("setpoint:platform-engineers",)),
    "approver": Role("ada", ("setpoint:approvers",)),
    "governance": Role("grace", ("setpoint:governance",)),
    "nobody": Role("norman"),
}
_CONTROLLER_ROLE = Role("system:kube-controller-manager")
_AGGREGATED = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}


class Cluster:
    """A Kubernetes API, as each of the roles sees it. Raises UnavailableError where there is no kubectl."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kubectl = tool(KUBECTL)

    def kubeconfig(self, role: str = "admin") -> Path:
        """The kubeconfig file of a role."""
        return self.folder / f"{role}.kubeconfig"

    def connection(self, role: str = "admin", **options: Any) -> ConnectionOptions:
        """Those of a connection of a role that waits for a busy server."""
        return ConnectionOptions(kubeconfig=self.kubeconfig(role), seconds=PATIENCE, **options)

    def kubectl(
        self,
        *words: str,
        role: str = "admin",
        given: str | None = None,
        check: bool = True,
        seconds: float = PATIENCE,
    ) -> subprocess.CompletedProcess[str]:
        """Runs kubectl as a role, `given` on its stdin; its failure is an AssertionError unless `check` is off."""
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig(role)), "HOME": str(self.folder)}
        done = subprocess.run(
            (str(self._kubectl), *words),
            input=given, env=environment, capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}{done.stdout}"
        return done

    def get(self, *words: str, role: str = "admin") -> Any:
        """The output of `kubectl get`, as JSON."""
        return json.loads(self.kubectl("get", *words, "-o", "json", role=role).stdout)

    def _write_kubeconfig(self, role: str, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> None:
        # JSON is YAML.
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": role, "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": role}}],
            "current-context": "test",
        }
        path = self.kubeconfig(role)
        path.touch(mode=0o600)
        path.write_text(json.dumps(content))


class UserCluster(Cluster):
    """The cluster that the user's kubeconfig names; its user, who must be an admin, impersonates the other roles."""

    def __init__(self, folder: Path, kubeconfig: str) -> None:
        super().__init__(folder)
        command = (str(self._kubectl), "config", "view", "--raw", "--minify", "--flatten", "-o", "json")
        environment = {**os.environ, "KUBECONFIG": kubeconfig}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
        if done.returncode:
            raise UnavailableError(f"{kubeconfig} can't be used: {done.stderr.strip()}")
        config = json.loads(done.stdout)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        for name, role in ROLES.items():
            as_role = {} if name == "admin" else {"as": role.user, "as-groups": role.groups}
            self._write_kubeconfig(name, cluster, {**user, **as_role})


class ApiServer(Cluster):
    """Our own etcd and kube-apiserver in one folder; `etcd`, `api` and `controllers` are their processes.

    `audit` is the level of the audit log, `flags` are more flags of kube-apiserver. Raises UnavailableError.
    """

    def __init__(self, folder: Path, *, audit: str = "Metadata", flags: Sequence[str] = ()) -> None:
        super().__init__(folder)
        assert audit in _AUDIT_LEVELS
        programs = {one.name: str(tool(one)) for one in (ETCD, API_SERVER)}
        self._ports = free_ports(4)
        self.url = f"https://127.0.0.1:{self._ports[2]}"
        self.ca = folder / "certs" / "apiserver.crt"
        self.audit_log = folder / "audit.log"
        self.tokens = {name: f"token-of-{name}" for name in (*ROLES, "controllers")}
        self._write_files(audit)
        self._reaper = Reaper()
        self.etcd = self._process("etcd", [programs[ETCD.name], *self._etcd_flags()], self._etcd_serves)
        self.api = self._process("kube-apiserver", [programs[API_SERVER.name], *self._api_flags(), *flags], self.serves)
        self.controllers: Process | None = None

    def start(self) -> None:
        """Starts both, and returns when they serve."""
        self.etcd.start()
        self.etcd.wait_ready()
        self.api.start()
        self.api.wait_ready()
        server = {"server": self.url, "certificate-authority": str(self.ca)}
        for name, token in self.tokens.items():
            self._write_kubeconfig(name, server, {"token": token})

    def start_controllers(self) -> None:
        """Starts kube-controller-manager: garbage collection, namespaces' deletion, aggregated roles."""
        program = str(tool(CONTROLLER_MANAGER))
        command = [program, *self._controller_flags()]
        self.controllers = self._process("kube-controller-manager", command, self._controllers_act)
        self.controllers.start()
        self.controllers.wait_ready()

    def recover(self) -> None:
        """Continues what is paused, starts what has ended, and returns when all serve."""
        if self.controllers:
            # They ask for a server that was away after up to a minute only; new ones ask at once.
            self.controllers.kill()
        for process in self._processes():
            if process.running:
                process.resume()
            else:
                process.start()
            process.wait_ready()

    def stop(self) -> None:
        """Ends everything, whatever state it is in."""
        for process in reversed(self._processes()):
            process.kill()
        self._reaper.close()

    def _processes(self) -> list[Process]:
        return [self.etcd, self.api, *([self.controllers] if self.controllers else [])]

    def serves(self) -> bool:
        """True where the API server is ready, and has made its own namespaces."""
        return self._answers("/readyz") and self._answers("/api/v1/namespaces/default")

    def audited(self) -> Iterator[dict[str, Any]]:
        """The audit log, event by event; half a line at its end is left out."""
        for line in self.audit_log.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)

    # --- How the processes are set up -------------------------------------------------------------------------------

    def _process(self, name: str, command: Sequence[str], is_ready: Any) -> Process:
        return Process(name, command, self.folder / f"{name}.log", is_ready, self._reaper)

    def _etcd_flags(self) -> list[str]:
        client, peer = (f"http://127.0.0.1:{port}" for port in self._ports[:2])
        return [
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        ]

    def _api_flags(self) -> list[str]:
        return [
            f"--etcd-servers=http://127.0.0.1:{self._ports[0]}",
            f"--secure-port={self._ports[2]}",
            "--bind-address=127.0.0.1",
            # A machine without a default route has no other address, and nobody here asks for endpoints.
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--cert-dir={self.folder / 'certs'}",
            f"--service-account-key-file={self.folder / 'sa.pub'}",
            f"--service-account-signing-key-file={self.folder / 'sa.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            # It would refuse pods only, and there is no kubelet.
            "--disable-admission-plugins=ServiceAccount",
            f"--audit-policy-file={self.folder / 'audit-policy.json'}",
            f"--audit-log-path={self.audit_log}",
        ]

    def _controller_flags(self) -> list[str]:
        return [
            f"--kubeconfig={self.kubeconfig('controllers')}",
            f"--controllers={','.join(_CONTROLLERS)}",
            # The policies exempt these controllers by the name of their service accounts.
            "--use-service-account-credentials",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._ports[3]}",
            f"--cert-dir={self.folder / 'controllers-certs'}",
        ]

    def _write_files(self, audit: str) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        (self.folder / "sa.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        (self.folder / "sa.pub").write_bytes(public)
        rules = [{"level": audit, "omitStages": ["RequestReceived"]}]
        policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}
        (self.folder / "audit-policy.json").write_text(json.dumps(policy))
        with (self.folder / "tokens.csv").open("w", newline="") as file:
            for name, role in {**ROLES, "controllers": _CONTROLLER_ROLE}.items():
                # An empty column would be a group without a name.
                groups = [",".join(role.groups)] if role.groups else []
                csv.writer(file).writerow([self.tokens[name], role.user, role.user, *groups])

    # --- Whether they serve -----------------------------------------------------------------------------------------

    def _etcd_serves(self) -> bool:
        return _status(f"http://127.0.0.1:{self._ports[0]}/health") == 200

    def _controllers_act(self) -> bool:
        """True where these controllers, and not some before them, filled a role that aggregates others."""
        assert self.controllers
        role = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": f"probe-{self.controllers.pid}"},
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": _AGGREGATED}]},
        }
        self.kubectl("apply", "-f", "-", given=json.dumps(role))
        return bool(self.get("clusterrole", role["metadata"]["name"]).get("rules"))

    def _answers(self, path: str) -> bool:
        if not self.ca.exists():
            return False
        with contextlib.suppress(ssl.SSLError):
            context = ssl.create_default_context(cafile=str(self.ca))
            return _status(self.url + path, self.tokens["admin"], context) == 200
        return False


def tool(one: Any) -> Path:
    """The program, which is not built here. Raises UnavailableError."""
    try:
        found = find(one, os.environ)
    except ToolError as error:
        raise UnavailableError(str(error)) from None
    if found is None:
        raise UnavailableError(
            f"{one.name} is not here: run `make tools`, or set {one.variable}, "
            "or KUBEBUILDER_ASSETS, or KUBECONFIG for a cluster of yours"
        )
    return found


def _status(url: str, token: str = "", context: ssl.SSLContext | None = None) -> int:
    """The HTTP status; 0 where nothing answers."""
    try:
        _read(url, token, context)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
    return 200


def _read(url: str, token: str, context: ssl.SSLContext | None) -> bytes:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=10, context=context) as response:
        return response.read()
