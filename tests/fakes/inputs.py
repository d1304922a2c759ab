"""Owns the kinds of target that the policies of tests are loaded for."""

from setpoint.targets.environment.plan.judged_plan import INPUTS as OF_ENVIRONMENTS

INPUTS = {"Environment": OF_ENVIRONMENTS}
TWO_KINDS = {**INPUTS, "Repo": frozenset({"document.files"})}
"""With one that has no plan."""
