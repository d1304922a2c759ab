"""The kinds of group `setpoint.dev`, version `v1alpha1`, one module per kind."""

from setpoint.api.v1alpha1.approval import Approval
from setpoint.api.v1alpha1.change import Change
from setpoint.api.v1alpha1.enforcementgates import EnforcementGates
from setpoint.api.v1alpha1.environment import Environment
from setpoint.api.v1alpha1.policyset import PolicySet
from setpoint.api.v1alpha1.reset import Reset
from setpoint.api.v1alpha1.snapshot import Snapshot

KINDS = (Environment, Change, Snapshot, Approval, Reset, PolicySet, EnforcementGates)
"""Every kind, in the order in which people meet them."""

__all__ = ["KINDS", "Approval", "Change", "EnforcementGates", "Environment", "PolicySet", "Reset", "Snapshot"]
