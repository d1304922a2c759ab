# METADATA
# title: One change does not do too much
# description: >-
#   A change that destroys or touches more than a person can review is split. Parameters: max_destroyed (5) bounds
#   deletes and replaces, max_changed (100) bounds what exists and is touched; what is only created does not count.
# custom:
#   severity: high
#   remediation: Split the change, or raise the parameter in a change of its own.
package setpoint.baseline.blast_radius

import data.setpoint.baseline.lib

destroyed := count(lib.destroyed)

changed := count([1 | some rc in lib.changes; rc.change.actions != ["create"]])

deny contains {"rule": "too-many-destroyed", "msg": msg} if {
	most := lib.param("max_destroyed", 5)
	destroyed > most
	msg := sprintf("%d resources would be deleted or replaced, at most %d are allowed", [destroyed, most])
}

deny contains {"rule": "too-many-changed", "msg": msg} if {
	most := lib.param("max_changed", 100)
	changed > most
	msg := sprintf("%d existing resources would change, at most %d are allowed", [changed, most])
}
