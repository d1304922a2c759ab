"""Owns the reconcilers of PolicySet and EnforcementGates: whether they can be used, and what is wrong if not.

What they write is for people. A gate reads its policies itself, so a stale status never lets a Change through.
"""

import datetime as dt
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.meta import MANIFEST_ERROR_ANNOTATION, ObjectRef
from setpoint.api.v1alpha1.enforcementgates import EnforcementGates
from setpoint.api.v1alpha1.policyset import PolicySet, RuleIndexEntry
from setpoint.domain.conditions import Conditions, is_true, mark_ready, mark_stalled
from setpoint.domain.errors import InvalidError, NotFoundError, StalledError, WaitingError
from setpoint.domain.gates import BUILT_IN, pin_problem
from setpoint.domain.policies import PackageIndex, PolicyModules
from setpoint.domain.reading import parse
from setpoint.ports import Clock, ClusterClient, PolicyEngine, PolicyResolver
from setpoint.runtime.requests import Request, Result
from setpoint.runtime.status import show_unreadable, write_status

Governed = TypeVar("Governed", PolicySet, EnforcementGates)

_FOLDER_INTERVAL = dt.timedelta(minutes=1)
"""A folder of policies changes without an event."""
_MAX_PROBLEMS = 5
_MAX_RULES = 200
_MAX_TEXT = 253


class PolicySetReconciler:
    """Loads, pins and lints a PolicySet. `origin_of` gives the folder of an object's manifest, None on a cluster."""

    def __init__(
        self,
        *,
        cluster: ClusterClient,
        engine: PolicyEngine,
        policies: PolicyResolver,
        origin_of: Callable[[PolicySet], Path | None],
        clock: Clock,
    ) -> None:
        self._cluster = cluster
        self._engine = engine
        self._policies = policies
        self._origin_of = origin_of
        self._clock = clock

    async def reconcile(self, request: Request) -> Result:
        """Writes Ready, digest and rules. Raises StalledError (PolicyInvalid, DigestMismatch) once it wrote that."""
        policy_set = await _read_or_show(self._cluster, PolicySet, request.ref, self._clock)
        if policy_set is None:
            return Result()
        try:
            modules, packages = await self._load(policy_set)
        except StalledError as error:
            raise await _write_stalled(self._cluster, policy_set, error, self._clock, digest=None, rules=[]) from error
        rules = [
            RuleIndexEntry(package=one.package[:_MAX_TEXT], title=one.title[:_MAX_TEXT], severity=one.severity)
            for one in packages[:_MAX_RULES]
        ]
        message = "; ".join([f"{len(rules)} packages", *_unfit(packages)])
        await _write_ready(self._cluster, policy_set, message, self._clock, digest=modules.digest, rules=rules)
        return Result(_FOLDER_INTERVAL if policy_set.spec.source.path is not None else None)

    async def _load(self, policy_set: PolicySet) -> tuple[PolicyModules, Sequence[PackageIndex]]:
        _refuse_bad_manifest(policy_set)
        modules = await self._policies.resolve(policy_set.spec, origin=self._origin_of(policy_set))
        check = await self._engine.check(modules)
        if check.problems:
            raise StalledError(Reason.POLICY_INVALID, _listed(check.problems))
        return modules, check.packages


