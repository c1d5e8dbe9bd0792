"""Public keys are fetched from their provider only, cached, and fetched again."""

import asyncio
import base64
import datetime as dt
import json
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohappyeyeballs import AddrInfoType
from aiohttp import web
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from processor.config import load
from processor.egress import Egress, Policy
from processor.errors import BadSignature, ProviderError, Unavailable
from processor.model import Push
from processor.service.pushes.public_keys import (
    FAILURE_MAX_AGE,
    MAX_AGE,
    MAX_DOCUMENTS,
    MAX_NEW_FETCHES,
    UNKNOWN_KEY_MAX_AGE,
    PublicKeys,
)
from processor.service.pushes.receive import Receiver
from processor.service.runtime.context import Context
from processor.service.runtime.metrics import Metrics
from processor.signing import Verify

TOPIC = "arn:aws:sns:eu-west-1:123456789012:jobs"
HOST = "https://sns.eu-west-1.amazonaws.com"
CERT = "/SimpleNotificationService-7ff5318490ec.pem"
FAL = Verify(
    "ed25519",
    header="X-Sign",
    timestamp="X-Time",
    signs="{header:X-User}{timestamp}{body}",
    keys="https://keys.example/jwks.json",
    sender="header:X-User",
)


class Here:
    """Resolves every name to the site on this machine."""

    def __init__(self, port: int) -> None:
        """`port` is the site's."""
        self.port = port
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> list[AddrInfoType]:  # noqa: ARG002
        self.asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", self.port))]


class Site:
    """Publishes documents over TLS, and records the requests."""

    def __init__(self) -> None:
        """Publish nothing yet."""
        self.documents: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.port = 0
        self.arrivals: asyncio.Queue[str] = asyncio.Queue()
        self.answers = asyncio.Event()
        self.answers.set()

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        self.arrivals.put_nowait(request.path_qs)
        await self.answers.wait()
        document = self.documents.get(request.path)
        return web.Response(body=document, status=404 if document is None else 200)


@pytest.fixture
async def site_of(tls_for: Any) -> AsyncIterator[Callable[..., Any]]:
    """Makes a site under a name, and an egress for which every name is that site."""
    runners, egresses = [], []

    async def make(name: str) -> tuple[Site, Egress]:
        site, (server, client), app = Site(), tls_for(name), web.Application()
        app.router.add_get("/{path:.*}", site.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server).start()
        site.port = runner.addresses[0][1]
        policy = Policy.parse(("127.0.0.1",))
        egress = Egress(policy, resolver=Here(site.port), tls=client)
        await egress.open()
        runners.append(runner)
        egresses.append(egress)
        return site, egress

    yield make
    for egress in egresses:
        await egress.close()
    for runner in runners:
        await runner.cleanup()


# JWKS ---------------------------------------------------------------------------------------


def jwks(*keys: Ed25519PrivateKey) -> bytes:
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    texts = [base64.urlsafe_b64encode(k.public_key().public_bytes(*raw)) for k in keys]
    listed = [{"kty": "OKP", "crv": "Ed25519", "x": x.rstrip(b"=").decode()} for x in texts]
    return json.dumps({"keys": listed}).encode()


def signed(key: Ed25519PrivateKey, body: bytes = b"{}", at: int = 1000) -> Push:
    headers = {"x-user": "u", "x-time": str(at), "x-sign": key.sign(f"u{at}".encode() + body).hex()}
    return Push(headers, body)


async def test_a_jwks_is_fetched_once_and_cached(site_of: Any) -> None:
    site, egress = await site_of("keys.example")
    key, public_keys = Ed25519PrivateKey.generate(), PublicKeys(egress)
    site.documents["/jwks.json"] = jwks(key)
    for _ in range(3):
        await public_keys.verify(FAL, (), signed(key), 1000.0)
    assert site.asked == ["/jwks.json"]
    await public_keys.verify(FAL, (), signed(key, at=int(1001 + MAX_AGE)), 1001.0 + MAX_AGE)
    assert site.asked == ["/jwks.json"] * 2


