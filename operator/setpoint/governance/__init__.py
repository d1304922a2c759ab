"""PolicySets and EnforcementGates: what Setpoint says of the policies themselves."""
