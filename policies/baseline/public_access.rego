# METADATA
# title: Nobody unknown is let in
# description: >-
#   Policies in JSON of any attribute, permissions and trust of AWS: a principal "*", NotPrincipal with Allow, or an
#   identity provider that is open to all, without a condition that narrows it. Parameter: public_types of public_data.
# custom:
#   severity: critical
#   kinds: [Environment]
#   remediation: Name the accounts, roles or services that need access, or narrow it by a condition such as aws:PrincipalOrgID.
package setpoint.baseline.public_access

import data.setpoint.baseline.lib
import data.setpoint.baseline.networks
import data.setpoint.baseline.public_data

largest := 131072

# Their policies say what the holder may do, or what may pass through; they let nobody in.
inward := {
	"aws_iam_policy", "aws_iam_role_policy", "aws_iam_user_policy", "aws_iam_group_policy", "aws_iot_policy",
	"aws_organizations_policy", "aws_ssoadmin_permission_set_inline_policy", "aws_transfer_access", "aws_transfer_user",
	"aws_vpc_endpoint", "aws_vpc_endpoint_policy", "aws_ecr_lifecycle_policy", "aws_sns_topic_data_protection_policy",
	"aws_cloudwatch_log_data_protection_policy", "aws_cloudwatch_log_index_policy", "aws_cloudwatch_log_account_policy",
	"aws_opensearchserverless_access_policy", "aws_opensearchserverless_lifecycle_policy", "aws_api_gateway_domain_name",
	"aws_opensearchserverless_security_policy", "aws_networkmanager_core_network_policy_attachment",
}

# Attributes that hold a policy which lets somebody in.
policy_attributes := {
	"policy", "access_policy", "access_policies", "assume_role_policy", "policy_document", "repository_policy",
	"repository_policy_text", "resource_policy", "delivery_destination_policy", "key_policy",
}

guarded := [rc |
	some rc in lib.present
	startswith(rc.type, "aws")
	not rc.type in left_out
]

left_out := inward | public_data.exempt

# Where there are quotes within a text: no JSON policy is without.
quoting := [rc |
	some rc in guarded
	contains(json.marshal(rc.change.after), `\"`)
]

# Every text that looks like JSON, at the top of a resource or within, and every policy that does not.
texts contains [rc.address, name, value] if {
	some rc in quoting
	some name, value in rc.change.after
	is_string(value)
	contains(value, "{")
	startswith(trim_space(value), "{")
}

texts contains [rc.address, name, value] if {
	some rc in guarded
	some name in (object.keys(rc.change.after) & policy_attributes)
	value := rc.change.after[name]
	is_string(value)
	value != ""
}

texts contains [rc.address, name, text] if {
	some rc in quoting
	some name, value in rc.change.after
	is_nested(value)
	not name in plain
	walk(value, [_, text])
	is_string(text)
	startswith(trim_space(text), "{")
}

is_nested(value) if is_array(value)

is_nested(value) if is_object(value)

plain := {"tags", "tags_all", "timeouts"}

read contains [address, name, json.unmarshal(text)] if {
	some [address, name, text] in texts
	count(text) <= largest
	json.is_valid(text)
}

deny contains {"rule": "policy-too-large", "resource": address, "msg": msg} if {
	some [address, name, text] in texts
	count(text) > largest
	name in policy_attributes
	msg := sprintf("%s is longer than %d characters, more than any policy", [name, largest])
}

deny contains {"rule": "policy-unreadable", "resource": address, "msg": msg} if {
	some [address, name, text] in texts
	count(text) <= largest
	name in policy_attributes
	not json.is_valid(text)
	msg := sprintf("%s is no JSON", [name])
}

deny contains {"rule": "public-policy", "resource": address, "msg": msg} if {
	some [address, name, policy] in read
	some statement in statements(policy)
	lets_in_all(statement)
	not is_narrowed(statement)
	msg := sprintf("%s lets anyone in%s", [name, sid(statement)])
}

