"""Owns gathering what a Terraform run needs besides code and state: engine, variables, credentials, deadlines."""

from collections.abc import Mapping
from typing import Any

from setpoint.api.v1alpha1.environment import EnvironmentSpec
from setpoint.targets.environment.ports import RunInputs
from setpoint.targets.environment.secrets import SecretReader


async def gather_inputs(
    spec: EnvironmentSpec,
    variables: Mapping[str, Any],
    reader: SecretReader,
    *,
    has_state: bool,
    recorded: bool,
) -> RunInputs:
    """The inputs of a run with these variables; `has_state` and `recorded` as in RunInputs."""
    secrets = await reader.read_all(spec.variables_from, field="spec.variablesFrom")
    plan = await reader.read_all(spec.credentials.plan, field="spec.credentials.plan")
    apply = plan
    if spec.credentials.apply is not None:
        apply = await reader.read_all(spec.credentials.apply, field="spec.credentials.apply")
    return RunInputs(
        engine_type=spec.engine.type,
        engine_version=spec.engine.version,
        lock_file=spec.engine.lock_file,
        variables=variables,
        secret_variables=secrets.values,
        plan_environment=plan.values,
        apply_environment=apply.values,
        plain_variables=secrets.plain,
        plain_plan=plan.plain,
        plain_apply=apply.plain,
        has_state=has_state,
        recorded=recorded,
        init_timeout=spec.timeouts.init.total_seconds(),
        plan_timeout=spec.timeouts.plan.total_seconds(),
        apply_timeout=spec.timeouts.apply.total_seconds(),
    )
