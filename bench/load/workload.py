"""What every contender is given: signed pushes of 1 KiB, two a job, as ready HTTP bytes.

The pushes are those of an in-house service (Ringback's `standard` provider), signed as
Standard Webhooks. Everything here happens before the clock starts.
"""

import base64
import hmac
import time

PUSH_KEY = bytes(range(32))
PUSH_SECRET = "whsec_" + base64.b64encode(PUSH_KEY).decode()
PATH = "/hooks/bench"
SIZE = 1024  # bytes of a push's body
BETWEEN = 50  # jobs begun before a job's second push: about 100 pushes
ID_DIGITS = 7


def mark(run: int) -> bytes:
    """Return how the job ids of one run begin; nothing else in a callback reads like it."""
    return b"run%04d-" % run


def job_id(run: int, number: int) -> bytes:
    """Return a job's id: the same length for every job of a run."""
    return mark(run) + b"%0*d" % (ID_DIGITS, number)


def body(job: bytes, status: bytes, progress: bytes) -> bytes:
    """Return one push's JSON, padded with a result to exactly SIZE bytes."""
    head = b'{"id":"%s","status":"%s","progress":%s,"result":{"note":"' % (job, status, progress)
    return head + b"x" * (SIZE - len(head) - 3) + b'"}}'


def signed(message_id: bytes, content: bytes) -> bytes:
    """Return a whole POST, signed now as Standard Webhooks 1.0.0 asks."""
    at = b"%d" % time.time()
    digest = hmac.digest(PUSH_KEY, b"%s.%s.%s" % (message_id, at, content), "sha256")
    return (
        b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\nwebhook-id: %s\r\nwebhook-timestamp: %s\r\n"
        b"webhook-signature: v1,%s\r\n\r\n%s"
    ) % (PATH.encode(), len(content), message_id, at, base64.b64encode(digest), content)


def running(job: bytes) -> bytes:
    """Return a job's first push."""
    return signed(b"msg_%s_1" % job, body(job, b"running", b"0.5"))


def succeeded(job: bytes) -> bytes:
    """Return a job's last push."""
    return signed(b"msg_%s_2" % job, body(job, b"succeeded", b"1.0"))


def push(run: int, number: int, final: bool) -> bytes:  # noqa: FBT001 - which of its two
    """Return the first or the last push of a job."""
    return (succeeded if final else running)(job_id(run, number))


def order(jobs: int) -> list[tuple[int, bool]]:
    """Return the pushes of so many jobs: a job's number, and whether it is its last push.

    A job's second push comes about 100 pushes after its first.
    """
    found: list[tuple[int, bool]] = []
    for number in range(jobs + BETWEEN):
        if number < jobs:
            found.append((number, False))
        if number >= BETWEEN:
            found.append((number - BETWEEN, True))
    return found


def pushes(run: int, jobs: int) -> list[bytes]:
    """Return two pushes for each job."""
    return [push(run, *one) for one in order(jobs)]
