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
	count(public_data.deny) == 0 with input as written("google_pubsub_topic_iam_member", {"member": "allUsers"})
		with data.params as {"public_types": ["google_pubsub_topic_iam_member"]}
}

test_a_delete_makes_nothing_public if {
	gone := {"plan": {"resource_changes": [{
		"address": "r", "mode": "managed", "type": "aws_s3_bucket",
		"change": {"actions": ["delete"], "before": {"acl": "public-read"}, "after": null},
	}]}}
	count(public_data.deny) == 0 with input as gone
}

test_objects_and_function_addresses if {
	rules("aws_s3_object", {"acl": "public-read"}) == {"public-acl"}
	rules("aws_s3_object", {"acl": "private"}) == set()
	rules("aws_lambda_function_url", {"authorization_type": "NONE"}) == {"public-flag"}
	rules("aws_lambda_function_url", {"authorization_type": "AWS_IAM"}) == set()
}

binding(member) := json.marshal({"bindings": [{"role": "r", "members": [member]}]})

test_grants_of_any_google_type if {
	rules("google_pubsub_topic_iam_member", {"member": "allUsers", "role": "x"}) == {"public-grant"}
	rules("google_secret_manager_secret_iam_binding", {"members": ["allAuthenticatedUsers"]}) == {"public-grant"}
	rules("google_kms_crypto_key_iam_member", {"member": "serviceAccount:a@example.org"}) == set()
	rules("google_storage_bucket_access_control", {"entity": "allUsers"}) == {"public-grant"}
	rules("google_storage_bucket_acl", {"role_entity": ["OWNER:user-a", "READER:allUsers"]}) == {"public-grant"}
	rules("google_storage_bucket_acl", {"role_entity": ["OWNER:user-a"]}) == set()
	rules("google_bigquery_dataset", {"access": [{"special_group": "allAuthenticatedUsers"}]}) == {"public-grant"}
	rules("google_bigquery_dataset", {"access": [{"special_group": "projectOwners"}]}) == set()
	rules("google_project_iam_policy", {"policy_data": binding("allUsers")}) == {"public-grant"}
	rules("google_project_iam_policy", {"policy_data": binding("user:a")}) == set()
	rules("google_project_iam_policy", {"policy_data": "{"}) == {"policy-unreadable"}
}

sql(values) := {"settings": [{"ip_configuration": [{"authorized_networks": listed}]}]} if {
	listed := [{"value": value} | some value in values]
}

test_google_sql_networks_are_taken_together if {
	rules("google_sql_database_instance", sql(["0.0.0.0/1", "128.0.0.0/1"])) == {"public-database"}
	rules("google_sql_database_instance", sql(["203.0.113.0/24"])) == set()
}

test_azure_firewalls if {
	rules("azurerm_mssql_firewall_rule", {"start_ip_address": "0.0.0.0", "end_ip_address": "255.255.255.255"}) == {"public-database"}
	rules("azurerm_mssql_firewall_rule", {"start_ip_address": "203.0.113.1", "end_ip_address": "203.0.113.9"}) == set()
}

unjudged(type, unknown, configured) := {violation.severity |
	some violation in public_data.deny with input as {"plan": {"resource_changes": [{
		"address": "r", "mode": "managed", "type": type, "configured": configured,
		"change": {"actions": ["create"], "before": null, "after": {}, "after_unknown": unknown},
	}]}}
	violation.unknown
}

test_what_is_known_only_after_the_apply if {
	unjudged("aws_s3_bucket_acl", {"acl": true}, ["acl"]) == {"high"}
	unjudged("aws_s3_bucket", {"acl": true}, ["bucket"]) == set()
	unjudged("aws_db_instance", {"publicly_accessible": true}, ["publicly_accessible"]) == {"high"}
	unjudged("google_storage_bucket_iam_binding", {"members": [false, true]}, ["members"]) == {"high"}
	unjudged("google_storage_bucket_iam_member", {"etag": true, "id": true}, ["member"]) == set()
	networks := [{"value": true, "name": false}]
	unjudged("google_sql_database_instance", {"settings": [{"ip_configuration": [{"authorized_networks": networks}]}]}, []) == {"high"}
	unjudged("google_sql_database_instance", {"settings": [{"version": true}]}, []) == set()
}

test_drift_is_seen if {
	count(public_data.deny) == 1 with input as {"plan": {"resource_changes": [], "resource_drift": [{
		"address": "r", "mode": "managed", "type": "aws_s3_bucket",
		"change": {"actions": ["update"], "before": {}, "after": {"acl": "public-read"}},
	}]}}
}
