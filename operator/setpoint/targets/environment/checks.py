"""Owns what `setpoint doctor` asks of a machine for the sake of Environments: an engine, and where providers are."""

import os
from collections.abc import Sequence

from setpoint.api.v1alpha1.environment import Engine
from setpoint.domain.errors import SetpointError
from setpoint.ports.commands import Check
from setpoint.settings import Settings
from setpoint.targets.environment.ports import RunInputs
from setpoint.targets.environment.terraform.binaries import Binaries

_VERSIONS = Engine().version


def checks(settings: Settings) -> Sequence[Check]:
    """Looks at the machine, with the settings that a manager would have."""
    return (_engine(settings), _mirror(settings))


def _engine(settings: Settings) -> Check:
    """One that the default of spec.engine.version takes. What a spec asks for is its Environment's to say."""
    found, problems = [], []
    for engine in ("terraform", "opentofu"):
        inputs = RunInputs(engine, _VERSIONS, "Required", {}, {}, {}, {})
        try:
            found.append(str(Binaries(settings.binaries, {"PATH": os.environ.get("PATH", "")}).find(inputs)[1]))
        except SetpointError as error:
            problems.append(error.message)
    remedy = f"install Terraform or OpenTofu {_VERSIONS}, or name one with SETPOINT_TERRAFORM or SETPOINT_TOFU"
    return Check("terraform", bool(found), ", ".join(found) or "; ".join(problems), remedy)


def _mirror(settings: Settings) -> Check:
    mirror = settings.terraform_mirror
    if mirror is None:
        return Check("providers", True, "from the registry")
    remedy = "let SETPOINT_TERRAFORM_MIRROR name a folder as `terraform providers mirror` makes it, or unset it"
    try:
        problem = "" if any(mirror.iterdir()) else ": it is empty"
    except OSError as error:
        problem = f": {(error.strerror or type(error).__name__).lower()}"
    return Check("providers", not problem, f"from the mirror {mirror}{problem}", remedy)
