"""Outbound HTTP: one client, and the guard that decides where it may connect.

    url ─▶ guard.aim                    its text               BlockedTarget
           resolve.GuardedResolver      every address it has   BlockedTarget
           connect.pool                 the one connected to   BlockedTarget
           model.Answer                                        or RequestFailed

addresses   which IP addresses are denied, and which always
ports       which ports are denied
hosts       a host in one spelling
urls        a URL taken apart in one way only
policy      the operator's allow list
guard       where a request may go
resolve     names to addresses, every one judged
connect     the pools, judging the final address
answers     what is taken from an answer
compression answers that are compressed though we ask for none, opened within bounds
recording   connections that keep an answer's bytes until it is done
salvage     what can be read of an answer that is not quite HTTP
failures    what went wrong, in words that give nothing away
client      the client
"""

from processor.egress.client import Egress
from processor.egress.guard import Reach, check_url
from processor.egress.policy import Policy

__all__ = ["Egress", "Policy", "Reach", "check_url"]
