"""SSRF guard: decides by the text of a URL, and by each IP address, where a request may go."""

import re
from enum import StrEnum

from processor.egress import addresses, ports, urls
from processor.egress.addresses import Address
from processor.egress.policy import METADATA, Policy
from processor.errors import BlockedTarget


class NetworkScope(StrEnum):
    """Which networks a request may reach, depending on who supplied the URL."""

    PUBLIC = "public"  # from the API or a provider: public addresses and the allow list
    CONFIGURED = "configured"  # from the operator's own file: private ones and http as well


class DeniedAddressError(BlockedTarget, OSError):
    """The guard denies an address. It is an OSError, so that the race of addresses passes it on."""


# Names that exist only in private networks: RFC 6761, 6762 with its appendix G, 8375, and
# `internal`, which ICANN reserved.
_LOCAL = re.compile(
    r"(?:.*\.)?(?:localhost|localdomain|local|internal|intranet|private|corp|home|lan|home\.arpa)"
)
_ALLOW = "; use a public one over https, or have the operator list it under [egress] allow"
_NEVER = ", which is never reached"

# Without the address: a tenant must not learn how a name resolves inside the operator's network.
_RESOLVED = {
    NetworkScope.PUBLIC: f"the host has an address that is not public{_ALLOW}",
    NetworkScope.CONFIGURED: f"the host has a {METADATA} address{_NEVER}",
}


def check_url(url: str, policy: Policy, scope: NetworkScope = NetworkScope.PUBLIC) -> None:
    """Raise BlockedTarget, with a message for the caller, if the URL is denied by its text.

    No name is resolved: a URL that passes may still be denied when connecting.
    """
    authorize_url(url, policy, scope)


def authorize_url(
    url: str, policy: Policy, scope: NetworkScope
) -> tuple[urls.ParsedUrl, NetworkScope]:
    """Check a URL; return it normalized, with the scope that applies to its addresses.

    A host name on the allow list gets the scope CONFIGURED.
    """
    parts = urls.split(url)
    named = parts.host in policy.names
    if not isinstance(parts.host, str) and (kind := denied_kind(parts.host, policy, scope)):
        remedy = _NEVER if kind == METADATA else _ALLOW
        raise BlockedTarget(f"{parts.host} is a {kind} address{remedy}")
    if scope is NetworkScope.PUBLIC:
        _demand_public(parts, policy)
    return parts, NetworkScope.CONFIGURED if named else scope


def denied_kind(address: Address, policy: Policy, scope: NetworkScope) -> str | None:
    """The kind of an address that this scope does not include, or None."""
    if scope is NetworkScope.PUBLIC:
        return policy.refuses(address)
    return METADATA if addresses.is_metadata(address) else None


def check_address(text: str, policy: Policy, scope: NetworkScope) -> None:
    """Raise DeniedAddressError unless the text is an address within this scope."""
    address = addresses.parse(text)
    if address is None or denied_kind(address, policy, scope):
        raise DeniedAddressError(_RESOLVED[scope])


def _demand_public(parts: urls.ParsedUrl, policy: Policy) -> None:
    """Refuse ports, plain http and local names, which a URL from the API may not use."""
    host = parts.host
    if belongs := ports.denied_reason(parts.port):
        raise BlockedTarget(f"port {parts.port} {belongs}; use 443, 8443 or a free one over 1023")
    if host in policy.names if isinstance(host, str) else policy.covers(host):
        return
    if parts.scheme == "http":
        raise BlockedTarget(f"{host} would be reached over plain http{_ALLOW}")
    if isinstance(host, str) and ("." not in host or _LOCAL.fullmatch(host)):
        raise BlockedTarget(f"{host} is a local name{_ALLOW}")
