# METADATA
# title: Resources carry the tags or labels that say whose they are
# description: >-
#   Looks at every resource that has tags or labels in its provider's schema and is created or updated. Parameters:
#   required_tags (["owner"]), taggable_types (all that have the attribute), untagged_types (none).
# custom:
#   severity: medium
#   remediation: Add the tags or labels to the resource, or set them for all in the provider (default_tags, default_labels).
package setpoint.baseline.required_tags

import data.setpoint.baseline.lib

required := lib.array(lib.param("required_tags", ["owner"]))

taggable_types := {type | some type in lib.array(lib.param("taggable_types", []))}

untagged_types := {type | some type in lib.array(lib.param("untagged_types", []))}

label_attributes := {name | some name in lib.label_attributes}

has_labels(rc) if count(object.keys(lib.after(rc)) & label_attributes) > 0

has_labels(rc) if unknown(rc)

# Known only after the apply: nothing can be said now.
unknown(rc) if {
	some name in label_attributes
	lib.object_of(rc.change.after_unknown)[name] == true
}

is_taggable(rc) if rc.type in taggable_types

is_taggable(rc) if {
	count(taggable_types) == 0
	has_labels(rc)
}

checked := [rc |
	some rc in lib.changes
	lib.is_written(rc)
	not rc.type in untagged_types
	is_taggable(rc)
]

missing(rc) := {name |
	labels := lib.labels(lib.after(rc))
	some name in required
	object.get(labels, name, "") in {"", null}
}

deny contains {"rule": "required-tags", "resource": rc.address, "msg": msg} if {
	some rc in checked
	absent := missing(rc)
	count(absent) > 0
	not unknown(rc)
	msg := sprintf("no tag or label %s", [concat(", ", absent)])
}

warn contains {"rule": "unknown-tags", "resource": rc.address, "msg": msg} if {
	some rc in checked
	absent := missing(rc)
	count(absent) > 0
	unknown(rc)
	msg := sprintf("tags are known only after the apply; can't tell whether they have %s", [concat(", ", absent)])
}
