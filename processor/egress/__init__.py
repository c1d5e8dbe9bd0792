"""Outbound HTTP: one client, and the guard against SSRF that decides where it may connect.

    url ─▶ guard.aim                    its text               BlockedTarget
           resolver.GuardedResolver     every address it has   BlockedTarget
           connection_pool.pool         the one connected to   BlockedTarget
           model.Answer                                        or RequestFailed

addresses        which IP addresses are denied, and which always
ports            which ports are denied
hosts            a host in one spelling
urls             a URL taken apart in one way only
policy           the operator's allow list
guard            where a request may go
resolver         names to addresses, each of them checked
failures         what went wrong, in words that reveal nothing
compression      compressed responses that we did not ask for, opened within bounds
recording        connections that keep a response's bytes until it is complete
salvage          what can be read of a response that is not quite HTTP
connection_pool  the pools, which check the final address
responses        what is read of a response
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
