"""Outbound requests never reach a denied address, and end in a response or a single error."""

import asyncio
import random
import socket
import threading
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import pytest
import uvloop

from processor.egress import Egress, NetworkScope, Policy
from processor.errors import BlockedTarget, RequestFailed

from .site import OK, OK_AND_CLOSE, Names, Site, chunked, sized

NOTHING = Policy()
HOSTILE = [
    line.encode().decode("unicode_escape")
    for line in Path(__file__).with_name("hostile_urls.txt").read_text().splitlines()
    if line and not line.startswith("# ")
]


@pytest.fixture
def tls(tls_for):
    return tls_for("hooks.example")


async def post(egress, url, **options):
    return await egress.request("POST", url, headers={}, body=b"{}", **options)


# -- where requests may go ------------------------------------------------------------------------


async def test_no_hostile_url_reaches_a_listener_on_this_machine():
    everywhere = Names(defaultdict(lambda: ["127.0.0.1"]))
    async with Site() as canary, Egress(NOTHING, resolver=everywhere) as egress:
        for url in HOSTILE:
            with pytest.raises(BlockedTarget):
                await post(egress, url.replace("CANARY", str(canary.port)))
        assert await canary.visits() == 0


def test_no_hostile_url_reaches_a_listener_under_uvloop_either():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test_no_hostile_url_reaches_a_listener_on_this_machine())
        runner.run(test_a_name_with_a_denied_address_is_not_connected_to(["127.0.0.1"]))
        runner.run(test_the_final_address_is_checked_even_if_the_resolver_was_fooled(["127.0.0.1"]))


ANSWERS = [
    ["127.0.0.1"],
    ["::1"],
    ["::ffff:127.0.0.1"],
    ["127.0.0.1", "::1"],
    ["8.8.8.8", "127.0.0.1"],
    ["127.0.0.1", "8.8.8.8"],
    ["2606:4700::1111", "8.8.8.8", "127.0.0.1"],
    ["10.0.0.1"],
    ["169.254.169.254"],
    ["::ffff:169.254.169.254"],
    ["64:ff9b::a9fe:a9fe"],
    ["64:ff9b::8.8.8.8"],
    ["2002:7f00:1::"],
    ["fd00:ec2::254"],
    ["fe80::1%lo"],
    ["168.63.129.16"],
    ["0.0.0.1"],
    ["0"],
    ["2130706433"],
    ["localhost"],
    [""],
]


@pytest.mark.parametrize("answer", ANSWERS, ids=" ".join)
async def test_a_name_with_a_denied_address_is_not_connected_to(answer):
    async with (
        Site() as canary,
        Egress(NOTHING, resolver=Names({"hooks.example": answer})) as egress,
    ):
        with pytest.raises(BlockedTarget, match="has an address that is not public") as refused:
            await post(egress, f"https://hooks.example:{canary.port}/")
        assert await canary.visits() == 0
        assert not any(text in str(refused.value) for text in answer if text)


@pytest.mark.parametrize("answer", [*ANSWERS[:4], *ANSWERS[7:17]], ids=" ".join)
async def test_the_final_address_is_checked_even_if_the_resolver_was_fooled(answer):
    async with Site() as canary, Egress(NOTHING) as egress:
        connector = egress._pools[NetworkScope.PUBLIC]._connector
        connector._resolve = Names({"hooks.example": answer}).resolve
        with pytest.raises(BlockedTarget):
            await post(egress, f"https://hooks.example:{canary.port}/")
        assert await canary.visits() == 0


async def test_a_name_that_is_rebound_is_refused_on_its_next_connection(tls):
    server, client = tls
    names = Names({"hooks.example": ["127.0.0.1"]})
    policy = Policy.parse(["127.0.0.1/32"])
    async with (
        Site(OK_AND_CLOSE, tls=server) as site,
        Egress(policy, resolver=names, tls=client) as egress,
    ):
        url = f"https://hooks.example:{site.port}/"
        assert (await post(egress, url)).status == 200
        names.table["hooks.example"] = ["127.0.0.2"]
        egress._resolver._answers.clear()
        with pytest.raises(BlockedTarget):
            await post(egress, url)
        assert names.asked == 2


async def test_the_operators_own_urls_reach_loopback_and_private_names():
    names = Names({"encoder": ["127.0.0.1"]})
    async with Site() as site, Egress(NOTHING, resolver=names) as egress:
        for host in ("127.0.0.1", "encoder", "[::ffff:127.0.0.1]"):
            url = f"http://{host}:{site.port}/"
            assert (await post(egress, url, scope=NetworkScope.CONFIGURED)).body == b"ok"
        assert len(site.requests) == 3


