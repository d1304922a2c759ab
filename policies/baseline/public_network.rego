# METADATA
# title: Sensitive ports are not open to the world
# description: >-
#   Security groups, network ACLs, prefix lists and firewalls of AWS, Google Cloud and Azure. The networks of all rules
#   of one target are taken together; tcp and udp have ports. Parameter: sensitive_ports (remote access, databases,
#   caches, cluster interfaces).
# custom:
#   severity: critical
#   kinds: [Environment]
#   remediation: Name the networks that need access, or reach the port through a bastion, VPN or private link.
package setpoint.baseline.public_network

import data.setpoint.baseline.lib
import data.setpoint.baseline.networks

sensitive_ports := lib.array(lib.param("sensitive_ports", [
	22, 23, 135, 445, 1433, 1521, 2375, 2376, 2379, 2380, 3306, 3389, 5432, 5601, 5900, 5984, 5985, 6379, 6443,
	7001, 8020, 9042, 9200, 9300, 10250, 11211, 27017,
]))

firewalls := [rc |
	some rc in lib.present
	rc.type in firewall_types
]

firewall_types := ((groups | acls) | google_policies) | {
	"aws_security_group_rule", "aws_vpc_security_group_ingress_rule", "aws_network_acl_rule", "aws_ec2_managed_prefix_list",
	"aws_ec2_managed_prefix_list_entry", "aws_lightsail_instance_public_ports", "azurerm_network_security_group",
	"azurerm_network_security_rule", "google_compute_firewall",
}

groups := {"aws_security_group", "aws_default_security_group"}

acls := {"aws_network_acl", "aws_default_network_acl"}

google_policies := {
	"google_compute_firewall_policy_rule", "google_compute_network_firewall_policy_rule",
	"google_compute_region_network_firewall_policy_rule",
}

# --- Openings: what lets in whom, to which ports, of which target ----------------------------------------------------
# `sources` are the texts of the networks, `open` is true where they are not known in full; `ports` are those that are
# sensitive, `vague` is true where the ports are known only after the apply.

opening(rc, target, entry, marks, names, ports) := {
	"address": rc.address,
	"type": rc.type,
	"target": target,
	"sources": sources,
	"lists": lists,
	"open": open,
	"wide": count([true | networks.is_world(sources)]) > 0,
	"ports": [port | some port in ports; not vague],
	"vague": vague,
} if {
	vague := lib.is_hidden(marks, settled_by)
	is_of_interest(ports, vague)
	open := lib.is_hidden(marks, names)
	given := {text | some name in names; some text in lib.many(entry[name]); is_string(text)}
	not is_quiet(given, open)
	lists := {text | some text in given; startswith(text, "pl-")}
	sources := resolved(given, lists)
}

# Most rules: all is known of whom they let in, and it is not much.
is_quiet(given, open) if {
	not open
	networks.are_narrow(given)
}

resolved(given, lists) := given if count(lists) == 0

else := (given - lists) | {text | some name in lists; some text in prefix_lists[name]}

is_of_interest(ports, _) if count(ports) > 0

is_of_interest(_, vague) if vague

# The attributes that say which ports are meant, and whether anything is let in at all.
settled_by := {
	"from_port", "to_port", "protocol", "ip_protocol", "ports", "action", "rule_action", "access", "direction", "type",
	"egress", "destination_port_range", "destination_port_ranges", "allow", "layer4_configs",
}

openings contains entry if {
	some rc in firewalls
	rc.type in groups
	some index, block in lib.list(rc.change.after, "ingress")
	marks := lib.marks_at(lib.marks(rc), "ingress", index)
	ports := aws_ports(block, "protocol")
	entry := opening(rc, identity(rc), block, marks, in_group, ports)
}

openings contains entry if {
	some rc in firewalls
	rc.type == "aws_security_group_rule"
	rule := rc.change.after
	not rule.type == "egress"
	target := object.get(rule, "security_group_id", "")
	ports := aws_ports(rule, "protocol")
	entry := opening(rc, target, rule, lib.marks(rc), in_group, ports)
}

openings contains entry if {
	some rc in firewalls
	rc.type == "aws_vpc_security_group_ingress_rule"
	rule := rc.change.after
	target := object.get(rule, "security_group_id", "")
	ports := aws_ports(rule, "ip_protocol")
	entry := opening(rc, target, rule, lib.marks(rc), {"cidr_ipv4", "cidr_ipv6", "prefix_list_id"}, ports)
}

openings contains entry if {
	some rc in firewalls
	rc.type in acls
	some index, block in lib.list(rc.change.after, "ingress")
	not word(block, "action") == "deny"
	marks := lib.marks_at(lib.marks(rc), "ingress", index)
	ports := acl_ports(block)
	entry := opening(rc, identity(rc), block, marks, in_acl, ports)
}

