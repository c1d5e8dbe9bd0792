"""A provider's last answer about a job: what the mirror shows, and what a 304 stands for."""

from collections.abc import Mapping
from typing import NamedTuple, Self

import msgspec
from msgspec.structs import replace

from processor.model import HttpResponse
from processor.store.jobs import ANSWER_AT_MOST

JSON = "application/json"  # of an answer that does not say what it is


class LastAnswer(NamedTuple):
    """An answer as it is kept."""

    status: int
    content_type: str
    body: bytes
    etag: str = ""

    @classmethod
    def of(cls, answer: HttpResponse) -> Self:
        """Take what is worth keeping."""
        headers = answer.headers
        mime, etag = headers.get("content-type", JSON), headers.get("etag", "")
        return cls(answer.status, mime, answer.body, etag)

    @classmethod
    def unpacked(cls, stored: bytes) -> Self:
        """Read it back."""
        return cls(*msgspec.msgpack.decode(stored))

    def packed(self) -> bytes | None:
        """As bytes, or None when it is too long to keep."""
        return None if len(self.body) > ANSWER_AT_MOST else msgspec.msgpack.encode(tuple(self))

    def again(self, answer: HttpResponse) -> HttpResponse:
        """What a 304 says: this once more, with the new answer's headers."""
        headers = {**answer.headers, "content-type": self.content_type, "etag": self.etag}
        return replace(answer, status=self.status, body=self.body, headers=headers)

    def condition(self) -> Mapping[str, str]:
        """The header that asks for news only."""
        return {"If-None-Match": self.etag} if self.etag else {}
