"""Outbound HTTP: one client, and the SSRF guard that decides where it may connect.

    url ─▶ guard.authorize_url                    checks the text of the URL        BlockedTarget
           request_head                           checks names and values           RequestFailed
           connection_pool ─▶ reuses, or waits for a place in the pool
              connector ─▶ resolver               checks every resolved address     BlockedTarget
                        └▶ socket, TLS            checks the connected address      BlockedTarget
              connection ─▶ one write, then reads a response within limits
           salvage, compression                   the status of a malformed one
           model.HttpResponse                                                    or RequestFailed

addresses        IP addresses that are denied (SSRF), some of them always
ports            ports that are denied
hosts            normalizes the host of a URL
urls             splits and normalizes a URL
policy           the operator's allow list
guard            decides where a request may go
failures         errors of outbound requests, in words that reveal nothing
request_head     writes the head of a request; header injection is refused
resolver         DNS resolution, with a cache
connector        opens connections; each address is checked
connection       one HTTP/1.1 connection: sends a request, and reads its response within limits
places           limits how many requests run at once, in the order in which they came
connection_pool  reuses connections, and limits how many are open
salvage          reads the malformed head of a response as far as possible
compression      decompresses unrequested compressed responses, within limits
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