deny contains {"rule": "public-trust", "resource": address, "msg": msg} if {
	some [address, name, policy] in read
	some statement in statements(policy)
	is_allowed(statement)
	some provider in lib.list(lowered(lib.object_of(statement.principal)), "federated")
	is_string(provider)
	is_open_provider(provider)
	not is_narrowed(statement)
	msg := sprintf("%s lets in every account of %s%s", [name, provider, sid(statement)])
}

sid(statement) := sprintf(" (statement %q)", [statement.sid]) if {
	is_string(statement.sid)
	statement.sid != ""
} else := ""

# The names of elements may be written in any case.
statements(policy) := [statement |
	is_object(policy)
	some name, found in policy
	lower(name) == "statement"
	some one in lib.many(found)
	is_object(one)
	statement := lowered(one)
]

lowered(value) := {lower(name): entry | some name, entry in value}

is_allowed(statement) if {
	is_string(statement.effect)
	lower(statement.effect) == "allow"
}

lets_in_all(statement) if {
	is_allowed(statement)
	statement.notprincipal
}

lets_in_all(statement) if {
	is_allowed(statement)
	some principal in principals(statement.principal)
	is_string(principal)
	is_anyone(principal)
}

principals(value) := [principal |
	some kind in value
	some principal in lib.many(kind)
] if {
	is_object(value)
} else := lib.many(value)

# All accounts: *, or an ARN with any account or none.
is_anyone(principal) if trim_space(principal) in {"*", ""}

is_anyone(principal) if regex.match(`^arn:[^:]*:(?:iam|sts)::[^:]*[*?][^:]*:`, principal)

is_anyone(principal) if regex.match(`^arn:[^:]*:(?:iam|sts):::`, principal)

# Everybody can have an account there.
is_open_provider(provider) if {
	some host in [
		"accounts.google.com", "graph.facebook.com", "www.amazon.com", "cognito-identity.amazonaws.com",
		"token.actions.githubusercontent.com", "gitlab.com", "app.terraform.io", "agent.buildkite.com", "oidc.vercel.com",
		"api.bitbucket.org",
	]
	contains(lower(provider), host)
}

# --- Conditions -------------------------------------------------------------------------------------------------------

is_narrowed(statement) if {
	some operator, entries in lib.object_of(statement.condition)
	some name, given in lib.object_of(entries)
	values := [sprintf("%v", [value]) | some value in lib.many(given)]
	count(values) > 0
	is_narrow(lower(operator), lower(name), values)
}

# Keys that say who asks, and can't be chosen by who asks.
who := {
	"aws:sourceaccount", "aws:sourceowner", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths", "aws:sourcevpc",
	"aws:sourcevpce", "aws:sourcevpcarn", "aws:principalaccount", "aws:principalarn", "aws:principalorgid",
	"aws:principalorgpaths", "aws:userid", "kms:calleraccount", "s3:dataaccesspointaccount", "s3:dataaccesspointarn",
	"lambda:eventsourcetoken", "aws:vpcendpointaccount", "aws:vpcendpointorgid",
}

# Only those that are false where the key is missing: no ...IfExists, no ForAllValues, no negation.
is_narrow(operator, name, values) if {
	trim_prefix(operator, "foranyvalue:") in {"stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike"}
	is_who(name)
	every value in values { is_one(value) }
}

is_narrow("ipaddress", name, values) if {
	name in {"aws:sourceip", "aws:vpcsourceip"}
	every value in values { networks.parse(value) }
	not networks.is_world(values)
}

is_narrow("bool", name, values) if {
	name in {"aws:principalisawsservice", "elasticfilesystem:accessedviamounttarget"}
	every value in values { lower(value) == "true" }
}

is_who(name) if name in who

is_who(name) if startswith(name, "aws:principaltag/")

# What an identity provider says of its account: GitHub's audience is the same for all.
is_who(name) if endswith(name, ":sub")

is_who(name) if {
	some key in ["accounts.google.com:aud", "cognito-identity.amazonaws.com:aud", ":app_id", "accounts.google.com:oaud"]
	endswith(name, key)
}

