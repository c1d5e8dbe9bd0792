"""Connecting: TLS with verification, several addresses of a name, time limits, remembered names."""

import asyncio
import datetime as dt
import socket
import ssl
import struct
from contextlib import ExitStack, asynccontextmanager, closing
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from processor.egress import Egress, NetworkScope, Policy, connection_pool, resolver
from processor.errors import BlockedTarget, RequestFailed

from .site import OK_AND_CLOSE, Names, Site, SlowNames, info

HOST = "hooks.example"


async def post(egress, url, **options):
    options = {"body_wanted": False, "scope": NetworkScope.CONFIGURED, "timeout": 10.0} | options
    return await egress.request("POST", url, headers={}, body=b"{}", **options)


# -- TLS --------------------------------------------------------------------------------------------


class Authority:
    """A private certificate authority, in files of a folder."""

    def __init__(self, folder):
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a private authority")])
        ca = x509.BasicConstraints(ca=True, path_length=None)
        self.file = folder / "ca.pem"
        self.file.write_bytes(self.sign(self.key, self.name, (ca,)))

    def server(self, *, days=1, names=(HOST,), addresses=("127.0.0.1",)):
        """The context of a server that has a certificate for these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a server")])
        alternatives = [
            *map(x509.DNSName, names),
            *(x509.IPAddress(ip_address(text)) for text in addresses),
        ]
        pem = self.sign(key, subject, (x509.SubjectAlternativeName(alternatives),), days)
        pem += key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path = self.folder / "server.pem"
        path.write_bytes(pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def sign(self, key, subject, extensions, days=1):
        now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 10 * day)
            .not_valid_after(now + days * day)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@asynccontextmanager
async def reached(server, names=None):
    """A site behind TLS, and a client that resolves every name of ours to it."""
    names = names or Names({HOST: ["127.0.0.1"], "other.example": ["127.0.0.1"]})
    async with Site(tls=server) as site, Egress(Policy(), resolver=names) as egress:
        yield site, egress


async def test_ssl_cert_file_names_the_authorities_that_are_trusted(authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    async with reached(authority.server()) as (site, egress):
        for host in (HOST, "127.0.0.1"):
            for _ in range(2):
                assert (await post(egress, f"https://{host}:{site.port}/")).status == 200
        assert (site.connections, len(site.requests)) == (2, 4)


async def test_an_authority_that_nobody_named_is_not_trusted(authority):
    async with reached(authority.server()) as (site, egress):
        with pytest.raises(RequestFailed, match=r"^TLS: certificate verify failed: "):
            await post(egress, f"https://{HOST}:{site.port}/")
        assert site.requests == []


@pytest.mark.parametrize(
    ("options", "host", "fault"),
    [
        ({"days": -1}, HOST, "certificate has expired"),
        ({"names": ["example"]}, HOST, "Hostname mismatch"),
        ({"names": ["*.example"], "addresses": []}, "127.0.0.1", "IP address mismatch"),
        ({}, "other.example", "Hostname mismatch"),
        ({"addresses": ["127.0.0.2"]}, "127.0.0.1", "IP address mismatch"),
    ],
)
async def test_a_wrong_certificate_is_refused(authority, monkeypatch, options, host, fault):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    async with reached(authority.server(**options)) as (site, egress):
        with pytest.raises(RequestFailed, match=f"^TLS: certificate verify failed: {fault}"):
            await post(egress, f"https://{host}:{site.port}/")
        assert site.requests == []


async def test_the_server_is_told_the_name_and_http_1(authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    told, server = [], authority.server(names=["xn--bcher-kva.example"])
    server.sni_callback = lambda _, name, __: told.append(name)
    server.set_alpn_protocols(["h2", "http/1.1"])
    async with reached(server, Names({"xn--bcher-kva.example": ["127.0.0.1"]})) as (site, egress):
        assert (await post(egress, f"https://B\u00dcCHER.example:{site.port}/")).status == 200
        assert (await post(egress, f"https://127.0.0.1:{site.port}/")).status == 200
        chosen = [writer.get_extra_info("ssl_object") for writer in site.writers]
        assert [one.selected_alpn_protocol() for one in chosen] == ["http/1.1", "http/1.1"]
    assert told == ["xn--bcher-kva.example", None]  # an address is no name


@pytest.mark.parametrize(
    ("reset", "words"), [(False, "TLS: handshake failed"), (True, "connection reset")]
)
async def test_a_server_that_hangs_up_in_the_handshake_says_so(reset, words):
    async def hang_up(reader, writer):
        await reader.readexactly(50)  # with bytes unread, closing is a reset
        if not reset:
            await reader.read(65_536)
        else:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Egress(Policy()) as egress:
            with pytest.raises(RequestFailed, match=words):
                await post(egress, f"https://127.0.0.1:{port}/")


async def test_a_server_that_is_silent_in_the_handshake_is_given_up(monkeypatch):
    monkeypatch.setattr(connection_pool, "CONNECT_SECONDS", 0.2)
    async with Site() as site, Egress(Policy()) as egress:
        with pytest.raises(RequestFailed, match="could not connect within 5 s"):
            await post(egress, f"https://127.0.0.1:{site.port}/")
        await site.left.wait()


# -- addresses ----------------------------------------------------------------------------------------


@pytest.fixture
def dead():
    """An address and port where connecting takes forever: the queue of who waits is full."""
    with ExitStack() as stack:
        listening = stack.enter_context(closing(socket.socket()))
        listening.bind(("127.0.0.9", 0))
        listening.listen(0)
        for _ in range(8):
            waiting = stack.enter_context(closing(socket.socket()))
            waiting.settimeout(0)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()


class Addresses:
    """Resolves every name to these addresses and ports."""

    def __init__(self, *found):
        self.found = found

    async def resolve(self, host, port):  # noqa: ARG002 - a resolver's signature
        return [info(*one) for one in self.found]


async def test_a_dead_address_does_not_hold_up_the_others(dead):
    async with Site() as site:
        for alive in (("127.0.0.1", site.port), ("::1", site.port)):
            if alive[0] == "::1" and len(site.servers) == 1:
                continue
            for order in ((dead, alive), (dead, dead, alive), (alive, dead)):
                async with Egress(Policy(), resolver=Addresses(*order)) as egress:
                    assert (await post(egress, "http://hooks.example/")).status == 200


async def test_a_refused_address_does_not_hold_up_the_others():
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        refused = free.getsockname()
    async with Site() as site:
        found = Addresses(refused, ("::1", refused[1]), ("127.0.0.1", site.port))
        async with Egress(Policy(), resolver=found) as egress:
            assert (await post(egress, "http://hooks.example/")).status == 200


async def test_addresses_that_never_answer_are_given_up(dead, monkeypatch):
    monkeypatch.setattr(connection_pool, "CONNECT_SECONDS", 0.5)
    async with Egress(Policy(), resolver=Addresses(dead, dead)) as egress:
        with pytest.raises(RequestFailed, match="could not connect within 5 s"):
            await post(egress, "http://hooks.example/")
        with pytest.raises(RequestFailed, match=r"timed out after 0.2 s"):
            await post(egress, "http://hooks.example/", timeout=0.2)


async def test_a_denied_address_in_the_race_ends_the_request(dead):
    """The operator's own names may be private, but never link-local."""
    async with Egress(Policy(), resolver=Addresses(dead, ("169.254.169.254", 80))) as egress:
        pool = egress._pools[NetworkScope.CONFIGURED]
        with pytest.raises(BlockedTarget, match="metadata"):
            await post(egress, "http://hooks.example/")
        assert not pool._open


