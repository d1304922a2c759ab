package setpoint.baseline.pinned_providers_test

import data.setpoint.baseline.pinned_providers

aws := "registry.terraform.io/hashicorp/aws"

used(source) := [{
	"address": "r", "mode": "managed", "type": "t", "provider_name": source, "change": {"actions": ["create"]},
}]

plan(providers) := {"plan": {"resource_changes": used(aws), "providers": providers}}

pinned(constraint) := plan([{"name": "aws", "full_name": aws, "version_constraint": constraint}])

test_no_constraint_is_denied if {
	found := pinned_providers.deny with input as pinned("")
	found == {{"rule": "unpinned-provider", "resource": aws, "msg": "its version has no upper bound"}}
}

test_an_unlisted_provider_is_denied if {
	count(pinned_providers.deny) == 1 with input as {"plan": {"resource_changes": used(aws)}}
	count(pinned_providers.deny) == 1 with input as {"plan": {"resource_changes": used(aws), "providers": null}}
}

test_a_lower_bound_alone_is_denied if {
	every constraint in [">= 5.0", "> 5.0", "!= 5.1", ">= 5.0, != 5.1"] {
		count(pinned_providers.deny) == 1 with input as pinned(constraint)
	}
}

test_an_upper_bound_is_enough if {
	every constraint in ["~> 5.0", "5.1.0", "= 5.1.0", "< 6", "<= 6.0", ">= 5.0, < 6.0", ">= 5.0, ~> 5.2"] {
		count(pinned_providers.deny) == 0 with input as pinned(constraint)
	}
}

test_one_module_pins_for_all if {
	both := [
		{"name": "aws", "full_name": aws, "version_constraint": "~> 5.0"},
		{"name": "aws", "full_name": aws, "version_constraint": ""},
	]
	count(pinned_providers.deny) == 0 with input as plan(both)
}

test_terraform_itself_needs_none if {
	own := {"plan": {"resource_changes": used("terraform.io/builtin/terraform")}}
	count(pinned_providers.deny) == 0 with input as own
}

test_exemptions_are_a_parameter if {
	count(pinned_providers.deny) == 0 with input as plan([]) with data.params as {"unpinned_providers": ["hashicorp/aws"]}
}
