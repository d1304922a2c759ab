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
