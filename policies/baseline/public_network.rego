# METADATA
# title: Sensitive ports are not open to the world
# description: >-
#   Security groups and firewalls of AWS, Google Cloud and Azure. Parameter: sensitive_ports (remote access,
#   databases, caches, cluster interfaces).
# custom:
#   severity: critical
#   remediation: Name the networks that need access, or reach the port through a bastion, VPN or private link.
package setpoint.baseline.public_network

import data.setpoint.baseline.lib

sensitive_ports := lib.array(lib.param("sensitive_ports", [
	22, 23, 135, 445, 1433, 1521, 2375, 2376, 2379, 2380, 3306, 3389, 5432, 5601, 5900, 5984, 5985, 6379, 6443,
	7001, 8020, 9042, 9200, 9300, 10250, 11211, 27017,
]))

world := {"0.0.0.0/0", "::/0", "*", "0.0.0.0", "Internet", "internet", "any", "Any"}

firewall_types := {
	"aws_security_group", "aws_default_security_group", "aws_security_group_rule", "aws_vpc_security_group_ingress_rule",
	"azurerm_network_security_group", "azurerm_network_security_rule", "google_compute_firewall",
}

firewalls := [rc |
	some rc in lib.written
	rc.type in firewall_types
]

# Each opening lets a range of ports in from anywhere.
openings contains [rc.address, from, to] if {
	some rc in firewalls
	rc.type in {"aws_security_group", "aws_default_security_group"}
	some block in lib.list(rc.change.after, "ingress")
	is_open(block, ["cidr_blocks", "ipv6_cidr_blocks"])
	[from, to] := aws_range(block, "protocol")
}

openings contains [rc.address, from, to] if {
	some rc in firewalls
	rc.type == "aws_security_group_rule"
	rc.change.after.type == "ingress"
	is_open(rc.change.after, ["cidr_blocks", "ipv6_cidr_blocks"])
	[from, to] := aws_range(rc.change.after, "protocol")
}

openings contains [rc.address, from, to] if {
	some rc in firewalls
	rc.type == "aws_vpc_security_group_ingress_rule"
	is_open(rc.change.after, ["cidr_ipv4", "cidr_ipv6"])
	[from, to] := aws_range(rc.change.after, "ip_protocol")
}

openings contains [rc.address, from, to] if {
	some rc in firewalls
	rc.type == "google_compute_firewall"
	firewall := rc.change.after
	object.get(firewall, "disabled", false) != true
	not object.get(firewall, "direction", "INGRESS") == "EGRESS"
	google_open(firewall)
	some allow in lib.list(firewall, "allow")
	some [from, to] in ranges(lib.list(allow, "ports"))
}

openings contains [rc.address, from, to] if {
	some rc in firewalls
	rc.type == "azurerm_network_security_rule"
	some [from, to] in azure_ranges(rc.change.after)
}

openings contains [rc.address, from, to] if {
	some rc in firewalls
	rc.type == "azurerm_network_security_group"
	some rule in lib.list(rc.change.after, "security_rule")
	some [from, to] in azure_ranges(rule)
}

is_open(block, attributes) if {
	some name in attributes
	block[name][_] in world
}

is_open(block, attributes) if {
	some name in attributes
	block[name] in world
}

# A firewall without sources and tags is open to all.
google_open(firewall) if is_open(firewall, ["source_ranges"])

google_open(firewall) if {
	every name in ["source_ranges", "source_tags", "source_service_accounts"] {
		count(lib.list(firewall, name)) == 0
	}
}

# Protocol -1 means all ports, whatever the ports say.
aws_range(block, protocol) := [0, 65535] if sprintf("%v", [object.get(block, protocol, "-1")]) in {"-1", "all"}

else := [lib.number(block, "from_port", 0), lib.number(block, "to_port", 65535)]

azure_ranges(rule) := ranges(ports) if {
	lower(object.get(rule, "access", "Allow")) == "allow"
	lower(object.get(rule, "direction", "Inbound")) == "inbound"
	is_open(rule, ["source_address_prefix", "source_address_prefixes"])
	ports := array.concat(lib.list(rule, "destination_port_range"), lib.list(rule, "destination_port_ranges"))
}

else := []

# Ports as text: 22, 8000-8100 or *; none at all means every port.
ranges(ports) := [[0, 65535]] if count(ports) == 0

else := [range |
	some port in ports
	range := port_range(split(replace(sprintf("%v", [port]), "*", "0-65535"), "-"))
]

port_range(parts) := [to_number(parts[0]), to_number(parts[count(parts) - 1])]

deny contains {"rule": "open-port", "resource": address, "msg": msg} if {
	some [address, from, to] in openings
	exposed := [port | some port in sensitive_ports; from <= port; port <= to]
	count(exposed) > 0
	msg := sprintf("open to the world: %s", [concat(", ", [sprintf("%d", [port]) | some port in exposed])])
}
