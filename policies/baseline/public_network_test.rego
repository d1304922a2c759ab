package setpoint.baseline.public_network_test

import data.setpoint.baseline.public_network

written(type, after) := {"plan": {"resource_changes": [{
	"address": "r", "mode": "managed", "type": type, "change": {"actions": ["create"], "before": null, "after": after},
}]}}

ports(type, after) := {message |
	some violation in public_network.deny with input as written(type, after)
	message := violation.msg
}

group(from, to, protocol, cidr) := {"ingress": [{
	"from_port": from, "to_port": to, "protocol": protocol, "cidr_blocks": [cidr], "ipv6_cidr_blocks": null,
}]}

ssh := {"open to the world: 22"}

test_aws_group_open_to_the_world if ports("aws_security_group", group(22, 22, "tcp", "0.0.0.0/0")) == ssh

test_aws_group_range_covers_a_port if ports("aws_security_group", group(20, 22, "tcp", "0.0.0.0/0")) == ssh

test_aws_group_open_to_a_network if count(ports("aws_security_group", group(22, 22, "tcp", "10.0.0.0/8"))) == 0

test_aws_group_harmless_port if count(ports("aws_security_group", group(443, 443, "tcp", "0.0.0.0/0"))) == 0

test_aws_group_all_protocols if count(ports("aws_security_group", group(0, 0, "-1", "0.0.0.0/0"))) == 1

test_aws_group_without_rules if count(ports("aws_security_group", {"ingress": null})) == 0

test_aws_group_ipv6 if {
	block := {"from_port": 22, "to_port": 22, "protocol": "tcp", "cidr_blocks": null, "ipv6_cidr_blocks": ["::/0"]}
	ports("aws_security_group", {"ingress": [block]}) == ssh
}

test_aws_rule if {
	rule := {"type": "ingress", "from_port": 22, "to_port": 22, "protocol": "tcp", "cidr_blocks": ["0.0.0.0/0"]}
	ports("aws_security_group_rule", rule) == ssh
	count(ports("aws_security_group_rule", object.union(rule, {"type": "egress"}))) == 0
}

test_aws_vpc_rule if {
	rule := {"from_port": 22, "to_port": 22, "ip_protocol": "tcp", "cidr_ipv4": "0.0.0.0/0", "cidr_ipv6": null}
	ports("aws_vpc_security_group_ingress_rule", rule) == ssh
	count(ports("aws_vpc_security_group_ingress_rule", object.union(rule, {"cidr_ipv4": "10.0.0.0/8"}))) == 0
}

firewall := {"direction": "INGRESS", "source_ranges": ["0.0.0.0/0"], "allow": [{"protocol": "tcp", "ports": ["22"]}]}

test_google_firewall if {
	ports("google_compute_firewall", firewall) == ssh
	ports("google_compute_firewall", object.union(firewall, {"allow": [{"ports": ["20-22"]}]})) == ssh
	count(ports("google_compute_firewall", object.union(firewall, {"source_ranges": ["10.0.0.0/8"]}))) == 0
	count(ports("google_compute_firewall", object.union(firewall, {"direction": "EGRESS"}))) == 0
	count(ports("google_compute_firewall", object.union(firewall, {"disabled": true}))) == 0
}

test_google_firewall_without_ports_opens_all if {
	count(ports("google_compute_firewall", object.union(firewall, {"allow": [{"protocol": "all", "ports": null}]}))) == 1
}

test_google_firewall_without_sources_is_open if {
	ports("google_compute_firewall", object.union(firewall, {"source_ranges": null})) == ssh
	tagged := object.union(firewall, {"source_ranges": null, "source_tags": ["web"]})
	count(ports("google_compute_firewall", tagged)) == 0
}

rule := {
	"access": "Allow", "direction": "Inbound", "source_address_prefix": "*", "source_address_prefixes": null,
	"destination_port_range": "22", "destination_port_ranges": null,
}

test_azure_rule if {
	ports("azurerm_network_security_rule", rule) == ssh
	ports("azurerm_network_security_group", {"security_rule": [rule]}) == ssh
	count(ports("azurerm_network_security_rule", object.union(rule, {"access": "Deny"}))) == 0
	count(ports("azurerm_network_security_rule", object.union(rule, {"direction": "Outbound"}))) == 0
	count(ports("azurerm_network_security_rule", object.union(rule, {"source_address_prefix": "10.0.0.0/8"}))) == 0
}