openings contains entry if {
	some rc in firewalls
	rc.type == "aws_network_acl_rule"
	rule := rc.change.after
	not rule.egress == true
	not word(rule, "rule_action") == "deny"
	target := object.get(rule, "network_acl_id", "")
	ports := acl_ports(rule)
	entry := opening(rc, target, rule, lib.marks(rc), in_acl, ports)
}

# Without networks these ports are open to all.
openings contains entry if {
	some rc in firewalls
	rc.type == "aws_lightsail_instance_public_ports"
	some index, block in lib.list(rc.change.after, "port_info")
	marks := lib.marks_at(lib.marks(rc), "port_info", index)
	anyone := {"cidrs": ["0.0.0.0/0"] | count(lib.list(block, "cidrs")) + count(lib.list(block, "ipv6_cidrs")) == 0}
	ports := aws_ports(block, "protocol")
	entry := opening(rc, rc.address, object.union(block, anyone), marks, {"cidrs", "ipv6_cidrs"}, ports)
}

openings contains entry if {
	some rc in firewalls
	rc.type == "google_compute_firewall"
	firewall := rc.change.after
	object.get(firewall, "disabled", false) != true
	not object.get(firewall, "direction", "INGRESS") == "EGRESS"
	marks := lib.marks(rc)
	sources := google_sources(firewall, marks)
	some index, allow in lib.list(firewall, "allow")
	ports := port_numbers(allow, "protocol", lib.list(allow, "ports"))
	both := object.union(marks, lib.marks_at(marks, "allow", index))
	entry := opening(rc, rc.address, sources, both, {"source_ranges"}, ports)
}

openings contains entry if {
	some rc in firewalls
	rc.type in google_policies
	rule := rc.change.after
	rule.action == "allow"
	rule.direction == "INGRESS"
	object.get(rule, "disabled", false) != true
	some index, match in lib.list(rule, "match")
	marks := lib.marks_at(lib.marks(rc), "match", index)
	some position, layer in lib.list(match, "layer4_configs")
	ports := port_numbers(layer, "ip_protocol", lib.list(layer, "ports"))
	both := object.union(marks, lib.marks_at(marks, "layer4_configs", position))
	entry := opening(rc, rc.address, match, both, {"src_ip_ranges"}, ports)
}

openings contains entry if {
	some rc in firewalls
	rc.type == "azurerm_network_security_rule"
	rule := rc.change.after
	is_azure_allowed(rule)
	entry := opening(rc, rc.address, rule, lib.marks(rc), azure_sources, azure_ports(rule))
}

openings contains entry if {
	some rc in firewalls
	rc.type == "azurerm_network_security_group"
	some index, rule in lib.list(rc.change.after, "security_rule")
	is_azure_allowed(rule)
	marks := lib.marks_at(lib.marks(rc), "security_rule", index)
	entry := opening(rc, rc.address, rule, marks, azure_sources, azure_ports(rule))
}

in_group := {"cidr_blocks", "ipv6_cidr_blocks", "prefix_list_ids"}

in_acl := {"cidr_block", "ipv6_cidr_block"}

# The same security group or ACL, whether its rules stand in it or beside it.
identity(rc) := rc.change.after.id if is_string(rc.change.after.id)

else := rc.address

# A firewall without sources and tags is open to all.
google_sources(firewall, marks) := {"source_ranges": ["0.0.0.0/0"]} if {
	every name in ["source_ranges", "source_tags", "source_service_accounts"] {
		count(lib.list(firewall, name)) == 0
		not lib.hidden(marks, {name})
	}
} else := firewall

azure_sources := {"source_address_prefix", "source_address_prefixes"}

is_azure_allowed(rule) if {
	lower(object.get(rule, "access", "Allow")) == "allow"
	lower(object.get(rule, "direction", "Inbound")) == "inbound"
}

# --- Ports ------------------------------------------------------------------------------------------------------------

# By name or number; nothing at all is every protocol.
every_protocol := {"-1", "all", "*", "any", "", "null"}

# Only these have ports.
with_ports := every_protocol | {"tcp", "udp", "6", "17"}

word(entry, name) := lower(sprintf("%v", [object.get(entry, name, "-1")])) if is_object(entry)

else := "none"

# Protocol -1 means all ports, whatever the ports say.
aws_range(entry, spoken) := [0, 65535] if spoken in every_protocol

else := [0, 65535] if {
	lib.number(entry, "from_port", 0) == -1
} else := [lib.number(entry, "from_port", 0), lib.number(entry, "to_port", 65535)]

aws_ports(entry, name) := exposed([aws_range(entry, spoken)]) if {
	spoken := word(entry, name)
	spoken in with_ports
} else := []

# What a network ACL lets in from 1024 on are the answers to what was asked within: its rules keep no record of it.
acl_ports(entry) := [] if {
	range := aws_range(entry, word(entry, "protocol"))
	range[0] >= 1024
	range[1] == 65535
} else := aws_ports(entry, "protocol")

