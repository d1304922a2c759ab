package setpoint.baseline.public_data_test

import data.setpoint.baseline.public_data

written(type, after) := {"plan": {"resource_changes": [{
	"address": "r", "mode": "managed", "type": type, "change": {"actions": ["update"], "before": {}, "after": after},
}]}}

rules(type, after) := {violation.rule | some violation in public_data.deny with input as written(type, after)}

test_aws_acl if {
	rules("aws_s3_bucket", {"acl": "public-read"}) == {"public-acl"}
	rules("aws_s3_bucket_acl", {"acl": "public-read-write"}) == {"public-acl"}
	rules("aws_s3_bucket_acl", {"acl": "private"}) == set()
	rules("aws_s3_bucket", {"acl": null}) == set()
}

test_aws_public_access_block if {
	closed := {
		"block_public_acls": true, "block_public_policy": true,
		"ignore_public_acls": true, "restrict_public_buckets": true,
	}
	rules("aws_s3_bucket_public_access_block", closed) == set()
	rules("aws_s3_bucket_public_access_block", object.union(closed, {"block_public_policy": false})) == {"public-flag"}
}

test_databases if {
	rules("aws_db_instance", {"publicly_accessible": true}) == {"public-flag"}
	rules("aws_db_instance", {"publicly_accessible": false}) == set()
	rules("aws_db_instance", {"publicly_accessible": null}) == set()
	rules("azurerm_mssql_server", {"public_network_access_enabled": true}) == {"public-flag"}
}

test_google_sql if {
	network := {"value": "0.0.0.0/0"}
	open := {"settings": [{"ip_configuration": [{"authorized_networks": [network]}]}]}
	rules("google_sql_database_instance", open) == {"public-database"}
	rules("google_sql_database_instance", {"settings": [{"ip_configuration": null}]}) == set()
}

test_grants if {
	rules("google_storage_bucket_iam_member", {"member": "allUsers", "role": "x"}) == {"public-grant"}
	rules("google_storage_bucket_iam_binding", {"members": ["user:a", "allAuthenticatedUsers"]}) == {"public-grant"}
	rules("google_storage_bucket_iam_member", {"member": "user:a"}) == set()
}

test_azure_storage if {
	rules("azurerm_storage_container", {"container_access_type": "blob"}) == {"public-flag"}
	rules("azurerm_storage_container", {"container_access_type": "private"}) == set()
	rules("azurerm_storage_account", {"allow_nested_items_to_be_public": true}) == {"public-flag"}
}

test_types_may_be_public_by_parameter if {
	count(public_data.deny) == 0 with input as written("aws_s3_bucket", {"acl": "public-read"})
		with data.params as {"public_types": ["aws_s3_bucket"]}
}

test_a_delete_makes_nothing_public if {
	gone := {"plan": {"resource_changes": [{
		"address": "r", "mode": "managed", "type": "aws_s3_bucket",
		"change": {"actions": ["delete"], "before": {"acl": "public-read"}, "after": null},
	}]}}
	count(public_data.deny) == 0 with input as gone
}