async def test_a_name_is_looked_up_as_the_system_does():
    async with Site() as site, Egress(NOTHING) as egress:
        url = f"http://localhost:{site.port}/"
        assert (await post(egress, url, scope=NetworkScope.CONFIGURED)).status == 200


async def test_unanswered_names_do_not_block_other_names(monkeypatch):
    loop, stuck, release = asyncio.get_running_loop(), asyncio.Semaphore(0), threading.Event()
    getaddrinfo = socket.getaddrinfo

    def slow(host, *rest, **more):
        if host == "localhost":
            return getaddrinfo(host, *rest, **more)
        loop.call_soon_threadsafe(stuck.release)
        release.wait(10)
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    async with Site() as site, Egress(NOTHING) as egress, asyncio.timeout(10):
        urls = [f"http://slow{number}.example/" for number in range(20)]
        waiting = [
            asyncio.create_task(post(egress, url, scope=NetworkScope.CONFIGURED)) for url in urls
        ]
        for _ in waiting:
            await stuck.acquire()
        url = f"http://localhost:{site.port}/"
        assert (await post(egress, url, scope=NetworkScope.CONFIGURED)).status == 200
        release.set()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert {str(end) for end in ends} == {"DNS: the host name does not resolve"}


async def test_the_operators_own_urls_reach_ipv6_loopback():
    async with Site() as site, Egress(NOTHING) as egress:
        if len(site.servers) == 1:
            pytest.skip("this machine has no IPv6 loopback")
        answer = await post(egress, f"http://[::1]:{site.port}/", scope=NetworkScope.CONFIGURED)
        assert answer.status == 200


@pytest.mark.parametrize(
    "answer",
    [["169.254.169.254"], ["127.0.0.1", "fe80::1"], ["::ffff:a9fe:a9fe"], ["64:ff9b::a9fe:a9fe"]],
    ids=" ".join,
)
async def test_the_operators_own_names_never_reach_link_local_addresses(answer):
    async with (
        Site() as canary,
        Egress(NOTHING, resolver=Names({"encoder": answer})) as egress,
    ):
        with pytest.raises(BlockedTarget, match="link-local or cloud metadata"):
            await post(egress, f"http://encoder:{canary.port}/", scope=NetworkScope.CONFIGURED)
        assert await canary.visits() == 0


async def test_an_allowed_network_or_name_is_reached_over_plain_http():
    policy = Policy.parse(["127.0.0.0/8", "hooks.internal"])
    names = Names({"hooks.internal": ["127.0.0.1"], "other.internal": ["127.0.0.1"]})
    async with Site() as site, Egress(policy, resolver=names) as egress:
        assert (await post(egress, site.url)).status == 200
        assert (await post(egress, f"http://hooks.internal:{site.port}/")).status == 200
        with pytest.raises(BlockedTarget):
            await post(egress, f"https://other.internal:{site.port}/")


async def test_a_connection_opened_for_the_operator_is_not_shared(tls):
    server, client = tls
    names = Names({"hooks.example": ["127.0.0.1"]})
    async with Site(tls=server) as site, Egress(NOTHING, resolver=names, tls=client) as egress:
        url = f"https://hooks.example:{site.port}/"
        for _ in range(2):
            assert (await post(egress, url, scope=NetworkScope.CONFIGURED)).status == 200
        with pytest.raises(BlockedTarget):
            await post(egress, url)
        assert (site.connections, len(site.requests)) == (1, 2)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_returned_and_not_followed(status):
    async with Site() as canary:
        redirect = f"HTTP/1.1 {status} Away\r\nlocation: {canary.url}\r\ncontent-length: 0\r\n\r\n"
        async with Site(redirect.encode()) as site, Egress(NOTHING) as egress:
            answer = await post(egress, site.url, scope=NetworkScope.CONFIGURED)
        assert (answer.status, await canary.visits()) == (status, 0)


async def test_proxy_settings_of_the_environment_are_ignored(monkeypatch):
    async with Site() as canary, Site() as site:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, canary.url)
        async with Egress(NOTHING) as egress:
            await post(egress, site.url, scope=NetworkScope.CONFIGURED)
        assert (canary.connections, site.connections) == (0, 1)


# -- what is sent, and what comes back ------------------------------------------------------------


