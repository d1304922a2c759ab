# METADATA
# title: Buckets, databases and what Google Cloud shares are not public
# description: >-
#   Public access control lists and grants on object stores, and databases that can be reached from anywhere, on AWS,
#   Google Cloud and Azure. Parameter: public_types, the types that may be public.
# custom:
#   severity: critical
#   kinds: [Environment]
#   remediation: Make it private, and serve what must be public through a CDN or a gateway.
package setpoint.baseline.public_data

import data.setpoint.baseline.lib
import data.setpoint.baseline.networks

exempt := {type | some type in lib.array(lib.param("public_types", []))}

public_acls := {"public-read", "public-read-write", "authenticated-read", "publicRead", "publicReadWrite"}

everyone := {"allUsers", "allAuthenticatedUsers", "principalSet://goog/public:all"}

# Types whose flag makes them public where it has this value.
flags := {
	"aws_db_instance": [["publicly_accessible", true]],
	"aws_rds_cluster_instance": [["publicly_accessible", true]],
	"aws_redshift_cluster": [["publicly_accessible", true]],
	"aws_dms_replication_instance": [["publicly_accessible", true]],
	"aws_mq_broker": [["publicly_accessible", true]],
	"aws_lambda_function_url": [["authorization_type", "NONE"]],
	"aws_s3_bucket_public_access_block": [
		["block_public_acls", false], ["block_public_policy", false],
		["ignore_public_acls", false], ["restrict_public_buckets", false],
	],
	"azurerm_storage_account": [["allow_nested_items_to_be_public", true], ["allow_blob_public_access", true]],
	"azurerm_storage_container": [["container_access_type", "blob"], ["container_access_type", "container"]],
	"azurerm_mssql_server": [["public_network_access_enabled", true]],
	"azurerm_mysql_flexible_server": [["public_network_access_enabled", true]],
	"azurerm_postgresql_server": [["public_network_access_enabled", true]],
	"azurerm_postgresql_flexible_server": [["public_network_access_enabled", true]],
	"azurerm_cosmosdb_account": [["public_network_access_enabled", true]],
}

acl_types := {
	"aws_s3_bucket", "aws_s3_bucket_acl", "aws_s3_object", "aws_s3_bucket_object", "aws_s3_object_copy",
	"google_storage_bucket_acl", "google_storage_default_object_acl", "google_storage_object_acl",
	"google_storage_bucket_object",
}

# Attributes of Google Cloud that name who is let in; those of google_..._iam_member and _iam_binding beside them.
entity_types := {
	"google_storage_bucket_acl", "google_storage_default_object_acl", "google_storage_object_acl",
	"google_storage_bucket_access_control", "google_storage_object_access_control",
	"google_storage_default_object_access_control", "google_bigquery_dataset", "google_bigquery_dataset_access",
}

firewall_types := {
	"azurerm_mssql_firewall_rule", "azurerm_sql_firewall_rule", "azurerm_mysql_firewall_rule",
	"azurerm_mysql_flexible_server_firewall_rule", "azurerm_postgresql_firewall_rule",
	"azurerm_postgresql_flexible_server_firewall_rule", "azurerm_mariadb_firewall_rule", "azurerm_redis_firewall_rule",
}

stores := [rc |
	some rc in lib.present
	rc.type in store_types
]

store_types := ((((object.keys(flags) | acl_types) | entity_types) | firewall_types) | {sql}) - exempt

sql := "google_sql_database_instance"

# Who is let in to anything of Google Cloud.
shares := [rc |
	some rc in lib.present
	contains(rc.type, "_iam_")
	startswith(rc.type, "google_")
	not rc.type in exempt
]

deny contains {"rule": "public-flag", "resource": rc.address, "msg": msg} if {
	some rc in stores
	some [name, value] in flags[rc.type]
	rc.change.after[name] == value
	msg := sprintf("%s is %v", [name, value])
}

deny contains {"rule": "public-acl", "resource": rc.address, "msg": msg} if {
	some rc in stores
	rc.type in acl_types
	some name in ["acl", "predefined_acl"]
	acl := rc.change.after[name]
	acl in public_acls
	msg := sprintf("its access control list is %s", [acl])
}

