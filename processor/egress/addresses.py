"""The IP addresses that SSRF protection denies: a table, and a list without exceptions.

Python's own `is_global` does not decide this: in 3.11 it is true for 224.0.0.1, for
2002:a00:1::1 (6to4 of 10.0.0.1), for 64:ff9b::a9fe:a9fe (NAT64 of 169.254.169.254) and for
168.63.129.16 (Azure's host agent).
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Denied to everybody, the operator's own configuration included: these services hand out the
# machine's credentials, and no provider or subscriber uses these addresses.
NEVER: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "169.254.0.0/16",  # link-local; metadata of AWS, Google, Azure, OpenStack
        "fe80::/10",  # link-local
        "fd00:ec2::/32",  # AWS: metadata ::254, DNS ::253, time ::123, pod identity ::23
        "fd20:ce::254/128",  # Google metadata
        "fd00:42::42/128",  # Scaleway metadata
        "100.100.100.200/32",  # Alibaba metadata
        "168.63.129.16/32",  # Azure host agent, publicly routed
        "192.0.0.192/32",  # Oracle metadata
    )
)

# Denied to everybody except the operator, unless on the allow list. The first match names the kind.
DENIED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(text), kind)
    for text, kind in (
        ("0.0.0.0/8", "this-host"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignment"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),  # holds 255.255.255.255
        ("::/128", "this-host"),
        ("::1/128", "loopback"),
        ("::/96", "IPv4-compatible"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("100::/64", "discard-only"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "protocol assignment"),  # holds ORCHID
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "private"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
        ("::/3", "reserved"),  # this and the next two: everything except 2000::/3,
        ("4000::/2", "reserved"),  # the only block for global
        ("8000::/1", "reserved"),  # unicast addresses
    )
)

NAT64 = IPv6Network("64:ff9b::/96")
_EMBEDDING = tuple(
    IPv6Network(text)
    for text in (
        "::/96",  # IPv4-compatible
        "::ffff:0:0:0/96",  # IPv4-translated (SIIT)
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64, a site's own
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
    )
)
_ISATAP = (bytes.fromhex("00005efe"), bytes.fromhex("02005efe"))


def parse(text: str) -> Address | None:
    """Parse an address from a resolver or a socket; None if the text is not an address.

    A scope id is dropped, and ::ffff:a.b.c.d becomes a.b.c.d: the kernel connects to the same host.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address if isinstance(address, IPv4Address) else address.ipv4_mapped or address


def is_metadata(address: Address) -> bool:
    """Whether it is link-local or a cloud's metadata service, in any spelling."""
    return any(face in network for face in (address, *_embedded_ipv4(address)) for network in NEVER)


def non_public_kind(address: Address) -> str | None:
    """The kind of a non-public address, such as "private"; None for a public one."""
    return next((kind for network, kind in DENIED if address in network), None)


def embedded_in_nat64(address: Address) -> IPv4Address | None:
    """The IPv4 address that a NAT64 gateway would connect to, or None."""
    return IPv4Address(address.packed[12:]) if address in NAT64 else None


def _embedded_ipv4(address: Address) -> Iterator[IPv4Address]:
    """Yield every IPv4 address that a translator or tunnel could extract from this one.

    The position of the four bytes depends on the translator's prefix (RFC 6052 skips byte 8,
    Teredo inverts), so every window is tried; an ordinary address has none.
    """
    if not isinstance(address, IPv6Address) or not _embeds(address):
        return
    raw = address.packed
    for view in (raw, raw[:8] + raw[9:], bytes(byte ^ 0xFF for byte in raw)):
        for start in range(len(view) - 3):
            yield IPv4Address(view[start : start + 4])


def _embeds(address: IPv6Address) -> bool:
    return address.packed[8:12] in _ISATAP or any(address in network for network in _EMBEDDING)
