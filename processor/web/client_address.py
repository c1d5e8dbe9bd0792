"""Which connections count as one sender's: those from one address, or from one IPv6 network."""

from ipaddress import IPv6Address, ip_address

UNKNOWN = "unknown"  # a Unix socket, or a connection that is gone already
_NETWORK = 8  # bytes of an IPv6 address that one customer has; the rest is theirs to choose


def sender_of(client: tuple[str, int] | None) -> str:
    """The address that a client's share is counted under."""
    if not client:
        return UNKNOWN
    try:
        address = ip_address(client[0])
    except ValueError:
        return UNKNOWN
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else address.packed[:_NETWORK].hex()
    return str(address)
