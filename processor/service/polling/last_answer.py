"""A provider's last answer about a job: for the mirror, and as the body that a 304 leaves out."""

from collections.abc import Mapping
from typing import NamedTuple, Self

import msgspec
from msgspec.structs import replace

from processor.model import HttpResponse
from processor.store.jobs import ANSWER_AT_MOST

JSON = "application/json"  # of an answer without a content type


class LastAnswer(NamedTuple):
    """The part of a whole answer that is stored."""

    status: int
    content_type: str
    body: bytes
    etag: str = ""
    at: float = 0.0  # when its poll began, by Redis' clock; 0: unknown, an older version stored it

    @classmethod
    def from_response(cls, response: HttpResponse, now: float) -> Self:
        """Keep status, content type, body and ETag of a response that has come now."""
        headers = response.headers
        content_type, etag = _sendable(headers.get("content-type")), _sendable(headers.get("etag"))
        at = now - response.seconds
        return cls(response.status, content_type or JSON, response.body, etag, at)

    def as_response(self) -> HttpResponse:
        """The answer as a response, to read it again."""
        headers = {"content-type": self.content_type, "etag": self.etag}
        return HttpResponse(self.status, headers, self.body, 0.0)

    @classmethod
    def decode(cls, stored: bytes) -> Self:
        """Read what `encode` made."""
        return cls(*msgspec.msgpack.decode(stored))

    def encode(self) -> bytes | None:
        """As bytes, or None if it is too long to store."""
        return None if len(self.body) > ANSWER_AT_MOST else msgspec.msgpack.encode(tuple(self))

    def repeated(self, not_modified: HttpResponse) -> HttpResponse:
        """What a 304 stands for: this answer, with the headers of the 304."""
        headers = {**not_modified.headers, "content-type": self.content_type, "etag": self.etag}
        return replace(not_modified, status=self.status, body=self.body, headers=headers)

    def conditional_headers(self) -> Mapping[str, str]:
        """The header that asks for a body only if it has changed."""
        return {"If-None-Match": self.etag} if self.etag else {}


def _sendable(value: str | None) -> str:
    """A header's value, if it can be sent again as it came; else as if it had been left out.

    Bytes that are not ASCII have been decoded, perhaps to U+FFFD.
    """
    return value if value and value.isascii() and value.isprintable() else ""
