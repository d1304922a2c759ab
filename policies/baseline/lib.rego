# METADATA
# title: What the other packages share
# description: Reads a plan so that null, missing and unknown values do not turn into silence.
package setpoint.baseline.lib

# The managed resources that the plan touches.
changes := [rc |
	some rc in array(input.plan.resource_changes)
	not rc.change.actions[0] in {"no-op", "read"}
	not rc.mode == "data"
]

# Gone afterwards, or for a while: deleted or replaced.
destroyed := [rc |
	some rc in changes
	"delete" in rc.change.actions
]

# There is something afterwards: created, updated or replaced. `after` is null for a delete, and null is a value.
written := [rc |
	some rc in changes
	is_object(rc.change.after)
]

verb(rc) := "replaced" if "create" in rc.change.actions

else := "deleted"

object_of(value) := value if is_object(value)

else := {}

array(value) := value if is_array(value)

else := []

# One value or many: [] for null, [x] for x.
many(value) := value if is_array(value)

else := [] if is_null(value)

else := [value]

# An attribute of an object as an array, [] where it is missing or null.
list(entry, name) := many(object.get(entry, name, null))

# A number in an attribute; providers write some ports as text.
number(entry, name, otherwise) := to_number(value) if {
	value := object.get(entry, name, null)
	not is_null(value)
	regex.match(`^-?[0-9]+$`, sprintf("%v", [value]))
}

else := otherwise

# Tags or labels by any of the names that providers give them. Later names win.
labels(entry) := object.union_n([value | some name in label_attributes; value := entry[name]; is_object(value)])

label_attributes := ["effective_labels", "terraform_labels", "tags_all", "labels", "tags"]

# Unknown until the apply: the value at this path below `after`, something in it, or what it is a part of. What depends
# on it can't be judged; say so by a message with "unknown": true.
unknown(rc, path) if {
	walk(object.get(rc.change, "after_unknown", {}), [at, true])
	count([i | some i, part in at; path[i] != part]) == 0
}

param(name, otherwise) := object.get(params, name, otherwise)

# OPA has no data.params where nobody gives any.
default params := {}

params := data.params
