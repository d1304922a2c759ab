package setpoint.baseline.required_tags_test

import data.setpoint.baseline.required_tags

written(type, after, unknown) := {"plan": {"resource_changes": [{
	"address": "r", "mode": "managed", "type": type,
	"change": {"actions": ["create"], "before": null, "after": after, "after_unknown": unknown},
}]}}

test_missing_tag_is_denied if {
	found := required_tags.deny with input as written("aws_instance", {"tags": {"Name": "x"}}, {})
	found == {{"rule": "required-tags", "resource": "r", "msg": "no tag or label owner"}}
}

test_null_tags_are_denied if {
	count(required_tags.deny) == 1 with input as written("aws_instance", {"tags": null}, false)
}

test_an_empty_value_is_denied if {
	count(required_tags.deny) == 1 with input as written("aws_instance", {"tags": {"owner": ""}}, {})
}

test_a_tag_is_enough if {
	count(required_tags.deny) == 0 with input as written("aws_instance", {"tags": {"owner": "me"}}, {})
}

test_a_label_is_enough if {
	count(required_tags.deny) == 0 with input as written("google_storage_bucket", {"labels": {"owner": "me"}}, {})
}

test_provider_defaults_are_enough if {
	after := {"tags": null, "tags_all": {"owner": "me"}}
	count(required_tags.deny) == 0 with input as written("aws_instance", after, {})
}

test_types_without_tags_are_not_looked_at if {
	count(required_tags.deny) == 0 with input as written("local_file", {"filename": "x"}, {})
}

test_deletes_are_not_looked_at if {
	gone := {"plan": {"resource_changes": [{
		"address": "r", "mode": "managed", "type": "aws_instance",
		"change": {"actions": ["delete"], "before": {"tags": null}, "after": null},
	}]}}
	count(required_tags.deny) == 0 with input as gone
	count(required_tags.deny) == 0 with input as gone with data.params as {"taggable_types": ["aws_instance"]}
}

test_unknown_tags_are_a_warning if {
	doc := written("aws_instance", {}, {"tags_all": true})
	count(required_tags.deny) == 0 with input as doc
	count(required_tags.warn) == 1 with input as doc
}

test_tags_are_parameters if {
	count(required_tags.deny) == 1 with input as written("aws_instance", {"tags": {"owner": "me"}}, {})
		with data.params as {"required_tags": ["owner", "cost"]}
}

test_types_are_parameters if {
	count(required_tags.deny) == 1 with input as written("my_thing", {}, {})
		with data.params as {"taggable_types": ["my_thing"]}
	count(required_tags.deny) == 0 with input as written("aws_instance", {"tags": null}, {})
		with data.params as {"untagged_types": ["aws_instance"]}
}
