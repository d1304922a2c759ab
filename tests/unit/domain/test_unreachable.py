"""Addresses that no health check asks."""

import pytest

from setpoint.domain.unreachable import is_refused_address, is_refused_name, parse_allowed


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("169.254.169.254", True),
        ("169.254.0.1", True),
        ("fe80::1", True),
        ("fe80::1%eth0", True),
        ("fd00:ec2::254", True),
        ("fd20:ce::254", True),
        ("::ffff:169.254.169.254", True),
        ("::169.254.169.254", True),
        ("64:ff9b::a9fe:a9fe", True),
        ("2002:a9fe:a9fe::1", True),
        ("100.100.100.200", True),
        ("168.63.129.16", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("169.253.255.255", False),
        ("100.100.100.201", False),
        ("::1", False),
        ("2001:db8::1", False),
        ("::ffff:10.0.0.1", False),
    ],
)
def test_addresses(address: str, refused: bool) -> None:
    assert is_refused_address(address, ()) is refused


@pytest.mark.parametrize("host", ["metadata.google.internal", "METADATA.google.internal.", "instance-data", "metadata"])
def test_names(host: str) -> None:
    assert is_refused_name(host, ())
    assert not is_refused_name(host, parse_allowed(f"x, {host.lower().rstrip('.')}"))
    assert not is_refused_name(f"{host.rstrip('.')}.example.com", ())


@pytest.mark.parametrize(
    ("allowed", "address"),
    [
        ("169.254.20.0/24", "169.254.20.10"),
        ("169.254.20.10", "169.254.20.10"),
        ("169.254.20.10", "::ffff:169.254.20.10"),
        ("fe80::/64, example.com", "fe80::7"),
    ],
)
def test_what_is_allowed(allowed: str, address: str) -> None:
    assert not is_refused_address(address, parse_allowed(allowed))
    assert is_refused_address("169.254.169.254", parse_allowed(allowed))


@pytest.mark.parametrize("text", ["169.254.0.0/40", "10.0.0.1/8", "fe80::/zz"])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match=r"network|host bits"):
        parse_allowed(text)