azure_ports(rule) := port_numbers(rule, "protocol", ports) if {
	ports := array.concat(lib.list(rule, "destination_port_range"), lib.list(rule, "destination_port_ranges"))
}

port_numbers(entry, name, texts) := exposed(ranges(texts)) if word(entry, name) in with_ports

else := []

# Ports as text: 22, 8000-8100 or *; none at all means every port, and so does what can't be read.
ranges(ports) := [[0, 65535]] if count(ports) == 0

else := [port_range(sprintf("%v", [port])) | some port in ports]

port_range(text) := [networks.decimal(parts[0]), networks.decimal(parts[count(parts) - 1])] if {
	regex.match(`^ *[0-9]{1,5} *(?:- *[0-9]{1,5} *)?$`, text)
	parts := [trim_space(part) | some part in split(text, "-")]
} else := [0, 65535]

exposed(ranges) := [port |
	some [from, to] in ranges
	some port in within(from, to)
]

within(from, to) := {from} & sensitive if from == to

else := {port | some port in sensitive; from <= port; port <= to}

sensitive := {port | some port in sensitive_ports}

# --- Verdicts ---------------------------------------------------------------------------------------------------------

prefix_lists[name] contains text if {
	some rc in firewalls
	rc.type == "aws_ec2_managed_prefix_list"
	name := identity(rc)
	some entry in lib.list(rc.change.after, "entry")
	text := entry.cidr
}

prefix_lists[name] contains rc.change.after.cidr if {
	some rc in firewalls
	rc.type == "aws_ec2_managed_prefix_list_entry"
	name := object.get(rc.change.after, "prefix_list_id", "")
}

wide_ports[entry.address] contains port if {
	some entry in openings
	entry.wide
	some port in entry.ports
}

deny contains {"rule": "open-port", "resource": address, "msg": msg} if {
	some address, ports in wide_ports
	msg := sprintf("open to the world: %s", [listed(ports)])
}

# No rule is wide by itself, and together they are.
deny contains {"rule": "open-port", "resource": address, "msg": msg} if {
	some target, entries in by_target
	count(entries) > 1
	touched := {port | some entry in entries; some port in entry.ports}
	ports := {one |
		some one in touched
		networks.is_world({text | some entry in entries; one in entry.ports; some text in entry.sources})
	}
	count(ports) > 0
	some address in {entry.address | some entry in entries}
	msg := sprintf("open to the world by its rules together: %s", [listed(ports)])
}

by_target[entry.target] contains entry if {
	some entry in openings
	not entry.wide
	count(entry.ports) > 0
	not networks.are_narrow(entry.sources)
}

listed(ports) := concat(", ", [sprintf("%d", [port]) | some port in sort(ports)])

# A list that holds the world opens every rule that names it, now or later.
deny contains {"rule": "open-list", "resource": rc.address, "msg": "this prefix list holds the world"} if {
	some rc in firewalls
	rc.type in {"aws_ec2_managed_prefix_list", "aws_ec2_managed_prefix_list_entry"}
	name := object.get(rc.change.after, "prefix_list_id", identity(rc))
	networks.is_world(prefix_lists[name])
}

deny contains {"rule": "unreadable-network", "resource": entry.address, "msg": msg} if {
	some entry in openings
	not startswith(entry.type, "azurerm_") # There a word is a service tag.
	some text in networks.unreadable(entry.sources)
	msg := sprintf("%q is no network that can be read", [text])
}

# --- What can't be judged ---------------------------------------------------------------------------------------------

deny contains unjudged(entry.address, "who is let in to a sensitive port") if {
	some entry in openings
	entry.open
	not is_open_for_sure(entry)
}

deny contains unjudged(entry.address, "to which ports the world is let in") if {
	some entry in openings
	entry.vague
	not entry.open
	entry.wide
}

is_open_for_sure(entry) if {
	entry.wide
	not entry.vague
}

deny contains unjudged(entry.address, sprintf("what the prefix list %s holds, which is not in this plan", [name])) if {
	some entry in openings
	some name in entry.lists
	not prefix_lists[name]
}

deny contains unjudged(rc.address, sprintf("the rules in %s", [name])) if {
	some rc in firewalls
	some name, mark in lib.marks(rc)
	mark == true
	is_part(rc.type, name)
	not lib.unset(rc, name)
}

is_part(_, name) if name == "*"

is_part(type, name) if type in may_have[name]

may_have := {
	"ingress": (groups | acls),
	"security_rule": {"azurerm_network_security_group"},
	"allow": {"google_compute_firewall"},
	"entry": {"aws_ec2_managed_prefix_list"},
	"match": google_policies,
	"port_info": {"aws_lightsail_instance_public_ports"},
}

# Its severity is high, so that a gate may let people pass what only the apply can tell.
unjudged(address, what) := {"rule": "unjudged", "resource": address, "msg": what, "unknown": true, "severity": "high"}