async def test_a_request_is_sent_as_given_with_few_headers_of_our_own():
    async with Site() as site, Egress(NOTHING, user_agent="Ringback/9") as egress:
        await egress.request(
            "POST",
            f"{site.url}/a%2Fb/../c?sig=a%2Bb+c%20~%7E",
            headers={"content-type": "application/json", "webhook-id": "evt_1"},
            body=b'{"a":1}',
            scope=NetworkScope.CONFIGURED,
        )
    head, body = site.requests[0]
    first, *lines = head.decode().rstrip().split("\r\n")
    assert first == "POST /hooks/a%2Fb/../c?sig=a%2Bb+c%20~%7E HTTP/1.1"
    assert body == b'{"a":1}'
    assert {line.split(": ")[0].lower(): line.split(": ")[1] for line in lines} == {
        "host": f"127.0.0.1:{site.port}",
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": "Ringback/9",
        "content-type": "application/json",
        "webhook-id": "evt_1",
        "content-length": "7",
    }


async def test_the_user_agent_names_ringback():
    async with Site() as site, Egress(NOTHING) as egress:
        await egress.request("GET", site.url, headers={}, scope=NetworkScope.CONFIGURED)
    assert b"\r\nuser-agent: Ringback" in site.requests[0][0].lower().replace(b"ring", b"Ring")


async def test_a_response_has_lower_case_header_names_text_values_and_its_body():
    raw = b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nX-Odd: caf\xe9\r\nContent-Length: 3\r\n\r\nno!"
    async with Site(raw) as site, Egress(NOTHING) as egress:
        answer = await post(egress, site.url, scope=NetworkScope.CONFIGURED)
    assert (answer.status, answer.body) == (429, b"no!")
    assert answer.headers == {"retry-after": "7", "x-odd": "caf\ufffd", "content-length": "3"}
    assert 0 < answer.seconds < 15


async def test_a_response_that_says_gzip_and_is_not_is_returned_as_it_is():
    raw = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nbomb"
    async with Site(raw) as site, Egress(NOTHING) as egress:
        assert (await post(egress, site.url, scope=NetworkScope.CONFIGURED)).body == b"bomb"


async def test_cookies_are_not_kept():
    raw = b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n"
    async with Site(raw) as site, Egress(NOTHING) as egress:
        for _ in range(2):
            await post(egress, site.url, scope=NetworkScope.CONFIGURED)
    assert b"cookie" not in site.requests[1][0].lower()


@pytest.mark.parametrize(
    ("raw", "wanted", "length", "connections"),
    [
        (sized(0), True, 0, 1),
        (sized(1000), True, 1000, 1),
        (chunked(500, 500), True, 1000, 1),
        (sized(1000), False, 0, 1),
        (sized(4096), False, 0, 1),
        (chunked(2000, 2000), False, 0, 1),
        (sized(5_000_000), True, 1000, 2),
        (chunked(*[50_000] * 40), True, 1000, 2),
        (sized(5_000_000), False, 0, 2),
        (b"HTTP/1.1 204 No Content\r\n\r\n", False, 0, 1),
    ],
)
async def test_bodies_are_capped_and_short_ones_keep_the_connection(
    raw, wanted, length, connections
):
    async with Site(raw) as site, Egress(NOTHING) as egress:
        for _ in range(2):
            answer = await post(
                egress, site.url, scope=NetworkScope.CONFIGURED, read_limit=1000, body_wanted=wanted
            )
            assert len(answer.body) == length
        assert site.connections == connections


@pytest.mark.parametrize("hangs", [True, False])
async def test_an_unwanted_body_that_breaks_off_does_not_change_the_status(hangs):
    async with Site(sized(900)[:-1], then_close=not hangs) as site, Egress(NOTHING) as egress:
        answer = await post(
            egress, site.url, scope=NetworkScope.CONFIGURED, body_wanted=False, timeout=0.2
        )
        assert (answer.status, answer.body) == (200, b"")
        await site.left.wait()


async def test_an_endless_body_is_cut_while_the_server_still_writes():
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 300_000
    async with Site(endless) as site, Egress(NOTHING) as egress:
        answer = await post(egress, site.url, scope=NetworkScope.CONFIGURED)
        assert len(answer.body) == 65536
        async with asyncio.timeout(5):
            await site.left.wait()


# -- what goes wrong ------------------------------------------------------------------------------

SECRET = "?token=hunter2"


async def failure(url, **options):
    options = {"scope": NetworkScope.CONFIGURED, "resolver": None, "timeout": 5.0} | options
    async with Egress(NOTHING, resolver=options.pop("resolver")) as egress:
        with pytest.raises(RequestFailed) as failed:
            await post(egress, url + SECRET, **options)
    text = str(failed.value)
    assert "hunter2" not in text
    assert len(text) < 120
    assert (failed.value.__cause__, failed.value.__suppress_context__) == (None, True)
    return text


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx",
        b"HTTP/1.1 102 P\r\n\r\n",
    ],
    ids=["silent", "half a status", "half a body", "only 1xx"],
)
async def test_a_server_that_hangs_times_out(start):
    async with Site(start) as site:
        assert await failure(site.url, timeout=0.2) == "timed out after 0.2 s"


