package setpoint.baseline.protection_test

import data.setpoint.baseline.protection

gone(type, actions, before) := {"plan": {"resource_changes": [{
	"address": sprintf("%s.a", [type]), "mode": "managed", "type": type,
	"change": {"actions": actions, "before": before, "after": null},
}]}}

test_delete_of_a_stateful_type_is_denied if {
	found := protection.deny with input as gone("aws_db_instance", ["delete"], {})
	found == {{
		"rule": "protected-type", "resource": "aws_db_instance.a",
		"msg": "aws_db_instance would be deleted, and its type is protected",
	}}
}

test_replace_in_either_order_is_denied if {
	count(protection.deny) == 1 with input as gone("google_storage_bucket", ["delete", "create"], {})
	count(protection.deny) == 1 with input as gone("google_storage_bucket", ["create", "delete"], {})
}

test_update_and_create_are_not_denied if {
	count(protection.deny) == 0 with input as gone("aws_db_instance", ["update"], {})
	count(protection.deny) == 0 with input as gone("aws_db_instance", ["create"], null)
}

test_other_types_are_not_denied if {
	count(protection.deny) == 0 with input as gone("aws_instance", ["delete"], {"tags": null})
}

test_types_are_added if {
	count(protection.deny) == 1 with input as gone("my_ledger", ["delete"], {})
		with data.params as {"protected_types": ["my_ledger"]}
}

test_types_are_taken_away if {
	count(protection.deny) == 0 with input as gone("aws_kms_key", ["delete"], {})
		with data.params as {"unprotected_types": ["aws_kms_key"]}
}

test_a_label_protects if {
	count(protection.deny) == 1 with input as gone("aws_instance", ["delete"], {"tags": {"protected": "true"}})
	count(protection.deny) == 1 with input as gone("google_x", ["delete"], {"labels": {"protected": "true"}})
	count(protection.deny) == 0 with input as gone("aws_instance", ["delete"], {"tags": {"protected": "false"}})
}

test_the_label_is_a_parameter if {
	count(protection.deny) == 1 with input as gone("aws_instance", ["delete"], {"tags": {"keep": "yes"}})
		with data.params as {"protected_labels": {"keep": "yes"}}
}