class EnforcementGatesReconciler:
    """Says whether every PolicySet that the gates name is there, ready, and of the content that they pin."""

    def __init__(self, *, cluster: ClusterClient, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock

    async def reconcile(self, request: Request) -> Result:
        """Writes Ready. Raises StalledError once it wrote why not; a PolicySet that moves must bring a new request."""
        gates = await _read_or_show(self._cluster, EnforcementGates, request.ref, self._clock)
        if gates is None:
            return Result()
        try:
            _refuse_bad_manifest(gates)
            await self._check(gates)
        except StalledError as error:
            raise await _write_stalled(self._cluster, gates, error, self._clock) from error
        await _write_ready(self._cluster, gates, f"{len(gates.spec.gates)} gates", self._clock)
        return Result()

    async def _check(self, gates: EnforcementGates) -> None:
        references = itertools.chain.from_iterable(gate.policy_sets for gate in gates.spec.gates)
        names = {reference.name for reference in references}
        digests = {name: await self._ready_digest(name) for name in sorted(names)}
        problems: list[str] = []
        for gate in gates.spec.gates:
            pins = (pin_problem(reference, digests[reference.name]) for reference in gate.policy_sets)
            problems += [f"gate {gate.name}: {problem}" for problem in pins if problem]
        taken = [
            f"gate {gate.name}: a built-in gate has this name" for gate in gates.spec.gates if gate.name in BUILT_IN
        ]
        if problems or taken:
            pinned = not taken and all(digests.values())
            reason = Reason.DIGEST_MISMATCH if pinned else Reason.POLICY_INVALID
            raise StalledError(reason, _listed([*problems, *taken]))

    async def _ready_digest(self, name: str) -> str | None:
        """The digest of a PolicySet that is ready as it stands, else None."""
        try:
            policy_set = await _read(self._cluster, PolicySet, ObjectRef("PolicySet", "", name))
        except InvalidError:
            return None
        if policy_set is None:
            return None
        if policy_set.status.observed_generation != policy_set.metadata.generation:
            raise WaitingError(Reason.PROGRESSING, f"PolicySet {name} is being checked")
        return policy_set.status.digest if is_true(policy_set.status.conditions, ConditionType.READY) else None


async def _read(cluster: ClusterClient, kind: type[Governed], ref: ObjectRef) -> Governed | None:
    try:
        return parse(kind, await cluster.get(ref))
    except NotFoundError:
        return None


async def _read_or_show(cluster: ClusterClient, kind: type[Governed], ref: ObjectRef, clock: Clock) -> Governed | None:
    """The object; what in it can't be read is shown on it. Raises StalledError then."""
    try:
        return await _read(cluster, kind, ref)
    except InvalidError as error:
        found = await cluster.get(ref)
        raise await show_unreadable(cluster, kind, found, error, Reason.POLICY_INVALID, clock.now()) from None


def _refuse_bad_manifest(obj: PolicySet | EnforcementGates) -> None:
    problem = obj.metadata.annotations.get(MANIFEST_ERROR_ANNOTATION)
    if problem:
        raise StalledError(Reason.INVALID_MANIFEST, problem)


def _unfit(packages: Sequence[PackageIndex]) -> list[str]:
    """The packages that are an Error for the Changes of a kind, and how to say that they are not meant for it."""
    found: list[str] = []
    for one in packages:
        found += [f"an Error for Changes of the kind {kind}: {why}" for kind, why in one.unfit.items()]
    remedy = "say custom.kinds in the METADATA of a package that is for other kinds alone"
    return [_listed(found), remedy] if found else []


def _listed(problems: Sequence[str]) -> str:
    more = f"; and {len(problems) - _MAX_PROBLEMS} more" if len(problems) > _MAX_PROBLEMS else ""
    return "; ".join(problems[:_MAX_PROBLEMS]) + more


async def _write_ready(
    cluster: ClusterClient, obj: PolicySet | EnforcementGates, message: str, clock: Clock, **fields: Any
) -> None:
    conditions = mark_ready(obj.status.conditions, Reason.POLICY_LOADED, message, obj.metadata.generation, clock.now())
    await _write(cluster, obj, conditions, fields)


async def _write_stalled(
    cluster: ClusterClient, obj: PolicySet | EnforcementGates, error: StalledError, clock: Clock, **fields: Any
) -> StalledError:
    """Returns the error under the reason that was written: these kinds know two."""
    reason = Reason.DIGEST_MISMATCH if error.reason is Reason.DIGEST_MISMATCH else Reason.POLICY_INVALID
    conditions = mark_stalled(obj.status.conditions, reason, error.message, obj.metadata.generation, clock.now())
    await _write(cluster, obj, conditions, fields)
    return StalledError(reason, error.message)


async def _write(
    cluster: ClusterClient, obj: PolicySet | EnforcementGates, conditions: Conditions, fields: dict[str, Any]
) -> None:
    stated = {"conditions": list(conditions), "observed_generation": obj.metadata.generation, **fields}
    await write_status(cluster, obj.ref, obj.status.model_copy(update=stated).as_json())
