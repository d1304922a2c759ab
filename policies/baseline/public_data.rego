# METADATA
# title: Buckets and databases are not public
# description: >-
#   Public access control lists and grants on object stores, and databases that can be reached from anywhere, on AWS,
#   Google Cloud and Azure. Parameter: public_types, the types that may be public.
# custom:
#   severity: critical
#   remediation: Make it private, and serve what must be public through a CDN or a gateway.
package setpoint.baseline.public_data

import data.setpoint.baseline.lib

exempt := {type | some type in lib.array(lib.param("public_types", []))}

public_acls := {"public-read", "public-read-write", "authenticated-read", "publicRead", "publicReadWrite"}

everyone := {"allUsers", "allAuthenticatedUsers"}

# Types whose flag makes them public where it has this value.
flags := {
	"aws_db_instance": [["publicly_accessible", true]],
	"aws_rds_cluster_instance": [["publicly_accessible", true]],
	"aws_redshift_cluster": [["publicly_accessible", true]],
	"aws_dms_replication_instance": [["publicly_accessible", true]],
	"aws_mq_broker": [["publicly_accessible", true]],
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

acl_types := {"aws_s3_bucket", "aws_s3_bucket_acl", "google_storage_bucket_acl", "google_storage_default_object_acl"}

grant_types := {
	"google_storage_bucket_iam_binding", "google_storage_bucket_iam_member",
	"google_bigquery_dataset_iam_binding", "google_bigquery_dataset_iam_member",
	"google_project_iam_binding", "google_project_iam_member",
}

stores := [rc |
	some rc in lib.written
	rc.type in store_types
]

store_types := (((object.keys(flags) | acl_types) | grant_types) | {"google_sql_database_instance"}) - exempt

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
	some rc in stores
	rc.type in grant_types
	grant := rc.change.after
	some member in array.concat(lib.list(grant, "member"), lib.list(grant, "members"))
	member in everyone
	msg := sprintf("it grants %v to %s", [object.get(grant, "role", "a role"), member])
}

deny contains {"rule": "public-database", "resource": rc.address, "msg": msg} if {
	some rc in stores
	rc.type == "google_sql_database_instance"
	some settings in lib.list(rc.change.after, "settings")
	some ip in lib.list(settings, "ip_configuration")
	some network in lib.list(ip, "authorized_networks")
	network.value in {"0.0.0.0/0", "::/0"}
	msg := sprintf("it lets in %s", [network.value])
}