# An ARN names an account, or a bucket; any other value has no wildcard before it says whom it means.
is_one(value) if {
	not contains(value, "${")
	regex.match(`^arn:[^:]*:[^:]*:[^:]*:(?:[0-9]{12}:|:[^*?]{3})`, value)
}

is_one(value) if {
	not contains(value, "${")
	not startswith(value, "arn:")
	regex.match(`^(?:[^*?]+|[^*?]{6}.*)$`, value)
}

# --- Permissions and lists of principals ------------------------------------------------------------------------------

# Attributes whose value lets anyone in.
lists := {
	"aws_lambda_permission": "principal", "aws_lambda_layer_version_permission": "principal",
	"aws_cloudwatch_event_permission": "principal", "aws_vpc_endpoint_service": "allowed_principals",
	"aws_vpc_endpoint_service_allowed_principal": "principal_arn", "aws_ami_launch_permission": "group",
	"aws_db_snapshot": "shared_accounts", "aws_db_cluster_snapshot": "shared_accounts",
	"aws_db_snapshot_copy": "shared_accounts", "aws_ssm_document": "permissions",
}

narrowing := {"source_account", "source_arn", "principal_org_id", "organization_id", "condition"}

deny contains {"rule": "public-permission", "resource": rc.address, "msg": msg} if {
	some rc in guarded
	name := lists[rc.type]
	some value in values_of(rc.change.after[name])
	is_string(value)
	is_anyone_at_all(value)
	not is_limited(rc)
	msg := sprintf("%s is %s: anyone is let in", [name, value])
}

values_of(value) := lib.many(value) if not is_object(value)

else := [one | some entry in value; some one in split(sprintf("%v", [entry]), ",")]

is_anyone_at_all(value) if lower(value) in {"*", "all"}

is_anyone_at_all(value) if is_anyone(value)

is_limited(rc) if {
	some name in narrowing
	some value in lib.many(rc.change.after[name])
	is_limit(value)
}

is_limit(value) if {
	is_string(value)
	is_one(value)
}

is_limit(value) if {
	is_string(value.value)
	is_one(value.value)
}

# Access control lists of buckets, by grants.
deny contains {"rule": "public-grant", "resource": rc.address, "msg": msg} if {
	some rc in guarded
	rc.type in granting
	some group in grantees(rc.change.after)
	is_string(group)
	regex.match(`(?i)/groups/global/(?:allusers|authenticatedusers)/?$`, group)
	msg := sprintf("it grants access to %s", [group])
}

granting := {"aws_s3_bucket", "aws_s3_bucket_acl", "aws_s3_object_copy"}

grantees(after) := array.concat(direct, nested) if {
	direct := [uri | some grant in lib.list(after, "grant"); some uri in lib.list(grant, "uri")]
	nested := [uri |
		some control in lib.list(after, "access_control_policy")
		some grant in lib.list(control, "grant")
		some grantee in lib.list(grant, "grantee")
		some uri in lib.list(grantee, "uri")
	]
}

# --- What can't be judged ---------------------------------------------------------------------------------------------

deny contains {"rule": "unjudged", "resource": rc.address, "msg": msg, "unknown": true, "severity": "high"} if {
	some rc in guarded
	some name, mark in lib.marks(rc)
	name in telling
	holds_access(rc.type, name)
	lib.has_unknown(mark)
	not lib.unset(rc, name)
	msg := sprintf("whom %s lets in", [name])
}

telling := (policy_attributes | {name | some name in lists}) | {"*", "grant", "access_control_policy"}

holds_access(_, name) if name in policy_attributes

holds_access(_, name) if name == "*"

holds_access(type, name) if lists[type] == name

# Of an access control list only as a whole: that it knows no names of owners yet is usual.
holds_access(type, name) if {
	name in {"grant", "access_control_policy"}
	type in {"aws_s3_bucket", "aws_s3_object_copy"}
}