async def test_an_unknown_key_is_fetched_at_most_once_a_minute(
    site_of: Any,
) -> None:
    site, egress = await site_of("keys.example")
    old, new, public_keys = (
        Ed25519PrivateKey.generate(),
        Ed25519PrivateKey.generate(),
        PublicKeys(egress),
    )
    site.documents["/jwks.json"] = jwks(old)
    await public_keys.verify(FAL, (), signed(old), 1000.0)
    site.documents["/jwks.json"] = jwks(old, new)
    for _ in range(5):
        with pytest.raises(BadSignature):
            await public_keys.verify(FAL, (), signed(new), 1000.0)
    assert len(site.asked) == 1
    later = 1001.0 + UNKNOWN_KEY_MAX_AGE
    await public_keys.verify(FAL, (), signed(new, at=int(later)), later)
    assert len(site.asked) == 2
    for _ in range(5):
        with pytest.raises(BadSignature):
            await public_keys.verify(
                FAL, (), signed(Ed25519PrivateKey.generate(), at=int(later)), later
            )
    assert len(site.asked) == 2


async def test_a_push_whose_key_cannot_be_fetched_must_be_sent_again(site_of: Any) -> None:
    site, egress = await site_of("keys.example")
    key, public_keys = Ed25519PrivateKey.generate(), PublicKeys(egress)
    for _ in range(5):  # and they share one fetch
        with pytest.raises(ProviderError, match="HTTP 404; send this again") as trouble:
            await public_keys.verify(FAL, (), signed(key), 1000.0)
        assert trouble.value.status == 503
    assert len(site.asked) == 1
    site.documents["/jwks.json"] = jwks(key)
    await public_keys.verify(FAL, (), signed(key, at=1011), 1011.0)
    del site.documents["/jwks.json"]  # the old document is used until there is a newer one
    later = 1001.0 + MAX_AGE
    await public_keys.verify(FAL, (), signed(key, at=int(later)), later)


async def test_the_number_of_cached_documents_is_bounded(site_of: Any) -> None:
    _, egress = await site_of("keys.example")
    public_keys = PublicKeys(egress)
    for number in range(200):
        with pytest.raises(ProviderError):
            await public_keys.document(FAL, f"https://keys.example/{number}", 1000.0, MAX_AGE)
    assert (len(public_keys._fetching), len(public_keys._failures)) == (0, MAX_DOCUMENTS)


async def test_urls_that_cannot_be_fetched_evict_no_document(site_of: Any) -> None:
    site, egress = await site_of("keys.example")
    public_keys = PublicKeys(egress)
    site.documents["/good"] = good = jwks(Ed25519PrivateKey.generate())
    await public_keys.document(FAL, "https://keys.example/good", 1000.0, MAX_AGE)
    for number in range(MAX_DOCUMENTS):
        with pytest.raises(ProviderError):
            await public_keys.document(FAL, f"https://keys.example/{number}", 1000.0, MAX_AGE)
    assert await public_keys.document(FAL, "https://keys.example/good", 1000.0, MAX_AGE) == good
    assert site.asked.count("/good") == 1


async def test_the_document_that_was_not_used_for_longest_is_evicted(site_of: Any) -> None:
    site, egress = await site_of("keys.example")
    public_keys = PublicKeys(egress)
    names = [f"/{number}" for number in range(MAX_DOCUMENTS + 1)]
    site.documents = dict.fromkeys(names, jwks(Ed25519PrivateKey.generate()))
    for name in names:
        await public_keys.document(FAL, f"https://keys.example{name}", 1000.0, MAX_AGE)
        await public_keys.document(FAL, "https://keys.example/0", 1000.0, MAX_AGE)
    assert site.asked == names
    await public_keys.document(FAL, "https://keys.example/1", 1000.0, MAX_AGE)
    assert site.asked == [*names, "/1"]
    assert len(public_keys._documents) == MAX_DOCUMENTS


async def test_few_new_urls_are_fetched_at_once_and_known_ones_do_not_wait(
    site_of: Any,
) -> None:
    site, egress = await site_of("keys.example")
    public_keys = PublicKeys(egress)

    def fetch(name: str, now: float) -> Any:
        return asyncio.create_task(
            public_keys.document(FAL, f"https://keys.example/{name}", now, MAX_AGE)
        )

    site.documents["/good"] = good = jwks(Ed25519PrivateKey.generate())
    await fetch("good", 1000.0)
    await site.arrivals.get()
    site.answers.clear()
    slow = [fetch(str(number), 1000.0) for number in range(MAX_NEW_FETCHES)]
    for _ in slow:
        await site.arrivals.get()
    with pytest.raises(ProviderError, match="send this again") as trouble:
        await fetch("another", 1000.0)
    assert trouble.value.status == 503
    assert await fetch("good", 1000.0) == good
    refreshed = fetch("good", 1001.0 + MAX_AGE)
    assert await site.arrivals.get() == "/good"
    site.answers.set()
    assert await refreshed == good
    await asyncio.gather(*slow, return_exceptions=True)
    site.documents["/another"] = good
    assert await fetch("another", 1000.0) == good


