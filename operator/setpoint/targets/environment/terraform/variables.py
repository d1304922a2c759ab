"""Owns the input variables of a run: which the code takes, and the file in which Terraform gets them."""

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from setpoint.api.conditions import Reason
from setpoint.domain.errors import StalledError
from setpoint.domain.kinds import dotted
from setpoint.domain.secret_values import variable_values
from setpoint.domain.visible import visible
from setpoint.targets.environment.plan.variable_types import texts_misread
from setpoint.targets.environment.ports import RunInputs
from setpoint.targets.environment.terraform.workfolder import Facts

VARIABLES = "variables.tfvars.json"


def all_variables(facts: Facts, inputs: RunInputs) -> dict[str, Any]:
    """All of them; secrets come last, since they win."""
    return {**inputs.variables, **variable_values(inputs.secret_variables, facts.structured)}


def write_variables(folder: Path, variables: Mapping[str, Any]) -> Path | None:
    """A file with these variables, where there are any."""
    if not variables:
        return None
    _write(folder / VARIABLES, variables)
    return folder / VARIABLES


def write_ephemeral(folder: Path, facts: Facts, inputs: RunInputs) -> Path | None:
    """A file with the variables that no plan file holds, if there are any; an apply takes no others."""
    given = all_variables(facts, inputs)
    return write_variables(folder, {name: given[name] for name in facts.ephemeral if name in given})


def refuse_undeclared(field: str, given: Collection[str], facts: Facts) -> None:
    """A variable file only warns of these; a person who misspelt one wants to know."""
    for name in sorted(given):
        if name not in facts.variables:
            known = ", ".join(sorted(facts.variables)[:10]) or "none"
            message = f"{field}.{name}: the code declares no such variable; it declares {known}"
            raise StalledError(Reason.VARIABLE_UNDECLARED, message)


def refuse_misread(given: Mapping[str, Any], facts: Facts) -> None:
    """Terraform would apply the boolean that YAML reads in NO as the text "false"."""
    for name in sorted(given):
        for path, what in texts_misread(given[name], facts.types.get(name, "")):
            field = dotted(("spec", "variables", name, *path))
            remedy = "put it in quotes (YAML reads NO, yes and on as booleans)"
            message = f"{field}: {what}, where the code declares string; {remedy}"
            raise StalledError(Reason.INVALID_SPEC, message)


def _write(path: Path, variables: Mapping[str, Any]) -> None:
    """A variable file for -var-file, for nobody else to read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(dict(variables), file)


def warn_of_workspace(facts: Facts) -> tuple[str, ...]:
    """Code that was kept in workspaces names things by theirs; under another name, all of them look new."""
    if not facts.workspaces:
        return ()
    more = f" and {len(facts.workspaces) - 1} more places" if len(facts.workspaces) > 1 else ""
    where = visible(facts.workspaces[0]) + more
    remedy = "put a variable in its place, and declare it in spec.variables"
    return (f"{where}: terraform.workspace is `default` here, whatever the workspace a state comes from; {remedy}",)
