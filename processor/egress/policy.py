"""The operator's allow list: private networks and hosts that API-supplied URLs may reach."""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Self

import msgspec

from processor.egress import addresses, hosts
from processor.egress.addresses import Address, Network

METADATA = "link-local or cloud metadata"
_SHAPE = "write a CIDR like 10.20.0.0/16, or a bare host name like hooks.internal"


class Policy(msgspec.Struct, frozen=True):
    """`[egress] allow`, compiled once; `Policy()` allows nothing private.

    `allow` holds CIDRs and exact host names; the other two fields are derived from it. Allowed
    targets may also use plain http. Link-local and metadata addresses are never allowed.
    """

    allow: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    names: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Compile `allow`; ValueError names each bad entry and the remedy, a line each."""
        entries, problems = list[str | Network](), list[str]()
        for text in self.allow:
            try:
                entries.append(_entry(text))
            except ValueError as error:
                problems.append(str(error))
        if problems:
            raise ValueError("\n".join(problems))
        networks = tuple(entry for entry in entries if not isinstance(entry, str))
        names = frozenset(entry for entry in entries if isinstance(entry, str))
        msgspec.structs.force_setattr(self, "networks", networks)
        msgspec.structs.force_setattr(self, "names", names)

    @classmethod
    def parse(cls, entries: Sequence[str]) -> Self:
        """Compile the entries; ValueError names each bad one and the remedy, a line each."""
        return cls(tuple(entries))

    def covers(self, address: Address) -> bool:
        """Whether the address is in an allowed network."""
        return any(address in network for network in self.networks)

    def refuses(self, address: Address) -> str | None:
        """The kind of an address that API-supplied URLs may not reach, or None.

        With an allowed NAT64 prefix, the IPv4 address inside is checked as well.
        """
        if addresses.is_metadata(address):
            return METADATA
        kind = None if self.covers(address) else addresses.non_public_kind(address)
        inside = addresses.embedded_in_nat64(address)
        return kind or (None if inside is None else self.refuses(inside))


def _entry(text: str) -> str | Network:
    """Parse one entry; one that could never match is refused, so that nobody relies on it."""
    try:
        entry = _read(text)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}; {_SHAPE}") from None
    if not isinstance(entry, str) and any(
        entry[0] in network and entry[-1] in network for network in addresses.NEVER
    ):
        raise ValueError(f"{text!r} is {METADATA}, never reached; remove it")
    return entry


def _read(text: str) -> str | Network:
    """Parse a network, a single address, or a host name."""
    if "/" in text:
        return ip_network(text)
    host = addresses.parse(text) or hosts.read(text)
    return host if isinstance(host, str) else ip_network(host)