async def test_a_request_that_is_cancelled_while_it_connects_leaves_nothing_open(dead):
    async with Egress(Policy(), resolver=Addresses(dead, dead)) as egress:
        task = asyncio.create_task(post(egress, "http://hooks.example/"))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        pool = egress._pools[NetworkScope.CONFIGURED]
        assert (pool._connecting, len(pool._open), pool._places.free) == (0, 0, 1000)


# -- names --------------------------------------------------------------------------------------------


async def test_a_name_is_looked_up_once_for_all_who_ask_meanwhile():
    names = SlowNames({HOST: ["127.0.0.1"]})
    async with Site() as site, Egress(Policy(), resolver=names) as egress:
        url = f"http://{HOST}:{site.port}/"
        tasks = [asyncio.create_task(post(egress, url)) for _ in range(5)]
        await names.came.wait()
        tasks[0].cancel()
        names.go.set()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [getattr(end, "status", None) for end in ends] == [None, 200, 200, 200, 200]
        assert names.asked == 1


async def test_an_answer_is_remembered_for_ten_seconds(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(resolver, "monotonic", lambda: now)
    names = Names({HOST: ["127.0.0.1"]})
    async with Site(OK_AND_CLOSE) as site, Egress(Policy(), resolver=names) as egress:
        for later, asked in ((0.0, 1), (9.0, 1), (2.0, 2)):
            now += later
            await post(egress, f"http://{HOST}:{site.port}/")
            assert names.asked == asked


async def test_a_failure_is_not_remembered():
    names = Names({HOST: socket.gaierror(-3, "Temporary failure in name resolution")})
    async with Site() as site, Egress(Policy(), resolver=names) as egress:
        url = f"http://{HOST}:{site.port}/"
        with pytest.raises(RequestFailed, match="does not resolve"):
            await post(egress, url)
        names.table[HOST] = ["127.0.0.1"]
        assert (await post(egress, url)).status == 200


async def test_few_names_are_remembered(monkeypatch):
    monkeypatch.setattr(resolver, "_NAMES_AT_MOST", 3)
    cache = resolver.CachingResolver(Names({str(n): ["127.0.0.1"] for n in range(9)}))
    for number in range(9):
        await cache.resolve(str(number), 80)
    assert [host for host, _ in cache._answers] == ["6", "7", "8"]
