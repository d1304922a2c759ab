# METADATA
# title: What the other packages share
# description: Reads a plan so that null, missing and unknown values do not turn into silence.
package setpoint.baseline.lib

# The managed resources that the plan touches.
changes := [rc |
	some rc in array(input.plan.resource_changes)
	object.get(rc, "mode", "managed") == "managed"
	count(actions(rc) - {"no-op", "read"}) > 0
]

actions(rc) := {action | some action in array(rc.change.actions)}

# Gone afterwards, or for a while: deleted or replaced.
is_destroyed(rc) if "delete" in actions(rc)

is_replaced(rc) if {
	"delete" in actions(rc)
	"create" in actions(rc)
}

# There is something afterwards: created, updated or replaced.
is_written(rc) if count(actions(rc) & {"create", "update"}) > 0

verb(rc) := "replaced" if is_replaced(rc)

else := "deleted"

# `after` is null for a delete, and null is a value that `not` takes for true.
after(rc) := object_of(rc.change.after)

before(rc) := object_of(rc.change.before)

object_of(value) := value if is_object(value)

else := {}

array(value) := value if is_array(value)

else := []

# One value or many: [] for null, [x] for x.
many(value) := value if is_array(value)

else := [] if is_null(value)

else := [value]

# An attribute of an object as an array, [] where it is missing or null.
list(object, name) := many(object.get(object, name, null))

# A number in an attribute; providers write some ports as text.
number(object, name, otherwise) := to_number(value) if {
	value := object.get(object, name, null)
	not is_null(value)
	regex.match(`^-?[0-9]+$`, sprintf("%v", [value]))
}

else := otherwise

# Tags or labels by any of the names that providers give them. Later names win.
labels(object) := object.union_n([object_of(object.get(object, name, null)) | some name in label_attributes])

label_attributes := ["effective_labels", "terraform_labels", "tags_all", "labels", "tags"]

param(name, otherwise) := object.get(data.params, name, otherwise)
