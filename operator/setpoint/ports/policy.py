"""Owns the ports for policies and the engine that decides. Declarations only."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from setpoint.api.v1alpha1.policyset import PolicySetSpec
from setpoint.domain.policies import PolicyCheck, PolicyModules, PolicyResult


class PolicyResolver(Protocol):
    """Turns a PolicySet into its modules."""

    async def resolve(self, spec: PolicySetSpec, *, origin: Path | None) -> PolicyModules:
        """Reads spec.source. `origin` is the folder of the manifest, None on a cluster.

        Raises StalledError (SourceNotFound, SourceRefused, DigestMismatch).
        """
        ...


class PolicyEngine(Protocol):
    """Evaluates Rego v1, apart from this process."""

    async def check(self, modules: PolicyModules) -> PolicyCheck:
        """Loads and lints. Never raises: what can't be checked is a problem."""
        ...

    async def evaluate(
        self,
        modules: PolicyModules,
        document: Mapping[str, Any],
        *,
        timeout: float,  # noqa: ASYNC109 a limit on another process, which is killed at it
        memory_mib: int,
    ) -> PolicyResult:
        """Asks all packages for deny, violation and warn, within `timeout` seconds.

        Never raises: crash, time-out, memory, undefined and what does not pass `check` are errors.
        """
        ...
