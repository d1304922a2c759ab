package setpoint.baseline.blast_radius_test

import data.setpoint.baseline.blast_radius

many(count, actions) := {"plan": {"resource_changes": [rc |
	some i in numbers.range(1, count)
	rc := {"address": sprintf("t.a[%d]", [i]), "mode": "managed", "type": "t", "change": {"actions": actions}}
]}}

rules := {violation.rule | some violation in blast_radius.deny}

test_few_deletes_are_allowed if count(blast_radius.deny) == 0 with input as many(5, ["delete"])

test_many_deletes_are_denied if rules == {"too-many-destroyed"} with input as many(6, ["delete"])

test_many_replaces_are_denied if rules == {"too-many-destroyed"} with input as many(6, ["create", "delete"])

test_many_updates_are_denied if rules == {"too-many-changed"} with input as many(101, ["update"])

test_many_creates_are_allowed if count(blast_radius.deny) == 0 with input as many(300, ["create"])

test_bounds_are_parameters if {
	rules == {"too-many-destroyed", "too-many-changed"} with input as many(1, ["delete"])
		with data.params as {"max_destroyed": 0, "max_changed": 0}
	count(blast_radius.deny) == 0 with input as many(50, ["delete"]) with data.params as {"max_destroyed": 50}
}