test_azure_star_is_every_port if {
	count(ports("azurerm_network_security_rule", object.union(rule, {"destination_port_range": "*"}))) == 1
}

test_sensitive_ports_are_a_parameter if {
	after := group(8080, 8080, "tcp", "0.0.0.0/0")
	count(public_network.deny) == 1 with input as written("aws_security_group", after)
		with data.params as {"sensitive_ports": [8080]}
}

test_a_delete_opens_nothing if {
	gone := {"plan": {"resource_changes": [{
		"address": "r", "mode": "managed", "type": "aws_security_group",
		"change": {"actions": ["delete"], "before": group(22, 22, "tcp", "0.0.0.0/0"), "after": null},
	}]}}
	count(public_network.deny) == 0 with input as gone
}

tcp := {"from_port": 22, "to_port": 22, "protocol": "tcp"}

test_the_networks_of_a_block_are_taken_together if {
	halves := object.union(tcp, {"cidr_blocks": ["0.0.0.0/1", "128.0.0.0/1"]})
	ports("aws_security_group", {"ingress": [halves]}) == ssh
	count(ports("aws_security_group", {"ingress": [object.union(tcp, {"cidr_blocks": ["203.0.113.0/25", "203.0.113.128/25"]})]})) == 0
}

together := {"open to the world by its rules together: 22"}

test_the_blocks_of_a_group_are_taken_together if {
	octets := numbers.range(1, 9)
	blocks := [object.union(tcp, {"cidr_blocks": [sprintf("%d.0.0.0/8", [octet])]}) | some octet in octets]
	ports("aws_security_group", {"ingress": blocks}) == together
	elsewhere := [object.union(block, {"from_port": 443, "to_port": 443}) | some block in blocks]
	count(ports("aws_security_group", {"ingress": array.concat(array.slice(blocks, 0, 1), elsewhere)})) == 0
}

rules_of(type, rules) := {violation.resource |
	changes := [{"address": sprintf("r%d", [index]), "mode": "managed", "type": type, "change": {
		"actions": ["create"], "before": null, "after": after,
	}} |
		some index, after in rules
	]
	some violation in public_network.deny with input as {"plan": {"resource_changes": changes}}
}

rule_of(target, cidr) := object.union(tcp, {"security_group_id": target, "type": "ingress", "cidr_blocks": [cidr]})

test_the_rules_of_one_target_are_taken_together if {
	rules_of("aws_security_group_rule", [rule_of("sg-1", "3.0.0.0/8"), rule_of("sg-1", "4.0.0.0/8")]) == {"r0", "r1"}
	rules_of("aws_security_group_rule", [rule_of("sg-1", "3.0.0.0/8"), rule_of("sg-2", "4.0.0.0/8")]) == set()
}

test_other_spellings_of_the_world if {
	every cidr in ["0::/0", "0:0:0:0:0:0:0:0/0", "::ffff:0:0/96", "::ffff:0.0.0.0/96"] {
		ports("aws_security_group", {"ingress": [object.union(tcp, {"ipv6_cidr_blocks": [cidr]})]}) == ssh
	}
}

test_icmp_has_no_ports if {
	every protocol in ["icmp", "icmpv6", "1", "58", "50", "gre"] {
		count(ports("aws_security_group", group(-1, -1, protocol, "0.0.0.0/0"))) == 0
		count(ports("aws_security_group", group(8, 255, protocol, "0.0.0.0/0"))) == 0
		count(ports("google_compute_firewall", object.union(firewall, {"allow": [{"protocol": protocol}]}))) == 0
	}
	count(ports("azurerm_network_security_rule", object.union(rule, {"protocol": "Icmp", "destination_port_range": "*"}))) == 0
}

test_protocols_by_name_and_number if {
	every protocol in ["tcp", "TCP", "udp", "6", "17", 6, "all"] {
		count(ports("aws_security_group", group(22, 22, protocol, "0.0.0.0/0"))) == 1
	}
	count(ports("aws_security_group", group(443, 443, "-1", "0.0.0.0/0"))) == 1
	count(ports("aws_security_group", group(-1, -1, "tcp", "0.0.0.0/0"))) == 1
}

