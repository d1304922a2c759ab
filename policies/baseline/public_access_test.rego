package setpoint.baseline.public_access_test

import data.setpoint.baseline.public_access

written(type, after, unknown) := {"plan": {"resource_changes": [{
	"address": "r", "mode": "managed", "type": type, "configured": object.keys(after),
	"change": {"actions": ["update"], "before": {}, "after": after, "after_unknown": unknown},
}]}}

rules(type, after) := {violation.rule | some violation in public_access.deny with input as written(type, after, {})}

unjudged(type, unknown, configured) := {violation.severity |
	some violation in public_access.deny with input as {"plan": {"resource_changes": [{
		"address": "r", "mode": "managed", "type": type, "configured": configured,
		"change": {"actions": ["create"], "before": null, "after": {}, "after_unknown": unknown},
	}]}}
	violation.unknown
}

of(statement) := {"policy": json.marshal({"Version": "2012-10-17", "Statement": [object.union(base, statement)]})}

base := {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}

bucket(statement) := rules("aws_s3_bucket_policy", of(statement))

test_anyone_in_all_its_forms if {
	every principal in [
		"*", ["*"], {"AWS": "*"}, {"AWS": ["*"]}, {"AWS": ["arn:aws:iam::123456789012:root", "*"]}, {"CanonicalUser": "*"},
		{"AWS": "arn:aws:iam::*:root"}, {"AWS": "arn:aws:iam:::root"}, {"Federated": "*"}, {"AWS": "arn:aws:sts::*:assumed-role/a/b"},
	] {
		bucket({"Principal": principal}) == {"public-policy"}
	}
	bucket({"NotPrincipal": {"AWS": "arn:aws:iam::123456789012:root"}}) == {"public-policy"}
}

test_somebody if {
	every principal in [
		{"AWS": "123456789012"}, {"AWS": ["arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:role/a*"]},
		{"Service": "sns.amazonaws.com"}, {"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1"},
	] {
		bucket({"Principal": principal}) == set()
	}
	bucket({"Principal": "*", "Effect": "Deny"}) == set()
	bucket({"NotPrincipal": {"AWS": "123456789012"}, "Effect": "Deny"}) == set()
	bucket({}) == set()
}

conditional(condition) := bucket({"Principal": "*", "Condition": condition})

