"""Which connections count as one client: those from one address, or from one IPv6 network."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

UNKNOWN = "unknown"  # a Unix socket, or a connection that is closed already
_NETWORK = 8  # bytes of an IPv6 address that identify one customer, who can choose the rest


def sender_of(client: tuple[str, int] | None) -> str:
    """The address that a client's use is counted under."""
    return _sender(client[0]) if client else UNKNOWN


@lru_cache(1024)
def _sender(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return UNKNOWN
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else address.packed[:_NETWORK].hex()
    return str(address)