acl_rule := {
	"network_acl_id": "acl-1", "rule_number": 100, "egress": false, "rule_action": "allow", "protocol": "6",
	"cidr_block": "0.0.0.0/0", "from_port": 22, "to_port": 22,
}

test_network_acls if {
	ports("aws_network_acl_rule", acl_rule) == ssh
	ports("aws_network_acl_rule", object.union(acl_rule, {"cidr_block": null, "ipv6_cidr_block": "0::/0"})) == ssh
	count(ports("aws_network_acl_rule", object.union(acl_rule, {"rule_action": "deny"}))) == 0
	count(ports("aws_network_acl_rule", object.union(acl_rule, {"egress": true}))) == 0
	count(ports("aws_network_acl_rule", object.union(acl_rule, {"cidr_block": "10.0.0.0/8"}))) == 0
	block := {"action": "allow", "protocol": "tcp", "cidr_block": "0.0.0.0/0", "from_port": 22, "to_port": 22, "rule_no": 1}
	ports("aws_network_acl", {"ingress": [block]}) == ssh
	ports("aws_default_network_acl", {"ingress": [block]}) == ssh
	count(ports("aws_network_acl", {"ingress": [object.union(block, {"action": "deny"})]})) == 0
}

test_answers_come_in_through_a_network_acl if {
	count(ports("aws_network_acl_rule", object.union(acl_rule, {"from_port": 1024, "to_port": 65535}))) == 0
	count(ports("aws_network_acl_rule", object.union(acl_rule, {"from_port": 1024, "to_port": 6000}))) == 1
	count(ports("aws_security_group", group(1024, 65535, "tcp", "0.0.0.0/0"))) == 1
}

test_prefix_lists if {
	halves := [{"cidr": "0.0.0.0/1"}, {"cidr": "128.0.0.0/1"}]
	rules_of("aws_ec2_managed_prefix_list", [{"entry": halves}]) == {"r0"}
	rules_of("aws_ec2_managed_prefix_list", [{"entry": [{"cidr": "203.0.113.0/24"}]}]) == set()
	entries := [{"prefix_list_id": "pl-1", "cidr": "0.0.0.0/1"}, {"prefix_list_id": "pl-1", "cidr": "128.0.0.0/1"}]
	rules_of("aws_ec2_managed_prefix_list_entry", entries) == {"r0", "r1"}
	listed := object.union(tcp, {"prefix_list_ids": ["pl-1"]})
	ports("aws_security_group", {"ingress": [listed]}) == {"what the prefix list pl-1 holds, which is not in this plan"}
	count(ports("aws_security_group", {"ingress": [object.union(listed, {"from_port": 443, "to_port": 443})]})) == 0
}

test_other_firewalls if {
	info := {"port_info": [{"protocol": "tcp", "from_port": 22, "to_port": 22, "cidrs": []}]}
	ports("aws_lightsail_instance_public_ports", info) == ssh
	narrow := {"port_info": [{"protocol": "tcp", "from_port": 22, "to_port": 22, "cidrs": ["10.0.0.0/8"]}]}
	count(ports("aws_lightsail_instance_public_ports", narrow)) == 0
	match := {"src_ip_ranges": ["0.0.0.0/0"], "layer4_configs": [{"ip_protocol": "tcp", "ports": ["22"]}]}
	policy := {"action": "allow", "direction": "INGRESS", "match": [match]}
	ports("google_compute_network_firewall_policy_rule", policy) == ssh
	count(ports("google_compute_network_firewall_policy_rule", object.union(policy, {"action": "deny"}))) == 0
}

test_what_is_no_network_is_told if {
	ports("aws_security_group", group(22, 22, "tcp", "banana")) == {"\"banana\" is no network that can be read"}
	count(ports("azurerm_network_security_rule", object.union(rule, {"source_address_prefix": "VirtualNetwork"}))) == 0
}

unjudged(type, after, unknown, configured) := {[violation.rule, violation.severity] |
	some violation in public_network.deny with input as {"plan": {"resource_changes": [{
		"address": "r", "mode": "managed", "type": type, "configured": configured,
		"change": {"actions": ["create"], "before": null, "after": after, "after_unknown": unknown},
	}]}}
}

