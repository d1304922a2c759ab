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

# All that has content: written by the plan, or changed by the world (`resource_drift`, where policies are asked of it).
present := [rc |
	some resources in [written, drifted]
	some rc in resources
]

drifted := [rc |
	some rc in array(input.plan.resource_drift)
	not rc.mode == "data"
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
list(entry, name) := many(object.get(entry, name, null)) if is_object(entry)

else := []

# A number in an attribute; providers write some ports as text.
number(entry, name, otherwise) := entry[name] if is_number(entry[name])

else := to_number(value) if {
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

# What of an object is unknown: its part of `after_unknown`, where "*" stands for all of it.
marks(rc) := rc.change.after_unknown if is_object(rc.change.after_unknown)

else := {"*": true} if rc.change.after_unknown == true

else := {}

# The same of an entry of one of its lists.
marks_at(marks, name, index) := {} if {
	not marks[name]
	not marks["*"]
} else := mark if {
	mark := marks[name][index]
	is_object(mark)
} else := {} if {
	is_array(marks[name])
	not marks[name][index] == true
} else := {"*": true}

# Known only after the apply: one of these attributes, or an entry of its list.
hidden(marks, names) if {
	some name, mark in marks
	name in names
	has_true(mark)
}

hidden(marks, _) if marks["*"] == true

# Marks in which something is unknown, at any depth.
has_unknown(mark) if {
	walk(mark, [_, value])
	value == true
}

# The same as a value.
is_hidden(marks, names) if {
	count(marks) > 0
	hidden(marks, names)
} else := false

has_true(mark) if mark == true

has_true(mark) if {
	is_array(mark)
	true in mark
}

# The code sets nothing here, so the provider computes it: no more than its default, a closed one.
unset(rc, name) if {
	is_array(rc.configured)
	not name in rc.configured
}

param(name, otherwise) := object.get(params, name, otherwise)

# OPA has no data.params where nobody gives any.
default params := {}

params := data.params
