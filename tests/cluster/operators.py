"""Owns operators under test: real processes on a real API server, and what people do beside them."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.cluster.apiserver import NAMESPACE, Cluster
from tests.cluster.processes import PATIENCE, Process, Reaper, free_ports


class Operator:
    """One replica as a process of its own, with a state folder of its own or one that is shared.

    `settings` are more of its environment, `program` is what runs in the place of `python -m setpoint`.
    """

    def __init__(
        self,
        cluster: Cluster,
        folder: Path,
        name: str,
        *,
        role: str = "admin",
        state: Path | None = None,
        settings: Mapping[str, str] | None = None,
        program: Sequence[str] = ("setpoint",),
    ):
        self._port = free_ports(1)[0]
        self._reaper = Reaper()
        self.name = name
        environ = {
            "SETPOINT_STATE_DIR": str(state or folder / f"{name}-state"),
            "SETPOINT_IDENTITY": name,
            "SETPOINT_LEASE_NAMESPACE": NAMESPACE,
            "SETPOINT_DRAIN_SECONDS": "20",
            **(settings or {}),
        }
        command = [
            "env",
            *(f"{key}={value}" for key, value in environ.items()),
            sys.executable, "-m", *program, "operator",
            "--kubeconfig", str(cluster.kubeconfig(role)), "--listen", f"127.0.0.1:{self._port}",
        ]  # fmt: skip
        self.process = Process(name, command, folder / f"{name}.log", self.ready, self._reaper)

    def ready(self) -> bool:
        """True where it watches."""
        return self._get("/readyz") == "ok\n"

    def metric(self, line: str) -> float:
        """The value of a series; 0 where there is none."""
        found = re.search(rf"^{re.escape(line)} (\S+)$", self._get("/metrics"), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def total(self, name: str) -> float:
        """The sum of all series of a counter."""
        return sum(map(float, re.findall(rf"^{re.escape(name)}\{{.*\}} (\S+)$", self._get("/metrics"), re.MULTILINE)))

    def series(self, start: str) -> int:
        """How many series begin so."""
        return sum(line.startswith(start) for line in self._get("/metrics").splitlines())

    def leads(self) -> bool:
        """True where it says that it holds the Lease."""
        return "Leading as" in self.process.said()

    def close(self) -> None:
        """Ends it, and whoever it left behind."""
        self.process.stop()
        self._reaper.close()

    def _get(self, path: str) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=30) as answer:
                return answer.read().decode()
        except OSError:
            return ""


@contextlib.contextmanager
def running(cluster: Cluster, folder: Path, name: str = "operator", **options: Any) -> Iterator[Operator]:
    """An operator that watches already."""
    operator = Operator(cluster, folder, name, **options)
    try:
        operator.process.start()
        operator.process.wait_ready()
        yield operator
    finally:
        operator.close()


class People:
    """The commands of people in one namespace, with kubectl and with setpoint."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def apply(self, *objects: dict[str, Any], role: str = "admin") -> None:
        """kubectl apply."""
        given = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.cluster.kubectl("apply", "-n", self.namespace, "-f", "-", given=given, role=role)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """An object."""
        return self.cluster.get(kind, name, "-n", self.namespace)

    def all(self, kind: str) -> list[dict[str, Any]]:
        """The objects of a kind."""
        return self.cluster.get(kind, "-n", self.namespace)["items"]

    def condition(self, name: str, type_: str = "Ready") -> dict[str, Any]:
        """A condition of an Environment; empty where it has none."""
        found = self.cluster.kubectl("get", "environment", name, "-n", self.namespace, "-o", "json", check=False)
        status = json.loads(found.stdout).get("status", {}) if found.returncode == 0 else {}
        return next((one for one in status.get("conditions", []) if one["type"] == type_), {})

    def until_reason(self, name: str, reason: str, type_: str = "Ready") -> None:
        """Waits for the reason of a condition."""
        until(lambda: self.condition(name, type_).get("reason") == reason, lambda: self.condition(name, type_))

    def approve(self, environment: str, role: str = "admin") -> str:
        """setpoint approve, of the Change that waits; returns the Change's name."""
        self.until_reason(environment, "ApprovalRequired")
        change = self.get("environment", environment)["status"]["change"]
        self.setpoint("approve", change, "-n", self.namespace, role=role)
        return change

    def setpoint(self, *words: str, role: str = "admin", check: bool = True) -> subprocess.CompletedProcess[str]:
        """The setpoint command on this cluster."""
        command = [sys.executable, "-m", "setpoint", *words, "--context", "test"]
        environ = {**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig(role))}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert not check or done.returncode == 0, done.stderr + done.stdout
        return done


def until(happened: Callable[[], bool], seen: Callable[[], Any] = lambda: "", seconds: float = PATIENCE) -> None:
    """Waits for something in another process; says what was seen where it does not come."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"waited in vain; seen: {seen()}"
        time.sleep(0.2)


def environment(name: str, main: str = 'resource "terraform_data" "a" {}', **spec: Any) -> dict[str, Any]:
    """An Environment of inline Terraform."""
    return {
        "apiVersion": "setpoint.dev/v1alpha1",
        "kind": "Environment",
        "metadata": {"name": name},
        "spec": {"stage": "dev", "engine": {"lockFile": "Generate"}, "source": {"inline": {"main.tf": main}}, **spec},
    }


def slow(ledger: Path, seconds: float) -> str:
    """Terraform whose create notes that it began in a file, then takes its time."""
    return f"""
resource "terraform_data" "slow" {{
  provisioner "local-exec" {{
    command = "echo created >> {ledger} && sleep {seconds}"
  }}
}}
resource "terraform_data" "after" {{
  input = terraform_data.slow.id
}}
"""