WITHOUT_A_KEY = [b"", b"<html>maintenance</html>", b'{"keys":[]}', b'{"keys":[{"kty":"RSA"}]}']


@pytest.mark.parametrize("document", WITHOUT_A_KEY, ids=repr)
async def test_a_document_without_a_key_is_fetched_again_soon(
    site_of: Any, document: bytes
) -> None:
    site, egress = await site_of("keys.example")
    key, public_keys = Ed25519PrivateKey.generate(), PublicKeys(egress)
    site.documents["/jwks.json"] = document
    for _ in range(3):
        with pytest.raises(
            ProviderError, match="the document holds no key; send this again"
        ) as trouble:
            await public_keys.verify(FAL, (), signed(key), 1000.0)
        assert trouble.value.status == 503
    assert len(site.asked) == 1
    site.documents["/jwks.json"] = jwks(key)
    later = 1001.0 + FAILURE_MAX_AGE
    await public_keys.verify(FAL, (), signed(key, at=int(later)), later)


@pytest.mark.parametrize("document", WITHOUT_A_KEY, ids=repr)
async def test_a_document_without_a_key_replaces_no_key(site_of: Any, document: bytes) -> None:
    site, egress = await site_of("keys.example")
    key, public_keys = Ed25519PrivateKey.generate(), PublicKeys(egress)
    site.documents["/jwks.json"] = jwks(key)
    await public_keys.verify(FAL, (), signed(key), 1000.0)
    site.documents["/jwks.json"] = document
    later = 1001.0 + UNKNOWN_KEY_MAX_AGE
    forged = signed(Ed25519PrivateKey.generate(), at=int(later))
    with pytest.raises(BadSignature):
        await public_keys.verify(FAL, (), forged, later)
    assert len(site.asked) == 2
    await public_keys.verify(FAL, (), signed(key, at=int(later)), later)


# SNS ----------------------------------------------------------------------------------------


class Topic:
    """Signs as Amazon SNS does."""

    def __init__(self, site: Site, certificate: Any) -> None:
        """Publish a certificate of its own."""
        self.key = generate_private_key(65537, 2048)
        site.documents[CERT] = certificate(self.key, "sns.amazonaws.com")

    def push(self, now: float, **members: str) -> Push:
        """A signed message; `more` replaces fields of it."""
        message = {
            "Type": "Notification",
            "MessageId": "m1",
            "TopicArn": TOPIC,
            "Message": '{"id": "1", "status": "running"}',
            "Timestamp": f"{dt.datetime.fromtimestamp(now, dt.UTC):%Y-%m-%dT%H:%M:%S.000Z}",
            "SignatureVersion": "2",
            "SigningCertURL": HOST + CERT,
        } | members
        names = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token")
        parts = [(n, message[n]) for n in (*names, "TopicArn", "Type") if n in message]
        text = "".join(f"{name}\n{value}\n" for name, value in parts)
        signature = self.key.sign(text.encode(), PKCS1v15(), hashes.SHA256())
        message["Signature"] = base64.b64encode(signature).decode()
        return Push({"content-type": "text/plain"}, json.dumps(message).encode())


@pytest.fixture
async def sns(site_of: Any, store: Any, redis_url: str, tmp_path: Any, certificate: Any) -> Any:
    site, egress = await site_of("sns.eu-west-1.amazonaws.com")
    file = tmp_path / "ringback.toml"
    file.write_text(f'[sources.topic]\nprovider = "aws-sns"\nsenders = ["{TOPIC}"]\n')
    settings = load(file, {"REDIS_URL": redis_url})
    receiver = Receiver(Context(settings, store, egress, Metrics()))
    return site, receiver, receiver.source("topic"), Topic(site, certificate)


async def test_a_message_of_a_configured_topic_is_accepted(sns: Any, store: Any) -> None:
    site, receiver, source, topic = sns
    push = topic.push(await store.now())
    assert (await receiver.receive(source, push)).accepted == 1
    assert (await receiver.receive(source, push)).duplicates == 1
    assert site.asked == [CERT]


