"""Fetches and caches the public keys that providers publish for verifying their signatures."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import structlog

from processor import signing
from processor.egress import Egress, NetworkScope
from processor.errors import BlockedTarget, ProviderError, RequestFailed, UnknownKey
from processor.keyed_locks import KeyedLocks
from processor.model import Push
from processor.signing import Key, Verify
from processor.sizes import IN_THREAD

MAX_AGE = 86_400.0  # seconds that a document is used; fal.ai allows no longer
FAILURE_MAX_AGE = 10.0  # seconds without another fetch after a failed one
MAX_URL_SHOWN = 100  # characters in a message
UNKNOWN_KEY_MAX_AGE = 60.0  # seconds between fetches for unknown keys, which anybody can name
TIMEOUT = 5.0  # seconds; the provider waits for our answer
MAX_DOCUMENT = 65_536  # bytes
MAX_DOCUMENTS = 64  # in the cache, and as many failures
MAX_NEW_FETCHES = 8  # at once, of URLs without a document: anybody can name many

log = structlog.get_logger()


class CachedDocument(NamedTuple):
    """A document and the time of its fetch; with a reason, the fetch failed."""

    at: float
    document: bytes
    reason: str = ""


NEVER = CachedDocument(float("-inf"), b"")


class PublicKeys:
    """Public keys by the URL that they are published at."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._documents: OrderedDict[str, CachedDocument] = OrderedDict()
        self._failures: OrderedDict[str, CachedDocument] = OrderedDict()  # evict no document
        self._new_fetches = asyncio.Semaphore(MAX_NEW_FETCHES)
        self._fetching: KeyedLocks[str] = KeyedLocks()  # by URL

    async def verify(
        self,
        rule: Verify,
        keys: Sequence[Key],
        push: Push,
        now: float,
        here: float | None = None,
    ) -> None:
        """BadSignature unless the signature is valid; ProviderError if a key cannot be fetched.

        An unknown key may be new: the document is fetched again, at most once a minute.
        `here`: the time by another clock, by which the push may be fresh as well.
        """
        url = signing.keys_url(rule, push)
        if url is None:
            await _check(rule, keys, push, now, here=here)
            return
        if url not in self._documents:  # an old push, for example, is not worth a fetch
            with suppress(UnknownKey):
                await _check(rule, keys, push, now, here=here)
        document = await self.document(rule, url, now, MAX_AGE)
        try:
            await _check(rule, keys, push, now, document, here)
        except UnknownKey:
            newer = await self.document(rule, url, now, UNKNOWN_KEY_MAX_AGE)
            if newer == document:
                raise
            await _check(rule, keys, push, now, newer, here)

    async def document(self, rule: Verify, url: str, now: float, max_age: float) -> bytes:
        """The document of a rule at a URL, at most `max_age` seconds old unless a fetch fails.

        A document without a usable key counts as a failed fetch. ProviderError if no document could
        be fetched yet, or if too many new URLs are being fetched.
        """
        async with self._fetching[url]:
            known = self._documents.get(url) or self._failures.get(url, NEVER)
            allowed = FAILURE_MAX_AGE if known.reason else max_age
            if now - known.at > allowed:
                known = await self._refresh(rule, url, now, known.document)
            self._keep(url, known)
        if not known.document:
            raise ProviderError(
                f"The key at {url[:MAX_URL_SHOWN]} cannot be fetched: {known.reason}; send this again",
                503,
            )
        return known.document

    async def _refresh(self, rule: Verify, url: str, now: float, old: bytes) -> CachedDocument:
        """Fetch a document; a new one only if few others are being fetched."""
        if old:
            return await self._fetch(rule, url, now, old)
        if self._new_fetches.locked():
            raise ProviderError("Too many new keys are being fetched; send this again", 503)
        async with self._new_fetches:
            return await self._fetch(rule, url, now, old)

    async def _fetch(self, rule: Verify, url: str, now: float, old: bytes) -> CachedDocument:
        """Fetch a document; the old one if the fetch fails."""
        try:
            answer = await self._egress.request(
                "GET",
                url,
                headers={"Accept": "application/json, application/x-pem-file, */*"},
                scope=NetworkScope.PUBLIC,
                timeout=TIMEOUT,
                read_limit=MAX_DOCUMENT,
            )
            reason = "" if answer.status == 200 else f"HTTP {answer.status}"  # noqa: PLR2004 - OK
            document = answer.body
        except (BlockedTarget, RequestFailed) as error:
            document, reason = b"", str(error)
        if not reason and not signing.holds_key(rule, document):  # an empty file, a page of HTML
            reason = "the document holds no key"
        if not reason:
            return CachedDocument(now, document)
        log.warning(
            "public_key_unreachable", url=url[:MAX_URL_SHOWN], reason=reason, kept=bool(old)
        )
        return CachedDocument(now, old, reason)

    def _keep(self, url: str, found: CachedDocument) -> None:
        """Keep what was used last."""
        cache = self._documents if found.document else self._failures
        cache[url] = found
        cache.move_to_end(url)
        while len(cache) > MAX_DOCUMENTS:
            cache.popitem(last=False)


async def _check(  # noqa: PLR0917 -- as `signing.verify`
    rule: Verify,
    keys: Sequence[Key],
    push: Push,
    now: float,
    document: bytes = b"",
    here: float | None = None,
) -> None:
    """Verify; a large push in a thread, since a digest releases the interpreter lock."""
    if len(push.body) <= IN_THREAD:
        signing.verify(rule, keys, push, now, document, here)
    else:
        await asyncio.to_thread(signing.verify, rule, keys, push, now, document, here)
