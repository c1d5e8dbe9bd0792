"""Where a request may go: what a URL's text decides, and what an address decides."""

import re
from enum import StrEnum

from processor.egress import addresses, ports, urls
from processor.egress.addresses import Address
from processor.egress.policy import METADATA, Policy
from processor.errors import BlockedTarget


class NetworkScope(StrEnum):
    """Whose URL it is, and so how far it may lead."""

    PUBLIC = "public"  # from the API or a provider: public addresses and the allow list
    CONFIGURED = "configured"  # from the operator's own file: private ones and http as well


class DeniedAddressError(BlockedTarget, OSError):
    """An address may not be connected to. An OSError, so that aiohttp carries it up whole."""


# Names that only a private network answers: RFC 6761, 6762 with its appendix G, 8375, and
# `internal`, which ICANN set aside.
_LOCAL = re.compile(
    r"(?:.*\.)?(?:localhost|localdomain|local|internal|intranet|private|corp|home|lan|home\.arpa)"
)
_ALLOW = "; use a public one over https, or have the operator list it under [egress] allow"
_NEVER = ", which is never reached"

# Without the address: a tenant must not learn what a name means inside the operator's network.
_RESOLVED = {
    NetworkScope.PUBLIC: f"the host has an address that is not public{_ALLOW}",
    NetworkScope.CONFIGURED: f"the host has a {METADATA} address{_NEVER}",
}


def check_url(url: str, policy: Policy, scope: NetworkScope = NetworkScope.PUBLIC) -> None:
    """Raise BlockedTarget, its message fit for the caller, if the text alone forbids the URL.

    No name is looked up: a URL that passes can still be refused when it is connected to.
    """
    authorize_url(url, policy, scope)


def authorize_url(url: str, policy: Policy, scope: NetworkScope) -> tuple[str, NetworkScope]:
    """Judge a URL; give it in one spelling, with the reach that its addresses are judged by.

    A host that the policy names is connected to as freely as a configured one.
    """
    parts = urls.split(url)
    named = parts.host in policy.names
    if not isinstance(parts.host, str) and (kind := denied_kind(parts.host, policy, scope)):
        remedy = _NEVER if kind == METADATA else _ALLOW
        raise BlockedTarget(f"{parts.host} is a {kind} address{remedy}")
    if scope is NetworkScope.PUBLIC:
        _demand_public(parts, policy)
    return parts.written(), NetworkScope.CONFIGURED if named else scope


def denied_kind(address: Address, policy: Policy, scope: NetworkScope) -> str | None:
    """Name the kind of address that this reach does not extend to, or None."""
    if scope is NetworkScope.PUBLIC:
        return policy.refuses(address)
    return METADATA if addresses.is_metadata(address) else None


def check_address(text: str, policy: Policy, scope: NetworkScope) -> None:
    """Raise DeniedAddressError unless the text is an address that this reach extends to."""
    address = addresses.parse(text)
    if address is None or denied_kind(address, policy, scope):
        raise DeniedAddressError(_RESOLVED[scope])


def _demand_public(parts: urls.ParsedUrl, policy: Policy) -> None:
    """Refuse ports, plain http and local names that a URL from the API may not have."""
    host = parts.host
    if belongs := ports.denied(parts.port):
        raise BlockedTarget(f"port {parts.port} {belongs}; use 443, 8443 or a free one over 1023")
    if host in policy.names if isinstance(host, str) else policy.covers(host):
        return
    if parts.scheme == "http":
        raise BlockedTarget(f"{host} would be asked over plain http{_ALLOW}")
    if isinstance(host, str) and ("." not in host or _LOCAL.fullmatch(host)):
        raise BlockedTarget(f"{host} is a local name{_ALLOW}")
