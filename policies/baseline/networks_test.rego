package setpoint.baseline.networks_test

import data.setpoint.baseline.networks

test_the_world_by_any_spelling if {
	every text in [
		"0.0.0.0/0", "1.2.3.4/0", "000.0.0.0/00", "::/0", "0::/0", "0:0:0:0:0:0:0:0/0", "abcd::/0", " ::/0 ", "2000::/3",
		"::ffff:0:0/96", "::ffff:0.0.0.0/96", "::FFFF:0.0.0.0/96", "::/80", "64:ff9b::/96", "2002::/16",
		"*", "Internet", "any",
	] {
		networks.is_world([text])
	}
}

test_halves_are_the_world if {
	networks.is_world(["0.0.0.0/1", "128.0.0.0/1"])
	networks.is_world(["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/1"])
	networks.is_world(["::/1", "8000::/1"])
	networks.is_world(["::ffff:0.0.0.0/97", "::ffff:128.0.0.0/97"])
	networks.is_world([sprintf("%d.0.0.0/9", [first]) | some first in numbers.range(11, 20)])
}

test_a_network_is_not_the_world if {
	every text in [
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "203.0.113.7/32", "3.0.0.0/8", "2001:db8::/32", "fd00::/8",
		"fe80::/10", "::1/128", "::ffff:10.0.0.0/104", "2a00::/16", "203.0.113.7", "banana", "",
	] {
		not networks.is_world([text])
	}
	not networks.is_world(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"])
}

test_what_is_held_by_another_counts_once if {
	not networks.is_world(["3.0.0.0/8", "3.1.0.0/16", "3.128.0.0/9", "3.0.0.0/9"])
	networks.is_world(["3.0.0.0/8", "4.0.0.0/16"])
}

test_what_is_no_network_is_told if {
	networks.unreadable(["10.0.0.0/8", "::/0", "*", "2001:db8::/32"]) == set()
	every text in ["banana", "1.2.3.400/8", "1.2.3.4/33", "::/129", "1::2::3/64", "/0", ":/0", "1.2.3/8", "12345::/16", "1:2:3:4:5:6:7:8:9"] {
		networks.unreadable([text]) == {text}
	}
}

test_how_wide_is_a_parameter if {
	networks.is_world(["3.0.0.0/16"]) with data.params as {"widest_ipv4": 20}
	not networks.is_world(["3.0.0.0/7"]) with data.params as {"widest_ipv4": 4}
	networks.is_world(["2a00::/20"]) with data.params as {"widest_ipv6": 32}
}

test_networks_are_read_as_numbers if {
	networks.parse("10.1.2.3/8") == {"family": "4", "start": 167772160, "length": 8}
	networks.parse("::ffff:10.1.2.3") == {"family": "4", "start": 167838211, "length": 32}
	networks.parse("2001:db8::1/32") == {"family": "6", "start": 35188897218560, "length": 32}
	networks.parse("1:2:3:4:5:6:7:8/48").start == 4295098371
}