async def test_a_refused_port_says_so():
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert await failure(f"http://127.0.0.1:{port}/") == "connection refused"


@pytest.mark.parametrize("answer", [socket.gaierror(-2, "Name or service not known"), []])
async def test_a_name_without_an_address_says_so(answer):
    resolver = Names({"gone.example": answer})
    text = await failure("http://gone.example/", resolver=resolver)
    assert text == "DNS: the host name does not resolve"


async def test_an_untrusted_certificate_says_so(tls):
    async with Site(tls=tls[0]) as site:
        text = await failure(site.url)
    assert text.startswith("TLS: certificate verify failed: self")


async def test_a_certificate_for_another_name_says_so(tls):
    server, client = tls
    names = Names({"other.example": ["127.0.0.1"]})
    async with Site(tls=server) as site, Egress(NOTHING, resolver=names, tls=client) as egress:
        with pytest.raises(RequestFailed, match=r"^TLS: certificate verify failed: Hostname"):
            await post(egress, f"https://other.example:{site.port}/", scope=NetworkScope.CONFIGURED)


async def test_a_server_that_speaks_no_tls_says_so():
    async with Site(unasked=True) as site:
        assert await failure(site.url.replace("http:", "https:")) == "TLS: handshake failed"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "connection closed before an answer"),
        (b"\x00\xff\x00\xff\r\n\r\n", "the answer is not valid HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the answer is not valid HTTP"),
        (b"+PONG\r\n", "the answer is not valid HTTP"),
        (b"<html>password</html>\r\n\r\n", "the answer is not valid HTTP"),
        (b"HTTP/9.9 200 OK\r\n\r\n", "the answer is not valid HTTP"),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", "the answer is not valid HTTP"),
        (b"HTTP/1.1 000 OK\r\ncontent-length: 0\r\n\r\n", "the answer is not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", "the answer is not valid HTTP"),
        (
            b"HTTP/1.1 200 OK\r\nx: a\x00b\r\ncontent-length: 0\r\n\r\n",
            "the answer is not valid HTTP",
        ),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n", "the answer is not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000 + b"\r\n", "the answer is not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "the answer is not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx", "the answer broke off"),
        (chunked(9)[:-9], "the answer broke off"),
        (chunked()[:-5] + b"zz\r\n", "the answer is not valid HTTP"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            "the answer broke off",
        ),
    ],
)
async def test_garbage_is_a_failure_with_our_own_message(raw, words):
    async with Site(raw, then_close=True) as site:
        assert await failure(site.url) == words


async def test_any_bytes_end_in_a_response_or_a_failure():
    """Mutates valid responses: the client raises only its own errors, and no request hangs."""
    seeds = [OK, sized(40), chunked(9, 9), b"HTTP/1.0 200 OK\r\n\r\nx", b"HTTP/1.1 101 S\r\n\r\n"]
    async with Site(then_close=True) as site, Egress(NOTHING) as egress:
        for _ in range(300):
            raw = bytearray(random.choice(seeds))
            for _ in range(random.randrange(1, 6)):
                raw[random.randrange(len(raw))] = random.randrange(256)
            site.answer = bytes(raw)
            try:
                answer = await post(egress, site.url, scope=NetworkScope.CONFIGURED, timeout=2.0)
            except RequestFailed:
                continue
            assert all(value.encode() is not None for value in answer.headers.values())


async def test_bad_headers_are_a_failure_and_nothing_is_sent():
    async with Site() as site, Egress(NOTHING) as egress:
        with pytest.raises(RequestFailed):
            await egress.request(
                "POST", site.url, headers={"x": "a\r\nb: c"}, scope=NetworkScope.CONFIGURED
            )
        assert site.requests == []


async def test_a_closed_client_fails_cleanly():
    async with Egress(NOTHING) as egress:
        pass
    with pytest.raises(RequestFailed):
        await post(egress, "https://example.com/")


async def test_a_cancelled_request_closes_its_connection():
    half = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"
    async with Site(half) as site, Egress(NOTHING) as egress, asyncio.timeout(5):
        task = asyncio.create_task(post(egress, site.url, scope=NetworkScope.CONFIGURED))
        await site.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await site.left.wait()
