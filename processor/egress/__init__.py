"""Outbound HTTP: one client, and the SSRF guard that decides where it may connect.

    url ─▶ guard.authorize_url          checks the text of the URL       BlockedTarget
           resolver.GuardedResolver     checks every resolved address    BlockedTarget
           connection_pool.make_pool    checks the connected address     BlockedTarget
           model.HttpResponse                                            or RequestFailed

addresses        IP addresses that are denied (SSRF), some of them always
ports            ports that are denied
hosts            normalizes the host of a URL
urls             splits and normalizes a URL
policy           the operator's allow list
guard            decides where a request may go
resolver         DNS resolution; each address is checked
failures         errors of outbound requests, in words that reveal nothing
compression      decompresses unrequested compressed responses, within limits
recording        connections that keep a response's bytes until it is complete
salvage          reads a malformed response from its bytes as far as possible
connection_pool  the connection pools, which check the final address
responses        reads the body and headers of a response, within limits
client           the client
"""

from processor.egress.client import Egress
from processor.egress.guard import NetworkScope, check_url
from processor.egress.policy import Policy

__all__ = [
    "Egress",
    "NetworkScope",
    "Policy",
    "check_url",
]