deny contains {"rule": "public-grant", "resource": rc.address, "msg": msg} if {
	some rc in shares
	is_grant(rc.type)
	grant := rc.change.after
	some member in array.concat(lib.list(grant, "member"), lib.list(grant, "members"))
	member in everyone
	msg := sprintf("it grants %v to %s", [object.get(grant, "role", "a role"), member])
}

is_grant(type) if endswith(type, "_iam_member")

is_grant(type) if endswith(type, "_iam_binding")

deny contains {"rule": "public-grant", "resource": rc.address, "msg": msg} if {
	some rc in stores
	rc.type in entity_types
	some names in [rc.change.after, access_of(rc.change.after)]
	some entity in entities(names)
	some member in everyone
	endswith(lower(entity), lower(member))
	msg := sprintf("it grants access to %s", [entity])
}

access_of(after) := {name: values |
	some name in ["special_group", "iam_member", "domain"]
	values := [value | some access in lib.list(after, "access"); some value in lib.list(access, name)]
}

entities(after) := [entity |
	some name in ["entity", "role_entity", "special_group", "iam_member"]
	some entity in lib.list(after, name)
	is_string(entity)
]

deny contains {"rule": "public-grant", "resource": rc.address, "msg": msg} if {
	some rc in shares
	endswith(rc.type, "_iam_policy")
	policy := policy_of(rc)
	some binding in lib.list(policy, "bindings")
	some member in lib.list(binding, "members")
	member in everyone
	msg := sprintf("it grants %v to %s", [object.get(binding, "role", "a role"), member])
}

deny contains {"rule": "policy-unreadable", "resource": rc.address, "msg": "policy_data is no JSON"} if {
	some rc in shares
	endswith(rc.type, "_iam_policy")
	is_string(rc.change.after.policy_data)
	not policy_of(rc)
}

policy_of(rc) := policy if {
	is_string(rc.change.after.policy_data)
	json.is_valid(rc.change.after.policy_data)
	policy := json.unmarshal(rc.change.after.policy_data)
	is_object(policy)
}

deny contains {"rule": "public-database", "resource": rc.address, "msg": msg} if {
	some rc in stores
	rc.type == sql
	some settings in lib.list(rc.change.after, "settings")
	some ip in lib.list(settings, "ip_configuration")
	values := [network.value | some network in lib.list(ip, "authorized_networks"); is_string(network.value)]
	networks.is_world(values)
	msg := sprintf("it lets in %s", [concat(", ", values)])
}

deny contains {"rule": "public-database", "resource": rc.address, "msg": msg} if {
	some rc in stores
	rc.type in firewall_types
	is_string(rc.change.after.start_ip_address)
	is_string(rc.change.after.end_ip_address)
	first := networks.parse(rc.change.after.start_ip_address).start
	last := networks.parse(rc.change.after.end_ip_address).start
	last - first > networks.most["4"]
	msg := sprintf("it lets in %s to %s", [rc.change.after.start_ip_address, rc.change.after.end_ip_address])
}

# --- What can't be judged ---------------------------------------------------------------------------------------------

deny contains {"rule": "unjudged", "resource": rc.address, "msg": msg, "unknown": true, "severity": "high"} if {
	some resources in [stores, shares]
	some rc in resources
	some name, mark in lib.marks(rc)
	decides(rc.type, name)
	lib.has_unknown(mark)
	not lib.unset(rc, name)
	msg := sprintf("whom %s lets in", [name])
}

decides(type, name) if {
	some [flag, _] in flags[type]
	name in {flag, "*"}
}

decides(type, name) if {
	type in acl_types
	name in {"acl", "predefined_acl", "*"}
}

decides(type, name) if {
	is_grant(type)
	name in {"member", "members", "*"}
}

decides(type, name) if {
	type in entity_types
	name in {"entity", "role_entity", "special_group", "iam_member", "*"}
}

decides(type, name) if {
	type in firewall_types
	name in {"start_ip_address", "end_ip_address", "*"}
}

decides(type, name) if {
	endswith(type, "_iam_policy")
	name in {"policy_data", "*"}
}

deny contains {"rule": "unjudged", "resource": rc.address, "msg": msg, "unknown": true, "severity": "high"} if {
	some rc in stores
	rc.type == sql
	walk(lib.marks(rc), [path, mark])
	mark == true
	"authorized_networks" in path
	path[count(path) - 1] in {"authorized_networks", "value"}
	msg := "whom authorized_networks lets in"
}
