package setpoint.baseline.blast_radius_test

import data.setpoint.baseline.blast_radius

many(count, action) := of("Environment", count, action)

of(kind, count, action) := {"target": {"kind": kind}, "changes": [change |
	some i in numbers.range(1, count)
	change := {"address": sprintf("t.a[%d]", [i]), "type": "t", "action": action, "paths": []}
]}

rules := {violation.rule | some violation in blast_radius.deny}

messages := {violation.msg | some violation in blast_radius.deny}

test_few_deletes_are_allowed if count(blast_radius.deny) == 0 with input as many(5, "delete")

test_many_deletes_are_denied if rules == {"too-many-destroyed"} with input as many(6, "delete")

test_many_replaces_are_denied if rules == {"too-many-destroyed"} with input as many(6, "replace")

test_many_updates_are_denied if rules == {"too-many-changed"} with input as many(101, "update")

test_many_creates_are_allowed if count(blast_radius.deny) == 0 with input as many(300, "create")

test_moves_and_imports_are_allowed if {
	every action in ["move", "import"] {
		count(blast_radius.deny) == 0 with input as many(300, action)
	}
}

test_a_kind_without_resources_is_bounded if {
	messages == {"6 things would be deleted or replaced, at most 5 are allowed"} with input as of("Repo", 6, "delete")
}

test_missing_changes_are_denied if rules == {"no-changes"} with input as {"target": {"kind": "Repo"}, "changes": null}

test_bounds_are_parameters if {
	rules == {"too-many-destroyed", "too-many-changed"} with input as many(1, "delete")
		with data.params as {"max_destroyed": 0, "max_changed": 0}
	count(blast_radius.deny) == 0 with input as many(50, "delete") with data.params as {"max_destroyed": 50}
}