test_a_condition_that_narrows if {
	every condition in [
		{"StringEquals": {"aws:PrincipalOrgID": "o-abc123"}}, {"StringEquals": {"AWS:SourceOwner": "123456789012"}},
		{"ArnLike": {"aws:SourceArn": "arn:aws:sns:eu-west-1:123456789012:*"}}, {"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::mine"}},
		{"StringEquals": {"aws:SourceVpce": ["vpce-1", "vpce-2"]}}, {"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "10.0.0.0/8"]}},
		{"StringLike": {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/*"}}, {"StringLike": {"aws:userid": "AROAEXAMPLE:*"}},
		{"Bool": {"aws:PrincipalIsAWSService": "true"}}, {"StringEquals": {"kms:CallerAccount": 123456789012}},
	] {
		conditional(condition) == set()
	}
}

test_a_condition_that_does_not if {
	every condition in [
		{}, {"Bool": {"aws:SecureTransport": "true"}}, {"StringLike": {"aws:PrincipalArn": "*"}}, {"StringLike": {"aws:PrincipalOrgID": "o-*"}},
		{"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/admin"}}, {"StringNotEquals": {"aws:SourceAccount": "123456789012"}},
		{"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-abc123"}}, {"ForAllValues:StringEquals": {"aws:PrincipalOrgPaths": "o-a/r-b"}},
		{"IpAddress": {"aws:SourceIp": ["0.0.0.0/1", "128.0.0.0/1"]}}, {"IpAddress": {"aws:SourceIp": "0::/0"}},
		{"StringEquals": {"aws:PrincipalOrgID": []}}, {"StringEquals": {"aws:PrincipalOrgID": ["o-abc123", "*"]}},
		{"StringEquals": {"aws:SourceAccount": "${aws:PrincipalAccount}"}}, {"StringEquals": {"s3:x-amz-acl": "private"}},
		{"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, {"Null": {"aws:SourceArn": "false"}},
		{"StringEquals": {"aws:UserAgent": "secret"}}, {"ArnEquals": {"aws:SourceArn": "arn:aws:sns:*:*:*"}},
	] {
		conditional(condition) == {"public-policy"}
	}
}

test_policies_of_any_attribute if {
	policy := of({"Principal": "*"}).policy
	rules("aws_sqs_queue", {"policy": policy}) == {"public-policy"}
	rules("aws_sns_topic_policy", {"policy": policy}) == {"public-policy"}
	rules("aws_kms_key", {"policy": policy}) == {"public-policy"}
	rules("aws_ecr_repository_policy", {"policy": policy}) == {"public-policy"}
	rules("aws_ecr_registry_policy", {"policy": policy}) == {"public-policy"}
	rules("aws_secretsmanager_secret_policy", {"policy": policy}) == {"public-policy"}
	rules("aws_iam_role", {"assume_role_policy": policy}) == {"public-policy"}
	rules("aws_new_thing", {"settings": [{"rules": [{"document": policy}]}]}) == {"public-policy"}
	rules("aws_new_thing", {"whatever": sprintf("\n  %s", [policy])}) == {"public-policy"}
	rules("awscc_s3_bucket_policy", {"policy_document": policy}) == {"public-policy"}
	rules("aws_iam_policy", {"policy": policy}) == set()
	rules("aws_vpc_endpoint", {"policy": policy}) == set()
	rules("aws_sqs_queue", {"policy": null}) == set()
	rules("aws_sqs_queue", {"policy": ""}) == set()
}

test_policies_however_they_are_written if {
	rules("aws_s3_bucket_policy", {"policy": "{\"statement\": {\"effect\": \"allow\", \"principal\": \"*\"}}"}) == {"public-policy"}
	rules("aws_s3_bucket_policy", {"policy": "{\"\\u0053tatement\": [{\"Effect\": \"Allow\", \"Principal\": \"\\u002a\"}]}"}) == {"public-policy"}
	rules("aws_s3_bucket_policy", {"policy": "{\"Statement\": [7, \"x\", null]}"}) == set()
	rules("aws_s3_bucket_policy", {"policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Principal\": 7}]}"}) == set()
}

test_a_policy_that_can_not_be_read_is_told if {
	rules("aws_s3_bucket_policy", {"policy": "{\"Statement\": [{\"Principal\": \"*\""}) == {"policy-unreadable"}
	rules("aws_s3_bucket_policy", {"policy": "Statement"}) == {"policy-unreadable"}
	rules("aws_instance", {"user_data": "{ echo 1; }"}) == set()
	large := concat("", [" " | some _ in numbers.range(1, 131073)])
	rules("aws_s3_bucket_policy", {"policy": sprintf("{%s}", [large])}) == {"policy-too-large"}
}

trust(principal, condition) := rules("aws_iam_role", {"assume_role_policy": json.marshal({"Statement": [{
	"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": principal}, "Condition": condition,
}]})})

github := "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"

audience := {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}

test_a_provider_that_is_open_to_all if {
	trust(github, {"StringEquals": audience}) == {"public-trust"}
	trust(github, {"StringEquals": audience, "StringLike": {"token.actions.githubusercontent.com:sub": "repo:*"}}) == {"public-trust"}
	trust(github, {"StringLike": {"token.actions.githubusercontent.com:sub": "repo:acme/*"}}) == set()
	trust("accounts.google.com", {}) == {"public-trust"}
	trust("accounts.google.com", {"StringEquals": {"accounts.google.com:aud": "1234567"}}) == set()
	trust("arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/A", {}) == set()
}

permission(more) := rules("aws_lambda_permission", object.union({"action": "lambda:InvokeFunction", "principal": "*"}, more))

test_permissions if {
	permission({}) == {"public-permission"}
	permission({"source_arn": null, "source_account": null}) == {"public-permission"}
	permission({"source_arn": "arn:aws:s3:*:*:*"}) == {"public-permission"}
	permission({"principal": "arn:aws:iam::*:root"}) == {"public-permission"}
	permission({"source_account": "123456789012"}) == set()
	permission({"principal_org_id": "o-abc123"}) == set()
	permission({"principal": "apigateway.amazonaws.com"}) == set()
	permission({"principal": "123456789012"}) == set()
	rules("aws_vpc_endpoint_service", {"allowed_principals": ["*"]}) == {"public-permission"}
	rules("aws_ami_launch_permission", {"group": "all"}) == {"public-permission"}
	rules("aws_db_snapshot", {"shared_accounts": ["all"]}) == {"public-permission"}
	rules("aws_ssm_document", {"permissions": {"type": "Share", "account_ids": "All"}}) == {"public-permission"}
	rules("aws_ssm_document", {"permissions": {"type": "Share", "account_ids": "123456789012"}}) == set()
}

all_users := "http://acs.amazonaws.com/groups/global/AllUsers"

test_grants_of_buckets if {
	rules("aws_s3_bucket", {"grant": [{"type": "Group", "uri": all_users}]}) == {"public-grant"}
	signed_in := "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
	rules("aws_s3_bucket", {"grant": [{"type": "Group", "uri": signed_in}]}) == {"public-grant"}
	rules("aws_s3_bucket", {"grant": [{"type": "Group", "uri": "http://acs.amazonaws.com/groups/s3/LogDelivery"}]}) == set()
	rules("aws_s3_bucket", {"grant": [{"type": "CanonicalUser", "uri": ""}]}) == set()
	acl := {"access_control_policy": [{"grant": [{"grantee": [{"type": "Group", "uri": all_users}]}]}]}
	rules("aws_s3_bucket_acl", acl) == {"public-grant"}
}

test_what_is_known_only_after_the_apply if {
	unjudged("aws_s3_bucket_policy", {"policy": true}, ["policy"]) == {"high"}
	unjudged("aws_sqs_queue", {"policy": true}, ["name", "policy"]) == {"high"}
	unjudged("aws_sqs_queue", {"policy": true}, ["name"]) == set()
	unjudged("aws_lambda_permission", {"principal": true, "id": true}, ["principal"]) == {"high"}
	unjudged("aws_s3_bucket", {"grant": [{"uri": true}]}, ["grant"]) == {"high"}
	unjudged("aws_s3_bucket", {"grant": true, "id": true}, ["bucket"]) == set()
	unjudged("aws_iam_policy", {"policy": true}, ["policy"]) == set()
	count(public_access.deny) == 1 with input as {"plan": {"resource_changes": [{
		"address": "r", "mode": "managed", "type": "aws_kms_key",
		"change": {"actions": ["create"], "before": null, "after": {}, "after_unknown": {"policy": true}},
	}]}}
}

test_types_may_be_public_by_parameter if {
	count(public_access.deny) == 0 with input as written("aws_s3_bucket_policy", of({"Principal": "*"}), {})
		with data.params as {"public_types": ["aws_s3_bucket_policy"]}
}

test_drift_is_seen if {
	count(public_access.deny) == 1 with input as {"plan": {"resource_changes": [], "resource_drift": [{
		"address": "r", "mode": "managed", "type": "aws_sqs_queue",
		"change": {"actions": ["update"], "before": {}, "after": of({"Principal": "*"})},
	}]}}
}
