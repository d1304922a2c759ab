"""Owns which addresses a health check must not ask: those that hand out a machine's credentials. Pure.

Whoever writes a spec would else have the manager, who may reach what they can't, knock there for them.
"""

import ipaddress
from collections.abc import Iterator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NETWORKS: tuple[Network, ...] = tuple(
    map(
        ipaddress.ip_network,
        (
            "169.254.0.0/16",
            "fe80::/10",
            "fd00:ec2::/32",  # AWS
            "fd20:ce::/32",  # Google Cloud
            "100.100.100.200/32",  # Alibaba Cloud
            "168.63.129.16/32",  # Azure
            "192.0.0.192/32",  # Oracle Cloud
        ),
    )
)
_NAMES = ("metadata", "metadata.goog", "metadata.google.internal", "instance-data", "instance-data.ec2.internal")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def parse_allowed(text: str) -> tuple[Network | str, ...]:
    """Addresses, networks and host names, comma-separated. Raises ValueError for a network that is none."""
    return tuple(_parse(part.strip().lower()) for part in text.split(",") if part.strip())


def _parse(part: str) -> Network | str:
    try:
        return ipaddress.ip_network(part)
    except ValueError:
        if "/" in part or ":" in part:
            raise
        return part


def is_refused_name(host: str, allowed: tuple[Network | str, ...]) -> bool:
    """True where a host is one of those names by which clouds serve metadata."""
    name = host.lower().rstrip(".")
    return name in _NAMES and name not in allowed


def is_refused_address(address: str, allowed: tuple[Network | str, ...]) -> bool:
    """True where an address, or one that is written within it, is link-local or serves metadata."""
    found = ipaddress.ip_address(address.partition("%")[0])
    networks = [one for one in allowed if not isinstance(one, str)]
    return any(_is_in(one, _NETWORKS) and not _is_in(one, networks) for one in _meanings(found))


def _is_in(address: Address, networks: tuple[Network, ...] | list[Network]) -> bool:
    return any(address in network for network in networks)


def _meanings(address: Address) -> Iterator[Address]:
    """The address, and the IPv4 one that an IPv6 one leads to."""
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        nat64 = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
        compatible = ipaddress.IPv4Address(int(address)) if 0xFFFF < int(address) <= 0xFFFFFFFF else None
        teredo = address.teredo[1] if address.teredo else None
        yield from (one for one in (address.ipv4_mapped, address.sixtofour, teredo, nat64, compatible) if one)
