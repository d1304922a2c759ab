# METADATA
# title: There is a plan to look at
# description: Without resource changes in the input every other package would be silent.
# custom:
#   severity: critical
#   kinds: [Environment]
#   remediation: Report this; the operator did not pass the plan on.
package setpoint.baseline.plan

deny contains "the input holds no resource changes" if not is_array(object.get(input, ["plan", "resource_changes"], null))
