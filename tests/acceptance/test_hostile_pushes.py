"""Whatever bytes arrive at the receiver, it never answers with a 5xx and never stops."""

import asyncio
import base64
import hmac
import json
import socket
import time

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from .conftest import Shared
from .feed import SECRET, Caller, push
from .sink import Sink
from .waiting import until, until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(60)]

hostile = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
names = st.sampled_from(
    [
        "content-type",
        "content-encoding",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "x-wistia-signature",
        "expect",
        "te",
        "authorization",
        "cookie",
        "x",
    ]
)
values = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"application/json", b"gzip", b"v1,", b"\xb2", b"0" * 5000, b"100-continue"]),
).map(lambda v: v.translate(None, b"\r\n\0"))
words = st.sampled_from(
    ["id", "status", "progress", "attempt", "occurred_at", "result", "error", "code", "message"]
)
odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["running", "succeeded", "queued", "9999-12-31T23:59:59+00:00", "0001-01-01"]),
)
trees = st.recursive(
    odd,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words | st.text(), inner),
    max_leaves=12,
)
updates = st.fixed_dictionaries(
    {"id": st.text(min_size=1, max_size=10) | odd, "status": st.just("running") | odd},
    optional={
        "progress": odd,
        "attempt": odd,
        "occurred_at": odd,
        "result": trees,
        "error": trees | st.fixed_dictionaries({"code": trees, "message": trees}),
    },
)
bodies = st.one_of(
    st.binary(max_size=200),
    (updates | trees | st.lists(updates, max_size=4)).map(lambda v: json.dumps(v).encode()),
)
printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)
paths = st.sampled_from([b"s0", b"wistia", b"nobody", b"%ff", b"s0%2f", b"..", b"%00"])


def send(port: int, path: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes:
    """Send one request as it stands; the answer."""
    lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    head = b"POST /hooks/%b HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" % path
    with socket.create_connection(("127.0.0.1", port), timeout=10.0) as line:
        line.sendall(head + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        answer = b""
        while chunk := line.recv(65536):
            answer += chunk
    return answer


def code(answer: bytes) -> int:
    """The final status of an answer."""
    status = int(answer.split(b" ", 2)[1])
    return code(answer.split(b"\r\n\r\n", 1)[1]) if status == 100 else status


@hostile
@given(path=paths, headers=st.lists(st.tuples(names.map(str.encode), values)), body=bodies)
def test_arbitrary_requests_are_the_callers_fault(
    shared: Shared, path: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    assert 200 <= code(send(shared.system.port, path, headers, body)) < 500


async def test_signed_garbage_is_taken_or_refused_and_stops_nobody(
    shared: Shared, caller: Caller, source: str
) -> None:
    port, path, taken = shared.system.port, source.encode(), set[str]()

    @hostile
    @given(body=bodies, name=printable)
    @example(b"[" * 100_000, "deep")
    @example(b'{"id":"x","status":"running","result":' + b"[" * 400 + b"]" * 400 + b"}", "deeper")
    @example(b'{"id":"x","status":"running","attempt":2147483647}', "attempt")
    @example(b'{"id":"y","status":"failed","occurred_at":253402300799.9999999}', "late")
    @example(b'{"id":"\\ud800","status":"running"}', "surrogate")
    @example(b'{"id":"' + b"x" * 513 + b'","status":"running"}', "long")
    def attack(body: bytes, name: str) -> None:
        answer = send(port, path, signed(name, body), body)
        assert code(answer) in {202, 400}
        receipt = json.loads(answer.partition(b"\r\n\r\n")[2])
        some = receipt.get("duplicates") or receipt.get("unreadable")  # of which, nobody can say
        if receipt.get("accepted") and not some:
            taken.update(ids(body))
        wistia = hmac.new(b"made-up", body, "sha256").hexdigest().encode()
        headers = [(b"Content-Type", b"application/json"), (b"X-Wistia-Signature", wistia)]
        assert code(send(port, b"wistia", headers, body)) in {202, 400}

    await asyncio.to_thread(attack)
    async with Sink() as sink:
        await caller.subscribe(sink, source)
        assert await caller.push(push(source, "canary", "succeeded")) == 202
        await until(lambda: "canary" in sink.jobs, 5, "the callback of an honest push")

    async def all_taken() -> bool:
        jobs = await caller.items(f"/v1/jobs?source={source}")
        return taken <= {job["id"] for job in jobs}

    await until_it(all_taken, 5, "a job for every accepted update")
    assert "worker_error" not in shared.system.children["worker"].log()


def signed(name: str, body: bytes) -> list[tuple[bytes, bytes]]:
    """The headers of a push whose signature is good, whatever it is of."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    now = int(time.time())
    mac = hmac.digest(key, f"{name}.{now}.".encode() + body, "sha256")
    return [
        (b"Content-Type", b"application/json"),
        (b"webhook-id", name.encode()),
        (b"webhook-timestamp", b"%d" % now),
        (b"webhook-signature", b"v1," + base64.b64encode(mac)),
    ]


def ids(body: bytes) -> set[str]:
    """The ids in a push that was taken."""
    document = json.loads(body)
    return {str(one["id"]) for one in (document if isinstance(document, list) else [document])}
