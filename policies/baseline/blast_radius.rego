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

# Resources, files or whatever the target is made of.
changes := lib.array(input.changes)

destroyed := count([1 | some change in changes; change.action in {"delete", "replace"}])

changed := count([1 | some change in changes; change.action in {"update", "delete", "replace", "forget"}])

default things := "things"

things := "resources" if input.target.kind == "Environment"

deny contains {"rule": "no-changes", "msg": "the input holds no changes"} if {
	not is_array(object.get(input, "changes", null))
}

deny contains {"rule": "too-many-destroyed", "msg": msg} if {
	most := lib.param("max_destroyed", 5)
	destroyed > most
	msg := sprintf("%d %s would be deleted or replaced, at most %d are allowed", [destroyed, things, most])
}

deny contains {"rule": "too-many-changed", "msg": msg} if {
	most := lib.param("max_changed", 100)
	changed > most
	msg := sprintf("%d existing %s would change, at most %d are allowed", [changed, things, most])
}
