# METADATA
# title: Resources carry the tags or labels that say whose they are
# description: >-
#   Looks at every resource that has tags or labels in its provider's schema and is created or updated. Parameters:
#   required_tags (["owner"]), taggable_types (all that have the attribute), untagged_types (none).
# custom:
#   severity: medium
#   kinds: [Environment]
#   remediation: Add the tags or labels to the resource, or set them for all in the provider (default_tags, default_labels).
package setpoint.baseline.required_tags

import data.setpoint.baseline.lib

required := lib.array(lib.param("required_tags", ["owner"]))

taggable_types := {type | some type in lib.array(lib.param("taggable_types", []))}

untagged_types := {type | some type in lib.array(lib.param("untagged_types", []))}

# Most resources say it in `tags`; only the others are looked at closely.
suspects := [rc |
	some rc in lib.written
	not has_all(object.get(rc.change.after, "tags", null))
]

has_all(tags) if {
	is_object(tags)
	every name in required { not object.get(tags, name, "") in {"", null} }
}

# [resource, required names that it lacks]
lacking := [[rc, absent] |
	some rc in suspects
	not rc.type in untagged_types
	is_taggable(rc)
	labels := lib.labels(rc.change.after)
	absent := {name | some name in required; object.get(labels, name, "") in {"", null}}
	count(absent) > 0
]

is_taggable(rc) if rc.type in taggable_types

is_taggable(rc) if {
	count(taggable_types) == 0
	some name in lib.label_attributes
	object.get(rc.change.after, name, false) != false
}

is_taggable(rc) if {
	count(taggable_types) == 0
	is_unknown(rc)
}

# Known only after the apply: nothing can be said now.
is_unknown(rc) if {
	some name in lib.label_attributes
	rc.change.after_unknown[name] == true
}

deny contains {"rule": "required-tags", "resource": rc.address, "msg": msg} if {
	some [rc, absent] in lacking
	not is_unknown(rc)
	msg := sprintf("no tag or label %s", [concat(", ", absent)])
}

warn contains {"rule": "unknown-tags", "resource": rc.address, "msg": msg} if {
	some [rc, absent] in lacking
	is_unknown(rc)
	msg := sprintf("tags are known only after the apply; can't tell whether they have %s", [concat(", ", absent)])
}