REFUSED = [
    {"TopicArn": "arn:aws:sns:eu-west-1:999999999999:jobs"},
    {"SigningCertURL": f"https://sns.evil.example{CERT}"},
    {"SigningCertURL": f"{HOST}.evil.example{CERT}"},
    {"SigningCertURL": f"http://sns.eu-west-1.amazonaws.com{CERT}"},
    {"SigningCertURL": f"{HOST}@evil.example{CERT}"},
    {"SigningCertURL": f"{HOST}:8443{CERT}"},
    {"SigningCertURL": f"{HOST}{CERT}?x"},
    {"SigningCertURL": f"{HOST}/another.pem"},
    {"SigningCertURL": f"{HOST}/SimpleNotificationService-{'0' * 65}.pem"},
    {"SigningCertURL": f"https://sns.s3.amazonaws.com{CERT}"},
    {"SigningCertURL": f"https://sns.s3-us-west-2.amazonaws.com{CERT}"},
    {"SigningCertURL": f"https://sns.s3-accelerate.amazonaws.com{CERT}"},
    {"SigningCertURL": f"https://sns.elb.amazonaws.com{CERT}"},
    {"SigningCertURL": "https://s3.eu-west-1.amazonaws.com/bucket/cert.pem"},
]


@pytest.mark.parametrize("wrong", REFUSED, ids=str)
async def test_no_certificate_is_fetched_for_an_unknown_topic_or_from_an_unknown_host(
    sns: Any, store: Any, wrong: dict[str, str]
) -> None:
    site, receiver, source, topic = sns
    with pytest.raises(BadSignature):
        await receiver.receive(source, topic.push(await store.now(), **wrong))
    assert site.asked == []


async def test_an_old_message_is_refused_before_a_certificate_is_fetched(
    sns: Any, store: Any
) -> None:
    site, receiver, source, topic = sns
    with pytest.raises(BadSignature, match="old"):
        await receiver.receive(source, topic.push(await store.now() - 4000))
    assert site.asked == []


def confirmation_request(
    url: str = f"{HOST}/?Action=ConfirmSubscription&Token=t",
) -> dict[str, str]:
    return {"Type": "SubscriptionConfirmation", "Token": "t", "SubscribeURL": url}


async def test_the_subscription_to_a_configured_topic_is_confirmed(sns: Any, store: Any) -> None:
    site, receiver, source, topic = sns
    site.documents["/"] = b"<ConfirmSubscriptionResponse/>"
    receipt = await receiver.receive(
        source, topic.push(await store.now(), **confirmation_request())
    )
    assert (receipt.accepted, len(receipt.ignored_parts)) == (0, 1)
    assert site.asked == [CERT, "/?Action=ConfirmSubscription&Token=t"]


async def test_a_failed_confirmation_makes_the_provider_ask_again(sns: Any, store: Any) -> None:
    _, receiver, source, topic = sns
    with pytest.raises(Unavailable, match="HTTP 404; ask again"):
        await receiver.receive(source, topic.push(await store.now(), **confirmation_request()))


@pytest.mark.parametrize(
    "url", ["https://evil.example/", f"{HOST}.evil.example/", "http://127.0.0.1/"]
)
async def test_no_confirmation_is_sent_to_another_host(sns: Any, store: Any, url: str) -> None:
    """Not even if the topic signed the request."""
    site, receiver, source, topic = sns
    with pytest.raises(BadSignature):
        await receiver.receive(source, topic.push(await store.now(), **confirmation_request(url)))
    assert site.asked == [CERT]


async def test_a_certificate_for_another_name_is_refused(
    sns: Any, store: Any, certificate: Any
) -> None:
    site, receiver, source, topic = sns
    site.documents[CERT] = certificate(topic.key, "sns.evil.example")
    with pytest.raises(BadSignature):
        await receiver.receive(source, topic.push(await store.now()))


@pytest.mark.parametrize("document", [b"", b"<html>maintenance</html>"], ids=repr)
async def test_a_certificate_that_cannot_be_read_is_fetched_again_soon(
    sns: Any, store: Any, document: bytes
) -> None:
    site, receiver, source, topic = sns
    good, site.documents[CERT] = site.documents[CERT], document
    with pytest.raises(ProviderError, match="the document holds no key"):
        await receiver.receive(source, topic.push(await store.now()))
    site.documents[CERT] = good
    later = await store.now() + FAILURE_MAX_AGE + 1
    await receiver._public_keys.verify(source.profile.verify, (), topic.push(later), later)
    assert site.asked == [CERT] * 2
