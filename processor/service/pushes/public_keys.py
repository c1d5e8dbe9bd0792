"""The keys that some signatures are checked with and that their makers publish: fetched, kept."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from processor import signing
from processor.egress import Egress, NetworkScope
from processor.errors import BlockedTarget, ProviderError, RequestFailed, UnknownKey
from processor.model import Push
from processor.signing import Key, Verify

KEEP = 86_400.0  # seconds that a document is good for; fal.ai asks for no more
RETRY = 10.0  # seconds that a failure is remembered for, so that many pushes wait for one fetch
SHOWN = 100  # characters of a URL in a message
AGAIN = 60.0  # seconds between looks for a key that was unknown: strangers can ask for one
TIMEOUT = 5.0  # seconds; who pushes waits meanwhile
LARGEST = 65_536  # bytes of a document
DOCUMENTS = 64  # that are kept
LARGE_PUSH = 128 * 1024  # bytes of one that is verified in a thread

log = structlog.get_logger()


class Published(NamedTuple):
    """What was found at a URL: a document and its time, or why there was none."""

    at: float
    document: bytes
    reason: str = ""


NEVER = Published(float("-inf"), b"")


class PublicKeys:
    """Public keys by the URL that they are published at."""

    def __init__(self, egress: Egress) -> None:
        """Fetch through `egress`, whose guard judges where that leads."""
        self._egress = egress
        self._kept: OrderedDict[str, Published] = OrderedDict()
        self._fetching: dict[str, asyncio.Lock] = {}  # only while somebody waits

    async def verify(
        self,
        rule: Verify,
        keys: Sequence[Key],
        push: Push,
        now: float,
        here: float | None = None,
    ) -> None:
        """Raise BadSignature unless it holds, ProviderTrouble when a key cannot be fetched.

        A key that is unknown may be new: the document is fetched again, at most once a minute.
        `here`: the time by another clock, by which the push may be fresh as well.
        """
        url = signing.keys_url(rule, push)
        if url is None:
            await _check(rule, keys, push, now, here=here)
            return
        document = await self.document(url, now, KEEP)
        try:
            await _check(rule, keys, push, now, document, here)
        except UnknownKey:
            newer = await self.document(url, now, AGAIN)
            if newer == document:
                raise
            await _check(rule, keys, push, now, newer, here)

    async def document(self, url: str, now: float, age: float) -> bytes:
        """The document at a URL, no older than `age` seconds if it can be had."""
        lock = self._fetching.setdefault(url, asyncio.Lock())
        try:
            async with lock:
                known = self._kept.get(url, NEVER)
                good = RETRY if known.reason else age
                if now - known.at > good:
                    known = await self._fetched(url, now, known.document)
                    self._keep(url, known)
        finally:
            if not lock.locked():
                self._fetching.pop(url, None)
        if not known.document:
            raise ProviderError(
                f"The key at {url[:SHOWN]} cannot be fetched: {known.reason}; send this again", 503
            )
        return known.document

    async def _fetched(self, url: str, now: float, old: bytes) -> Published:
        """What is there now; the old one while its place cannot be reached."""
        try:
            answer = await self._egress.request(
                "GET",
                url,
                headers={"Accept": "application/json, application/x-pem-file, */*"},
                scope=NetworkScope.PUBLIC,
                timeout=TIMEOUT,
                read_limit=LARGEST,
            )
            reason = "" if answer.status == 200 else f"HTTP {answer.status}"  # noqa: PLR2004 - OK
            document = answer.body
        except (BlockedTarget, RequestFailed) as error:
            document, reason = b"", str(error)
        if not reason:
            return Published(now, document)
        log.warning("public_key_unreachable", url=url[:SHOWN], reason=reason, kept=bool(old))
        return Published(now, old, reason)

    def _keep(self, url: str, found: Published) -> None:
        self._kept[url] = found
        self._kept.move_to_end(url)
        while len(self._kept) > DOCUMENTS:
            self._kept.popitem(last=False)


async def _check(  # noqa: PLR0917 -- as `signing.verify`
    rule: Verify,
    keys: Sequence[Key],
    push: Push,
    now: float,
    document: bytes = b"",
    here: float | None = None,
) -> None:
    """Verify; what is large in a thread, since digests leave the interpreter to others."""
    if len(push.body) <= LARGE_PUSH:
        signing.verify(rule, keys, push, now, document, here)
    else:
        await asyncio.to_thread(signing.verify, rule, keys, push, now, document, here)
