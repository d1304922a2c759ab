# METADATA
# title: Protected things are neither deleted nor replaced
# description: >-
#   Databases, buckets, disks and keys hold what no configuration can bring back. Parameters: protected_types adds
#   types, unprotected_types takes types away, protected_labels are labels or tags that protect whatever carries them.
# custom:
#   severity: critical
#   kinds: [Environment]
#   remediation: >-
#     Keep the resource (move it, or remove it from the state without destroying it), or take its type or label out
#     of the protection in a change of its own.
package setpoint.baseline.protection

import data.setpoint.baseline.lib

stateful_types := {
	"aws_backup_vault",
	"aws_db_instance",
	"aws_docdb_cluster",
	"aws_dynamodb_table",
	"aws_ebs_volume",
	"aws_ecr_repository",
	"aws_efs_file_system",
	"aws_elasticache_replication_group",
	"aws_elasticsearch_domain",
	"aws_fsx_lustre_file_system",
	"aws_kinesis_stream",
	"aws_kms_key",
	"aws_msk_cluster",
	"aws_neptune_cluster",
	"aws_opensearch_domain",
	"aws_rds_cluster",
	"aws_redshift_cluster",
	"aws_s3_bucket",
	"aws_secretsmanager_secret",
	"azurerm_container_registry",
	"azurerm_cosmosdb_account",
	"azurerm_key_vault",
	"azurerm_key_vault_key",
	"azurerm_managed_disk",
	"azurerm_mssql_database",
	"azurerm_mysql_flexible_server",
	"azurerm_postgresql_flexible_server",
	"azurerm_recovery_services_vault",
	"azurerm_redis_cache",
	"azurerm_storage_account",
	"azurerm_storage_container",
	"google_alloydb_cluster",
	"google_artifact_registry_repository",
	"google_bigquery_dataset",
	"google_bigquery_table",
	"google_bigtable_instance",
	"google_compute_disk",
	"google_filestore_instance",
	"google_firestore_database",
	"google_kms_crypto_key",
	"google_pubsub_topic",
	"google_redis_instance",
	"google_secret_manager_secret",
	"google_spanner_database",
	"google_spanner_instance",
	"google_sql_database_instance",
	"google_storage_bucket",
	"kubernetes_persistent_volume",
	"kubernetes_persistent_volume_claim",
}

added := {type | some type in lib.array(lib.param("protected_types", []))}

removed := {type | some type in lib.array(lib.param("unprotected_types", []))}

protected_types := (stateful_types | added) - removed

protected_labels := lib.object_of(lib.param("protected_labels", {"protected": "true"}))

deny contains {"rule": "protected-type", "resource": rc.address, "msg": msg} if {
	some rc in lib.destroyed
	rc.type in protected_types
	msg := sprintf("%s would be %s, and its type is protected", [rc.type, lib.verb(rc)])
}

deny contains {"rule": "protected-label", "resource": rc.address, "msg": msg} if {
	some rc in lib.destroyed
	labels := lib.labels(rc.change.before)
	some name, value in protected_labels
	labels[name] == value
	msg := sprintf("it would be %s, and its label %s=%s protects it", [lib.verb(rc), name, value])
}