open_question := {["unjudged", "high"]}

test_networks_that_are_known_only_after_the_apply if {
	rule_type := object.union(tcp, {"type": "ingress"})
	unjudged("aws_security_group_rule", rule_type, {"cidr_blocks": true}, ["cidr_blocks"]) == open_question
	some_known := object.union(rule_type, {"cidr_blocks": ["10.0.0.0/8", null]})
	unjudged("aws_security_group_rule", some_known, {"cidr_blocks": [false, true]}, ["cidr_blocks"]) == open_question
	unjudged("aws_vpc_security_group_ingress_rule", {"ip_protocol": "-1"}, {"cidr_ipv4": true}, []) == open_question
	unjudged("aws_security_group", {"ingress": [tcp]}, {"ingress": [{"cidr_blocks": true}]}, ["name"]) == open_question
	unjudged("aws_network_acl_rule", {"protocol": "-1"}, {"cidr_block": true}, []) == open_question
	unjudged("google_compute_firewall", object.union(firewall, {"source_ranges": null}), {"source_ranges": true}, []) == open_question
	unjudged("azurerm_network_security_rule", object.remove(rule, ["source_address_prefix"]), {"source_address_prefix": true}, []) == open_question
	harmless := {"type": "ingress", "from_port": 443, "to_port": 443, "protocol": "tcp"}
	unjudged("aws_security_group_rule", harmless, {"cidr_blocks": true}, ["cidr_blocks"]) == set()
	others := {"security_group_id": true, "id": true, "source_security_group_id": true}
	unjudged("aws_security_group_rule", object.union(rule_type, {"cidr_blocks": ["10.0.0.0/8"]}), others, []) == set()
}

test_ports_that_are_known_only_after_the_apply if {
	open := {"type": "ingress", "protocol": "tcp", "cidr_blocks": ["0.0.0.0/0"]}
	unjudged("aws_security_group_rule", open, {"from_port": true, "to_port": true}, []) == open_question
	closed := object.union(open, {"cidr_blocks": ["10.0.0.0/8"]})
	unjudged("aws_security_group_rule", closed, {"from_port": true, "to_port": true}, []) == set()
	allow := {"allow": [{"protocol": "tcp"}]}
	unjudged("google_compute_firewall", object.union(firewall, allow), {"allow": [{"ports": true}]}, []) == open_question
}

test_the_world_beside_what_is_unknown_is_the_world if {
	open := object.union(tcp, {"type": "ingress", "cidr_blocks": ["0.0.0.0/0"]})
	found := public_network.deny with input as {"plan": {"resource_changes": [{
		"address": "r", "mode": "managed", "type": "aws_security_group_rule",
		"change": {"actions": ["create"], "before": null, "after": open, "after_unknown": {"ipv6_cidr_blocks": true}},
	}]}}
	{violation.rule | some violation in found} == {"open-port"}
}

test_rules_that_the_code_does_not_set_are_none if {
	unjudged("aws_security_group", {}, {"ingress": true, "id": true}, ["name"]) == set()
	unjudged("aws_security_group", {}, {"ingress": true, "id": true}, ["name", "ingress"]) == open_question
	count(public_network.deny) == 1 with input as {"plan": {"resource_changes": [{
		"address": "r", "mode": "managed", "type": "aws_security_group",
		"change": {"actions": ["create"], "before": null, "after": {}, "after_unknown": {"ingress": true}},
	}]}}
}

test_drift_is_seen if {
	count(public_network.deny) == 1 with input as {"plan": {"resource_changes": [], "resource_drift": [{
		"address": "r", "mode": "managed", "type": "aws_security_group",
		"change": {"actions": ["update"], "before": {}, "after": group(22, 22, "tcp", "0.0.0.0/0")},
	}]}}
}

test_ports_that_can_not_be_read_are_all if {
	count(ports("google_compute_firewall", object.union(firewall, {"allow": [{"protocol": "tcp", "ports": ["ssh"]}]}))) == 1
	ports("google_compute_firewall", object.union(firewall, {"allow": [{"protocol": "tcp", "ports": [" 020 - 22 "]}]})) == ssh
	count(ports("aws_security_group", {"ingress": ["x", 1, null]})) == 0
}
