# METADATA
# title: Networks, read as numbers
# description: >-
#   Tells whether networks together hold so many public addresses that they are the world, however they are written or
#   split. IPv6 that stands for IPv4 (mapped, compatible, NAT64, 6to4) counts as IPv4. Parameters: widest_ipv4 and
#   widest_ipv6, the prefix of the largest network that is not the world.
package setpoint.baseline.networks

import data.setpoint.baseline.lib

words := {"*", "any", "internet", "0.0.0.0"}

# Addresses that nobody reaches from the Internet.
private := {network |
	some text in [
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
		"224.0.0.0/3", "fc00::/7", "fe80::/10", "ff00::/8",
	]
	network := parse(text)
}

# The bits of an address that count: no IPv6 network that is longer than 48 bits makes a difference.
bits_of := {"4": 32, "6": 48}

most := {
	"4": powers[32 - lib.param("widest_ipv4", 8)],
	"6": powers[48 - lib.param("widest_ipv6", 16)],
}

powers := [bits.lsh(1, exponent) | some exponent in numbers.range(0, 48)]

# Nearly all networks in a plan: private ones, and short ones, of which there can't be enough in one firewall.
are_narrow(texts) if {
	count(texts) <= 1000
	every text in texts { regex.match(narrow, text) }
}

narrow := concat("", [
	`^(?:10\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}/(?:[89]|[12][0-9]|3[0-2])|192\.168\.[0-9]{1,3}\.[0-9]{1,3}/(?:1[6-9]|2[0-9]|3[0-2])`,
	`|[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}/(?:2[0-9]|3[0-2])`,
	`|[23][0-9a-f]{3}:[0-9a-f:]+/(?:3[2-9]|[4-9][0-9]|1[01][0-9]|12[0-8]))$`,
])

# Networks as texts; what can't be read is left to `unreadable`.
is_world(texts) if {
	some text in texts
	lower(trim_space(text)) in words
}

is_world(texts) if {
	not are_narrow(texts)
	public := {network | some text in texts; network := parse(text); not is_private(network)}
	some family, limit in most
	own := {network | some network in public; network.family == family}
	sum([size(network) | some network in own]) > limit
	sum([size(network) | some network in own; not is_within(network, own)]) > limit
}

unreadable(texts) := {text |
	some text in texts
	not regex.match(narrow, text)
	not lower(trim_space(text)) in words
	not parse(text)
}

# The addresses of a network, in units of the shortest that counts.
size(network) := powers[bits_of[network.family] - network.length] if network.length <= bits_of[network.family]

else := 0

# One of the others holds it all; networks either hold one another or have nothing in common.
is_within(network, others) if {
	some length in numbers.range(0, network.length - 1)
	network.length > 0
	{"family": network.family, "start": first(network, length), "length": length} in others
}

is_private(network) if {
	some range in private
	range.family == network.family
	range.length <= network.length
	first(network, range.length) == range.start
}

# The first address of the network of this length around another.
first(network, length) := floor(network.start / unit) * unit if {
	length < bits_of[network.family]
	unit := powers[bits_of[network.family] - length]
} else := network.start

# {"family": "4", "start": the first address as a number, "length": of the prefix}; undefined where it is no network.
parse(text) := masked("4", address, length) if {
	[address, length] := ipv4(trim_space(text))
}

else := embedded(groups, length) if {
	[groups, length] := ipv6(lower(trim_space(text)))
}

masked(family, start, length) := {
	"family": family,
	"start": first({"family": family, "start": start}, length),
	"length": length,
}

ipv4(text) := [address, length] if {
	[found] := regex.find_all_string_submatch_n(`^([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})(?:/([0-9]{1,3}))?$`, text, 1)
	octets := [octet | some part in array.slice(found, 1, 5); octet := decimal(part)]
	every octet in octets { octet < 256 }
	address := (((octets[0] * 16777216) + (octets[1] * 65536)) + (octets[2] * 256)) + octets[3]
	length := prefix(found[5], 32)
}

ipv6(text) := [groups, length] if {
	[found] := regex.find_all_string_submatch_n(`^([0-9a-f:]*:)((?:[0-9a-f]{1,4}|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+)?)(?:/([0-9]{1,3}))?$`, text, 1)
	halves := [written |
		some half in split(concat("", [found[1], tail(found[2])]), "::")
		written := [group | some group in split(half, ":"); group != ""]
	]
	groups := filled(halves)
	every group in groups { group < 65536 }
	length := prefix(found[3], 128)
}

# The last part of an IPv6 address, where it is written as IPv4, in two groups.
tail(text) := concat(":", [format_int(floor(address / 65536), 16), format_int(address % 65536, 16)]) if {
	[address, _] := ipv4(text)
} else := text

filled([all]) := [hexadecimal(group) | some group in all] if count(all) == 8

filled([left, right]) := [hexadecimal(group) | some group in array.concat(array.concat(left, zeros), right)] if {
	missing := 8 - (count(left) + count(right))
	missing >= 0
	zeros := ["0" | some _ in numbers.range(1, missing); missing > 0]
}

embedded(groups, length) := masked("4", (groups[6] * 65536) + groups[7], max([0, length - 96])) if {
	is_ipv4(groups)
} else := masked("4", (groups[1] * 65536) + groups[2], min([32, max([0, length - 16])])) if {
	groups[0] == 8194 # 2002::/16
} else := masked("6", ((groups[0] * 4294967296) + (groups[1] * 65536)) + groups[2], length)

# ::/96, ::ffff:0:0/96, 64:ff9b::/96
is_ipv4(groups) if {
	sum(array.slice(groups, 0, 5)) == 0
	groups[5] in {0, 65535}
}

is_ipv4(groups) if array.slice(groups, 0, 6) == [100, 65435, 0, 0, 0, 0]

prefix(text, longest) := longest if text == ""

else := decimal(text) if decimal(text) <= longest

decimal(text) := 0 if trim_left(text, "0") == ""

else := to_number(trim_left(text, "0"))

hexadecimal(text) := sum([value |
	some index in numbers.range(0, count(text) - 1)
	digit := indexof("0123456789abcdef", substring(text, index, 1))
	value := digit * powers[4 * ((count(text) - index) - 1)]
])
